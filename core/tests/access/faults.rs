//! What can be unknown: people, names, targets, sources, whole systems.

use lockstep_core::api::condition::Reason;
use lockstep_core::domain::access::claims::{Claimant, World};
use lockstep_core::domain::access::directory::Account;
use lockstep_core::domain::access::grant::{Principal, PrincipalKind, System};
use lockstep_core::domain::plan::Problem;
use lockstep_core::domain::ports::ConnectionKind;

use crate::binding::Binding;
use crate::outside::{Outside, person};

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nobody can say who the people of a system are.
    NoDirectory(System),
    /// The client of a system could not be opened.
    Frozen(System),
    /// Every reading of a system fails.
    Unread(System),
    /// One target cannot be read.
    UnreadTarget(usize),
    /// One name cannot be looked up.
    UnreadName(usize),
    /// A member source of one binding cannot be read.
    BrokenSource(String),
    /// No connection of this kind can be used, and none says what it reaches.
    Unusable(ConnectionKind),
    /// A second account bears somebody's address.
    Twice(u8),
    /// Somebody's address was given to a new account.
    Recycled(u8),
}

fn problem(label: &str) -> Problem {
    Problem {
        label: label.to_owned(),
        reason: Some(Reason::Unreachable),
        message: "it cannot be read".into(),
    }
}

impl Fault {
    /// What a claimant looks like meanwhile.
    pub fn blur(&self, binding: &Binding, claimant: &mut Claimant) {
        match self {
            Self::Unusable(kind) if !binding.deleting => {
                claimant.declared = binding.team.declare_without(*kind);
            }
            Self::BrokenSource(name) if binding.name == *name => {
                let groups = claimant.declared.groups.drain(..).map(|group| group.named);
                claimant.declared.frozen.extend(groups);
                claimant.declared.problems.push(problem("member source"));
            }
            _ => {}
        }
    }

    /// What can be read meanwhile.
    pub fn darken(&self, world: &mut World) {
        match self {
            Self::NoDirectory(system) => {
                world.directories.remove(system);
                let label = format!("people of {system}");
                world.failures.insert(label.clone(), problem(&label));
            }
            Self::Frozen(system) => {
                world.frozen.insert(system.clone());
                world.directories.remove(system);
                world.located.retain(|named, _| named.system() != *system);
                world.observed.retain(|target, _| target.system() != *system);
            }
            Self::Unread(system) => {
                world.failures.insert(system.to_string(), problem("the system"));
            }
            Self::UnreadTarget(at) => {
                let target = world
                    .observed
                    .keys()
                    .nth(at % world.observed.len().max(1))
                    .cloned();
                if let Some(target) = target {
                    world.observed.remove(&target);
                    world.failures.insert(target.label(), problem(&target.label()));
                }
            }
            Self::UnreadName(at) => {
                let named = world.located.keys().nth(at % world.located.len().max(1)).cloned();
                if let Some(named) = named {
                    world.located.remove(&named);
                    world.failures.insert(named.label(), problem(&named.label()));
                }
            }
            Self::BrokenSource(_) | Self::Unusable(_) | Self::Twice(_) | Self::Recycled(_) => {}
        }
    }

    /// What happens to people's accounts.
    pub fn happen(&self, outside: &mut Outside) {
        let (Self::Twice(n) | Self::Recycled(n)) = self else {
            return;
        };
        for (system, accounts) in &mut outside.accounts {
            let new = match person(*n, system).kind {
                PrincipalKind::Account => Principal::account(900, "new"),
                kind => Principal::new(kind, "900", "new"),
            };
            if let Self::Recycled(n) = self {
                let old = accounts
                    .iter_mut()
                    .find(|account| account.principal == person(*n, system));
                if let Some(account) = old {
                    account.emails.clear();
                }
            }
            accounts.push(Account {
                principal: new,
                username: None,
                emails: vec![format!("p{n}@x")],
                aliases: Vec::new(),
                active: true,
                service: false,
            });
        }
    }
}
