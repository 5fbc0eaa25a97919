//! Pins: what names meant when they were first resolved. In memory one row per name; in status as short as can be,
//! because a team of two thousand in two systems has four thousand of them and a status must stay small.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::catalog::object_type;
use super::grant::Target;
use super::observed::Named;
use crate::api::access_binding::{PinnedName, PinnedNames};
use crate::api::objects::ObjectName;

/// What a name meant when it was first resolved.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Pin {
    /// The system that was asked.
    pub system: String,
    /// What was asked for: `group/ml-fraud`, `jobs/fraud-train`, or a digest of an e-mail address.
    pub name: String,
    /// What it meant: a canonical address, or a principal.
    pub means: String,
}

impl Pin {
    /// What was asked for when the pin was made; `None`: a person.
    pub fn named(&self) -> Option<Named> {
        let target: Target = self.means.parse().ok()?;
        if let Some(name) = self.name.strip_prefix("group/") {
            return Some(Named::Group {
                system: target.system(),
                name: name.to_owned(),
            });
        }
        let Target::Object { workspace, kind, .. } = target else {
            return None;
        };
        let name = self.name.strip_prefix(kind.as_str())?.strip_prefix('/')?;
        Some(Named::Object {
            workspace,
            kind: object_type(&kind)?.path,
            name: ObjectName::Name(name.to_owned()),
        })
    }
}

/// Kind word of people's pins.
pub(super) const PERSON: &str = "person/";

/// Pins as a status holds them, in one order whatever theirs.
pub fn write(pins: &[Pin]) -> Vec<PinnedNames> {
    let mut systems: BTreeMap<&str, PinnedNames> = BTreeMap::new();
    for Pin { system, name, means } in pins {
        let row = systems.entry(system).or_insert_with(|| PinnedNames {
            system: system.clone(),
            people: Vec::new(),
            names: Vec::new(),
        });
        match name.strip_prefix(PERSON) {
            Some(digest) => row.people.push(format!("{digest}={means}")),
            None => row.names.push(PinnedName {
                name: name.clone(),
                means: means.clone(),
            }),
        }
    }
    for row in systems.values_mut() {
        row.people.sort();
        row.people.dedup();
        row.names.sort();
        row.names.dedup();
    }
    systems.into_values().collect()
}

/// Pins of a status, sorted.
pub fn read(rows: &[PinnedNames]) -> Vec<Pin> {
    let mut pins = Vec::new();
    for PinnedNames {
        system,
        people,
        names,
    } in rows
    {
        let pin = |name: String, means: &str| Pin {
            system: system.clone(),
            name,
            means: means.to_owned(),
        };
        let people = people.iter().filter_map(|text| text.split_once('='));
        pins.extend(people.map(|(digest, means)| pin(format!("{PERSON}{digest}"), means)));
        pins.extend(names.iter().map(|row| pin(row.name.clone(), &row.means)));
    }
    pins.sort();
    pins
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_reads_the_same_whatever_the_order() {
        let pin = |system: &str, name: &str, means: &str| Pin {
            system: system.into(),
            name: name.into(),
            means: means.into(),
        };
        let mut pins = vec![
            pin("gerrit://g", "person/3f2a90b1c4d5", "account:7"),
            pin("gerrit://g", "person/3f2a90b1c4d5", "account:8"),
            pin("gerrit://g", "group/a = b", "gerrit://g/groups/u"),
            pin("databricks://1", "jobs/x", "databricks://1/jobs/7"),
        ];
        let written = write(&pins);
        assert_eq!(written.len(), 2);
        pins.sort();
        assert_eq!(read(&written), pins);
        pins.reverse();
        assert_eq!(write(&pins), written);
    }
}
