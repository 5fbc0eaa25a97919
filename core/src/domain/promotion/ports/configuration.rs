//! What the gate stands on in a project's configuration besides its submit requirements: the labels on which people and
//! checks vote, and whether our account may write there at all.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// A label, whole.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Label {
    pub description: String,
    /// What each vote means.
    pub values: BTreeMap<i32, String>,
    /// `NoBlock`, `NoOp`, `MaxWithBlock`, ... as Gerrit spells it.
    pub function: String,
    /// When a vote stays on the next patch set, in Gerrit's own words; `None`: never.
    pub copied_if: Option<String>,
}

/// A label, and where it comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DefinedLabel {
    /// The project that defines it: the one that was asked about, or one that it inherits from.
    pub project: String,
    pub label: Label,
}

/// A planned change of a project's own labels: the one that shall be there; `None`: none. Whatever is there already stays
/// as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LabelChanges(pub BTreeMap<String, Option<Label>>);

impl LabelChanges {
    /// Names these changes exactly, so that a review that was asked for before is found again.
    pub fn digest(&self) -> String {
        let json = serde_json::to_vec(self).unwrap_or_default();
        let mut hash = Sha256::new();
        hash.update(b"lockstep-labels-v1\n");
        hash.update(json);
        format!("sha256:{}", hex::encode(hash.finalize()))
    }
}

/// What our account can do with a project's configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Configuring {
    /// It owns `refs/*`: Gerrit lets nobody else write labels and submit requirements (seen on 3.13.5).
    pub owns: bool,
    /// The site demands review of every change of configuration.
    pub reviewed: bool,
}
