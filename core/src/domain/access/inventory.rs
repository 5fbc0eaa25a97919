//! What Lockstep holds outside on behalf of one binding: as sets to reason with, as rows in status.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::grant::{Grant, Principal, PrincipalKind, Privilege, Right, Target};
use crate::api::access_binding::{InventoryRow, Origin};

/// Privilege word of the row that says Lockstep holds the group itself.
const EXISTS: &str = "exists";
/// Privilege word of the row that says the group's members were once made Lockstep's alone.
const AUTHORITATIVE: &str = "authoritative";

/// How a right came to be held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    pub origin: Origin,
    pub since: Timestamp,
    /// When it was written, while no fresh reading has shown it.
    pub confirming: Option<Timestamp>,
}

/// Everything held.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inventory {
    pub rows: BTreeMap<Grant, Held>,
    /// Groups that Lockstep looks after.
    pub groups: BTreeMap<Target, Held>,
    /// Groups whose members have been Lockstep's alone before: making a group so for the first time is braked.
    pub authoritative: BTreeSet<Target>,
}

impl Inventory {
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty() && self.groups.is_empty()
    }

    /// Reads the rows of a status; what no longer parses is returned to be shown, not dropped in silence.
    pub fn read(rows: &[InventoryRow]) -> (Self, Vec<String>) {
        let (mut inventory, mut unreadable) = (Self::default(), Vec::new());
        for row in rows {
            if let Err(message) = inventory.read_row(row) {
                unreadable.push(message);
            }
        }
        (inventory, unreadable)
    }

    fn read_row(&mut self, row: &InventoryRow) -> Result<(), String> {
        let target: Target = row.target.parse()?;
        let held = Held {
            origin: row.origin,
            since: row.since,
            confirming: row.confirming,
        };
        match row.privilege.as_str() {
            EXISTS => {
                self.groups.insert(target, held);
            }
            AUTHORITATIVE => {
                self.authoritative.insert(target);
            }
            privilege => {
                let privilege: Privilege = privilege.parse()?;
                for principal in &row.principals {
                    let principal: Principal = principal.parse()?;
                    let grant = Grant {
                        target: target.clone(),
                        principal,
                        privilege: privilege.clone(),
                    };
                    self.rows.insert(grant, held);
                }
            }
        }
        Ok(())
    }

    /// One row per target and privilege, as far as origin and confirmation agree.
    pub fn write(&self) -> Vec<InventoryRow> {
        let mut rows: BTreeMap<(String, String, Origin, Option<Timestamp>), (Timestamp, Vec<String>)> =
            BTreeMap::new();
        let mut put = |target: &Target, privilege: String, held: &Held, principal: Option<&Principal>| {
            let key = (target.to_string(), privilege, held.origin, held.confirming);
            let (since, principals) = rows.entry(key).or_insert_with(|| (held.since, Vec::new()));
            *since = (*since).min(held.since);
            principals.extend(principal.map(ToString::to_string));
        };
        for (target, held) in &self.groups {
            put(target, EXISTS.into(), held, None);
        }
        for target in &self.authoritative {
            if let Some(held) = self.groups.get(target) {
                put(
                    target,
                    AUTHORITATIVE.into(),
                    &Held {
                        confirming: None,
                        ..*held
                    },
                    None,
                );
            }
        }
        for (
            Grant {
                target,
                principal,
                privilege,
            },
            held,
        ) in &self.rows
        {
            put(target, privilege.to_string(), held, Some(principal));
        }
        rows.into_iter()
            .map(
                |((target, privilege, origin, confirming), (since, principals))| InventoryRow {
                    target,
                    principals,
                    privilege,
                    origin,
                    since,
                    confirming,
                },
            )
            .collect()
    }

    /// Every target that something is held on.
    pub fn targets(&self) -> BTreeSet<Target> {
        self.rows
            .keys()
            .map(|grant| &grant.target)
            .chain(self.groups.keys())
            .cloned()
            .collect()
    }

    /// The rights held on one target.
    pub fn on<'a>(&'a self, target: &'a Target) -> impl Iterator<Item = (Right, Held)> + 'a {
        // The least row that a target can have, since rows are kept by target first.
        let least = Grant {
            target: target.clone(),
            principal: Principal::new(PrincipalKind::Account, "", ""),
            privilege: Privilege::Member,
        };
        self.rows
            .range(least..)
            .take_while(move |(grant, _)| grant.target == *target)
            .map(|(grant, held)| (grant.right(), *held))
    }

    /// Takes a target's rows to another address: a group that was to be created has an id now, or was made anew.
    pub fn readdress(&mut self, from: &Target, to: &Target) {
        if from == to {
            return;
        }
        let moved: Vec<_> = self
            .rows
            .keys()
            .filter(|grant| grant.target == *from)
            .cloned()
            .collect();
        for grant in moved {
            if let Some(held) = self.rows.remove(&grant) {
                self.rows.insert(
                    Grant {
                        target: to.clone(),
                        ..grant
                    },
                    held,
                );
            }
        }
        if let Some(held) = self.groups.remove(from) {
            self.groups.insert(to.clone(), held);
        }
        if self.authoritative.remove(from) {
            self.authoritative.insert(to.clone());
        }
    }

    /// Drops everything about a target that is gone.
    pub fn forget(&mut self, target: &Target) {
        self.rows.retain(|grant, _| grant.target != *target);
        self.groups.remove(target);
        self.authoritative.remove(target);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_read_back_as_written() {
        let target = Target::GerritGroup {
            server: "g".into(),
            uuid: "u".into(),
        };
        let held = |confirming| Held {
            origin: Origin::Created,
            since: Timestamp::UNIX_EPOCH,
            confirming,
        };
        let mut inventory = Inventory::default();
        inventory.groups.insert(target.clone(), held(None));
        inventory.authoritative.insert(target.clone());
        for (number, confirming) in [(1, None), (2, None), (3, Some(Timestamp::UNIX_EPOCH))] {
            let principal = Principal::account(number, "x");
            inventory.rows.insert(
                Grant {
                    target: target.clone(),
                    principal,
                    privilege: Privilege::Member,
                },
                held(confirming),
            );
        }
        let rows = inventory.write();
        assert_eq!(
            rows.len(),
            4,
            "exists, authoritative, confirmed members, confirming members"
        );
        assert_eq!(Inventory::read(&rows), (inventory, vec![]));
    }
}
