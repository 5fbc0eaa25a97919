//! What an unset field means: the one table.

use crate::api::access_binding::{AccessBindingSpec, Foreign, Membership, RefAction, Safety};
use crate::api::reference::{ConnectionRef, Mode, OnDelete};
use crate::api::text::Duration;

use super::ports::{ConnectionKey, ConnectionKind};

/// How often drift is looked for, in seconds.
pub const INTERVAL: u64 = 600;
/// How long a PlanApproval lives, in seconds.
pub const APPROVAL_LIFETIME: i64 = 86_400;
/// Days after which no PlanApproval counts, whatever it says: the world that its approver saw is another by then.
pub const LONGEST_APPROVAL_DAYS: i64 = 30;
/// Deletions this close to each other are one flood, in seconds.
pub const FLOOD: i64 = 600;

pub fn mode(spec: &AccessBindingSpec) -> Mode {
    spec.mode.unwrap_or(Mode::Observe)
}

pub fn suspended(spec: &AccessBindingSpec) -> bool {
    spec.suspend.unwrap_or(false)
}

/// Seconds between drift checks. Admission holds the bounds; an unreadable value falls back, never to zero.
pub fn interval(interval: Option<&Duration>) -> u64 {
    interval
        .and_then(|text| text.seconds().ok())
        .filter(|seconds| *seconds > 0)
        .unwrap_or(INTERVAL)
}

pub fn membership(membership: Option<Membership>) -> Membership {
    membership.unwrap_or(Membership::Authoritative)
}

pub fn foreign(foreign: Option<Foreign>) -> Foreign {
    foreign.unwrap_or(Foreign::Report)
}

pub fn action(action: Option<RefAction>) -> RefAction {
    action.unwrap_or(RefAction::Allow)
}

pub fn on_delete(spec: &AccessBindingSpec) -> OnDelete {
    spec.on_delete.unwrap_or(OnDelete::Revoke)
}

/// The connection a reference means, seen from an object's namespace.
pub fn connection(kind: ConnectionKind, reference: &ConnectionRef, own_namespace: &str) -> ConnectionKey {
    ConnectionKey {
        kind,
        namespace: reference
            .namespace
            .clone()
            .unwrap_or_else(|| own_namespace.to_owned()),
        name: reference.name.clone(),
    }
}

/// The brakes' numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Percent of the declared people that may go at once.
    pub max_removals: u32,
    /// Percent of the declared people that may come at once.
    pub max_additions: u32,
    /// Fewest people a group may be left with.
    pub min_members: usize,
}

pub fn limits(safety: Option<&Safety>) -> Limits {
    let percent = |field: fn(&Safety) -> Option<&crate::api::text::Percent>, default| {
        safety
            .and_then(field)
            .and_then(|text| text.value().ok())
            .unwrap_or(default)
    };
    Limits {
        max_removals: percent(|safety| safety.max_removals.as_ref(), 25),
        max_additions: percent(|safety| safety.max_additions.as_ref(), 50),
        min_members: safety
            .and_then(|safety| safety.min_members)
            .and_then(|n| usize::try_from(n).ok())
            .unwrap_or(1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unset_means_what_the_table_says() {
        let spec = AccessBindingSpec::default();
        assert_eq!(mode(&spec), Mode::Observe);
        assert!(!suspended(&spec));
        assert_eq!(interval(spec.interval.as_ref()), 600);
        assert_eq!(membership(None), Membership::Authoritative);
        assert_eq!(foreign(None), Foreign::Report);
        assert_eq!(action(None), RefAction::Allow);
        assert_eq!(on_delete(&spec), OnDelete::Revoke);
        assert_eq!(
            limits(None),
            Limits {
                max_removals: 25,
                max_additions: 50,
                min_members: 1
            }
        );
        let reference = ConnectionRef {
            name: "prod".into(),
            namespace: None,
        };
        assert_eq!(
            connection(ConnectionKind::Databricks, &reference, "ml-fraud").namespace,
            "ml-fraud"
        );
        assert_eq!(APPROVAL_LIFETIME, 24 * 3_600);
    }
}
