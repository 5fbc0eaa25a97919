//! How results look: for people in colour on a terminal and plain in a pipe, for programs as JSON or YAML.

use std::fmt::Write as _;
use std::io::{ErrorKind, Write as _};

use anstyle::Style;
use clap::{Args, ValueEnum};
use comfy_table::{ContentArrangement, Table, presets};
use serde::Serialize;

use super::Failure;

/// The one flag for results.
#[derive(Args, Clone, Copy, Debug)]
pub(super) struct Output {
    /// How to print the result
    #[arg(long, short, value_enum, default_value_t = Format::Table)]
    pub(super) output: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// For people
    Table,
    Json,
    Yaml,
}

/// The few colours there are.
pub(super) mod style {
    use anstyle::{AnsiColor, Style};

    pub(in crate::cli) const ADD: Style = AnsiColor::Green.on_default();
    pub(in crate::cli) const REMOVE: Style = AnsiColor::Red.on_default();
    pub(in crate::cli) const SET: Style = AnsiColor::Yellow.on_default();
    pub(in crate::cli) const NOTE: Style = AnsiColor::Cyan.on_default();
    pub(in crate::cli) const STRONG: Style = Style::new().bold();
    pub(in crate::cli) const FAINT: Style = Style::new().dimmed();
}

/// Text in a style; the stream takes the codes away where nobody sees colours.
pub(super) fn paint(style: Style, text: &str) -> String {
    format!("{style}{text}{style:#}")
}

/// Names come from other systems: what would move the cursor or forge a line is shown, not sent.
pub(super) fn clean(text: &str) -> String {
    text.chars()
        .flat_map(|c| {
            let shown: Vec<char> = if c.is_control() || is_reordering(c) {
                c.escape_default().collect()
            } else {
                vec![c]
            };
            shown
        })
        .collect()
}

/// The same for text of several lines.
pub(super) fn clean_lines(text: &str) -> String {
    let lines: Vec<String> = text.lines().map(clean).collect();
    lines.join("\n")
}

/// Marks that make text read in another order than it is written (Unicode's bidirectional controls).
fn is_reordering(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Prints text that may hold colour codes. A reader that has seen enough, such as `head`, is no failure.
pub(super) fn show(text: &str) -> Result<(), Failure> {
    match anstream::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

/// Sentences, one a line.
pub(super) fn tell(title: &str, sentences: &[String]) -> Result<(), Failure> {
    let mut text = format!("{}\n", paint(style::STRONG, &clean(title)));
    for sentence in sentences {
        let _ = writeln!(text, "  {}", clean(sentence));
    }
    show(&text)
}

impl Output {
    /// Prints a result: `people` only where people read it.
    pub(super) fn print<T: Serialize>(
        self,
        result: &T,
        people: impl FnOnce(&T) -> String,
    ) -> Result<(), Failure> {
        match self.output {
            Format::Table => show(&people(result)),
            Format::Json => super::print(&format!("{}\n", serde_json::to_string_pretty(result)?)),
            Format::Yaml => super::print(&serde_yaml_ng::to_string(result)?),
        }
    }
}

/// A table with a head, as wide as the terminal where there is one.
pub(super) fn table(head: &[&str], rows: Vec<Vec<String>>) -> String {
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_header(head.iter().map(|word| word.to_uppercase()));
    for row in rows {
        table.add_row(row);
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    let lines: Vec<String> = table.lines().map(|line| line.trim_end().to_owned()).collect();
    format!("{}\n", lines.join("\n"))
}

/// `1 person`, `3 people`.
pub(super) fn count(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_forge_a_line_or_a_colour() {
        assert_eq!(
            clean("a\n+ b\u{1b}[31m\u{202e}x ü"),
            "a\\n+ b\\u{1b}[31m\\u{202e}x ü"
        );
    }
}
