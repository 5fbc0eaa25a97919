//! Names on their way into paths: encoded once, and refused before sending where Gerrit cannot hold them.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// Gerrit splits the encoded path and decodes each segment form-style, so `+` must be encoded too.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// What a group is called once it could not be deleted.
const TOMBSTONE: &str = "zz-lockstep-deleted-";

/// One path segment.
pub(super) fn segment(text: &str) -> String {
    utf8_percent_encode(text, SEGMENT).to_string()
}

/// Why Gerrit could not hold a group of this name. Observed on Gerrit 3.13.5: a line feed in the name answers 405,
/// other control characters are kept or cut off, and white space around it is cut off, so that the group would have
/// another name than the one declared.
pub(super) fn group_name_fault(name: &str) -> Option<&'static str> {
    if name.is_empty() {
        Some("it is empty")
    } else if name.chars().any(char::is_control) {
        Some("it holds a control character")
    } else if name.trim() != name {
        Some("it begins or ends with white space, which Gerrit cuts off")
    } else if name == "." || name == ".." {
        Some("it means a folder in every path")
    } else if name.len() > 255 {
        Some("it is longer than 255 bytes")
    } else {
        None
    }
}

/// The name of a group that is deleted as far as this server lets us. Part of the UUID keeps it unique.
pub(super) fn tombstone(uuid: &str, name: &str) -> String {
    let mut text = format!("{TOMBSTONE}{}-{name}", uuid.get(..8).unwrap_or(uuid));
    let mut end = text.len().min(255);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
    text.trim_end().to_owned()
}

/// Whether the group was deleted by us on a server that deletes no groups.
pub(super) fn is_tombstone(uuid: &str, name: &str) -> bool {
    name.strip_prefix(TOMBSTONE)
        .is_some_and(|rest| rest.starts_with(uuid.get(..8).unwrap_or(uuid)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_are_encoded_once() {
        assert_eq!(segment("a/b c%2F+ü'\""), "a%2Fb%20c%252F%2B%C3%BC%27%22");
    }

    #[test]
    fn names_that_would_come_out_different_are_refused() {
        for name in ["", " a", "a ", "a\nb", "a\u{7f}", ".", "..", &"x".repeat(256)] {
            assert!(group_name_fault(name).is_some(), "{name:?}");
        }
        for name in ["a/b", "a%b", "..a", "a \"b\" 'c'", "Gruppe ü€", "global:x"] {
            assert_eq!(group_name_fault(name), None, "{name:?}");
        }
    }

    #[test]
    fn a_tombstone_is_known_by_its_own_uuid() {
        let uuid = "0123456789abcdef0123456789abcdef01234567";
        let name = tombstone(uuid, &"ü".repeat(200));
        assert!(name.len() <= 255 && group_name_fault(&name).is_none());
        assert!(is_tombstone(uuid, &name));
        assert!(!is_tombstone("ffffffff", &name));
    }
}
