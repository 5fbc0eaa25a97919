//! Ways around the gate that are open, each with what closes it: what the gate refuses afterwards is better not possible
//! at all. Nothing is judged by it. What could not be read is said, and never taken for closed.
//!
//! [`rights`] says who holds a right on a ref, [`gerrit`] has one check for every hole there, [`databricks`] one rule for
//! every kind of thing there.

pub mod databricks;
pub mod gerrit;
pub mod rights;

use serde::{Deserialize, Serialize};

use super::completeness::Unseen;
use crate::api::condition::{ConditionType, Reason};
use crate::domain::outcome::Saying;

/// Kinds of holes, in the order in which they are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum HoleKind {
    DirectPush,
    ForcedPush,
    BranchReplacement,
    SubmitOnPush,
    OwnedRules,
    VoteForOthers,
    SubmitForOthers,
    ForgedIdentity,
    LastingVotes,
    PushedMerges,
    DeletedChanges,
    OverridableRequirement,
    RedefinableRequirement,
    WholeTopics,
    AdministeredWorkspace,
    UsableIdentity,
    IdentityCredentials,
    WritableCode,
    EditableJob,
    EditableEndpoint,
    OwnedModel,
}

/// One way around the gate.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Hole {
    pub kind: HoleKind,
    /// Where, as `refs/heads/prod`.
    pub place: String,
    /// Who can go through it, each with where that is granted.
    pub who: Vec<String>,
    /// What closes it, as a request to people.
    pub fix: String,
}

/// What a look came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hardening {
    pub holes: Vec<Hole>,
    pub unseen: Vec<Unseen>,
}

impl Hardening {
    /// Adds what was seen elsewhere.
    pub fn add(&mut self, other: Self) {
        self.holes.extend(other.holes);
        self.unseen.extend(other.unseen);
        self.holes.sort();
        self.holes.dedup();
        self.unseen.sort();
        self.unseen.dedup();
    }

    /// The condition: only what was read whole and found closed is hardened.
    pub fn saying(&self) -> Saying {
        let unseen = self
            .unseen
            .iter()
            .map(|unseen| format!("not seen: {}: {}", unseen.what, unseen.why));
        if self.holes.is_empty() {
            let unseen: Vec<String> = unseen.collect();
            if unseen.is_empty() {
                return Saying::new(
                    ConditionType::Hardened,
                    true,
                    Reason::Succeeded,
                    "no hole is known",
                );
            }
            return Saying {
                kind: ConditionType::Hardened,
                status: None,
                reason: Reason::Unseen,
                message: unseen.join("; "),
            };
        }
        let holes = self.holes.iter().map(|hole| {
            let who = if hole.who.is_empty() {
                String::new()
            } else {
                format!(" for {}", hole.who.join(", "))
            };
            format!("{:?} at {}{who}: {}", hole.kind, hole.place, hole.fix)
        });
        let count = self.holes.len();
        let all: Vec<String> = holes.chain(unseen).collect();
        let message = format!("{count} open, all in status.hardening: {}", all.join("; "));
        Saying::new(ConditionType::Hardened, false, Reason::HolesOpen, message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_read_whole_and_found_closed_is_hardened() {
        let unseen = Unseen {
            what: "rights of All-Projects".into(),
            why: "hidden".into(),
        };
        let hole = Hole {
            kind: HoleKind::DirectPush,
            place: "refs/heads/prod".into(),
            who: vec!["leads (refs/heads/* of ml)".into()],
            fix: "take push away".into(),
        };
        let mut hardening = Hardening::default();
        assert_eq!(hardening.saying().status, Some(true));
        hardening.unseen.push(unseen);
        assert_eq!(hardening.saying().status, None);
        hardening.holes.push(hole);
        let said = hardening.saying();
        assert_eq!((said.status, said.reason), (Some(false), Reason::HolesOpen));
        assert!(
            said.message
                .contains("DirectPush at refs/heads/prod for leads (refs/heads/* of ml): take push away")
                && said.message.contains("not seen: rights of All-Projects: hidden"),
            "{}",
            said.message
        );
    }
}
