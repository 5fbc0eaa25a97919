//! Names under which the record says that something was ever gained. Every object that looks new is asked about, so a
//! name that was never in use must not cost a reading of the whole record.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use lockstep_core::domain::ports::{Entry, KeepError};
use tokio::sync::OnceCell;

use super::fold::{Whose, gains, holders};

/// The names, with how often something was gained under each while we watched.
#[derive(Debug, Default)]
pub(super) struct Heard {
    names: Mutex<HashMap<Whose, u64>>,
    scanned: OnceCell<()>,
}

impl Heard {
    fn names(&self) -> MutexGuard<'_, HashMap<Whose, u64>> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps the names current. To be told before an entry is appended and after: a reading may fall in between.
    pub(super) fn hear(&self, whose: Option<&Whose>) {
        if let Some(whose) = whose {
            *self.names().entry(whose.clone()).or_default() += 1;
        }
    }

    /// How often something was gained, as far as is known without reading.
    pub(super) fn count(&self, whose: &Whose) -> Option<u64> {
        self.names().get(whose).copied()
    }

    /// Whether anything ever was. The first to ask has the record read once.
    pub(super) async fn of(&self, whose: &Whose, directory: &Path) -> Result<bool, KeepError> {
        self.scanned
            .get_or_try_init(|| async {
                let directory = directory.to_owned();
                let found = tokio::task::spawn_blocking(move || holders(&directory))
                    .await
                    .map_err(|error| KeepError {
                        what: "record",
                        message: format!("it was not read to its end: {error}"),
                    })??;
                let mut names = self.names();
                for whose in found {
                    names.entry(whose).or_default();
                }
                Ok(())
            })
            .await?;
        Ok(self.names().contains_key(whose))
    }

    /// A reading showed that nothing is held any more; unless something was gained since.
    pub(super) fn forget(&self, whose: &Whose, count: u64) {
        let mut names = self.names();
        if names.get(whose) == Some(&count) {
            names.remove(whose);
        }
    }
}

/// Under whose name an entry gains something.
pub(super) fn gaining(entry: &Entry) -> Option<Whose> {
    let Entry {
        object,
        event,
        gained,
        ..
    } = entry;
    gains(&object.kind, *event, gained.len()).then(|| (object.namespace.clone(), object.name.clone()))
}
