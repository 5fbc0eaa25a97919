//! A Gerrit and a Databricks of toy size: they hold groups and rights, and remember who put them there.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use lockstep_core::domain::access::directory::{Account, Directory};
use lockstep_core::domain::access::grant::{
    Grant, Principal, PrincipalKind, Privilege, Right, System, Target,
};
use lockstep_core::domain::access::observed::{GroupProperties, Located, Named, Observed};
use lockstep_core::domain::plan::Change;

pub const PEOPLE: u8 = 6;
/// Numbers from here on are accounts of people whom no binding names.
pub const STRANGERS: u8 = 90;

pub fn gerrit() -> System {
    System::Gerrit("g".into())
}
pub fn account() -> System {
    System::Account("acc".into())
}
pub fn workspace() -> System {
    System::Workspace("1".into())
}
pub fn systems() -> [System; 4] {
    [gerrit(), account(), workspace(), System::Metastore("m".into())]
}

#[derive(Clone, Debug)]
pub struct Group {
    pub name: String,
    pub members: BTreeSet<Principal>,
}

#[derive(Clone, Debug)]
pub struct Outside {
    pub now: Timestamp,
    next: u64,
    pub groups: BTreeMap<Target, Group>,
    pub rows: BTreeMap<Target, BTreeSet<Right>>,
    /// What Lockstep put there.
    pub ours: BTreeSet<Grant>,
    pub our_groups: BTreeSet<Target>,
    /// Accounts beyond one for each person, deactivated ones, and addresses that moved.
    pub accounts: BTreeMap<System, Vec<Account>>,
    /// Groups that exist, but that no listing shows yet.
    pub unlisted: BTreeSet<Target>,
    /// Groups that an identity provider looks after.
    pub provided: BTreeSet<Target>,
}

/// Whose rows are never taken away.
pub fn protected() -> BTreeSet<Principal> {
    BTreeSet::from([Principal::group("admins", "admins")])
}

/// Somebody's principal in a system.
pub fn person(n: u8, system: &System) -> Principal {
    let name = format!("p{n}@x");
    match system {
        System::Gerrit(_) => Principal::account(i64::from(n) + 1, name),
        _ => Principal::new(PrincipalKind::User, (100 + u16::from(n)).to_string(), name),
    }
}

fn accounts(system: &System) -> Vec<Account> {
    (0..PEOPLE)
        .chain(STRANGERS..STRANGERS + 3)
        .map(|n| Account {
            principal: person(n, system),
            username: Some(format!("user{n}")),
            emails: vec![format!("p{n}@x")],
            aliases: Vec::new(),
            active: true,
            service: false,
        })
        .collect()
}

impl Default for Outside {
    fn default() -> Self {
        Self {
            now: Timestamp::from_second(1_000_000).unwrap(),
            next: 10,
            groups: BTreeMap::new(),
            rows: BTreeMap::new(),
            ours: BTreeSet::new(),
            our_groups: BTreeSet::new(),
            accounts: [gerrit(), account(), workspace()]
                .map(|system| (system.clone(), accounts(&system)))
                .into(),
            unlisted: BTreeSet::new(),
            provided: BTreeSet::new(),
        }
    }
}

impl Outside {
    pub fn tick(&mut self, seconds: i64) -> Timestamp {
        self.now = self.now.checked_add(SignedDuration::from_secs(seconds)).unwrap();
        self.now
    }

    pub fn directory(&self, system: &System) -> Option<Arc<Directory>> {
        let accounts = self.accounts.get(system)?.clone();
        Some(Arc::new(Directory::new(system.clone(), self.now, accounts)))
    }

    pub fn locate(&self, named: &Named) -> Located {
        match named {
            Named::Plain(target) => Located::At(target.clone()),
            Named::Object {
                workspace,
                kind,
                name: _,
            } => Located::At(Target::Object {
                workspace: workspace.clone(),
                kind: (*kind).to_owned(),
                id: "77".into(),
            }),
            Named::Group { system, name } => {
                let mut found = self.groups.iter().filter(|(target, group)| {
                    target.system() == *system
                        && group.name.eq_ignore_ascii_case(name)
                        && !self.unlisted.contains(target)
                });
                match (found.next(), found.next()) {
                    (None, _) => Located::Absent,
                    (Some((target, _)), None) => Located::At(target.clone()),
                    _ => panic!("two groups named {name}"),
                }
            }
        }
    }

    pub fn observe(&self, target: &Target) -> Observed {
        let mut observed = Observed::absent(target.clone(), self.now);
        if target.is_group() {
            if let Some(group) = self.groups.get(target)
                && !self.unlisted.contains(target)
            {
                observed.present = true;
                observed.rows = members(group);
                observed.external = self.provided.contains(target);
                observed.group = Some(GroupProperties {
                    name: group.name.clone(),
                    ..GroupProperties::default()
                });
            }
            return observed;
        }
        observed.present = true;
        observed.rows = self.rows.get(target).cloned().unwrap_or_default();
        observed.protected = protected();
        observed
    }

    /// Somebody does it by hand.
    pub fn by_hand(&mut self, target: &Target, right: Right) {
        self.put(target, right, false);
    }

    pub fn take_by_hand(&mut self, target: &Target, right: &Right) {
        self.take(target, right);
    }

    pub fn make_by_hand(
        &mut self,
        system: &System,
        name: &str,
        members: impl IntoIterator<Item = u8>,
    ) -> Target {
        let target = match system {
            System::Gerrit(server) => Target::GerritGroup {
                server: server.clone(),
                uuid: format!("hand-{}", self.id()),
            },
            system => Target::Group {
                system: system.clone(),
                id: self.id(),
            },
        };
        let group = Group {
            name: name.into(),
            members: members.into_iter().map(|n| person(n, system)).collect(),
        };
        self.groups.insert(target.clone(), group);
        target
    }

    fn id(&mut self) -> String {
        self.next += 1;
        self.next.to_string()
    }

    /// Writes a whole change. Answers where the target is now.
    pub fn write(&mut self, change: &Change) -> Target {
        self.write_some(change, &mut |_| true)
    }

    /// Writes the parts of a change that `takes` lets through, asked once for each part in order.
    pub fn write_some(&mut self, change: &Change, takes: &mut dyn FnMut(usize) -> bool) -> Target {
        let mut part = 0;
        let mut takes = || {
            part += 1;
            takes(part - 1)
        };
        let mut target = change.target.clone();
        if let Some(properties) = &change.create {
            if !takes() {
                return target;
            }
            if let Target::NewGroup { system, .. } = &target {
                target = Target::Group {
                    system: system.clone(),
                    id: self.id(),
                };
            }
            assert!(!self.groups.contains_key(&target), "{target} is made twice");
            let same = |group: &&Group| group.name == properties.name;
            let named = self
                .groups
                .iter()
                .filter(|(other, _)| other.system() == target.system());
            assert_eq!(
                named.map(|(_, group)| group).find(same).map(|group| &group.name),
                None
            );
            self.groups.insert(
                target.clone(),
                Group {
                    name: properties.name.clone(),
                    members: BTreeSet::new(),
                },
            );
            self.our_groups.insert(target.clone());
        }
        assert!(
            !target.is_group() || self.groups.contains_key(&target),
            "{target} is written to, but does not exist"
        );
        if let Some(properties) = &change.describe
            && takes()
        {
            self.rename(&target, &properties.name);
        }
        for right in &change.remove {
            if takes() {
                self.take(&target, right);
            }
        }
        for right in &change.add {
            if takes() {
                self.put(&target, right.clone(), true);
            }
        }
        if change.delete && takes() {
            self.delete(&target);
        }
        target
    }

    fn put(&mut self, target: &Target, right: Right, ours: bool) {
        let grant = |(principal, privilege): &Right| Grant {
            target: target.clone(),
            principal: principal.clone(),
            privilege: privilege.clone(),
        };
        if let Some(group) = self.groups.get_mut(target) {
            assert_eq!(right.1, Privilege::Member);
            if group.members.insert(right.0.clone()) && ours {
                self.ours.insert(grant(&right));
            }
            return;
        }
        let rows = self.rows.entry(target.clone()).or_default();
        if rows.contains(&right) {
            return;
        }
        // One value of a kind for each principal, as in the real systems.
        rows.retain(|(who, what)| *who != right.0 || what.slot().is_none() || what.slot() != right.1.slot());
        rows.insert(right.clone());
        self.ours.retain(|old| {
            old.target != *target
                || old.principal != right.0
                || old.privilege.slot().is_none()
                || old.privilege.slot() != right.1.slot()
        });
        if ours {
            self.ours.insert(grant(&right));
        }
    }

    fn take(&mut self, target: &Target, right: &Right) {
        if let Some(group) = self.groups.get_mut(target) {
            group.members.remove(&right.0);
        }
        if let Some(rows) = self.rows.get_mut(target) {
            rows.remove(right);
        }
        self.ours.remove(&Grant {
            target: target.clone(),
            principal: right.0.clone(),
            privilege: right.1.clone(),
        });
    }

    /// Databricks knows groups by name in its lists, and takes their rows along.
    pub fn rename(&mut self, target: &Target, name: &str) {
        let Some(group) = self.groups.get_mut(target) else {
            return;
        };
        let old = std::mem::replace(&mut group.name, name.to_owned());
        if matches!(target, Target::GerritGroup { .. }) {
            return;
        }
        let (old, new) = (Principal::group(&old, &old), Principal::group(name, name));
        for (target, rows) in &mut self.rows {
            if !matches!(target, Target::GerritRef { .. }) {
                let moved: Vec<_> = rows.extract_if(.., |(who, _)| *who == old).collect();
                rows.extend(moved.into_iter().map(|(_, what)| (new.clone(), what)));
            }
        }
        let moved: Vec<_> = self.ours.extract_if(.., |grant| grant.principal == old).collect();
        self.ours.extend(moved.into_iter().map(|grant| Grant {
            principal: new.clone(),
            ..grant
        }));
    }

    /// Lockstep lets go of a group: it is theirs who have joined it.
    pub fn let_go(&mut self, target: &Target) {
        let ours = |who: &Principal| {
            let mut ours = self.ours.iter();
            ours.any(|grant| grant.target == *target && grant.principal == *who)
        };
        if let Some(group) = self.groups.get(target)
            && group.members.iter().any(|who| !ours(who))
        {
            self.our_groups.remove(target);
        }
    }

    pub fn delete(&mut self, target: &Target) {
        let Some(group) = self.groups.remove(target) else {
            return;
        };
        self.our_groups.remove(target);
        self.ours.retain(|grant| grant.target != *target);
        if !matches!(target, Target::GerritGroup { .. }) {
            let gone = Principal::group(&group.name, &group.name);
            for rows in self.rows.values_mut() {
                rows.retain(|(who, _)| *who != gone);
            }
            self.ours.retain(|grant| grant.principal != gone);
        }
    }
}

fn members(group: &Group) -> BTreeSet<Right> {
    let members = group.members.iter();
    members.map(|who| (who.clone(), Privilege::Member)).collect()
}
