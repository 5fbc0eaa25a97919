//! Other bindings that may meet this one on a target, and what of theirs counts.

use std::collections::BTreeSet;

use jiff::Timestamp;
use kube::ResourceExt;
use lockstep_core::api::AccessBinding;
use lockstep_core::api::condition::{ConditionType, Reason};
use lockstep_core::api::reference::Mode;
use lockstep_core::domain::access::claims::Claimant;
use lockstep_core::domain::access::declared::{
    ConnectionFacts, Declared, claim_words, declare, words_to_meet,
};
use lockstep_core::domain::access::grant::{System, Target};
use lockstep_core::domain::access::inventory::Inventory;
use lockstep_core::domain::access::pins::{self, Pin};
use lockstep_core::domain::access::trust::{self, admitted, believe, doubted};
use lockstep_core::domain::defaults;
use lockstep_core::domain::plan::Problem;
use lockstep_core::domain::ports::ConnectionKey;

use super::super::key;
use super::connections::{connections_of, facts, systems_of, tenancy};
use super::reader::Reader;

impl Reader<'_> {
    /// Other bindings that may meet this one on a target.
    pub(super) async fn others(
        &mut self,
        binding: &AccessBinding,
        inventory: &Inventory,
        pins: &[Pin],
    ) -> Vec<(Claimant, BTreeSet<System>)> {
        let mut words = words_to_meet(&claim_words(&binding.spec));
        words.extend(pins.iter().filter_map(|pin| {
            let (kind, name) = pin.name.split_once('/').filter(|(kind, _)| *kind != "person")?;
            Some(if kind == "group" {
                format!("group {}", name.to_lowercase())
            } else {
                format!("{kind} {name}")
            })
        }));
        words.extend(inventory.targets().into_iter().filter_map(|target| match target {
            Target::GerritRef {
                project, ref_name, ..
            } => Some(format!("ref {project} {ref_name}")),
            Target::Securable { kind, name, .. } => Some(format!("{kind} {name}")),
            Target::Roles { application_id, .. } => Some(format!("servicePrincipal {application_id}")),
            _ => None,
        }));
        let cluster = self.context.cluster.clone();
        let mut others = Vec::new();
        for other in cluster.claimants(&words) {
            if other.uid() != binding.uid()
                && let Some(stands) = stands(&other)
            {
                others.push(self.other(&other, stands).await);
            }
        }
        others.sort_by(|a, b| a.0.key.uid.cmp(&b.0.key.uid));
        others
    }

    /// One other binding, and the systems in which what it remembers is not to be believed.
    async fn other(&mut self, other: &AccessBinding, stands: Stands) -> (Claimant, BTreeSet<System>) {
        let cluster = self.context.cluster.clone();
        let namespace = other.namespace().unwrap_or_default();
        let named = connections_of(other);
        let mut team = None;
        let declared = match stands {
            Stands::ByWhatItHolds(why) => Declared {
                problems: vec![why],
                ..Declared::default()
            },
            Stands::ByWhatItSays => {
                let own = declare(&other.spec, &namespace, &|key| facts(&*cluster, key, &namespace));
                let ways = self.ways.clone();
                let mut declared = admitted(own, &ways, &|way| {
                    declare(&other.spec, &namespace, &|key| {
                        let said = facts(&*cluster, key, &namespace)?;
                        Ok(ConnectionFacts {
                            tenancy: tenancy(&*cluster, way, &namespace),
                            ..said
                        })
                    })
                });
                // Whoever is not let into any of our groups is not asked who its people are.
                if let Some(members) = other
                    .spec
                    .members
                    .as_ref()
                    .filter(|_| !declared.groups.is_empty())
                {
                    let read = self.team(members, &namespace).await;
                    team = Some(read.declared_in(&mut declared));
                }
                declared
            }
        };
        let status = other.status.clone().unwrap_or_default();
        let through = trust::read(status.through.as_deref().unwrap_or_default());
        let reaches = |key: &ConnectionKey| systems_of(&*cluster, key);
        let doubted = doubted(&named, &through, &self.ways, &reaches);
        let claimant = Claimant {
            key: key(other),
            created: other
                .creation_timestamp()
                .map_or(Timestamp::UNIX_EPOCH, |time| time.0),
            declared,
            team,
            inventory: Inventory::read(status.inventory.as_deref().unwrap_or_default()).0,
            pins: pins::read(status.pins.as_deref().unwrap_or_default()),
        };
        (claimant, doubted)
    }

    /// Judges what others remember by what was read now.
    pub(super) fn believed(&self, others: Vec<(Claimant, BTreeSet<System>)>) -> Vec<Claimant> {
        let cluster = &*self.context.cluster;
        let judged = others.into_iter().map(|(mut other, doubted)| {
            let namespace = other.key.namespace.clone();
            believe(&mut other, &doubted, &self.world, &|system| {
                tenancy(cluster, self.ways.get(system)?, &namespace)
            });
            other
        });
        judged.collect()
    }
}

/// How another binding counts.
enum Stands {
    ByWhatItSays,
    /// It is held up: what it holds is still its own, and it claims nothing new.
    ByWhatItHolds(Problem),
}

/// Whether another binding counts at all, and how.
fn stands(other: &AccessBinding) -> Option<Stands> {
    let status = other.status.as_ref();
    let holds = status.is_some_and(|status| status.inventory.as_ref().is_some_and(|rows| !rows.is_empty()));
    let blocked = || {
        let conditions = status.iter().flat_map(|status| &status.conditions);
        conditions
            .into_iter()
            .any(|condition| ConditionType::Blocked.is(&condition.type_) && condition.status == "True")
    };
    let (paused, reason) = if other.metadata.deletion_timestamp.is_some() {
        // One that goes takes back by itself what it gave, unless a person has to allow it first.
        (blocked(), Reason::AwaitingApproval)
    } else if defaults::suspended(&other.spec) {
        (true, Reason::Suspended)
    } else if defaults::mode(&other.spec) == Mode::Observe {
        (true, Reason::Observing)
    } else {
        return Some(Stands::ByWhatItSays);
    };
    (paused && holds).then(|| {
        Stands::ByWhatItHolds(Problem {
            label: key(other).to_string(),
            reason: Some(reason),
            message: "is held up".into(),
        })
    })
}
