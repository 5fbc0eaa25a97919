//! What it means that an object is another than before: who did something, and what was given up.

use std::collections::BTreeSet;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, ObjectMeta};
use kube::Resource;
use kube::core::object::HasStatus;
use lockstep_core::api::access_binding::{AccessBindingStatus, HeldThrough};
use lockstep_core::api::{AccessBinding, REQUESTED_AT};

use super::name::{KindName, Name, Subject};

/// What people do to an object, as opposed to what we report about it.
fn asked(meta: &ObjectMeta) -> (Option<&str>, Option<i64>, Option<&str>, bool) {
    let request = meta.annotations.as_ref().and_then(|all| all.get(REQUESTED_AT));
    (
        meta.uid.as_deref(),
        meta.generation,
        request.map(String::as_str),
        meta.deletion_timestamp.is_some(),
    )
}

/// Whether people did any of it.
pub(super) fn asked_again<K: Resource>(old: Option<&K>, new: Option<&K>) -> bool {
    old.map(|old| asked(old.meta())) != new.map(|new| asked(new.meta()))
}

/// Whether somebody wiped the status; we never leave one without `conditions`.
pub(super) fn lost_status<K: HasStatus>(
    old: Option<&K>,
    new: Option<&K>,
    conditions: impl Fn(&K::Status) -> &[Condition],
) -> bool {
    let has = |object: &K| {
        object
            .status()
            .is_some_and(|status| !conditions(status).is_empty())
    };
    old.is_some_and(has) && new.is_some_and(|new| !has(new))
}

/// Whether it holds something now, and did not before.
pub(super) fn took_up(old: Option<&AccessBinding>, new: Option<&AccessBinding>) -> bool {
    let holds = |binding: Option<&AccessBinding>| {
        let inventory = binding.and_then(|binding| binding.status.as_ref()?.inventory.as_ref());
        inventory.is_some_and(|rows| !rows.is_empty())
    };
    holds(new) && !holds(old)
}

/// Connections through which a binding held something.
pub(super) fn through(binding: Option<&AccessBinding>) -> Vec<Subject> {
    let rows = binding.and_then(|binding| binding.status.as_ref()?.through.as_ref());
    let subject = |row: &HeldThrough| {
        let kind = KindName::parse(&row.kind)?;
        Some(Subject::new(kind, Name::new(&row.namespace, &row.name)))
    };
    rows.into_iter().flatten().filter_map(subject).collect()
}

/// Whether a target left the inventory: another claimant may hold it from now on.
pub(super) fn gave_up(old: Option<&AccessBinding>, new: Option<&AccessBinding>) -> bool {
    let rows = |status: &AccessBindingStatus| -> BTreeSet<String> {
        let rows = status.inventory.iter().flatten();
        rows.map(|row| row.target.clone()).collect()
    };
    let (Some(old), Some(new)) = (old, new) else {
        return false;
    };
    let (Some(old), Some(new)) = (&old.status, &new.status) else {
        return false;
    };
    let len = |status: &AccessBindingStatus| status.inventory.as_ref().map_or(0, Vec::len);
    len(old) > len(new) && !rows(old).is_subset(&rows(new))
}
