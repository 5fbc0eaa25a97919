//! Where a symbolic link of a tree leads. A workspace has none: what leads to a file of the same tree becomes a copy of
//! it, everything else is refused where the tree is placed.

use std::collections::BTreeMap;

use crate::domain::promotion::ports::reviews::{EntryKind, TreeEntry};

/// Links followed one after the other, as many as Linux follows (path_resolution(7)).
const HOPS: usize = 40;

/// The path that a link at `path` with this content names, from the root; `None`: out of the tree.
pub fn target(path: &str, content: &str) -> Option<String> {
    if content.starts_with('/') {
        return None;
    }
    let mut parts: Vec<&str> = path.split('/').collect();
    parts.pop();
    for part in content.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            name => parts.push(name),
        }
    }
    Some(parts.join("/"))
}

/// The file that a link leads to in the end; `contents` are those of all links by path.
pub fn resolve<'a>(
    path: &str,
    entries: &'a BTreeMap<String, TreeEntry>,
    contents: &BTreeMap<String, String>,
) -> Option<&'a TreeEntry> {
    let mut at = path.to_owned();
    for _ in 0..HOPS {
        at = target(&at, contents.get(&at)?)?;
        let entry = entries.get(&at)?;
        match entry.kind {
            EntryKind::File | EntryKind::Executable => return Some(entry),
            EntryKind::Symlink => {}
            EntryKind::Gitlink => return None,
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_leads_from_its_own_folder_and_never_out_of_the_tree() {
        for (path, content, expected) in [
            ("a/link", "file", Some("a/file")),
            ("a/link", "../b/file", Some("b/file")),
            ("a/link", "./b//file", Some("a/b/file")),
            ("link", "../file", None),
            ("a/link", "../../file", None),
            ("a/link", "/etc/passwd", None),
        ] {
            assert_eq!(target(path, content).as_deref(), expected, "{path} -> {content}");
        }
    }

    #[test]
    fn links_of_links_are_followed_and_circles_end() {
        let entry = |path: &str, kind| {
            let entry = TreeEntry {
                path: path.into(),
                kind,
                id: path.into(),
            };
            (path.to_owned(), entry)
        };
        let entries = BTreeMap::from([
            entry("file", EntryKind::File),
            entry("one", EntryKind::Symlink),
            entry("two", EntryKind::Symlink),
            entry("round", EntryKind::Symlink),
            entry("folder", EntryKind::Symlink),
            entry("module", EntryKind::Gitlink),
            entry("into", EntryKind::Symlink),
        ]);
        let contents = [
            ("one", "file"),
            ("two", "one"),
            ("round", "round"),
            ("folder", "dir"),
            ("into", "module"),
        ];
        let contents = contents.map(|(path, to)| (path.to_owned(), to.to_owned())).into();
        let of = |path| resolve(path, &entries, &contents).map(|entry| entry.path.as_str());
        assert_eq!(of("one"), Some("file"));
        assert_eq!(of("two"), Some("file"));
        for nowhere in ["round", "folder", "into", "absent"] {
            assert_eq!(of(nowhere), None, "{nowhere}");
        }
    }
}
