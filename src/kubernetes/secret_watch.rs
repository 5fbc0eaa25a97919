//! Notices that a Secret changed on which a connection depends, without ever holding a Secret: metadata alone is
//! watched, only in namespaces that have connections, and only versions of the Secrets that they name are kept.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::StreamExt as _;
use k8s_openapi::api::core::v1::Secret;
use kube::core::PartialObjectMeta;
use kube::runtime::watcher::{self, Event};
use kube::runtime::{WatchStreamExt as _, watcher as watch_kind};
use kube::{Api, Client, Resource as _, ResourceExt as _};
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};

use super::arrival::Arrived;
use super::backoff::Doubling;
use super::index::Word;
use super::store::Wiring;

type Metadata = Arrived<PartialObjectMeta<Secret>>;

/// Which Secrets matter, and who is told.
pub(super) struct SecretWatch {
    client: Client,
    wiring: Arc<Wiring>,
    /// How many connections name a Secret, by namespace and name.
    named: Mutex<BTreeMap<String, BTreeMap<String, usize>>>,
    changed: watch::Sender<()>,
}

impl SecretWatch {
    pub(super) fn new(client: Client, wiring: Arc<Wiring>) -> Arc<Self> {
        Arc::new(Self {
            client,
            wiring,
            named: Mutex::default(),
            changed: watch::Sender::new(()),
        })
    }

    fn named(&self) -> MutexGuard<'_, BTreeMap<String, BTreeMap<String, usize>>> {
        self.named.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A connection names other Secrets than before.
    pub(super) fn refer(&self, namespace: &str, old: &BTreeSet<String>, new: &BTreeSet<String>) {
        if old == new {
            return;
        }
        {
            let mut named = self.named();
            let secrets = named.entry(namespace.to_owned()).or_default();
            for name in new.difference(old) {
                *secrets.entry(name.clone()).or_default() += 1;
            }
            for name in old.difference(new) {
                if let Some(count) = secrets.get_mut(name) {
                    *count = count.saturating_sub(1);
                }
            }
            secrets.retain(|_, count| *count > 0);
            if secrets.is_empty() {
                named.remove(namespace);
            }
        }
        self.changed.send_replace(());
    }

    /// Runs one watch per namespace that has connections.
    pub(super) async fn follow(self: Arc<Self>) {
        let mut changed = self.changed.subscribe();
        let mut watches: HashMap<String, AbortHandle> = HashMap::new();
        let mut tasks = JoinSet::new();
        loop {
            let wanted: BTreeSet<String> = self.named().keys().cloned().collect();
            watches.retain(|namespace, watch| {
                let keep = wanted.contains(namespace);
                if !keep {
                    watch.abort();
                }
                keep
            });
            for namespace in wanted {
                watches.entry(namespace.clone()).or_insert_with(|| {
                    let this = self.clone();
                    tasks.spawn(async move { this.follow_namespace(&namespace).await })
                });
            }
            tokio::select! {
                done = changed.changed() => if done.is_err() { return },
                Some(_) = tasks.join_next() => {}
            }
        }
    }

    async fn follow_namespace(&self, namespace: &str) {
        let api: Api<Metadata> = Api::namespaced(self.client.clone(), namespace);
        let backoff = Doubling::new(Duration::from_millis(200), Duration::from_secs(30));
        let mut events = pin!(watch_kind(api, watcher::Config::default().page_size(250)).backoff(backoff));
        let mut versions: HashMap<String, Option<String>> = HashMap::new();
        let mut seen: HashSet<String> = HashSet::new();
        while let Some(event) = events.next().await {
            match event {
                Ok(Event::Init) => seen.clear(),
                Ok(Event::InitApply(secret)) => {
                    seen.insert(secret.name_any());
                    self.version_seen(namespace, &secret, &mut versions);
                }
                Ok(Event::InitDone) => {
                    let gone: Vec<String> = versions
                        .keys()
                        .filter(|name| !seen.contains(*name))
                        .cloned()
                        .collect();
                    for name in gone {
                        versions.remove(&name);
                        self.wiring.wake_word(Word::secret(namespace, &name));
                    }
                    seen = HashSet::new();
                }
                Ok(Event::Apply(secret)) => self.version_seen(namespace, &secret, &mut versions),
                Ok(Event::Delete(secret)) => {
                    let name = secret.name_any();
                    versions.remove(&name);
                    self.wiring.wake_word(Word::secret(namespace, &name));
                }
                Err(error) => {
                    tracing::warn!(namespace, %error, "cannot watch for changes of Secrets: they are seen at the interval");
                }
            }
        }
    }

    fn version_seen(
        &self,
        namespace: &str,
        secret: &Metadata,
        versions: &mut HashMap<String, Option<String>>,
    ) {
        let name = secret.name_any();
        let matters = self
            .named()
            .get(namespace)
            .is_some_and(|secrets| secrets.contains_key(&name));
        let version = secret.meta().resource_version.clone();
        // A version first seen counts as a change: the connection may have looked before the Secret was there.
        if matters && versions.get(&name) != Some(&version) {
            versions.insert(name.clone(), version);
            self.wiring.wake_word(Word::secret(namespace, &name));
        }
    }
}
