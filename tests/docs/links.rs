//! Links lead somewhere, and pictures are shown.

use std::fs;
use std::path::Path;

use crate::pages::{Page, no, page, pages, root, split};

/// GitHub's anchor of a heading.
fn anchor(heading: &str) -> String {
    let words = heading.trim_start_matches('#').trim().to_lowercase();
    words
        .chars()
        .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'))
        .map(|c| if c == ' ' { '-' } else { c })
        .collect()
}

/// Every relative link leads to a file, and to a heading where it names one.
fn wrong_links(page: &Page) -> Vec<String> {
    let prose = split(&page.text).1;
    let mut wrong = Vec::new();
    for link in prose
        .split("](")
        .skip(1)
        .filter_map(|rest| Some(rest.split_once(')')?.0))
    {
        if link.contains("://") {
            continue;
        }
        let (file, heading) = link.split_once('#').unwrap_or((link, ""));
        let target = if file.is_empty() {
            root().join(&page.path)
        } else {
            root()
                .join(page.path.parent().unwrap_or(Path::new("")))
                .join(file)
        };
        let found = target.exists()
            && (heading.is_empty()
                || split(&fs::read_to_string(&target).unwrap_or_default())
                    .1
                    .lines()
                    .any(|line| line.starts_with('#') && anchor(line) == heading));
        if !found {
            wrong.push(format!("{}: nothing is at {link}", page.path.display()));
        }
    }
    wrong
}

#[test]
fn every_link_leads_somewhere() {
    no(pages().iter().flat_map(wrong_links).collect());
}

#[test]
fn every_picture_is_shown_and_drawn_for_light_and_dark() {
    let pages = pages();
    for entry in fs::read_dir(root().join("docs/pictures")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let shown = format!("](pictures/{name})");
        assert!(
            pages.iter().any(|page| page.text.contains(&shown)),
            "{name} is nowhere shown"
        );
        let drawn = fs::read_to_string(&path).unwrap();
        for part in ["prefers-color-scheme:dark", "<title", "<desc"] {
            assert!(drawn.contains(part), "{name} has no {part}");
        }
    }
}

#[test]
fn a_link_that_leads_nowhere_is_noticed() {
    for (link, right) in [
        ("concepts.md", true),
        ("concepts.md#brakes", true),
        ("concepts.md#breaks", false),
        ("concept.md", false),
        ("#here", false),
        ("../README.md", true),
        ("pictures/none.svg", false),
    ] {
        let found = wrong_links(&page("docs/x.md", &format!("[a]({link})\n")));
        assert_eq!(found.is_empty(), right, "{link}");
    }
}
