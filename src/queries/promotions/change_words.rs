//! What people write for a change: its number, its Change-Id, or the address of its page.

use lockstep_core::domain::promotion::gate::evidence::ChangeNumber;
use lockstep_core::domain::promotion::ports::reviews::ChangeName;

/// Digits of a Change-Id.
const DIGITS: usize = 40;

/// A change as somebody named it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangeWords {
    pub name: ChangeName,
    /// Host, port and path before the part that names the change: of an address alone.
    server: Option<String>,
    project: Option<String>,
}

impl ChangeWords {
    /// Reads them, or says what would be understood.
    pub fn read(words: &str) -> Result<Self, String> {
        let understood = || {
            format!(
                "{words:?} names no change: write its number, its Change-Id (I and {DIGITS} hex digits) or the address of its page"
            )
        };
        if let Some((_, rest)) = words.split_once("://") {
            return address(rest).ok_or_else(understood);
        }
        let name = number(words).map(ChangeName::Number);
        let name = name.or_else(|| is_change_id(words).then(|| ChangeName::Id(words.to_owned())));
        Ok(Self {
            name: name.ok_or_else(understood)?,
            server: None,
            project: None,
        })
    }

    /// Whether it may be a change of the server at this URL.
    pub fn may_be_at(&self, url: &str) -> bool {
        let Some(server) = &self.server else { return true };
        let place = url.split_once("://").map_or(url, |(_, place)| place);
        place.trim_end_matches('/').eq_ignore_ascii_case(server)
    }

    /// Whether it may be a change of this project.
    pub fn may_be_in(&self, project: &str) -> bool {
        self.project.as_deref().is_none_or(|named| named == project)
    }
}

/// `host/c/ml/fraud/+/42/3`, `host/#/c/42/`, `host/q/...` not; what follows the number is a patch set, a file or a fragment.
fn address(rest: &str) -> Option<ChangeWords> {
    let rest = rest.split('?').next().unwrap_or(rest);
    let (server, project, after) = if let Some((before, after)) = rest.split_once("/+/") {
        let (server, project) = before.split_once("/c/")?;
        (
            server,
            Some(project.replace("%2F", "/").replace("%2f", "/")),
            after,
        )
    } else if let Some((server, after)) = rest.split_once("/#/c/") {
        (server, None, after)
    } else {
        let (server, after) = rest.trim_end_matches('/').rsplit_once('/')?;
        (server.strip_suffix("/c").unwrap_or(server), None, after)
    };
    let digits = after.split(['/', '#']).next().unwrap_or_default();
    Some(ChangeWords {
        name: ChangeName::Number(number(digits)?),
        server: Some(server.to_owned()),
        project,
    })
}

fn number(words: &str) -> Option<ChangeNumber> {
    let all = !words.is_empty() && words.bytes().all(|byte| byte.is_ascii_digit());
    let number = all.then(|| words.parse().ok())??;
    Some(ChangeNumber(number))
}

fn is_change_id(words: &str) -> bool {
    words
        .strip_prefix('I')
        .is_some_and(|digits| digits.len() == DIGITS && digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const ID: &str = "I0123456789012345678901234567890123456789";

    #[test]
    fn a_change_is_named_as_people_copy_it() {
        for (words, server, project) in [
            ("42", None, None),
            (
                "https://g.example.com/c/ml/fraud/+/42",
                Some("g.example.com"),
                Some("ml/fraud"),
            ),
            (
                "https://g.example.com/r/c/ml%2Ffraud/+/42/3/train.py#7",
                Some("g.example.com/r"),
                Some("ml/fraud"),
            ),
            ("http://127.0.0.1:8080/#/c/42/", Some("127.0.0.1:8080"), None),
            ("https://g.example.com/42", Some("g.example.com"), None),
            (
                "https://g.example.com/c/42/?tab=comments",
                Some("g.example.com"),
                None,
            ),
        ] {
            let read = ChangeWords::read(words).unwrap();
            assert_eq!(read.name, ChangeName::Number(ChangeNumber(42)), "{words}");
            assert_eq!(
                (read.server.as_deref(), read.project.as_deref()),
                (server, project),
                "{words}"
            );
        }
        assert_eq!(ChangeWords::read(ID).unwrap().name, ChangeName::Id(ID.into()));
    }

    #[test]
    fn what_names_no_change_is_refused_and_what_would_is_said() {
        for words in [
            "",
            "fraud",
            "42a",
            "-1",
            "I12",
            "https://g.example.com/",
            "https://g.example.com/q/status:open",
        ] {
            let said = ChangeWords::read(words).unwrap_err();
            assert!(said.contains("Change-Id"), "{words}: {said}");
        }
    }

    #[test]
    fn an_address_is_of_one_server_and_project() {
        let read = ChangeWords::read("https://g.example.com/r/c/ml/fraud/+/42").unwrap();
        assert!(read.may_be_at("https://G.example.com/r/") && !read.may_be_at("https://g.example.com"));
        assert!(read.may_be_in("ml/fraud") && !read.may_be_in("ml"));
        let number = ChangeWords::read("42").unwrap();
        assert!(number.may_be_at("https://anywhere") && number.may_be_in("any"));
    }
}
