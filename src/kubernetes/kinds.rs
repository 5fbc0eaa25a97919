//! Whether our own kinds exist, and whether one of them is being taken away together with all its objects.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::core::PartialObjectMeta;
use kube::runtime::watcher;
use kube::{Api, Client, CustomResourceExt as _};
use lockstep_core::api::{
    AccessBinding, ChangeFreeze, CredentialStore, DatabricksConnection, GerritConnection, PlanApproval,
    Promotion, PromotionPolicy, ServiceCredential,
};
use lockstep_core::domain::ports::KeepError;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use super::arrival::Arrived;
use super::cache::Cache;
use super::name::{KindName, Name};

type Definition = PartialObjectMeta<CustomResourceDefinition>;

/// The definitions of our kinds, watched by their metadata alone.
pub struct Kinds {
    api: Api<Arrived<Definition>>,
    cache: Arc<Cache<Definition>>,
    changed: watch::Receiver<()>,
    /// When a definition was last asked for directly, by kind.
    confirmed: [tokio::sync::Mutex<Option<Instant>>; KindName::ALL.len()],
}

fn definition(kind: KindName) -> &'static str {
    match kind {
        KindName::GerritConnection => GerritConnection::crd_name(),
        KindName::DatabricksConnection => DatabricksConnection::crd_name(),
        KindName::CredentialStore => CredentialStore::crd_name(),
        KindName::ChangeFreeze => ChangeFreeze::crd_name(),
        KindName::PlanApproval => PlanApproval::crd_name(),
        KindName::AccessBinding => AccessBinding::crd_name(),
        KindName::PromotionPolicy => PromotionPolicy::crd_name(),
        KindName::Promotion => Promotion::crd_name(),
        KindName::ServiceCredential => ServiceCredential::crd_name(),
    }
}

impl Kinds {
    pub(super) fn new(client: &Client) -> Self {
        let (change, changed) = watch::channel(());
        Self {
            api: Api::all(client.clone()),
            cache: Cache::new(move |_, _, _| {
                change.send_replace(());
            }),
            changed,
            confirmed: Default::default(),
        }
    }

    pub fn follow(&self, tasks: &mut JoinSet<()>) {
        let config = watcher::Config::default().page_size(50);
        tasks.spawn(self.cache.clone().follow(self.api.clone(), config));
    }

    fn exists(&self, kind: KindName) -> bool {
        self.cache.get(&Name::new("", definition(kind))).is_some()
    }

    /// Returns once all kinds exist; says what is missing while they do not.
    pub async fn exist(&self) {
        self.cache.synced().await;
        let mut changed = self.changed.clone();
        let mut told = false;
        while let Some(missing) = KindName::ALL.into_iter().find(|kind| !self.exists(*kind)) {
            if !told {
                tracing::warn!(
                    crd = definition(missing),
                    "a CRD is missing: install it with `lockstep crds | kubectl apply --server-side -f -`"
                );
                told = true;
            }
            if changed.changed().await.is_err() {
                return;
            }
        }
    }

    /// Whether the definition is being deleted, as far as is known.
    pub fn is_going(&self, kind: KindName) -> bool {
        let definition = self.cache.get(&Name::new("", definition(kind)));
        definition.is_some_and(|definition| definition.metadata.deletion_timestamp.is_some())
    }

    /// Makes sure that a definition whose deletion began before `since` is known to be going. The deletion of the
    /// definition and of its objects come by different watches, and the objects' may be the faster one.
    pub async fn confirm(&self, kind: KindName, since: Instant) -> Result<(), KeepError> {
        let index = KindName::ALL.iter().position(|known| *known == kind).unwrap_or(0);
        let mut confirmed = self.confirmed[index].lock().await;
        if confirmed.is_some_and(|at| at >= since) {
            return Ok(());
        }
        let began = Instant::now();
        let name = definition(kind);
        let fail = |message: String| KeepError {
            what: "definition",
            message,
        };
        let asked = timeout(Duration::from_secs(10), self.api.get_opt(name)).await;
        let found = asked
            .map_err(|_| fail(format!("no answer about {name} in time")))?
            .map_err(|error| fail(error.to_string()))?;
        if let Some(found) = found {
            self.cache.learn(found);
        }
        *confirmed = Some(began);
        Ok(())
    }
}
