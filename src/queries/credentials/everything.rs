//! Every credential in reach, governed or not: the token that everybody forgot is among them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use kube::ResourceExt as _;
use lockstep_core::api::ServiceCredential;
use lockstep_core::domain::rotation::declared;
use lockstep_core::domain::rotation::ports::inventory::{Held, HeldKind, Inventory};
use lockstep_core::domain::rotation::ports::issuers::{Aws, Identity};
use serde::Serialize;

/// One credential that somebody holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Line {
    /// What it is, as people call it.
    pub kind: &'static str,
    /// Address of whose it is.
    pub address: String,
    /// What people call whose it is.
    pub owner: String,
    pub person: bool,
    pub id: String,
    pub comment: String,
    pub made: Option<Timestamp>,
    pub expires: Option<Timestamp>,
    pub last_used: Option<Timestamp>,
    /// The ServiceCredential that rotates it, as `<namespace>/<name>`; `None`: nobody does.
    pub governed_by: Option<String>,
    /// What would make it needless; empty: nothing that we know of.
    pub advice: &'static str,
}

/// Everything that could be seen.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Everything {
    pub credentials: Vec<Line>,
    /// What could not be seen and why, one sentence each.
    pub unseen: Vec<String>,
}

impl Everything {
    /// How many nobody rotates.
    pub fn ungoverned(&self) -> usize {
        let nobody = |line: &&Line| line.governed_by.is_none();
        self.credentials.iter().filter(nobody).count()
    }
}

fn kind(kind: HeldKind) -> &'static str {
    match kind {
        HeldKind::DatabricksSecret => "OAuth secret",
        HeldKind::DatabricksToken => "Databricks token",
        HeldKind::GerritToken => "Gerrit token",
        HeldKind::AwsAccessKey => "access key",
    }
}

fn advice(held: &Held) -> &'static str {
    match held.kind {
        HeldKind::DatabricksSecret => "workload identity federation needs no secret",
        HeldKind::DatabricksToken if !held.person => "workload identity federation needs no token",
        HeldKind::DatabricksToken => "OAuth of a person needs no token",
        HeldKind::AwsAccessKey => "a role, taken on by workload identity, needs no key",
        HeldKind::GerritToken => "",
    }
}

/// How AWS is reached by those that rotate access keys, and whose keys they are.
pub fn ways_to_aws(credentials: &[Arc<ServiceCredential>]) -> BTreeMap<Aws, Vec<String>> {
    let mut ways: BTreeMap<Aws, Vec<String>> = BTreeMap::new();
    for credential in credentials {
        let namespace = credential.namespace().unwrap_or_default();
        if let Identity::AwsAccessKey { aws, user } = declared::identity(&credential.spec.issuer, &namespace)
        {
            ways.entry(aws).or_default().push(user);
        }
    }
    ways
}

/// What all inventories show together; what two connections show is one. Those that nobody rotates come first, the
/// longest unused first.
pub fn everything(inventories: &[Inventory], credentials: &[Arc<ServiceCredential>]) -> Everything {
    let mut governed: BTreeMap<(String, String), String> = BTreeMap::new();
    for credential in credentials {
        let Some(status) = &credential.status else {
            continue;
        };
        let Some(address) = &status.issuer else { continue };
        let name = format!(
            "{}/{}",
            credential.namespace().unwrap_or_default(),
            credential.name_any()
        );
        let ids = status
            .generations
            .iter()
            .flatten()
            .filter_map(|row| row.id.clone());
        governed.extend(ids.map(|id| ((address.clone(), id), name.clone())));
    }
    let mut seen = BTreeSet::new();
    let mut all = Everything::default();
    for inventory in inventories {
        all.unseen.extend(inventory.unseen.iter().cloned());
        for held in &inventory.held {
            let key = (held.address.clone(), held.listed.id.0.clone());
            if !seen.insert(key.clone()) {
                continue;
            }
            all.credentials.push(Line {
                kind: kind(held.kind),
                address: held.address.clone(),
                owner: held.owner.clone(),
                person: held.person,
                id: key.1.clone(),
                comment: held.listed.comment.clone(),
                made: held.listed.made,
                expires: held.listed.expires,
                last_used: held.listed.last_used,
                governed_by: governed.get(&key).cloned(),
                advice: advice(held),
            });
        }
    }
    all.credentials.sort_by(|one, other| {
        let order = |line: &Line| {
            (
                line.governed_by.is_some(),
                line.last_used.or(line.made),
                line.address.clone(),
                line.id.clone(),
            )
        };
        order(one).cmp(&order(other))
    });
    all
}

#[cfg(test)]
#[path = "everything_tests.rs"]
mod tests;
