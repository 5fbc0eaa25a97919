//! All watch caches together: what is in the cluster, and who has to be looked at when something there changes.
//!
//! A status that only we wrote wakes nobody. What wakes an object: its generation, a request by annotation, its
//! deletion; and for dependants a connection that became ready, a Secret that was rotated, another claimant that
//! gave something up, an approval, labels of its namespace.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::core::PartialObjectMeta;
use kube::runtime::watcher;
use kube::{Api, Client};
use lockstep_core::api::condition::ConditionType;
use lockstep_core::api::{
    AccessBinding, ChangeFreeze, CredentialStore, DatabricksConnection, GerritConnection, PlanApproval,
    Promotion, PromotionPolicy, ServiceCredential,
};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinSet;

use super::arrival::{Arrived, Kind};
use super::cache::{Cache, Held};
use super::changes::{asked_again, gave_up, lost_status, through, took_up};
use super::departures::Departures;
use super::holding::Holding;
use super::index::{
    Index, Word, claims_of, connections_of, meets, secrets_of_databricks, secrets_of_gerrit, secrets_of_store,
};
use super::kinds::Kinds;
use super::name::{KindName, Name, Subject};
use super::protection::Protection;
use super::rotation_watch::RotationWatch;

/// Everything the operator knows of the cluster.
pub struct Store {
    pub gerrit_connections: Arc<Cache<GerritConnection>>,
    pub databricks_connections: Arc<Cache<DatabricksConnection>>,
    pub bindings: Arc<Cache<AccessBinding>>,
    pub approvals: Arc<Cache<PlanApproval>>,
    pub policies: Arc<Cache<PromotionPolicy>>,
    pub promotions: Arc<Cache<Promotion>>,
    pub freezes: Arc<Cache<ChangeFreeze>>,
    pub credentials: Arc<Cache<ServiceCredential>>,
    pub credential_stores: Arc<Cache<CredentialStore>>,
    pub namespaces: Arc<Cache<PartialObjectMeta<Namespace>>>,
    pub kinds: Kinds,
    pub protection: Protection,
    pub(super) departures: Arc<Departures>,
    secrets: Arc<RotationWatch>,
    wiring: Arc<Wiring>,
}

/// What the listeners of the caches share.
pub(super) struct Wiring {
    index: Mutex<Index>,
    holding: Holding,
    wake: UnboundedSender<Subject>,
}

impl Store {
    /// Empty caches, and the objects that should be looked at from now on.
    pub fn new(client: &Client) -> (Arc<Self>, UnboundedReceiver<Subject>) {
        let (wake, woken) = unbounded_channel();
        let wiring = Arc::new(Wiring {
            index: Mutex::default(),
            holding: Holding::default(),
            wake,
        });
        let secrets = RotationWatch::new(client.clone(), wiring.clone());
        let gerrit = (wiring.clone(), secrets.clone());
        let databricks = (wiring.clone(), secrets.clone());
        let (bindings, approvals, namespaces) = (wiring.clone(), wiring.clone(), wiring.clone());
        let (policies, promotions, freezes) = (wiring.clone(), wiring.clone(), wiring.clone());
        let (credentials, stores) = (wiring.clone(), (wiring.clone(), secrets.clone()));
        let departures = Arc::new(Departures::default());
        let going = departures.clone();
        let store = Self {
            gerrit_connections: Cache::new(move |name, old, new| {
                let state = |connection: &GerritConnection| {
                    let status = connection.status.clone().unwrap_or_default();
                    (ready(&status.conditions), vec![status.server])
                };
                let reads = |connection: &GerritConnection| secrets_of_gerrit(&connection.spec);
                let subject = Subject::new(KindName::GerritConnection, name.clone());
                gerrit
                    .0
                    .connection_changed(&subject, old, new, &gerrit.1, state, reads);
            }),
            databricks_connections: Cache::new(move |name, old, new| {
                let state = |connection: &DatabricksConnection| {
                    let status = connection.status.clone().unwrap_or_default();
                    let ids = vec![status.workspace_id, status.account_id, status.metastore_id];
                    (ready(&status.conditions), ids)
                };
                let reads = |connection: &DatabricksConnection| secrets_of_databricks(&connection.spec);
                let subject = Subject::new(KindName::DatabricksConnection, name.clone());
                databricks
                    .0
                    .connection_changed(&subject, old, new, &databricks.1, state, reads);
            }),
            bindings: Cache::new(move |name, old, new| {
                let held = |held: Option<&Held<AccessBinding>>| held.and_then(|held| held.object.clone());
                going.observe(held(old).as_ref(), held(new).as_ref());
                bindings.binding_changed(name, old, new);
            }),
            approvals: Cache::new(move |_, old, new| approvals.approval_changed(object(old), object(new))),
            policies: Cache::new(move |name, old, new| policies.policy_changed(name, old, new)),
            promotions: Cache::new(move |name, old, new| promotions.promotion_changed(name, old, new)),
            freezes: Cache::new(move |name, old, new| freezes.freeze_changed(name, old, new)),
            credentials: Cache::new(move |name, old, new| credentials.credential_changed(name, old, new)),
            credential_stores: Cache::new(move |name, old, new| {
                let state =
                    |store: &CredentialStore| ready(&store.status.clone().unwrap_or_default().conditions);
                let reads = |store: &CredentialStore| secrets_of_store(&store.spec);
                let subject = Subject::new(KindName::CredentialStore, name.clone());
                stores
                    .0
                    .connection_changed(&subject, old, new, &stores.1, state, reads);
                stores.0.scope_changed(&subject, object(old), object(new));
            }),
            namespaces: Cache::new(move |name, old, new| {
                let labels = |held: Option<&Held<PartialObjectMeta<Namespace>>>| {
                    object(held).and_then(|namespace| namespace.metadata.labels.clone())
                };
                if labels(old) != labels(new) {
                    namespaces.wake_word(Word::namespace(name.name()));
                }
            }),
            kinds: Kinds::new(client),
            protection: Protection::new(),
            departures,
            secrets,
            wiring,
        };
        (Arc::new(store), woken)
    }

    /// Keeps all caches current until the set is dropped. The kinds must exist.
    pub fn follow(&self, client: &Client, tasks: &mut JoinSet<()>) {
        watch(&self.gerrit_connections, client, tasks);
        watch(&self.databricks_connections, client, tasks);
        watch(&self.bindings, client, tasks);
        watch(&self.approvals, client, tasks);
        watch(&self.policies, client, tasks);
        watch(&self.promotions, client, tasks);
        watch(&self.freezes, client, tasks);
        watch(&self.credentials, client, tasks);
        watch(&self.credential_stores, client, tasks);
        watch(&self.namespaces, client, tasks);
        self.protection.follow(client, tasks);
        tasks.spawn(self.secrets.clone().follow());
    }

    /// Returns once every cache has been filled.
    pub async fn synced(&self) {
        self.gerrit_connections.synced().await;
        self.databricks_connections.synced().await;
        self.bindings.synced().await;
        self.approvals.synced().await;
        self.policies.synced().await;
        self.promotions.synced().await;
        self.freezes.synced().await;
        self.credentials.synced().await;
        self.credential_stores.synced().await;
        self.namespaces.synced().await;
        self.protection.synced().await;
    }

    pub fn is_synced(&self) -> bool {
        self.gerrit_connections.is_synced()
            && self.databricks_connections.is_synced()
            && self.bindings.is_synced()
            && self.approvals.is_synced()
            && self.policies.is_synced()
            && self.promotions.is_synced()
            && self.freezes.is_synced()
            && self.credentials.is_synced()
            && self.credential_stores.is_synced()
            && self.namespaces.is_synced()
    }

    /// Everything that is reconciled, connections first.
    pub fn subjects(&self) -> Vec<Subject> {
        let of = |kind, names: Vec<Name>| names.into_iter().map(move |name| Subject::new(kind, name));
        of(KindName::GerritConnection, self.gerrit_connections.names())
            .chain(of(
                KindName::DatabricksConnection,
                self.databricks_connections.names(),
            ))
            .chain(of(KindName::CredentialStore, self.credential_stores.names()))
            .chain(of(KindName::ChangeFreeze, self.freezes.names()))
            .chain(of(KindName::PlanApproval, self.approvals.names()))
            .chain(of(KindName::AccessBinding, self.bindings.names()))
            .chain(of(KindName::PromotionPolicy, self.policies.names()))
            .chain(of(KindName::Promotion, self.promotions.names()))
            .chain(of(KindName::ServiceCredential, self.credentials.names()))
            .collect()
    }

    /// How many objects of a kind there are, and how many of them are Ready as they stand.
    pub fn count(&self, kind: KindName) -> (usize, usize) {
        // Every kind has a status type of its own, with the same two fields.
        macro_rules! ready_of {
            ($cache:expr) => {
                $cache.count(|object| {
                    let status = object.status.as_ref();
                    status.is_some_and(|status| {
                        status.observed_generation == object.metadata.generation
                            && ready(&status.conditions) == Some(true)
                    })
                })
            };
        }
        match kind {
            KindName::GerritConnection => ready_of!(self.gerrit_connections),
            KindName::DatabricksConnection => ready_of!(self.databricks_connections),
            KindName::AccessBinding => ready_of!(self.bindings),
            KindName::PromotionPolicy => ready_of!(self.policies),
            KindName::Promotion => ready_of!(self.promotions),
            KindName::ChangeFreeze => ready_of!(self.freezes),
            KindName::CredentialStore => ready_of!(self.credential_stores),
            KindName::ServiceCredential => ready_of!(self.credentials),
            KindName::PlanApproval => self.approvals.count(|_| true),
        }
    }

    /// Has an object looked at now.
    pub fn wake(&self, subject: Subject) {
        self.wiring.wake(subject);
    }

    /// Names under a word, of one kind.
    pub fn find(&self, word: Word, kind: KindName) -> Vec<Name> {
        let index = self.wiring.index.lock().unwrap_or_else(PoisonError::into_inner);
        let found = index.find(word).into_iter();
        found
            .filter(|subject| subject.kind == kind)
            .map(|subject| subject.name)
            .collect()
    }
}

fn watch<K: Kind>(cache: &Arc<Cache<K>>, client: &Client, tasks: &mut JoinSet<()>) {
    let api: Api<Arrived<K>> = Api::all(client.clone());
    // Small pages: a page is held whole, with everything that will be trimmed.
    let config = watcher::Config::default().page_size(250);
    tasks.spawn(cache.clone().follow(api, config));
}

pub(super) fn object<K>(held: Option<&Held<K>>) -> Option<&K> {
    held.and_then(|held| held.object.as_deref())
}

/// The version that does not decode, if the newest one does not.
pub(super) fn undecodable<K>(held: Option<&Held<K>>) -> Option<&str> {
    let broken = held.and_then(|held| held.undecodable.as_ref())?;
    broken.metadata.resource_version.as_deref()
}

/// Whether the object is ready, not ready, or has not said so yet: three things to whom depends on it.
fn ready(conditions: &[Condition]) -> Option<bool> {
    let ready = ConditionType::Ready.to_string();
    let said = conditions.iter().find(|condition| condition.type_ == ready);
    said.map(|condition| condition.status == "True")
}

impl Wiring {
    fn index(&self) -> std::sync::MutexGuard<'_, Index> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether one more user of a connection may be the first that counts.
    pub(super) fn is_without_finalizer(&self, connection: &Subject) -> bool {
        self.holding.lacks(connection)
    }

    /// Whether one user fewer of a connection may be the last that counted.
    pub(super) fn is_going(&self, connection: &Subject) -> bool {
        self.holding.waits(connection)
    }

    pub(super) fn wake(&self, subject: Subject) {
        // Nobody listens any more only while the process ends.
        let _ = self.wake.send(subject);
    }

    pub(super) fn wake_word(&self, word: Word) {
        let found = self.index().find(word);
        for subject in found {
            self.wake(subject);
        }
    }

    /// Moves an object from its old words to its new ones.
    pub(super) fn reindex(&self, subject: &Subject, old: &BTreeSet<Word>, new: &BTreeSet<Word>) {
        let mut index = self.index();
        for word in old.difference(new) {
            index.remove(*word, subject);
        }
        for word in new.difference(old) {
            index.add(*word, subject);
        }
    }

    fn connection_changed<K: Kind, S: PartialEq>(
        &self,
        subject: &Subject,
        old: Option<&Held<K>>,
        new: Option<&Held<K>>,
        secrets: &RotationWatch,
        state: impl Fn(&K) -> S,
        reads: impl Fn(&K) -> BTreeSet<String>,
    ) {
        let torn = undecodable(old) != undecodable(new);
        let (old, new) = (object(old), object(new));
        self.holding.observe(subject, new.map(K::meta));
        let namespace = subject.name.namespace();
        let words = |connection: Option<&K>| -> BTreeSet<Word> {
            let names = connection.map(&reads).unwrap_or_default();
            names.iter().map(|name| Word::secret(namespace, name)).collect()
        };
        self.reindex(subject, &words(old), &words(new));
        secrets.refer(
            namespace,
            &old.map(&reads).unwrap_or_default(),
            &new.map(&reads).unwrap_or_default(),
        );
        let asked = asked_again(old, new);
        if asked || torn {
            self.wake(subject.clone());
        }
        if asked || old.map(&state) != new.map(&state) {
            self.wake_word(Word::connection(subject.kind, &subject.name));
        }
    }

    fn binding_changed(
        &self,
        name: &Name,
        old: Option<&Held<AccessBinding>>,
        new: Option<&Held<AccessBinding>>,
    ) {
        let subject = Subject::new(KindName::AccessBinding, name.clone());
        let torn = undecodable(old) != undecodable(new);
        let (old, new) = (object(old), object(new));
        let asked = asked_again(old, new);
        if asked || torn || lost_status(old, new, |status| &status.conditions) {
            self.wake(subject.clone());
        }
        if let Some(new) = new.filter(|_| took_up(old, new)) {
            let connections = connections_of(name.namespace(), &new.spec);
            let lacking = connections
                .into_iter()
                .filter(|connection| self.holding.lacks(connection));
            lacking.for_each(|connection| self.wake(connection));
        }
        let gave_up = gave_up(old, new);
        if !asked && !gave_up {
            return;
        }
        let connections = |binding: Option<&AccessBinding>| {
            binding.map_or_else(BTreeSet::new, |binding| {
                connections_of(name.namespace(), &binding.spec)
            })
        };
        let claims = |binding: Option<&AccessBinding>| {
            binding.map_or_else(BTreeSet::new, |binding| claims_of(&binding.spec))
        };
        let (old_connections, new_connections) = (connections(old), connections(new));
        let (old_claims, new_claims) = (claims(old), claims(new));
        let home = Word::namespace(name.namespace());
        let mut others = BTreeSet::new();
        {
            let mut index = self.index();
            if new.is_some() {
                index.add(home, &subject);
            } else {
                index.remove(home, &subject);
            }
            for word in old_claims.difference(&new_claims) {
                index.remove(*word, &subject);
            }
            for word in new_claims.difference(&old_claims) {
                index.add(*word, &subject);
            }
            // A connection is told of its first user and of its last, as far as they may count: it holds a finalizer in
            // between.
            for connection in &old_connections {
                let leaves = !new_connections.contains(connection);
                let word = Word::connection(connection.kind, &connection.name);
                let last = leaves && index.remove(word, &subject);
                if last || ((leaves || gave_up) && self.holding.waits(connection)) {
                    others.insert(connection.clone());
                }
            }
            // One that is named no more and goes waits for what was given through it.
            if gave_up {
                let given = through(old).into_iter();
                others.extend(given.filter(|connection| self.holding.waits(connection)));
            }
            for connection in new_connections.difference(&old_connections) {
                let word = Word::connection(connection.kind, &connection.name);
                if index.add(word, &subject) || self.holding.lacks(connection) {
                    others.insert(connection.clone());
                }
            }
            for word in old
                .into_iter()
                .chain(new)
                .flat_map(|binding| meets(&binding.spec))
            {
                others.extend(index.find(word));
            }
        }
        others.remove(&subject);
        for other in others {
            self.wake(other);
        }
    }

    fn approval_changed(&self, old: Option<&PlanApproval>, new: Option<&PlanApproval>) {
        if !asked_again(old, new) {
            return;
        }
        let words = |approval: Option<&PlanApproval>| -> BTreeSet<Word> {
            let uid = approval.map(|approval| Word::plan_of(&approval.spec.plan_ref.uid));
            uid.into_iter().collect()
        };
        let Some(approval) = new.or(old) else { return };
        let subject = Subject::new(KindName::PlanApproval, Name::of(approval));
        self.reindex(&subject, &words(old), &words(new));
        let about = &approval.spec.plan_ref;
        if let (Some(kind), Some(_)) = (KindName::parse(&about.kind), new) {
            self.wake(Subject::new(kind, Name::new(&about.namespace, &about.name)));
        }
        self.wake(subject);
    }
}
