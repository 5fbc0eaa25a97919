//! How a promotion and its outward effects are called before they happen. The same effect has the same name after any
//! crash, and no two effects share one.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::domain::promotion::gate::evidence::{ChangeNumber, CommitId};

/// Name of a Promotion object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PromotionName(pub String);

impl PromotionName {
    /// `<policy>.<environment>.<change>.<revision:8>[.<attempt>]`: what a merge makes exactly once.
    pub fn of_deploy(
        policy: &str,
        environment: &str,
        change: ChangeNumber,
        revision: &CommitId,
        attempt: u32,
    ) -> Self {
        let again = if attempt > 1 {
            format!(".{attempt}")
        } else {
            String::new()
        };
        Self(format!(
            "{policy}.{environment}.{}.{}{again}",
            change.0,
            revision.short()
        ))
    }
}

impl fmt::Display for PromotionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Name of a step within its policy.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StepName(pub String);

impl fmt::Display for StepName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why the steps run. It is part of every token: a rollback brings the same change and revision again and must not be
/// answered with the run of the first time.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Cause {
    /// The change merged; attempts count from 1.
    Deploy { attempt: u32 },
    /// A person rolled back or broke the glass: the uid of their Promotion.
    Person { uid: String },
}

/// What is brought where.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Subject {
    pub policy_uid: String,
    pub environment: String,
    pub change: ChangeNumber,
    /// The commit that is deployed.
    pub revision: CommitId,
    pub cause: Cause,
}

/// The key under which an outside system does a thing at most once: 64 hex digits, the most that Databricks takes
/// (Jobs `run-now`, `idempotency_token`).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct IdempotencyToken(pub String);

impl Subject {
    /// The token of one try of one step.
    pub fn token(&self, step: &StepName, attempt: u32) -> IdempotencyToken {
        let Self {
            policy_uid,
            environment,
            change,
            revision,
            cause,
        } = self;
        let cause = match cause {
            Cause::Deploy { attempt } => format!("deploy {attempt}"),
            Cause::Person { uid } => format!("person {uid}"),
        };
        let mut hash = Sha256::new();
        hash.update(b"lockstep-token-v1\n");
        for word in [
            policy_uid,
            environment,
            &change.0.to_string(),
            &revision.0,
            &cause,
            &step.0,
            &attempt.to_string(),
        ] {
            // Lengths frame words, so that no name can forge a boundary.
            hash.update(word.len().to_be_bytes());
            hash.update(word.as_bytes());
        }
        IdempotencyToken(hex::encode(hash.finalize()))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn subject(cause: Cause) -> Subject {
        Subject {
            policy_uid: "uid".into(),
            environment: "prod".into(),
            change: ChangeNumber(42),
            revision: CommitId("0123456789abcdef".into()),
            cause,
        }
    }

    #[test]
    fn a_name_says_policy_environment_change_and_revision() {
        let revision = CommitId("0123456789abcdef".into());
        let name =
            |attempt| PromotionName::of_deploy("fraud", "prod", ChangeNumber(42), &revision, attempt).0;
        assert_eq!(name(1), "fraud.prod.42.01234567");
        assert_eq!(name(2), "fraud.prod.42.01234567.2");
    }

    #[test]
    fn no_two_effects_share_a_token_and_one_effect_keeps_it() {
        let mut tokens = BTreeSet::new();
        for cause in [
            Cause::Deploy { attempt: 1 },
            Cause::Deploy { attempt: 11 },
            Cause::Person { uid: "1".into() },
        ] {
            for step in ["a", "a1", "b"] {
                for attempt in [1, 2, 11] {
                    let token = subject(cause.clone()).token(&StepName(step.into()), attempt);
                    assert_eq!(token.0.len(), 64);
                    assert_eq!(
                        token,
                        subject(cause.clone()).token(&StepName(step.into()), attempt)
                    );
                    assert!(tokens.insert(token));
                }
            }
        }
    }
}
