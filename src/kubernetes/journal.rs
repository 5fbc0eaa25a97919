//! What must survive a crash, in the object's status under a field manager of its own, so that no report can ever
//! take it away.

use std::sync::Arc;

use async_trait::async_trait;
use kube::Client;
use lockstep_core::domain::access::{pins, trust};
use lockstep_core::domain::ports::{Journal, JournalState, KeepError, ObjectKey, Permit};
use serde_json::json;

use super::name::{KindName, Name};
use super::store::Store;
use super::write::Writer;

/// Field manager of inventory, intents, pins and ways.
pub const JOURNAL_MANAGER: &str = "lockstep/journal";

/// The journal in the status of bindings.
pub struct StatusJournal {
    store: Arc<Store>,
    writer: Writer,
}

impl StatusJournal {
    pub fn new(client: Client, store: Arc<Store>, permit: Arc<dyn Permit>) -> Self {
        Self {
            store,
            writer: Writer::new(client, permit),
        }
    }

    /// Whether the object's status says exactly this already.
    fn is_so(&self, object: &ObjectKey, state: &JournalState) -> bool {
        let name = Name::new(&object.namespace, &object.name);
        let Some(binding) = self.store.bindings.get(&name) else {
            return false;
        };
        let Some(status) = &binding.status else {
            return false;
        };
        binding.metadata.uid.as_deref() == Some(&object.uid)
            && status.inventory.as_ref() == Some(&state.inventory)
            && status.intents.as_ref() == Some(&state.intents)
            && status.pins.as_ref() == Some(&pins::write(&state.pins))
            && status.through.as_ref() == Some(&trust::write(&state.through))
    }
}

#[async_trait]
impl Journal for StatusJournal {
    async fn write(&self, object: &ObjectKey, state: &JournalState) -> Result<(), KeepError> {
        if KindName::parse(&object.kind) != Some(KindName::AccessBinding) {
            return Err(KeepError {
                what: "journal",
                message: format!("{object} keeps no journal"),
            });
        }
        if self.is_so(object, state) {
            return Ok(());
        }
        let JournalState {
            inventory,
            intents,
            pins: names,
            through,
        } = state;
        // Empty lists are written: an inventory that holds nothing is not one that was lost.
        let status = json!({"inventory": inventory, "intents": intents, "pins": pins::write(names), "through": trust::write(through)});
        self.writer
            .apply_status(&self.store.bindings, object, JOURNAL_MANAGER, &status)
            .await
            .map_err(|error| KeepError {
                what: "journal",
                message: error.message,
            })
    }
}
