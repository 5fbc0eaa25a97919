//! Which connections hold our finalizer already, and which are being deleted. A connection is asked who depends on it
//! when that may change either, and is left alone by the thousand bindings in between.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use lockstep_core::api::DEPENDANTS_FINALIZER;

use super::name::Subject;

/// Connections that exist.
#[derive(Debug, Default)]
pub struct Holding(Mutex<BTreeMap<Subject, State>>);

#[derive(Clone, Copy, Debug)]
struct State {
    held: bool,
    going: bool,
}

impl Holding {
    pub(super) fn observe(&self, connection: &Subject, meta: Option<&ObjectMeta>) {
        let Some(meta) = meta else {
            self.all().remove(connection);
            return;
        };
        let held = meta
            .finalizers
            .iter()
            .flatten()
            .any(|finalizer| finalizer == DEPENDANTS_FINALIZER);
        let going = meta.deletion_timestamp.is_some();
        self.all().insert(connection.clone(), State { held, going });
    }

    /// Whether one more user may be the first that counts.
    pub(super) fn lacks(&self, connection: &Subject) -> bool {
        let state = self.all().get(connection).copied();
        state.is_some_and(|State { held, going }| !held && !going)
    }

    /// Whether one user fewer may be the last that counted.
    pub(super) fn waits(&self, connection: &Subject) -> bool {
        self.all().get(connection).is_some_and(|state| state.going)
    }

    fn all(&self) -> MutexGuard<'_, BTreeMap<Subject, State>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
