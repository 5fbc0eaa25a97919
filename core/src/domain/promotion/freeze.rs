//! A ChangeFreeze as a value: who is stopped, and until when. It never stops revocation, expiry or a compromised
//! credential; those do not ask here.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// What a freeze lets through all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Exception {
    Rollback,
}

/// One freeze.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Freeze {
    pub namespace: String,
    pub name: String,
    pub reason: String,
    /// The first instant at which it is over.
    pub until: Timestamp,
    /// Kinds it stops; `None`: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kinds: Option<BTreeSet<String>>,
    /// Labels that an object must bear, all of them; `None`: every object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selector: Option<BTreeMap<String, String>>,
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub except: BTreeSet<Exception>,
    /// It stands in the operator's namespace and so reaches every other.
    pub everywhere: bool,
}

/// What wants to go on. For a promotion kind and labels are those of its PromotionPolicy.
#[derive(Clone, Copy, Debug)]
pub struct Stopped<'a> {
    pub kind: &'a str,
    pub namespace: &'a str,
    pub labels: &'a BTreeMap<String, String>,
    /// A rollback, a user's or the machine's own undoing.
    pub rollback: bool,
}

impl Freeze {
    pub fn applies(&self, to: &Stopped<'_>, now: Timestamp) -> bool {
        let Self {
            namespace,
            name: _,
            reason: _,
            until,
            kinds,
            selector,
            except,
            everywhere,
        } = self;
        now < *until
            && (*everywhere || namespace == to.namespace)
            && kinds.as_ref().is_none_or(|kinds| kinds.contains(to.kind))
            && selector.as_ref().is_none_or(|selector| {
                selector
                    .iter()
                    .all(|(key, value)| to.labels.get(key) == Some(value))
            })
            && !(to.rollback && except.contains(&Exception::Rollback))
    }
}

/// Every freeze that stops it now.
pub fn applying<'a>(freezes: &'a [Freeze], to: &Stopped<'_>, now: Timestamp) -> Vec<&'a Freeze> {
    let mut applying: Vec<&Freeze> = freezes.iter().filter(|freeze| freeze.applies(to, now)).collect();
    applying.sort_by_key(|freeze| (&freeze.namespace, &freeze.name));
    applying
}
