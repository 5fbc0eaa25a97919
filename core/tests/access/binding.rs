//! Bindings as the controller treats them: gather, decide, journal, write, keep. With crashes wherever wanted.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use lockstep_core::api::access_binding::{Intent, InventoryRow, Origin};
use lockstep_core::domain::access::claims::{Claimant, World};
use lockstep_core::domain::access::decide::{
    Decision, Question, decide, intent, pin_of, recover, release, written,
};
use lockstep_core::domain::access::declared::Declared;
use lockstep_core::domain::access::diff::Phase;
use lockstep_core::domain::access::grant::{System, Target};
use lockstep_core::domain::access::inventory::Inventory;
use lockstep_core::domain::access::names::gerrit_group_uuid;
use lockstep_core::domain::access::observed::{Located, Named, Observed};
use lockstep_core::domain::access::people::Who;
use lockstep_core::domain::access::pins::Pin;
use lockstep_core::domain::defaults;
use lockstep_core::domain::plan::Plan;
use lockstep_core::domain::ports::ObjectKey;

use crate::faults::Fault;
use crate::outside::Outside;
use crate::specs::Team;

/// One binding with what its status remembers.
#[derive(Clone, Debug)]
pub struct Binding {
    pub name: String,
    pub created: Timestamp,
    pub team: Team,
    pub inventory: Vec<InventoryRow>,
    pub pins: Vec<Pin>,
    pub intents: Vec<Intent>,
    pub deleting: bool,
    pub gone: bool,
}

impl Binding {
    pub fn new(n: u8, team: Team) -> Self {
        Self {
            name: format!("b{n}"),
            created: Timestamp::from_second(i64::from(n)).unwrap(),
            team,
            inventory: Vec::new(),
            pins: Vec::new(),
            intents: Vec::new(),
            deleting: false,
            gone: false,
        }
    }

    pub fn held(&self) -> Inventory {
        let (inventory, unreadable) = Inventory::read(&self.inventory);
        assert_eq!(unreadable, Vec::<String>::new());
        inventory
    }

    pub fn claimant(&self) -> Claimant {
        let people = self.team.members.as_ref().map(|members| {
            let who = |n: &u8| Who::Person {
                email: format!("P{n}@x"),
                gerrit_account: None,
                databricks_user: None,
            };
            members.iter().map(who).collect()
        });
        Claimant {
            key: ObjectKey {
                kind: "AccessBinding".into(),
                namespace: "ns".into(),
                name: self.name.clone(),
                uid: self.name.clone(),
            },
            created: self.created,
            declared: if self.deleting {
                Declared::default()
            } else {
                self.team.declare()
            },
            team: people.filter(|_| !self.deleting),
            inventory: self.held(),
            pins: self.pins.clone(),
        }
    }

    /// Whether nothing of what it holds needs it any more.
    fn is_released(&self) -> bool {
        let held = self.held();
        let created = held.rows.values().chain(held.groups.values());
        self.intents.is_empty() && created.filter(|held| held.origin == Origin::Created).count() == 0
    }
}

/// Several bindings and the systems they share.
#[derive(Clone, Debug, Default)]
pub struct House {
    pub outside: Outside,
    pub bindings: Vec<Binding>,
    /// What cannot be known at present.
    pub faults: Vec<Fault>,
}

/// How far a pass gets.
pub enum Reach<'a> {
    Whole,
    /// Journalled, then cut short: of all parts of all writes only these take effect.
    Cut(&'a mut dyn FnMut() -> bool),
}

impl House {
    pub fn new(teams: impl IntoIterator<Item = Team>) -> Self {
        Self {
            outside: Outside::default(),
            bindings: teams
                .into_iter()
                .zip(0..)
                .map(|(team, n)| Binding::new(n, team))
                .collect(),
            faults: Vec::new(),
        }
    }

    /// What one pass of a binding asks.
    pub fn question(&self, at: usize) -> Question {
        let binding = &self.bindings[at];
        let others = || {
            let all = self.bindings.iter().enumerate();
            all.filter(|(n, other)| *n != at && !other.gone)
                .map(|(_, other)| other)
        };
        let claimant = |binding: &Binding| {
            let mut claimant = binding.claimant();
            for fault in &self.faults {
                fault.blur(binding, &mut claimant);
            }
            claimant
        };
        let me = claimant(binding);
        let mut claimants: Vec<_> = others().map(claimant).collect();
        let mut world = world(&self.outside, &me, &claimants, &binding.intents);
        for fault in &self.faults {
            fault.darken(&mut world);
        }
        for (claimant, other) in claimants.iter_mut().zip(others()) {
            recover(&mut claimant.inventory, &other.intents, &world, self.outside.now);
        }
        Question {
            me,
            others: claimants,
            world,
            intents: binding.intents.clone(),
            phase: if binding.deleting {
                Phase::Deleting
            } else {
                Phase::Living
            },
            limits: defaults::limits(None),
            inventory_lost: false,
            orphan: false,
            source_empty: None,
            mass_deletion: None,
        }
    }

    pub fn decide(&self, at: usize) -> Decision {
        decide(&self.question(at), self.outside.now)
    }

    /// One pass with all brakes released. Answers what was planned.
    pub fn pass(&mut self, at: usize) -> Plan {
        self.pass_as_far(at, Reach::Whole)
    }

    pub fn pass_as_far(&mut self, at: usize, reach: Reach<'_>) -> Plan {
        let now = self.outside.tick(100);
        let mut decision = self.decide(at);
        let planned = decision.plan.clone();
        let released = release(&mut decision.plan);
        let groups = released
            .into_iter()
            .map(|change| change.target)
            .filter(Target::is_group);
        decision.authoritative.extend(groups);
        self.write(at, decision, now, reach);
        planned
    }

    /// Writes only what no brake holds.
    pub fn careful_pass(&mut self, at: usize) -> Plan {
        let now = self.outside.tick(100);
        let decision = self.decide(at);
        let planned = decision.plan.clone();
        self.write(at, decision, now, Reach::Whole);
        planned
    }

    fn write(&mut self, at: usize, decision: Decision, now: Timestamp, mut reach: Reach<'_>) {
        let Decision {
            plan,
            mut inventory,
            pins,
            authoritative,
            ..
        } = decision;
        let binding = &mut self.bindings[at];
        for (target, _) in binding.held().groups {
            if !inventory.groups.contains_key(&target) {
                self.outside.let_go(&target);
            }
        }
        binding.inventory = inventory.write();
        binding.pins = pins;
        binding.intents = plan
            .changes
            .iter()
            .map(|change| intent(change, authoritative.contains(&change.target), now))
            .collect();
        let then = now.checked_add(SignedDuration::from_secs(1)).unwrap();
        for change in &plan.changes {
            if let Reach::Cut(takes) = &mut reach {
                if takes() {
                    self.outside.write_some(change, &mut |part| part == 0 || takes());
                }
                continue;
            }
            let real = self.outside.write(change);
            binding.pins.extend(pin_of(&change.target, &real));
            written(
                &mut inventory,
                change,
                &real,
                authoritative.contains(&change.target),
                then,
            );
        }
        if let Reach::Whole = reach {
            binding.inventory = inventory.write();
            binding.intents = Vec::new();
        }
        if binding.deleting && binding.is_released() && plan.changes.is_empty() && plan.blocked.is_empty() {
            binding.gone = true;
        }
    }

    /// Rounds of passes in this order until all plans are empty; panics if the bindings fight.
    pub fn settle(&mut self, order: &[usize]) {
        let mut last = Vec::new();
        for _ in 0..8 {
            last.clear();
            for at in order {
                if !self.bindings[*at].gone {
                    last.extend(self.pass(*at).lines());
                }
            }
            let leaving = self
                .bindings
                .iter()
                .any(|binding| binding.deleting && !binding.gone);
            if last.is_empty() && !leaving {
                return;
            }
        }
        panic!("never settles: {last:#?}\n{self:#?}");
    }

    pub fn delete(&mut self, at: usize) {
        self.bindings[at].deleting = true;
    }
}

/// What a controller would read for this binding.
pub fn world(outside: &Outside, me: &Claimant, others: &[Claimant], intents: &[Intent]) -> World {
    let mut names: BTreeSet<Named> = me.declared.frozen.clone();
    for claimant in std::iter::once(me).chain(others) {
        names.extend(claimant.declared.groups.iter().map(|group| group.named.clone()));
        names.extend(claimant.declared.rights.iter().map(|right| right.on.clone()));
    }
    let mut targets = me.inventory.targets();
    for intent in intents {
        match intent.target.parse().unwrap() {
            Target::NewGroup { system, name } => names.extend([Named::Group { system, name }]),
            target => targets.extend([target]),
        }
    }
    targets.extend(me.pins.iter().filter_map(|pin| pin.means.parse().ok()));
    let mut located = BTreeMap::new();
    for named in names {
        let found = outside.locate(&named);
        targets.extend(match (&found, &named) {
            (Located::At(target), _) => Some(target.clone()),
            (
                Located::Absent,
                Named::Group {
                    system: System::Gerrit(server),
                    name,
                },
            ) => Some(Target::GerritGroup {
                server: server.clone(),
                uuid: gerrit_group_uuid(server, name),
            }),
            (Located::Absent, Named::Group { system, name }) => Some(Target::NewGroup {
                system: system.clone(),
                name: name.clone(),
            }),
            _ => None,
        });
        located.insert(named, found);
    }
    let observe = |target: Target| {
        let observed: Observed = outside.observe(&target);
        (target, Arc::new(observed))
    };
    World {
        directories: outside
            .accounts
            .keys()
            .filter_map(|system| Some((system.clone(), outside.directory(system)?)))
            .collect(),
        located,
        observed: targets.into_iter().map(observe).collect(),
        labels: BTreeMap::new(),
        governed: Vec::new(),
        failures: BTreeMap::new(),
        frozen: BTreeSet::new(),
    }
}
