//! Notebooks as source: a file that begins with the header of its language is one. The header is what export puts
//! there and import takes away.

/// Language, extension, header.
const LANGUAGES: &[(&str, &str, &str)] = &[
    ("PYTHON", "py", "# Databricks notebook source"),
    ("R", "r", "# Databricks notebook source"),
    ("SCALA", "scala", "// Databricks notebook source"),
    ("SQL", "sql", "-- Databricks notebook source"),
];

pub fn is_language(name: &str) -> bool {
    LANGUAGES.iter().any(|(language, ..)| *language == name)
}

/// Language and path without the extension, if AUTO would take this for a notebook
/// [PY databricks/sdk/mixins/workspace.py].
pub fn recognised<'a>(path: &'a str, content: &[u8]) -> Option<(&'static str, &'a str)> {
    let (stem, extension) = path.rsplit_once('.')?;
    let extension = extension.to_lowercase();
    if extension == "ipynb" {
        return Some(("PYTHON", stem));
    }
    LANGUAGES
        .iter()
        .find(|(_, wanted, header)| extension == *wanted && strip(content, header).len() < content.len())
        .map(|(language, ..)| (*language, stem))
}

fn strip<'a>(content: &'a [u8], header: &str) -> &'a [u8] {
    match content.strip_prefix(header.as_bytes()) {
        Some([]) => &[],
        Some([b'\n', rest @ ..] | [b'\r', b'\n', rest @ ..]) => rest,
        _ => content,
    }
}

/// What a notebook holds: its source without the header.
pub fn inside<'a>(language: &str, content: &'a [u8]) -> &'a [u8] {
    LANGUAGES
        .iter()
        .find(|(name, ..)| *name == language)
        .map_or(content, |(.., header)| strip(content, header))
}

/// A notebook as source, which always begins with the header: so the bytes that come out need not be those that
/// went in.
pub fn source(language: &str, inside: &[u8]) -> Vec<u8> {
    let header = LANGUAGES
        .iter()
        .find(|(name, ..)| *name == language)
        .map_or("", |(.., header)| *header);
    [header.as_bytes(), b"\n", inside].concat()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn the_header_makes_the_notebook() {
        let notebook = b"# Databricks notebook source\nprint(1)";
        assert_eq!(recognised("/a/nb.py", notebook), Some(("PYTHON", "/a/nb")));
        assert_eq!(recognised("/a/nb.py", b"print(1)"), None);
        assert_eq!(recognised("/a/nb.txt", notebook), None);
        assert_eq!(
            recognised("/a/nb.sql", b"-- Databricks notebook source\n")
                .unwrap()
                .0,
            "SQL"
        );
        assert_eq!(inside("PYTHON", notebook), b"print(1)");
        assert_eq!(source("PYTHON", b"print(1)"), notebook);
    }
}
