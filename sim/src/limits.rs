//! The published rate limits, one row per API family. Off by default; when on, each family of each workspace (or
//! of the account) has a bucket that refuses with 429 RESOURCE_EXHAUSTED and `Retry-After`.

use std::collections::BTreeMap;

use crate::state::Scope;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Family {
    JobsCreate,
    JobsRun,
    JobsSubmit,
    RunsGet,
    WorkspaceExport,
    WorkspaceImport,
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
    TokenManagement,
    Tracking,
    TrackingSearch,
}

/// Requests per window of seconds. Sources: learn.microsoft.com/azure/databricks/resources/limits, and ucx's
/// `workspace_access` for those that page does not name.
const LIMITS: &[(Family, &str, u32, u32)] = &[
    (Family::JobsCreate, "jobs-create", 20, 1),
    (Family::JobsRun, "jobs-run-now", 20, 1),
    (Family::JobsSubmit, "jobs-runs-submit", 35, 1),
    (Family::RunsGet, "jobs-runs-get", 100, 1),
    (Family::WorkspaceExport, "workspace-export", 60, 1),
    (Family::WorkspaceImport, "workspace-import", 30, 1),
    (Family::PermissionsRead, "permissions-read", 100, 1),
    (Family::PermissionsWrite, "permissions-write", 30, 1),
    (Family::GroupRead, "group-read", 255, 60),
    (Family::GroupPatch, "group-patch", 10, 60),
    (Family::GroupDelete, "group-delete", 35, 60),
    (Family::AccountScimRead, "account-scim-read", 20, 1),
    (Family::AccountScimList, "account-scim-list", 240, 60),
    (Family::AccountScimPatch, "account-scim-patch", 2, 1),
    (Family::AccountScimWrite, "account-scim-write", 5, 1),
    (Family::AssignmentWrite, "assignment-write", 5, 1),
    (Family::TokenManagement, "token-management", 40, 1),
    (Family::Tracking, "mlflow-tracking", 120, 1),
    (Family::TrackingSearch, "mlflow-search", 7, 1),
];

impl Family {
    fn row(self) -> (&'static str, u32, u32) {
        LIMITS
            .iter()
            .find(|(family, ..)| *family == self)
            .map_or(("unlimited", u32::MAX, 1), |(_, name, requests, seconds)| {
                (name, *requests, *seconds)
            })
    }

    pub fn name(self) -> &'static str {
        self.row().0
    }
}

#[derive(Debug, Default)]
pub struct Buckets {
    levels: BTreeMap<(Scope, Family), Bucket>,
}

#[derive(Debug, Clone, Copy)]
struct Bucket {
    tokens: f64,
    at: i64,
}

impl Buckets {
    /// Takes one token, or says after how many whole seconds one will be there.
    pub fn take(&mut self, scope: Scope, family: Family, now_ms: i64) -> Result<(), u64> {
        let (_, requests, seconds) = family.row();
        let capacity = f64::from(requests);
        let per_ms = capacity / (f64::from(seconds) * 1000.0);
        let bucket = self.levels.entry((scope, family)).or_insert(Bucket {
            tokens: capacity,
            at: now_ms,
        });
        let passed = f64::from(i32::try_from((now_ms - bucket.at).max(0)).unwrap_or(i32::MAX));
        bucket.tokens = (bucket.tokens + passed * per_ms).min(capacity);
        bucket.at = now_ms;
        if bucket.tokens >= 1.0 {
            bucket.tokens -= 1.0;
            return Ok(());
        }
        let wait_ms = (1.0 - bucket.tokens) / per_ms;
        // At most a minute by the table above, so the walk is short; a float-to-integer cast would need a lint off.
        Err((1u32..=60)
            .find(|seconds| f64::from(*seconds) * 1000.0 >= wait_ms)
            .map_or(60, u64::from))
    }

    pub fn clear(&mut self) {
        self.levels.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_eleventh_patch_of_a_minute_waits_for_the_bucket_to_fill() {
        let mut buckets = Buckets::default();
        for _ in 0..10 {
            assert_eq!(buckets.take(Scope::Workspace(1), Family::GroupPatch, 0), Ok(()));
        }
        assert_eq!(buckets.take(Scope::Workspace(1), Family::GroupPatch, 0), Err(6));
        assert_eq!(buckets.take(Scope::Workspace(2), Family::GroupPatch, 0), Ok(()));
        assert_eq!(
            buckets.take(Scope::Workspace(1), Family::GroupPatch, 6_000),
            Ok(())
        );
    }
}
