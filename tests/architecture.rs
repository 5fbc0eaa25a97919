//! The rules of the house that a compiler does not hold: which folder may know which, what things are called, how long
//! a file may be, and where words that outsiders see are spelled. Every rule is also shown something that breaks it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "architecture/arrows.rs"]
mod arrows;
#[path = "architecture/manifest.rs"]
mod manifest;
#[path = "architecture/names.rs"]
mod names;
#[path = "architecture/paths.rs"]
mod paths;
#[path = "architecture/words.rs"]
mod words;

use std::fs;
use std::path::{Path, PathBuf};

/// One source file: its path from the root of the repository, and its text.
pub struct Source {
    pub path: String,
    pub text: String,
}

impl Source {
    fn new(path: &str, text: &str) -> Self {
        Self {
            path: path.to_owned(),
            text: text.to_owned(),
        }
    }

    fn syntax(&self) -> syn::File {
        syn::parse_file(&self.text).unwrap_or_else(|error| panic!("{}: {error}", self.path))
    }

    /// Whether the whole file is a test.
    fn is_test(&self) -> bool {
        self.path.ends_with("tests.rs") || self.path.contains("/tests/") || self.path.starts_with("tests/")
    }
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Every Rust file below a folder of the repository.
fn sources(folder: &str) -> Vec<Source> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                found.push(path);
            }
        }
    }
    let mut found = Vec::new();
    walk(&root().join(folder), &mut found);
    found.sort();
    let sources: Vec<_> = found
        .iter()
        .map(|path| {
            let name = path.strip_prefix(root()).unwrap().to_str().unwrap();
            Source::new(name, &fs::read_to_string(path).unwrap())
        })
        .collect();
    assert!(!sources.is_empty(), "nothing found in {folder}");
    sources
}

/// Holds a rule: nothing breaks it but what is owed, and all that is owed still breaks it.
fn hold(broken: Vec<String>, owed: &[&str]) {
    let new: Vec<_> = broken
        .iter()
        .filter(|line| !owed.contains(&line.as_str()))
        .collect();
    assert!(new.is_empty(), "{new:#?}");
    let paid: Vec<_> = owed
        .iter()
        .filter(|line| !broken.iter().any(|broken| broken == *line))
        .collect();
    assert!(
        paid.is_empty(),
        "mended: take these from the list of what is owed: {paid:#?}"
    );
}

#[test]
#[should_panic(expected = "mended")]
fn what_is_owed_must_be_owed() {
    hold(vec!["a".into()], &["a", "b"]);
}

/// Files longer than this are not read in one sitting.
const LONGEST: usize = 450;

fn too_long(source: &Source) -> Option<String> {
    let lines = source.text.lines().count();
    (lines > LONGEST).then(|| source.path.clone())
}

#[test]
fn files_can_be_read_in_one_sitting() {
    let all = ["src", "core", "sim"].into_iter().flat_map(sources);
    hold(all.filter_map(|source| too_long(&source)).collect(), &[]);
}

#[test]
fn a_file_of_too_many_lines_is_caught() {
    assert!(too_long(&Source::new("src/a.rs", &"//\n".repeat(LONGEST))).is_none());
    assert!(too_long(&Source::new("src/a.rs", &"//\n".repeat(LONGEST + 1))).is_some());
}
