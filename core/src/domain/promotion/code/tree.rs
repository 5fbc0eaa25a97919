//! What of a commit's tree is uploaded, where each file comes to lie, and the manifest that proves it. What cannot be
//! deployed as it was reviewed is refused by name; nothing is left out silently.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::domain::promotion::gate::evidence::{CommitId, TreeId};
use crate::domain::promotion::machine::attempt::PromotionName;
use crate::domain::promotion::machine::state::{Failure, FailureKind};

/// The manifest's name in the directory.
pub const MANIFEST: &str = ".lockstep-manifest.json";
/// Largest file that can be uploaded and read back (Databricks REST, workspace/export): bytes.
pub const LARGEST: usize = 10 * 1024 * 1024;
/// How a pointer of Git LFS begins.
const LFS: &[u8] = b"version https://git-lfs.github.com/spec/";
/// A pointer of Git LFS is shorter than this, by its specification: bytes.
const LFS_POINTER: usize = 1024;
/// Files named in a message.
const NAMED: usize = 5;

/// One entry of a commit's tree. Links that stay inside are handed over as the file they lead to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TreeEntry {
    /// From the root of the tree, with `/`.
    pub path: String,
    pub content: Content,
}

#[derive(Clone, PartialEq, Eq)]
pub enum Content {
    File(Vec<u8>),
    /// A symbolic link that leads out of the tree, or nowhere: where it points.
    Link(String),
    /// A submodule.
    Gitlink,
}

impl std::fmt::Debug for Content {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(bytes) => write!(f, "File({} bytes)", bytes.len()),
            Self::Link(to) => write!(f, "Link({to:?})"),
            Self::Gitlink => f.write_str("Gitlink"),
        }
    }
}

/// What the workspace makes of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Form {
    File,
    /// A notebook from source with its header.
    Source,
    /// A notebook from Jupyter's format.
    Jupyter,
}

/// Extension of notebook source, and the first line that makes it one (databricks-sdk-py, mixins/workspace.py).
const HEADERS: &[(&str, &[u8])] = &[
    ("py", b"# Databricks notebook source"),
    ("r", b"# Databricks notebook source"),
    ("scala", b"// Databricks notebook source"),
    ("sql", b"-- Databricks notebook source"),
];

/// A file to be uploaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placed<'a> {
    pub bytes: &'a [u8],
    pub form: Form,
    /// Where it comes to lie, from the directory; a notebook loses its extension.
    pub path: &'a str,
}

/// A path without the extension that notebooks lose, if it has one.
pub fn without_notebook_extension(path: &str) -> &str {
    match path.rsplit_once('.') {
        Some((stem, extension)) if !stem.is_empty() && !stem.ends_with('/') => {
            let extension = extension.to_ascii_lowercase();
            let known = extension == "ipynb" || HEADERS.iter().any(|(known, _)| *known == extension);
            if known { stem } else { path }
        }
        _ => path,
    }
}

/// What becomes of a file, by its name and its first line.
pub fn form(path: &str, bytes: &[u8]) -> Form {
    let Some((_, extension)) = path.rsplit_once('.') else {
        return Form::File;
    };
    let extension = extension.to_ascii_lowercase();
    if extension == "ipynb" {
        return Form::Jupyter;
    }
    let headed = HEADERS.iter().any(|(known, header)| {
        extension == *known
            && bytes
                .strip_prefix(*header)
                .is_some_and(|rest| matches!(rest, [] | [b'\n', ..] | [b'\r', b'\n', ..]))
    });
    if headed { Form::Source } else { Form::File }
}

/// An entry as it is uploaded, or why it cannot be.
pub fn place(entry: &TreeEntry) -> Result<Placed<'_>, Failure> {
    let TreeEntry { path, content } = entry;
    let refuse = |why: String| Err(Failure::new(FailureKind::Refused, format!("{path:?} {why}")));
    let odd = |part: &str| matches!(part, "" | "." | "..") || part.chars().any(char::is_control);
    if path.split('/').any(odd) {
        return refuse("is not a path that a workspace can hold: rename it".into());
    }
    let bytes = match content {
        Content::File(bytes) => bytes,
        Content::Link(to) => {
            return refuse(format!(
                "is a link to {to:?}, which is not in the tree: commit the file itself"
            ));
        }
        Content::Gitlink => {
            return refuse("is a submodule, whose files are not in the reviewed tree: commit them".into());
        }
    };
    if path == MANIFEST {
        return refuse("is the name of our own manifest: rename it".into());
    }
    if bytes.len() < LFS_POINTER && bytes.starts_with(LFS) {
        return refuse(
            "is a pointer of Git LFS, whose content was not reviewed: commit the file itself".into(),
        );
    }
    if bytes.len() > LARGEST {
        return refuse(format!(
            "has {} bytes, more than the {LARGEST} that a workspace file may have to be read back: keep it elsewhere",
            bytes.len()
        ));
    }
    let form = form(path, bytes);
    Ok(Placed {
        bytes,
        form,
        path: match form {
            Form::File => path,
            Form::Source | Form::Jupyter => without_notebook_extension(path),
        },
    })
}

/// Whether notebook source that was read back is the one that was sent: a workspace keeps cells, not bytes, so line
/// ends and blank ends may differ.
pub fn same_source(sent: &[u8], back: &[u8]) -> bool {
    fn lines(text: &[u8]) -> Vec<&[u8]> {
        let mut lines: Vec<&[u8]> = text
            .split(|byte| *byte == b'\n')
            .map(<[u8]>::trim_ascii_end)
            .collect();
        while lines.last().is_some_and(|line| line.is_empty()) {
            lines.pop();
        }
        lines
    }
    lines(sent) == lines(back)
}

/// `sha256:<hex>`
pub fn sha256(bytes: &[u8]) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(bytes)))
}

/// One uploaded file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Mark {
    /// Its path in the tree.
    pub source: String,
    pub form: Form,
    /// Of the reviewed bytes.
    pub sha256: String,
    /// Of what the workspace gives back, where that is not the same bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stored: Option<String>,
    pub size: usize,
}

/// What lies in a directory of ours.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    pub format: u32,
    pub promotion: PromotionName,
    pub revision: CommitId,
    pub tree: TreeId,
    /// Whether the upload came to its end: `false` is written first, `true` last.
    pub complete: bool,
    /// By path from the directory.
    pub files: BTreeMap<String, Mark>,
}

impl Manifest {
    pub const FORMAT: u32 = 1;

    /// As it lies in the directory. Ordered, so that the same tree has the same bytes.
    pub fn bytes(&self) -> Vec<u8> {
        // Strings and numbers only: it always serialises.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// What differs between this and what was found (`sha256` by path); `None`: nothing.
    pub fn tampered(&self, directory: &str, found: &BTreeMap<String, String>) -> Option<Failure> {
        let mut differs: Vec<String> = Vec::new();
        for (path, mark) in &self.files {
            let expected = mark.stored.as_ref().unwrap_or(&mark.sha256);
            match found.get(path) {
                None => differs.push(format!("{path} is gone")),
                Some(now) if now != expected => differs.push(format!("{path} has changed")),
                Some(_) => {}
            }
        }
        let added = found.keys().filter(|path| !self.files.contains_key(*path));
        differs.extend(added.map(|path| format!("{path} was added")));
        if differs.is_empty() {
            return None;
        }
        let more = differs.len().saturating_sub(NAMED);
        differs.truncate(NAMED);
        let more = if more > 0 {
            format!(" and {more} more")
        } else {
            String::new()
        };
        Some(Failure::new(
            FailureKind::CodeTampered,
            format!(
                "{directory} is not what was reviewed: {}{more}",
                differs.join(", ")
            ),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, text: &[u8]) -> TreeEntry {
        TreeEntry {
            path: path.into(),
            content: Content::File(text.into()),
        }
    }

    #[test]
    fn a_file_with_the_header_of_its_language_is_a_notebook_and_loses_its_extension() {
        for (path, text, form, placed) in [
            (
                "a/nb.py",
                &b"# Databricks notebook source\nprint(1)"[..],
                Form::Source,
                "a/nb",
            ),
            (
                "a/nb.py",
                b"# Databricks notebook source\r\n",
                Form::Source,
                "a/nb",
            ),
            ("a/nb.py", b"# Databricks notebook sources", Form::File, "a/nb.py"),
            ("a/nb.PY", b"# Databricks notebook source", Form::Source, "a/nb"),
            ("nb.sql", b"-- Databricks notebook source\n", Form::Source, "nb"),
            ("nb.sql", b"# Databricks notebook source\n", Form::File, "nb.sql"),
            ("nb.ipynb", b"{}", Form::Jupyter, "nb"),
            ("train.py", b"print(1)", Form::File, "train.py"),
            ("Makefile", b"all:", Form::File, "Makefile"),
        ] {
            let entry = file(path, text);
            let found = place(&entry).unwrap();
            assert_eq!((found.form, found.path), (form, placed), "{path}");
        }
        assert_eq!(without_notebook_extension("a/.py"), "a/.py");
    }

    #[test]
    fn what_was_not_reviewed_as_it_stands_is_refused_by_name() {
        let pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n";
        let other = |content| TreeEntry {
            path: "models/x".into(),
            content,
        };
        for (entry, word) in [
            (file("models/x", pointer), "LFS"),
            (other(Content::Gitlink), "submodule"),
            (other(Content::Link("../../etc".into())), "link"),
            (file("models/x", &vec![0; LARGEST + 1]), "10485761 bytes"),
            (file("models/x/../y", b""), "rename"),
            (file("models/x\n", b""), "rename"),
            (file(MANIFEST, b""), "manifest"),
        ] {
            let why = place(&entry).unwrap_err();
            assert_eq!(why.kind, FailureKind::Refused);
            assert!(why.message.contains(word), "{why:?}");
            assert!(
                why.message.contains("models/x") || entry.path == MANIFEST,
                "{why:?}"
            );
        }
        assert!(place(&file("big", &vec![0; LARGEST])).is_ok());
    }

    #[test]
    fn a_notebook_may_come_back_with_other_line_ends_and_nothing_else() {
        let sent = b"# Databricks notebook source\r\nprint(1)\n\n";
        assert!(same_source(sent, b"# Databricks notebook source\nprint(1)"));
        assert!(!same_source(sent, b"# Databricks notebook source\nprint(2)"));
        assert!(!same_source(sent, b"# Databricks notebook source\n\nprint(1)"));
    }

    #[test]
    fn changed_added_and_deleted_files_are_named() {
        let mark = |text: &[u8]| Mark {
            source: "x".into(),
            form: Form::File,
            sha256: sha256(text),
            stored: None,
            size: text.len(),
        };
        let manifest = Manifest {
            format: Manifest::FORMAT,
            promotion: PromotionName("p".into()),
            revision: CommitId("1".into()),
            tree: TreeId("2".into()),
            complete: true,
            files: [("a".into(), mark(b"a")), ("b".into(), mark(b"b"))].into(),
        };
        let mut found: BTreeMap<String, String> =
            [("a".into(), sha256(b"a")), ("b".into(), sha256(b"b"))].into();
        assert_eq!(manifest.tampered("/d", &found), None);
        found.insert("a".into(), sha256(b"z"));
        found.remove("b");
        found.insert("c".into(), sha256(b"c"));
        let why = manifest.tampered("/d", &found).unwrap();
        assert_eq!(why.kind, FailureKind::CodeTampered);
        for words in ["/d", "a has changed", "b is gone", "c was added"] {
            assert!(why.message.contains(words), "{why:?}");
        }
    }
}
