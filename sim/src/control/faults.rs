//! Fault rules: which requests go wrong, and how. The first rule that matches and is not used up acts.

use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Fault {
    /// Route template, path, or either with `*` for any characters. Unset: every route.
    #[serde(default)]
    pub route: Option<String>,
    /// Unset: every verb.
    #[serde(default)]
    pub method: Option<String>,
    /// Matches that go through unharmed first.
    #[serde(default)]
    pub after: u64,
    /// How many requests it hits; unset: all that follow.
    #[serde(default)]
    pub times: Option<u64>,
    pub action: Action,
    #[serde(default, skip_deserializing)]
    pub seen: u64,
    #[serde(default, skip_deserializing)]
    pub hit: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Action {
    /// Answered normally, later.
    Delay { ms: u64 },
    /// Refused before any effect, in the dialect of the route.
    Refuse {
        status: u16,
        #[serde(default)]
        error_code: Option<String>,
        #[serde(default)]
        message: Option<String>,
    },
    /// An error page of a gateway, before any effect.
    FailBefore { status: u16 },
    /// The effect happens, the answer is an error.
    FailAfter { status: u16 },
    /// The connection is closed without a byte, before any effect.
    DropBefore,
    /// The effect happens, the connection is closed without a byte.
    DropAfter,
    /// The effect happens, the body is not JSON.
    Garbage,
    /// The effect happens, the body stops half way.
    Truncate,
    /// A login page with status 200, before any effect.
    Html,
    /// The effect happens, the body is this many megabytes of valid JSON.
    BigBody { mb: usize },
    /// 429 with Retry-After in seconds, before any effect.
    TooManyRequests { retry_after: u64 },
}

impl Action {
    pub fn name(&self) -> &'static str {
        match self {
            Self::Delay { .. } => "Delay",
            Self::Refuse { .. } => "Refuse",
            Self::FailBefore { .. } => "FailBefore",
            Self::FailAfter { .. } => "FailAfter",
            Self::DropBefore => "DropBefore",
            Self::DropAfter => "DropAfter",
            Self::Garbage => "Garbage",
            Self::Truncate => "Truncate",
            Self::Html => "Html",
            Self::BigBody { .. } => "BigBody",
            Self::TooManyRequests { .. } => "TooManyRequests",
        }
    }
}

#[derive(Debug, Default)]
pub struct Faults {
    pub rules: Vec<Fault>,
}

impl Faults {
    pub fn pick(&mut self, method: &str, template: &str, path: &str) -> Option<Action> {
        for rule in &mut self.rules {
            let route = rule
                .route
                .as_deref()
                .is_none_or(|glob| matches(glob, template) || matches(glob, path));
            if !route
                || rule
                    .method
                    .as_deref()
                    .is_some_and(|verb| !verb.eq_ignore_ascii_case(method))
            {
                continue;
            }
            rule.seen += 1;
            if rule.seen <= rule.after || rule.times.is_some_and(|times| rule.hit >= times) {
                continue;
            }
            rule.hit += 1;
            return Some(rule.action.clone());
        }
        None
    }
}

/// `*` stands for any characters, `/` included; everything else for itself.
fn matches(glob: &str, text: &str) -> bool {
    let mut parts = glob.split('*');
    let Some(mut rest) = parts.next().and_then(|first| text.strip_prefix(first)) else {
        return false;
    };
    let mut last_was_star = false;
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
        last_was_star = true;
    }
    last_was_star
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn rules(json: &str) -> Faults {
        Faults {
            rules: serde_json::from_str(json).unwrap(),
        }
    }

    #[test]
    fn a_star_matches_across_segments() {
        assert!(matches("/api/*/Groups*", "/api/2.0/preview/scim/v2/Groups/{id}"));
        assert!(matches("*", "/x"));
        assert!(matches("/a", "/a"));
        assert!(!matches("/a", "/ab"));
        assert!(!matches("/a*c", "/abd"));
    }

    #[test]
    fn after_skips_and_times_ends() {
        let mut faults = rules(r#"[{"route": "/a", "after": 1, "times": 2, "action": "DropAfter"}]"#);
        let hits: Vec<bool> = (0..5).map(|_| faults.pick("GET", "/a", "/a").is_some()).collect();
        assert_eq!(hits, [false, true, true, false, false]);
    }

    #[test]
    fn the_verb_is_part_of_the_match() {
        let mut faults = rules(r#"[{"method": "PATCH", "action": {"Delay": {"ms": 5}}}]"#);
        assert_eq!(faults.pick("GET", "/a", "/a"), None);
        assert_eq!(faults.pick("PATCH", "/a", "/a"), Some(Action::Delay { ms: 5 }));
    }
}
