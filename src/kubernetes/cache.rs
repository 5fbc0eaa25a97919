//! One kind as the watch shows it, and as our own writes have just left it.
//!
//! An answer to a write is taken into the cache at once, so that the next pass sees what this one wrote even while
//! the watch lags. Resource versions decide who is newer; the API server promises that they can be compared.

use std::collections::HashMap;
use std::pin::pin;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use futures::StreamExt as _;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::runtime::watcher::{self, Event};
use kube::runtime::{WatchStreamExt as _, watcher as watch_kind};
use kube::{Api, Resource};
use tokio::sync::watch;

use super::arrival::{Arrived, Body, Kind, Undecodable};
use super::backoff::Doubling;
use super::name::Name;

/// Objects of one kind.
pub struct Cache<K> {
    entries: RwLock<Entries<K>>,
    listener: Listener<K>,
    synced: watch::Sender<bool>,
}

/// Is told of every change while the cache is locked: it must be quick and must not ask the same cache.
pub type Listener<K> = Box<dyn Fn(&Name, Option<&Held<K>>, Option<&Held<K>>) + Send + Sync>;

struct Entries<K> {
    held: HashMap<Name, Held<K>>,
    /// How many listings have begun.
    epoch: u32,
    /// The newest version that the API server has shown.
    shown: Option<u64>,
}

/// One object.
#[derive(Clone, Debug)]
pub struct Held<K> {
    /// The object as it last decoded.
    pub object: Option<Arc<K>>,
    /// Why the newest version does not decode.
    pub undecodable: Option<Arc<Undecodable>>,
    /// Digest of the report's part of its status.
    pub report: u64,
    /// `None`: the server does not count, so nothing is ever taken for old.
    version: Option<u64>,
    /// The listing that last showed it.
    seen: u32,
    /// The listing during which an answer to our own write last changed it.
    written: u32,
}

/// What a look at one name finds.
#[derive(Clone, Debug)]
pub enum Look<K> {
    Found(Arc<K>),
    Undecodable(Arc<Undecodable>),
    Gone,
}

/// Where a version of an object comes from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Source {
    Listing,
    Watch,
    OwnWrite,
    OwnCreation,
}

impl<K: Kind> Held<K> {
    /// Metadata of the newest version.
    fn meta(&self) -> Option<&ObjectMeta> {
        match (&self.undecodable, &self.object) {
            (Some(broken), _) => Some(&broken.metadata),
            (None, Some(object)) => Some(object.meta()),
            (None, None) => None,
        }
    }

    fn uid(&self) -> Option<&str> {
        self.meta().and_then(|meta| meta.uid.as_deref())
    }
}

impl<K: Kind> Cache<K> {
    pub fn new(
        listener: impl Fn(&Name, Option<&Held<K>>, Option<&Held<K>>) + Send + Sync + 'static,
    ) -> Arc<Self> {
        Arc::new(Self {
            entries: RwLock::new(Entries {
                held: HashMap::new(),
                epoch: 0,
                shown: None,
            }),
            listener: Box::new(listener),
            synced: watch::Sender::new(false),
        })
    }

    fn read(&self) -> RwLockReadGuard<'_, Entries<K>> {
        self.entries.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Entries<K>> {
        self.entries.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// The object, if its newest version decodes.
    pub fn get(&self, name: &Name) -> Option<Arc<K>> {
        match self.look(name) {
            Look::Found(object) => Some(object),
            Look::Undecodable(_) | Look::Gone => None,
        }
    }

    pub fn look(&self, name: &Name) -> Look<K> {
        match self.read().held.get(name) {
            None => Look::Gone,
            Some(Held {
                undecodable: Some(broken),
                ..
            }) => Look::Undecodable(broken.clone()),
            Some(held) => held.object.clone().map_or(Look::Gone, Look::Found),
        }
    }

    /// The object as it last decoded: what it claimed then it claims until it is understood again.
    pub fn last_known(&self, name: &Name) -> Option<Arc<K>> {
        self.read().held.get(name).and_then(|held| held.object.clone())
    }

    /// Every object as it last decoded.
    pub fn all(&self) -> Vec<Arc<K>> {
        let entries = self.read();
        entries
            .held
            .values()
            .filter_map(|held| held.object.clone())
            .collect()
    }

    /// Objects that have never decoded: nobody knows what they ask.
    pub fn never_understood(&self) -> Vec<Arc<Undecodable>> {
        let entries = self.read();
        let unknown = entries.held.values().filter(|held| held.object.is_none());
        unknown.filter_map(|held| held.undecodable.clone()).collect()
    }

    /// How many objects there are, and how many of them pass a test.
    pub fn count(&self, test: impl Fn(&K) -> bool) -> (usize, usize) {
        let entries = self.read();
        let good = |held: &&Held<K>| held.undecodable.is_none() && held.object.as_deref().is_some_and(&test);
        (entries.held.len(), entries.held.values().filter(good).count())
    }

    pub fn names(&self) -> Vec<Name> {
        self.read().held.keys().cloned().collect()
    }

    pub fn len(&self) -> usize {
        self.read().held.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Digest of the report in the status of this very object.
    pub fn report(&self, name: &Name, uid: &str) -> Option<u64> {
        let entries = self.read();
        let held = entries.held.get(name)?;
        (held.uid() == Some(uid)).then_some(held.report)
    }

    /// Newest known version of this very object, as the API server names it.
    pub fn version(&self, name: &Name, uid: &str) -> Option<String> {
        let entries = self.read();
        let meta = entries.held.get(name)?.meta()?;
        (meta.uid.as_deref() == Some(uid)).then(|| meta.resource_version.clone())?
    }

    /// Returns once the first listing is complete.
    pub async fn synced(&self) {
        // The sender lives as long as the cache, so waiting cannot fail.
        let _ = self.synced.subscribe().wait_for(|synced| *synced).await;
    }

    pub fn is_synced(&self) -> bool {
        *self.synced.borrow()
    }

    /// Takes in the answer to a write of our own.
    pub fn learn(&self, arrived: Arrived<K>) {
        let meta = arrived.meta();
        if meta.deletion_timestamp.is_some() && meta.finalizers.as_ref().is_none_or(Vec::is_empty) {
            // The write took the last finalizer: the object is gone, whatever the watch still says.
            let (name, uid) = (Name::of(&arrived), meta.uid.clone());
            self.remove(&name, uid.as_deref());
        } else {
            self.take(arrived, Source::OwnWrite);
        }
    }

    /// Takes in an object that we have just made.
    pub fn learn_made(&self, arrived: Arrived<K>) {
        self.take(arrived, Source::OwnCreation);
    }

    /// The API server has just shown that this very object is gone.
    pub(super) fn forget(&self, name: &Name, uid: &str) {
        self.remove(name, Some(uid));
    }

    /// Keeps the cache current until the future is dropped.
    pub async fn follow(self: Arc<Self>, api: Api<Arrived<K>>, config: watcher::Config) {
        let backoff = Doubling::new(Duration::from_millis(200), Duration::from_secs(5));
        let mut events = pin!(watch_kind(api, config).backoff(backoff));
        while let Some(event) = events.next().await {
            match event {
                Ok(event) => self.observe(event),
                Err(error) => tracing::warn!(kind = %K::kind(&()), %error, "watch interrupted"),
            }
        }
    }

    fn observe(&self, event: Event<Arrived<K>>) {
        match event {
            Event::Init => self.write().epoch += 1,
            Event::InitApply(arrived) => self.take(arrived, Source::Listing),
            Event::InitDone => {
                self.drop_unseen();
                self.synced.send_replace(true);
            }
            Event::Apply(arrived) => self.take(arrived, Source::Watch),
            Event::Delete(arrived) => {
                let uid = arrived.meta().uid.clone();
                self.saw(version(&arrived));
                self.remove(&Name::of(&arrived), uid.as_deref());
            }
        }
    }

    fn take(&self, arrived: Arrived<K>, source: Source) {
        let name = Name::of(&arrived);
        let uid = arrived.meta().uid.clone();
        let version = version(&arrived);
        let mut entries = self.write();
        let epoch = entries.epoch;
        let own = matches!(source, Source::OwnWrite | Source::OwnCreation);
        let passed = version <= entries.shown;
        if !own {
            entries.shown = entries.shown.max(version);
        }
        let old = entries.held.get_mut(&name);
        if let Some(old) = old {
            if source == Source::Listing {
                old.seen = epoch;
            }
            let same = old.uid() == uid.as_deref();
            let stale = match source {
                // A listing is the truth, even if versions went back because the cluster was restored; only what we
                // wrote since it began can be newer.
                Source::Listing => version == old.version || (version < old.version && old.written == epoch),
                Source::Watch | Source::OwnWrite | Source::OwnCreation => {
                    version.is_some() && version <= old.version
                }
            };
            if (same && stale) || (!same && own) {
                return;
            }
        } else if source == Source::OwnWrite || (source == Source::OwnCreation && passed) {
            // Deleted while the answer was on its way: it must not rise again. What the watch has gone past without
            // showing it, it has shown and taken away.
            return;
        }
        let old = entries.held.remove(&name);
        let Arrived { body, report } = arrived;
        let (object, undecodable) = match body {
            Body::Decoded(object) => (Some(Arc::new(*object)), None),
            Body::Undecodable(broken) => (
                old.as_ref()
                    .filter(|old| old.uid() == uid.as_deref())
                    .and_then(|old| old.object.clone()),
                Some(Arc::from(broken)),
            ),
        };
        let new = Held {
            object,
            undecodable,
            report,
            version,
            seen: if source == Source::Listing {
                epoch
            } else {
                old.as_ref().map_or(epoch, |old| old.seen)
            },
            written: if own {
                epoch
            } else {
                old.as_ref().map_or(0, |old| old.written)
            },
        };
        (self.listener)(&name, old.as_ref(), Some(&new));
        entries.held.insert(name, new);
    }

    fn saw(&self, version: Option<u64>) {
        let mut entries = self.write();
        entries.shown = entries.shown.max(version);
    }

    fn remove(&self, name: &Name, uid: Option<&str>) {
        let mut entries = self.write();
        if entries.held.get(name).is_some_and(|held| held.uid() == uid)
            && let Some(old) = entries.held.remove(name)
        {
            (self.listener)(name, Some(&old), None);
        }
    }

    fn drop_unseen(&self) {
        let mut entries = self.write();
        let epoch = entries.epoch;
        let gone: Vec<Name> = entries
            .held
            .iter()
            .filter(|(_, held)| held.seen != epoch)
            .map(|(name, _)| name.clone())
            .collect();
        for name in gone {
            if let Some(old) = entries.held.remove(&name) {
                (self.listener)(&name, Some(&old), None);
            }
        }
        // In a cluster that was restored versions count from an older one.
        entries.shown = entries.held.values().filter_map(|held| held.version).max();
        entries.held.shrink_to_fit();
    }
}

fn version<K: Kind>(arrived: &Arrived<K>) -> Option<u64> {
    arrived.meta().resource_version.as_deref()?.parse().ok()
}

#[cfg(test)]
#[path = "cache_tests.rs"]
mod tests;
