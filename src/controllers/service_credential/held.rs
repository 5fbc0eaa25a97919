//! Values that are on their way into stores while a store does not answer. They live in this process alone: after a crash
//! such a value is lost, revoked and minted anew.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use lockstep_core::domain::rotation::machine::state::Rotation;
use lockstep_core::domain::rotation::value::Value;

/// Values of one credential by generation.
pub type Values = BTreeMap<u64, Value>;

/// Values by uid of their credential.
#[derive(Default)]
pub struct Held(Mutex<BTreeMap<String, Values>>);

impl Held {
    /// Takes them out: whoever keeps on needing them puts them back.
    pub fn take(&self, uid: &str) -> Values {
        self.lock().remove(uid).unwrap_or_default()
    }

    /// Keeps what no store may have yet.
    pub fn keep(&self, uid: &str, mut values: Values, rotation: &Rotation) {
        let coming = rotation.coming().map(|coming| coming.number);
        values.retain(|number, _| Some(*number) == coming);
        if !values.is_empty() {
            self.lock().insert(uid.to_owned(), values);
        }
    }

    pub fn forget(&self, uid: &str) {
        self.lock().remove(uid);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Values>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
