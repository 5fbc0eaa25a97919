//! The vendor's published limits as data: one row per API family. Every family has a budget of its own, so that a
//! crowd of group edits (ten a minute) does not hold up readings (hundreds a second).

use std::num::NonZeroU32;

use lockstep_core::domain::pace::{Allowance, Lane};

/// What a request counts against.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// Token endpoints and discovery.
    Login,
    PermissionsRead,
    PermissionsWrite,
    GroupRead,
    GroupPatch,
    GroupDelete,
    AccountScimRead,
    AccountScimList,
    AccountScimPatch,
    AccountScimWrite,
    AssignmentWrite,
    Tracking,
    JobsCreate,
    RunNow,
    RunsGet,
    WorkspaceImport,
    WorkspaceExport,
    TokenManagement,
    /// Everything the vendor publishes no number for.
    Other,
}

/// Tenths of the published limits that we use: calls sent evenly arrive unevenly, and people share the limit.
pub(super) const SHARE: u32 = 9;

/// What things that are read one by one count against.
const LANES: [(Lane, Family); 4] = [
    (Lane::AccountGroups, Family::AccountScimRead),
    (Lane::Roles, Family::Other),
    (Lane::Grants, Family::Other),
    (Lane::Objects, Family::PermissionsRead),
];

/// So many requests in so many seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Published {
    pub family: Family,
    pub name: &'static str,
    pub requests: u32,
    pub seconds: u32,
}

const fn row(family: Family, name: &'static str, requests: u32, seconds: u32) -> Published {
    Published {
        family,
        name,
        requests,
        seconds,
    }
}

/// Sources: learn.microsoft.com/azure/databricks/resources/limits, and `workspace_access` of databrickslabs/ucx for
/// the group calls that page does not name. `other` and `login` take the SDK's own default of 15 a second.
pub const PUBLISHED: &[Published] = &[
    row(Family::Login, "login", 15, 1),
    row(Family::PermissionsRead, "permissions-read", 100, 1),
    row(Family::PermissionsWrite, "permissions-write", 30, 1),
    row(Family::GroupRead, "group-read", 255, 60),
    row(Family::GroupPatch, "group-patch", 10, 60),
    row(Family::GroupDelete, "group-delete", 35, 60),
    row(Family::AccountScimRead, "account-scim-read", 20, 1),
    row(Family::AccountScimList, "account-scim-list", 240, 60),
    row(Family::AccountScimPatch, "account-scim-patch", 2, 1),
    row(Family::AccountScimWrite, "account-scim-write", 5, 1),
    row(Family::AssignmentWrite, "assignment-write", 5, 1),
    row(Family::Tracking, "mlflow-tracking", 120, 1),
    row(Family::JobsCreate, "jobs-create", 20, 1),
    row(Family::RunNow, "jobs-run-now", 20, 1),
    row(Family::RunsGet, "jobs-runs-get", 100, 1),
    row(Family::WorkspaceImport, "workspace-import", 30, 1),
    row(Family::WorkspaceExport, "workspace-export", 60, 1),
    row(Family::TokenManagement, "token-management", 40, 1),
    row(Family::Other, "other", 15, 1),
];

impl Family {
    /// The word under which metrics and budgets know it.
    pub fn name(self) -> &'static str {
        PUBLISHED
            .iter()
            .find(|row| row.family == self)
            .map_or("other", |row| row.name)
    }
}

/// What a connection says about its budget.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Budget {
    /// The vendor's table.
    #[default]
    Published,
    /// This many a second in all, the table holding as well.
    PerSecond(NonZeroU32),
    /// None at all: for systems that have no limits, and for measuring.
    Lifted,
}

impl Budget {
    /// From `limits.requestsPerSecond`, where 0 lifts every limit.
    pub fn from_requests_per_second(stated: Option<i32>) -> Self {
        match stated {
            None => Self::Published,
            Some(number) => u32::try_from(number)
                .ok()
                .and_then(NonZeroU32::new)
                .map_or(Self::Lifted, Self::PerSecond),
        }
    }

    /// What may be asked a minute.
    pub(super) fn allowance(self) -> Allowance {
        let a_minute = |family: Family| {
            let row = PUBLISHED.iter().find(|row| row.family == family)?;
            Some(u64::from(row.requests * 60 / row.seconds.max(1) * SHARE / 10))
        };
        let lanes = LANES
            .into_iter()
            .filter_map(|(lane, family)| Some((lane, a_minute(family)?)));
        match self {
            Self::Lifted => Allowance::default(),
            Self::Published => Allowance {
                lanes: lanes.collect(),
                all: None,
            },
            Self::PerSecond(number) => Allowance {
                lanes: lanes.collect(),
                all: Some(u64::from(number.get()) * 60),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn zero_lifts_and_a_number_caps() {
        assert_eq!(Budget::from_requests_per_second(None), Budget::Published);
        assert_eq!(Budget::from_requests_per_second(Some(0)), Budget::Lifted);
        assert_eq!(
            Budget::from_requests_per_second(Some(7)),
            Budget::PerSecond(NonZeroU32::new(7).unwrap())
        );
    }

    #[test]
    fn what_may_be_asked_a_minute_is_nine_tenths_of_what_is_published() {
        let allowance = Budget::Published.allowance();
        assert_eq!(allowance.lanes[&Lane::Objects], 5_400);
        assert_eq!(allowance.lanes[&Lane::AccountGroups], 1_080);
        assert_eq!(allowance.lanes[&Lane::Grants], 810);
        assert_eq!(
            Budget::from_requests_per_second(Some(2)).allowance().all,
            Some(120)
        );
        assert_eq!(Budget::Lifted.allowance(), Allowance::default());
    }

    #[test]
    fn every_family_has_one_row() {
        let mut names: Vec<_> = PUBLISHED.iter().map(|row| row.family).collect();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), PUBLISHED.len());
        assert_eq!(Family::GroupPatch.name(), "group-patch");
    }
}
