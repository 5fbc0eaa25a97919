//! A line as far as the facts of it are folded: what it says of promotions and credentials, and whose it is.

use std::collections::BTreeMap;

use jiff::Timestamp;
use lockstep_core::domain::ports::{self, ObjectKey};
use lockstep_core::domain::promotion::gate::evidence::CommitId;
use lockstep_core::domain::promotion::gate::range::{Acceptance, BaselineKey};
use lockstep_core::domain::promotion::machine::attempt::IdempotencyToken;
use lockstep_core::domain::promotion::machine::queue::Environment;
use lockstep_core::domain::promotion::machine::rollback::Recorded;
use lockstep_core::domain::promotion::proof::fact::PromotionFact;
use lockstep_core::domain::promotion::proof::ledger::Ledger;
use lockstep_core::domain::rotation::fact::CredentialFact;
use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};

/// What an entry says that is folded.
#[derive(Clone, Debug)]
pub(super) enum Told {
    Promotion(Box<Promoted>),
    Credential(CredentialFact),
}

impl Told {
    /// `None`: nothing of it is folded.
    pub(super) fn of(entry: &ports::Entry) -> Option<Self> {
        let promotion = entry.promotion.as_ref();
        let promotion = promotion.map(|fact| Self::Promotion(Box::new(fact.into())));
        promotion.or_else(|| entry.credential.clone().map(Self::Credential))
    }
}

/// As much of a fact as is folded. A version that knows less than the one that wrote the rest can still read it.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Promoted {
    pub policy: Policy,
    pub environment: String,
    /// Whether a promotion stands there that can be gone back to.
    #[serde(default, deserialize_with = "is_there")]
    pub recorded: bool,
    #[serde(default)]
    pub environment_state: Option<Environment>,
    #[serde(default)]
    pub baseline: Option<(BaselineKey, CommitId)>,
    #[serde(default)]
    pub accepted: BTreeMap<CommitId, Acceptance>,
    /// Read when it is asked for.
    #[serde(default)]
    pub gate: Option<Value>,
    #[serde(default)]
    pub step: Option<Announced>,
    #[serde(default, deserialize_with = "is_there")]
    pub ended: bool,
    #[serde(default)]
    pub ledger: Option<Ledger>,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Policy {
    pub name: String,
    pub uid: String,
}

/// A try of a step.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Announced {
    pub token: IdempotencyToken,
}

fn is_there<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    Option::<IgnoredAny>::deserialize(deserializer).map(|found| found.is_some())
}

/// Whose entry it is, and of when.
#[derive(Clone, Debug)]
pub(super) struct Whose {
    pub namespace: String,
    pub name: String,
    pub uid: String,
    pub time: Timestamp,
}

impl From<&ports::Entry> for Whose {
    fn from(entry: &ports::Entry) -> Self {
        Self {
            namespace: entry.object.namespace.clone(),
            name: entry.object.name.clone(),
            uid: entry.object.uid.clone(),
            time: entry.time,
        }
    }
}

impl From<&PromotionFact> for Promoted {
    fn from(fact: &PromotionFact) -> Self {
        let PromotionFact {
            policy,
            environment,
            change: _,
            revision: _,
            verdict: _,
            step,
            ended,
            recorded,
            environment_state,
            baseline,
            accepted,
            gate,
            ledger,
        } = fact;
        Self {
            policy: Policy {
                name: policy.name.clone(),
                uid: policy.uid.clone(),
            },
            environment: environment.clone(),
            recorded: recorded.is_some(),
            environment_state: environment_state.clone(),
            baseline: baseline.clone(),
            accepted: accepted.clone(),
            // Plain values: serialising them cannot fail.
            gate: gate.as_ref().map(|gate| json!(gate)),
            step: step.as_ref().map(|step| Announced {
                token: step.token.clone(),
            }),
            ended: ended.is_some(),
            ledger: ledger.clone(),
        }
    }
}

/// A line as far as it is folded.
#[derive(Deserialize)]
pub(super) struct Telling {
    pub entry: TellingEntry,
}

#[derive(Deserialize)]
pub(super) struct TellingEntry {
    pub time: Timestamp,
    pub object: ObjectKey,
    #[serde(default)]
    pub promotion: Option<Promoted>,
    #[serde(default)]
    pub credential: Option<CredentialFact>,
}

/// A line from which a promotion is read back.
#[derive(Deserialize)]
pub(super) struct Whole {
    pub entry: WholeEntry,
}

#[derive(Deserialize)]
pub(super) struct WholeEntry {
    pub promotion: WholeFact,
}

#[derive(Deserialize)]
pub(super) struct WholeFact {
    pub recorded: Recorded,
}
