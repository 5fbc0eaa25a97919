//! Builds the adapters and hands them in: the one place that knows every layer.
//!
//! [`run`] reads downwards: connect, watch, serve health, compete for the lease, and while leading run the
//! controllers. Losing the lease ends every pass where it is; the replica then competes again.

mod adapters;
pub mod args;
#[cfg(feature = "aws")]
mod aws;
mod clients;
mod clock;
mod controller;
mod credentials;
mod health;
mod heeding;
mod hints;
mod metrics;
mod passes;
mod reached;
pub mod reading;
mod schedule;
mod shutdown;
mod stores;
pub mod telemetry;
mod trial;
mod webhooks;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use kube::{Client, Config};
use lockstep_core::domain::ports::{KeepError, Permit, Record};
use lockstep_core::domain::rotation::value::FingerprintKey;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::JoinSet;

pub use adapters::Adapters;
pub use args::RunArgs;
pub use clients::Clients;
pub use clock::SystemClock;
pub use controller::{Controllers, Stopped};
pub use metrics::Metrics;
pub use passes::{Passes, register};
pub use reading::{Reading, ReadingOptions};
pub use schedule::Ended;

pub use crate::clients::contract::{CameOut, Finding};
pub use crate::kubernetes::{Approver, Asking, Installation, Leader, Listing, Promoted, Seen, rehearse};

use crate::audit::{FileRecord, OpenError};
use crate::clients::gerrit::GitCache;
use crate::controllers::branches::Branches;
use crate::controllers::{
    Context, access_binding, change_freeze, connections, credential_store, promotion, promotion_policy,
    service_credential,
};
use crate::kubernetes::{
    Elector, IdentityTokenRequests, KindName, KubeCluster, LeasePermit, Secrets, StatusJournal, Store,
    Subject, fingerprint_key, unique_identity,
};
use health::Health;
use heeding::Heeding;
use hints::Hints;
use shutdown::Shutdown;
use webhooks::Endpoint;

/// Why the operator could not go on. The message says what to change.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    #[error("{0}")]
    Arguments(String),
    #[error("cannot reach Kubernetes: {0}")]
    Kubernetes(String),
    #[error("the record cannot be used: {0}")]
    Record(KeepError),
    #[error("mirrors cannot be kept: {0}")]
    GitCache(String),
    #[error("cannot listen on {address}: {error}")]
    Listen {
        address: std::net::SocketAddr,
        error: std::io::Error,
    },
    #[error("cannot wait for signals: {0}")]
    Signals(std::io::Error),
}

/// Connects as a pod, or as the current kubeconfig says.
pub async fn connect() -> Result<Client, RunError> {
    // Two features of the tree bring their own default; the first to install wins, and ours is the one tested.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let fail = |error: &dyn std::error::Error| RunError::Kubernetes(error.to_string());
    let mut config = Config::infer().await.map_err(|error| fail(&error))?;
    if config.proxy_url.is_some() && config.proxy_url == shell_proxy() && needs_no_proxy(&config) {
        config.proxy_url = None;
    }
    Client::try_from(config).map_err(|error| fail(&error))
}

/// The proxy that kube takes where the kubeconfig names none.
fn shell_proxy<T: std::str::FromStr>() -> Option<T> {
    let named = ["HTTPS_PROXY", "https_proxy"].map(|name| std::env::var(name).unwrap_or_default());
    named.iter().find(|proxy| !proxy.is_empty())?.parse().ok()
}

/// Whether the shell leaves the cluster out of its proxy, or the cluster is this machine. kube 5.0 compares NO_PROXY
/// with the proxy's own address instead of the cluster's.
fn needs_no_proxy(config: &Config) -> bool {
    let host = config
        .cluster_url
        .host()
        .unwrap_or_default()
        .trim_matches(['[', ']']);
    let here = host == "localhost"
        || host
            .parse()
            .is_ok_and(|address: std::net::IpAddr| address.is_loopback());
    here || hyper_util::client::proxy::matcher::Matcher::from_env()
        .intercept(&config.cluster_url)
        .is_none()
}

/// Runs the operator until it is asked to stop.
pub async fn run(args: RunArgs) -> Result<(), RunError> {
    telemetry::start(args.log_format);
    let mut shutdown = Shutdown::listen().map_err(RunError::Signals)?;
    let namespace = args.operator_namespace().map_err(RunError::Arguments)?;
    let git_cache = git_cache(args.git_cache.as_deref()).await?;
    let client = connect().await?;
    let identity = unique_identity(&args.identity());
    let elector = Elector::new(client.clone(), &namespace, &args.lease_name, identity.clone());
    let (store, woken) = Store::new(&client);
    let metrics = Arc::new(Metrics::default());
    let health = Arc::new(Health {
        metrics: metrics.clone(),
        store: store.clone(),
        following: AtomicBool::new(false),
    });
    let mut tasks = JoinSet::new();
    let address = args.metrics_address;
    let serving = health::listen(address, health.clone()).await;
    tasks.spawn(serving.map_err(|error| RunError::Listen { address, error })?);
    let hints = Arc::new(Hints::default());
    if let Some(address) = args.webhook_address {
        let store = store.clone();
        let endpoint = Endpoint {
            connections: Box::new(move || store.gerrit_connections.all()),
            hints: hints.clone(),
            metrics: metrics.clone(),
        };
        let hearing = webhooks::listen(address, endpoint).await;
        tasks.spawn(hearing.map_err(|error| RunError::Listen { address, error })?);
    }

    let replica = Replica {
        client,
        store,
        woken: tokio::sync::Mutex::new(woken),
        metrics,
        hints,
        elector,
        namespace,
        identity,
        git_cache,
        args,
    };
    tokio::select! {
        () = shutdown.asked() => return Ok(()),
        () = replica.read_cluster(&mut tasks, &health) => {}
    }
    replica.compete(shutdown).await
}

/// One process among those that may lead.
struct Replica {
    client: Client,
    store: Arc<Store>,
    woken: tokio::sync::Mutex<UnboundedReceiver<Subject>>,
    metrics: Arc<Metrics>,
    hints: Arc<Hints>,
    elector: Elector,
    namespace: String,
    identity: String,
    git_cache: Arc<GitCache>,
    args: RunArgs,
}

/// How leading ended.
enum Led {
    /// The lease was lost, when everything permitted under it had run out as well.
    WhileItLasted,
    /// The operator was asked to stop.
    Until(Stopped),
}

impl Replica {
    /// Returns once the caches are filled; from then on they stay current, whoever leads.
    async fn read_cluster(&self, tasks: &mut JoinSet<()>, health: &Health) {
        self.store.kinds.follow(tasks);
        self.store.kinds.exist().await;
        self.store.follow(&self.client, tasks);
        health.following.store(true, Ordering::Relaxed);
        self.store.synced().await;
        tracing::info!(bindings = self.store.bindings.len(), "the cluster has been read");
    }

    /// Leads whenever it can, until it is asked to stop.
    async fn compete(&self, mut shutdown: Shutdown) -> Result<(), RunError> {
        loop {
            tokio::select! {
                () = shutdown.asked() => return Ok(()),
                () = self.elector.lead() => {}
                // A candidate only watches. Once it leads it looks at everything anyway.
                () = self.drain() => {}
            }
            tracing::info!(identity = self.identity, "leading");
            self.metrics.leading(true);
            let led = self.lead(&mut shutdown).await;
            self.metrics.leading(false);
            if matches!(led, Ok(Led::Until(Stopped::InTheMiddle))) {
                // What was sent may still arrive: who leads next must not begin before it has.
                self.elector.leave();
            } else {
                self.elector.release().await;
            }
            if let Led::Until(_) = led? {
                return Ok(());
            }
        }
    }

    /// Runs the controllers while the lease lasts.
    async fn lead(&self, shutdown: &mut Shutdown) -> Result<Led, RunError> {
        // Opened by the leader alone: the directory may be shared between replicas, and has one writer.
        let work = async {
            let record = tokio::select! {
                () = shutdown.asked() => return Ok(Led::Until(Stopped::AtRest)),
                record = open_record(&self.args.record) => record?,
            };
            let fingerprints = self.fingerprints().await;
            let (controllers, heeding) = self.controllers(Arc::new(record), fingerprints);
            let all = self.store.subjects();
            // Borrowed apart: the elector goes on renewing while the controllers run.
            let woken = &mut *self.woken.lock().await;
            tokio::select! {
                stopped = controllers.run(all, woken, shutdown.asked()) => Ok(Led::Until(stopped)),
                never = heeding.follow(self.hints.hear()) => match never {},
            }
        };
        tokio::select! {
            // Dropping the controllers ends every pass: without the lease it could write nothing any more.
            lost = self.elector.hold() => {
                tracing::warn!("no longer leading: {lost}");
                Ok(Led::WhileItLasted)
            }
            led = work => led,
        }
    }

    /// Takes what comes and never returns.
    async fn drain(&self) {
        let mut woken = self.woken.lock().await;
        while woken.recv().await.is_some() {}
        std::future::pending().await
    }

    /// The key of fingerprints. It is needed before any credential is looked at: with another key every value would look
    /// like a stranger's.
    async fn fingerprints(&self) -> Arc<FingerprintKey> {
        loop {
            match fingerprint_key(&self.client, &self.elector.permit(), &self.namespace).await {
                Ok(key) => return Arc::new(key),
                Err(error) => tracing::warn!(%error, "waiting for the key of fingerprints"),
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }

    /// The controllers, and what follows hints for them.
    fn controllers(
        &self,
        record: Arc<dyn Record>,
        fingerprints: Arc<FingerprintKey>,
    ) -> (Controllers, Heeding) {
        let permit: LeasePermit = self.elector.permit();
        let permit: Arc<dyn Permit> = Arc::new(permit);
        let clock = Arc::new(SystemClock);
        let adapters = Adapters {
            kubernetes: self.client.clone(),
            secrets: Secrets::new(self.client.clone()),
            tokens: IdentityTokenRequests::new(self.client.clone()),
            permit: permit.clone(),
            clock: clock.clone(),
            metrics: self.metrics.clients(),
            git_cache: self.git_cache.clone(),
            allow_loopback: self.args.allow_loopback,
        };
        let cluster = Arc::new(KubeCluster::new(
            self.client.clone(),
            self.store.clone(),
            permit.clone(),
            self.namespace.clone(),
            self.identity.clone(),
        ));
        let clients = Arc::new(Clients::new(cluster.clone(), cluster.clone(), adapters));
        let journal = StatusJournal::new(self.client.clone(), self.store.clone(), permit);
        let context = Arc::new(Context {
            cluster: cluster.clone(),
            objects: cluster.clone(),
            systems: clients.clone(),
            reviews: clients.clone(),
            deployments: clients.clone(),
            credentials: cluster.clone(),
            issuers: clients.clone(),
            stores: clients.clone(),
            inventories: clients.clone(),
            fingerprints,
            home: self.namespace.clone(),
            probes: clients,
            journal: Arc::new(journal),
            record,
            clock,
            tally: self.metrics.clone(),
            actor: format!("lockstep/{}", self.identity),
        });
        let (store, context) = (&self.store, &context);
        let branches = Arc::<Branches>::default();
        // One line per kind.
        let passes = vec![
            register(
                KindName::GerritConnection,
                connections::Gerrit { draw: webhooks::draw },
                &store.gerrit_connections,
                store,
                context,
            ),
            register(
                KindName::DatabricksConnection,
                connections::Databricks,
                &store.databricks_connections,
                store,
                context,
            ),
            register(
                KindName::ChangeFreeze,
                change_freeze::Controller,
                &store.freezes,
                store,
                context,
            ),
            register(
                KindName::AccessBinding,
                access_binding::Controller::default(),
                &store.bindings,
                store,
                context,
            ),
            register(
                KindName::PromotionPolicy,
                promotion_policy::Controller::new(branches.clone()),
                &store.policies,
                store,
                context,
            ),
            register(
                KindName::CredentialStore,
                credential_store::Controller,
                &store.credential_stores,
                store,
                context,
            ),
            register(
                KindName::ServiceCredential,
                service_credential::Controller::default(),
                &store.credentials,
                store,
                context,
            ),
            register(
                KindName::Promotion,
                promotion::Controller::new(branches.clone()),
                &store.promotions,
                store,
                context,
            ),
        ];
        let heeding = Heeding {
            context: context.clone(),
            branches,
            store: store.clone(),
        };
        let concurrency = usize::from(self.args.concurrency);
        (
            Controllers::new(passes, concurrency, self.metrics.clone()),
            heeding,
        )
    }
}

/// Where branches are mirrored. A directory that was named is tried at once; the other may never be needed.
async fn git_cache(named: Option<&Path>) -> Result<Arc<GitCache>, RunError> {
    let Some(directory) = named else {
        return Ok(temporary_git_cache());
    };
    let cache = GitCache::below(directory);
    let tried = Arc::clone(&cache);
    match tokio::task::spawn_blocking(move || tried.directory()).await {
        Ok(Ok(_)) => Ok(cache),
        Ok(Err(why)) => Err(RunError::GitCache(why)),
        Err(error) => Err(RunError::GitCache(error.to_string())),
    }
}

fn temporary_git_cache() -> Arc<GitCache> {
    GitCache::below(std::env::temp_dir().join("lockstep-git"))
}

/// Opens the record, waiting while another process holds it: the replica that led before may still be ending.
async fn open_record(directory: &Path) -> Result<FileRecord, RunError> {
    loop {
        let path = directory.to_owned();
        let opened = tokio::task::spawn_blocking(move || FileRecord::open(&path)).await;
        match opened {
            Ok(Ok(record)) => return Ok(record),
            Ok(Err(OpenError::Held(_))) => {
                tracing::warn!(directory = %directory.display(), "waiting for another process to let go of the record");
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            Ok(Err(OpenError::Unusable(error))) => return Err(RunError::Record(error)),
            Err(error) => {
                return Err(RunError::Record(KeepError {
                    what: "record",
                    message: error.to_string(),
                }));
            }
        }
    }
}
