//! A ChangeFreeze as a value: who is stopped, and until when. It never stops revocation, expiry or a compromised
//! credential; those do not ask here.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::api::ChangeFreeze;
use crate::api::change_freeze::{ChangeFreezeSpec, FreezableKind, FreezeException};

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
    /// A ChangeFreeze as people declared it, seen by the operator of that namespace.
    pub fn declared(freeze: &ChangeFreeze, operator_namespace: &str) -> Self {
        let ChangeFreezeSpec {
            reason,
            until,
            kinds,
            selector,
            except,
        } = &freeze.spec;
        let namespace = freeze.metadata.namespace.clone().unwrap_or_default();
        let name = |kind: &FreezableKind| kind.as_str().to_owned();
        let exception = |exception: &FreezeException| match exception {
            FreezeException::Rollback => Exception::Rollback,
        };
        Self {
            everywhere: namespace == operator_namespace,
            namespace,
            name: freeze.metadata.name.clone().unwrap_or_default(),
            reason: reason.clone(),
            until: *until,
            kinds: kinds.as_ref().map(|kinds| kinds.iter().map(name).collect()),
            selector: selector.clone(),
            except: except.iter().flatten().map(exception).collect(),
        }
    }

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

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn declared(namespace: &str, spec: Value) -> Freeze {
        let mut freeze = ChangeFreeze::new("holidays", serde_json::from_value(spec).unwrap());
        freeze.metadata.namespace = Some(namespace.into());
        Freeze::declared(&freeze, "lockstep-system")
    }

    fn stops(freeze: &Freeze, kind: &str, team: &str, rollback: bool) -> bool {
        let labels = BTreeMap::from([("team".to_owned(), team.to_owned())]);
        let object = Stopped {
            kind,
            namespace: "ml-fraud",
            labels: &labels,
            rollback,
        };
        freeze.applies(&object, "2026-12-24T00:00:00Z".parse().unwrap())
    }

    #[test]
    fn what_is_unset_stops_everything_of_the_namespace_rollbacks_included() {
        let spec = json!({"reason": "holidays", "until": "2027-01-02T08:00:00Z"});
        let freeze = declared("ml-fraud", spec.clone());
        for kind in ["AccessBinding", "PromotionPolicy"] {
            assert!(stops(&freeze, kind, "fraud", true), "{kind}");
        }
        assert!(!stops(
            &declared("other", spec.clone()),
            "AccessBinding",
            "fraud",
            false
        ));
        assert!(stops(
            &declared("lockstep-system", spec),
            "AccessBinding",
            "fraud",
            false
        ));
    }

    #[test]
    fn what_is_set_narrows_it() {
        let spec = json!({
            "reason": "holidays", "until": "2027-01-02T08:00:00Z",
            "kinds": ["PromotionPolicy"], "selector": {"team": "fraud"}, "except": ["Rollback"],
        });
        let freeze = declared("ml-fraud", spec);
        assert!(stops(&freeze, "PromotionPolicy", "fraud", false));
        assert!(!stops(&freeze, "AccessBinding", "fraud", false));
        assert!(!stops(&freeze, "PromotionPolicy", "risk", false));
        assert!(!stops(&freeze, "PromotionPolicy", "fraud", true));
    }
}
