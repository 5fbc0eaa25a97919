//! Boxes side by side with arrows between them, or one above the other where the screen is narrow. Lines and corners are
//! drawn on a terminal; in a pipe they are plain letters.

use std::fmt::Write as _;

use anstyle::Style;

use super::super::output::paint;

/// A box narrower than this breaks too many words.
const NARROWEST: usize = 24;
/// Lines that one paragraph of a box may take; the rest is to be looked up.
const LONGEST: usize = 5;

/// One box: a name and paragraphs, each in its style.
pub(super) struct Drawn {
    pub(super) name: String,
    pub(super) lines: Vec<(Style, String)>,
}

/// The letters to draw with.
struct Pen {
    across: &'static str,
    down: &'static str,
    corners: [&'static str; 4],
    arrow: &'static str,
    arrow_down: [&'static str; 2],
}

const LINES: Pen = Pen {
    across: "─",
    down: "│",
    corners: ["┌", "┐", "└", "┘"],
    arrow: " ──▶ ",
    arrow_down: ["│", "▼"],
};
const LETTERS: Pen = Pen {
    across: "-",
    down: "|",
    corners: ["+", "+", "+", "+"],
    arrow: " --> ",
    arrow_down: ["|", "v"],
};

/// Columns of boxes from left to right, in at most so many letters.
pub(super) fn draw(columns: &[Vec<Drawn>], width: usize, fancy: bool) -> String {
    let pen = if fancy { &LINES } else { &LETTERS };
    let gaps = pen.arrow.chars().count() * columns.len().saturating_sub(1);
    // Two borders and a blank beside each.
    let frames = 4 * columns.len();
    let room = width.saturating_sub(gaps + frames) / columns.len().max(1);
    if room < NARROWEST && columns.len() > 1 {
        return one_above_the_other(columns, width, pen);
    }
    let mut spare = width.saturating_sub(gaps + frames);
    spare = spare.saturating_sub(columns.iter().map(|boxes| inner(boxes, room)).sum());
    let columns: Vec<(usize, Vec<String>)> = columns
        .iter()
        .map(|boxes| {
            // Who needs more takes what narrower ones leave.
            let narrow = inner(boxes, room);
            let inner = inner(boxes, narrow + spare);
            spare -= inner - narrow;
            let blocks: Vec<Vec<String>> = boxes.iter().map(|drawn| frame(drawn, inner, pen)).collect();
            (inner + 4, blocks.concat())
        })
        .collect();
    let height = columns.iter().map(|(_, lines)| lines.len()).max().unwrap_or(0);
    let mut text = String::new();
    for row in 0..height {
        let mut line = String::new();
        for (at, (outer, lines)) in columns.iter().enumerate() {
            if at > 0 {
                let arrow = pen.arrow;
                // Beside the first line below the name.
                line += &if row == 1 {
                    arrow.to_owned()
                } else {
                    " ".repeat(arrow.chars().count())
                };
            }
            line += &lines.get(row).cloned().unwrap_or_else(|| " ".repeat(*outer));
        }
        text += line.trim_end();
        text.push('\n');
    }
    text
}

fn one_above_the_other(columns: &[Vec<Drawn>], width: usize, pen: &Pen) -> String {
    let mut text = String::new();
    for (at, boxes) in columns.iter().enumerate() {
        if at > 0 {
            for part in pen.arrow_down {
                let _ = writeln!(text, "    {part}");
            }
        }
        let inner = inner(boxes, width.saturating_sub(4).max(NARROWEST));
        for line in boxes.iter().flat_map(|drawn| frame(drawn, inner, pen)) {
            text += &line;
            text.push('\n');
        }
    }
    text
}

/// As wide as the longest line, within the room there is.
fn inner(boxes: &[Drawn], room: usize) -> usize {
    let lines = boxes.iter().flat_map(|drawn| {
        let lines = drawn.lines.iter().map(|(_, text)| text.chars().count());
        lines.chain([drawn.name.chars().count() + 2])
    });
    lines.max().unwrap_or(0).clamp(NARROWEST.min(room), room)
}

/// One box of so many letters within; every line as wide as the others.
fn frame(drawn: &Drawn, inner: usize, pen: &Pen) -> Vec<String> {
    let [left, right, low_left, low_right] = pen.corners;
    let name: String = drawn.name.chars().take(inner.saturating_sub(1)).collect();
    let rest = pen.across.repeat(inner.saturating_sub(name.chars().count() + 1));
    let name = paint(super::super::output::style::STRONG, &name);
    let mut lines = vec![format!("{left}{} {name} {rest}{right}", pen.across)];
    for (style, text) in &drawn.lines {
        for part in wrapped(text, inner) {
            let blank = " ".repeat(inner - part.chars().count());
            lines.push(format!(
                "{} {}{blank} {}",
                pen.down,
                paint(*style, &part),
                pen.down
            ));
        }
    }
    lines.push(format!("{low_left}{}{low_right}", pen.across.repeat(inner + 2)));
    lines
}

/// Text in lines of at most so many letters, broken between words where there is a blank.
pub(super) fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut line = String::new();
    for word in text.split_whitespace() {
        let mut word: Vec<char> = word.chars().collect();
        loop {
            let taken = line.chars().count();
            let gap = usize::from(taken > 0);
            if taken + gap + word.len() <= width {
                if gap > 0 {
                    line.push(' ');
                }
                line.extend(word);
                break;
            }
            if taken > 0 {
                lines.push(std::mem::take(&mut line));
                continue;
            }
            let rest = word.split_off(width.max(1).min(word.len()));
            lines.push(word.into_iter().collect());
            word = rest;
        }
    }
    if !line.is_empty() {
        lines.push(line);
    }
    if lines.len() > LONGEST {
        lines.truncate(LONGEST);
        if let Some(last) = lines.last_mut() {
            let kept: String = last.chars().take(width.saturating_sub(3)).collect();
            *last = format!("{kept}...");
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::super::super::output::style;
    use super::*;

    fn drawn(name: &str, lines: &[&str]) -> Drawn {
        Drawn {
            name: name.into(),
            lines: lines
                .iter()
                .map(|line| (style::FAINT, (*line).to_owned()))
                .collect(),
        }
    }

    /// As a pipe sees it.
    fn plain(text: &str) -> String {
        anstream::adapter::strip_str(text).to_string()
    }

    #[test]
    fn boxes_stand_side_by_side_with_an_arrow_between_them() {
        let columns = [
            vec![drawn("staging", &["runs 42 89abcdef"])],
            vec![drawn("prod", &["held", "x"])],
        ];
        let text = plain(&draw(&columns, 100, false));
        assert_eq!(
            text,
            "\
+- staging ----------------+     +- prod -------------------+
| runs 42 89abcdef         | --> | held                     |
+--------------------------+     | x                        |
                                 +--------------------------+
"
        );
        let fancy = plain(&draw(&columns, 100, true));
        assert!(
            fancy.contains("┌─ staging ─") && fancy.contains(" ──▶ "),
            "{fancy}"
        );
    }

    #[test]
    fn where_there_is_no_room_they_stand_one_above_the_other() {
        let columns = [vec![drawn("staging", &["a"])], vec![drawn("prod", &["b"])]];
        let text = plain(&draw(&columns, 50, false));
        assert!(text.contains("    |\n    v\n+- prod"), "{text}");
    }

    #[test]
    fn every_line_of_a_box_is_as_wide_as_the_others() {
        let long = "word ".repeat(30) + &"x".repeat(70);
        let columns = [
            vec![
                drawn("a-very-long-name-of-an-environment-indeed", &[&long]),
                drawn("b", &[]),
            ],
            vec![drawn("c", &["d"])],
        ];
        for width in [20, 60, 80, 120] {
            for line in plain(&draw(&columns, width, false)).lines() {
                assert!(line.chars().count() <= width.max(28), "{width}: {line:?}");
            }
        }
    }

    #[test]
    fn what_is_too_long_is_cut_and_says_so() {
        let lines = wrapped(&"word ".repeat(30), 10);
        assert_eq!(lines.len(), LONGEST);
        assert_eq!(lines[4], "word wo...");
        assert_eq!(wrapped("abcdefghijklmnop", 10), ["abcdefghij", "klmnop"]);
        assert!(wrapped("", 10).is_empty());
    }
}
