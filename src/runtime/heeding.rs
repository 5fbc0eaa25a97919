//! Follows hints while this replica leads: whom a hint concerns is woken, and reads anew what it names. Whoever begins
//! to lead looks at everything, so that nothing is lost of what an earlier leader had heard.

use std::convert::Infallible;
use std::sync::Arc;

use super::hints::Hearing;
use crate::controllers::branches::Branches;
use crate::controllers::{Context, hinted};
use crate::kubernetes::{KindName, Name, Store, Subject};

/// What following a hint takes.
pub(super) struct Heeding {
    pub context: Arc<Context>,
    pub branches: Arc<Branches>,
    pub store: Arc<Store>,
}

impl Heeding {
    /// Until dropped.
    pub async fn follow(&self, hearing: Hearing) -> Infallible {
        loop {
            for (connection, hints) in hearing.next().await {
                for hint in hints {
                    let concerned = hinted::heed(&connection, &hint, &self.branches, &self.context).await;
                    tracing::debug!(%connection, ?hint, concerned = concerned.len(), "a hint is followed");
                    for object in concerned {
                        if let Some(kind) = KindName::parse(&object.kind) {
                            let name = Name::new(&object.namespace, &object.name);
                            self.store.wake(Subject::new(kind, name));
                        }
                    }
                }
            }
        }
    }
}
