//! Where a declared name is. What was found once stays meant under whatever name it bears today.

use super::claims::{Claimant, World};
use super::diff::limit;
use super::grant::{System, Target};
use super::names::gerrit_group_uuid;
use super::observed::{Located, Named};
use crate::api::condition::Reason;
use crate::domain::plan::Problem;

/// Where a declared name is.
pub(super) enum Place {
    At(Target),
    ToCreate(Target),
    Not(Problem),
}

impl Place {
    /// The target, existing or to be created.
    pub fn target(self) -> Option<Target> {
        match self {
            Self::At(target) | Self::ToCreate(target) => Some(target),
            Self::Not(_) => None,
        }
    }
}

/// What a claimant's pin of a name says.
pub(super) fn pinned(named: &Named, claimant: &Claimant) -> Option<Target> {
    let name = named.pin_name()?;
    let system = named.system().to_string();
    let mut pins = claimant.pins.iter();
    let pin = pins.find(|pin| pin.name == name && pin.system == system)?;
    pin.means.parse().ok()
}

/// Finds a name for the binding that is decided about.
pub(super) fn place(named: &Named, me: &Claimant, world: &World) -> Place {
    find(named, me, world, true)
}

/// Finds a name for another claimant, whose pins nobody has looked at for its own sake.
pub(super) fn place_of_other(named: &Named, other: &Claimant, world: &World) -> Place {
    find(named, other, world, false)
}

fn find(named: &Named, claimant: &Claimant, world: &World, mine: bool) -> Place {
    if let Named::Plain(target) = named {
        return Place::At(target.clone());
    }
    if let Some(target) = pinned(named, claimant) {
        match world.observed.get(&target) {
            Some(observed) if observed.present => return Place::At(target),
            // It is gone: the name may mean something new.
            Some(_) => {}
            // A name that somebody else may bear by now does not stand in for what cannot be read.
            None if mine => return Place::Not(unread(world, &target.label(), named)),
            // Nobody has read it for another's sake; what bears the name today is the better guess.
            None if !matches!(world.located.get(named), Some(Located::At(_))) => return Place::At(target),
            None => {}
        }
    }
    match world.located.get(named) {
        Some(Located::At(target)) => Place::At(target.clone()),
        Some(Located::Ambiguous(candidates)) => {
            let candidates: Vec<_> = candidates.iter().map(ToString::to_string).collect();
            Place::Not(Problem {
                label: named.label(),
                reason: Some(Reason::Ambiguous),
                message: format!(
                    "several things have this name ({}): name one by id",
                    candidates.join(", ")
                ),
            })
        }
        Some(Located::Absent) => absent(named, claimant, world),
        None => Place::Not(unread(world, &named.label(), named)),
    }
}

fn absent(named: &Named, claimant: &Claimant, world: &World) -> Place {
    let Named::Group { system, name } = named else {
        return Place::Not(Problem {
            label: named.label(),
            reason: Some(Reason::NotFound),
            message: format!(
                "{} does not exist, or Lockstep's identity cannot see it",
                named.label()
            ),
        });
    };
    if let System::Gerrit(server) = system {
        return Place::ToCreate(Target::GerritGroup {
            server: server.clone(),
            uuid: gerrit_group_uuid(server, name),
        });
    }
    // One that was just made may not be listed yet.
    let just_made = pinned(named, claimant).filter(|target| {
        let held = claimant.inventory.groups.get(target);
        let written = held.and_then(|held| held.confirming);
        let observed = world.observed.get(target);
        written
            .is_some_and(|written| observed.is_none_or(|observed| observed.taken < written + limit(target)))
    });
    match just_made {
        Some(target) => Place::At(target),
        None => Place::ToCreate(Target::NewGroup {
            system: system.clone(),
            name: name.clone(),
        }),
    }
}

/// Why something could not be read; what was read all the same counts.
fn unread(world: &World, key: &str, named: &Named) -> Problem {
    let system = named.system().to_string();
    let known = world.failures.get(key).or(world.failures.get(&system));
    known.cloned().unwrap_or_else(|| Problem {
        label: named.label(),
        reason: Some(Reason::DependencyNotReady),
        message: "not read yet".into(),
    })
}
