//! Notices that a Secret changed on which a connection depends, without ever holding a Secret.
//!
//! Versions are asked for one by one: a watch needs the right to list, and who may list Secrets can read them all.
//! There are as many to ask about as there are connections, which is few.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use k8s_openapi::api::core::v1::Secret;
use kube::core::PartialObjectMeta;
use kube::{Api, Client, Resource as _};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::arrival::Arrived;
use super::index::Word;
use super::store::Wiring;

/// Time between two looks at the same Secret, however few there are.
const PERIOD: Duration = Duration::from_secs(10);
/// Time between two requests, however many Secrets there are.
const PACE: Duration = Duration::from_millis(50);
const ANSWER: Duration = Duration::from_secs(5);

/// Namespace and name of a Secret.
type Which = (String, String);

/// Which Secrets matter, and who is told.
pub(super) struct RotationWatch {
    client: Client,
    wiring: Arc<Wiring>,
    named: Mutex<BTreeMap<Which, Named>>,
    changed: watch::Sender<()>,
}

/// A Secret that connections name.
#[derive(Debug, Default)]
struct Named {
    /// How many connections do.
    by: usize,
    seen: Seen,
}

/// What the last look saw.
#[derive(Debug, Default, PartialEq, Eq)]
enum Seen {
    #[default]
    NotYet,
    Missing,
    Version(String),
}

impl RotationWatch {
    pub(super) fn new(client: Client, wiring: Arc<Wiring>) -> Arc<Self> {
        Arc::new(Self {
            client,
            wiring,
            named: Mutex::default(),
            changed: watch::Sender::new(()),
        })
    }

    fn named(&self) -> MutexGuard<'_, BTreeMap<Which, Named>> {
        self.named.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A connection names other Secrets than before.
    pub(super) fn refer(&self, namespace: &str, old: &BTreeSet<String>, new: &BTreeSet<String>) {
        if old == new {
            return;
        }
        {
            let mut named = self.named();
            let which = |name: &String| (namespace.to_owned(), name.clone());
            for name in new.difference(old) {
                named.entry(which(name)).or_default().by += 1;
            }
            for name in old.difference(new) {
                if let Some(secret) = named.get_mut(&which(name)) {
                    secret.by = secret.by.saturating_sub(1);
                }
            }
            named.retain(|_, secret| secret.by > 0);
        }
        self.changed.send_replace(());
    }

    /// Looks again and again until dropped.
    pub(super) async fn follow(self: Arc<Self>) {
        let mut changed = self.changed.subscribe();
        loop {
            changed.mark_unchanged();
            let all: Vec<Which> = self.named().keys().cloned().collect();
            for which in &all {
                self.look(which).await;
                sleep(PACE).await;
            }
            tokio::select! {
                () = sleep(PERIOD) => {}
                // A Secret that is named for the first time is looked at at once: it may change any moment.
                _ = changed.changed() => {}
            }
        }
    }

    async fn look(&self, which: &Which) {
        let (namespace, name) = which;
        let api: Api<Arrived<PartialObjectMeta<Secret>>> = Api::namespaced(self.client.clone(), namespace);
        let seen = match timeout(ANSWER, api.get_opt(name)).await {
            Ok(Ok(secret)) => secret
                .and_then(|secret| secret.meta().resource_version.clone())
                .map_or(Seen::Missing, Seen::Version),
            Ok(Err(error)) => {
                tracing::debug!(namespace, name, %error, "cannot see whether the Secret changed");
                return;
            }
            Err(_) => return,
        };
        let news = {
            let mut named = self.named();
            let Some(secret) = named.get_mut(which) else {
                return;
            };
            // One that is there at first sight counts as new: the connection may have looked before it was.
            let news = match secret.seen {
                Seen::NotYet => seen != Seen::Missing,
                _ => secret.seen != seen,
            };
            secret.seen = seen;
            news
        };
        if news {
            self.wiring.wake_word(Word::secret(namespace, name));
        }
    }
}
