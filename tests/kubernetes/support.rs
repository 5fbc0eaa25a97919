//! A namespace of its own for each test, and the caches over it.

use std::fmt::Debug;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::authentication::v1::SelfSubjectReview;
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{DeleteParams, ObjectMeta, Patch, PatchParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::runtime::conditions::is_crd_established;
use kube::runtime::wait::await_condition;
use kube::{Api, Client, Config, ResourceExt as _};
use lockstep::kubernetes::{KubeCluster, Name, StatusJournal, Store, Subject};
use lockstep_core::api::{AccessBinding, GerritConnection, crd};
use lockstep_core::domain::ports::{NoPermit, ObjectKey, Permit};
use serde_json::{Value, json};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::JoinSet;

/// Longest wait for something that should take a moment.
const SOON: Duration = Duration::from_mins(1);

/// Where the `env` file of the local stack says its cluster is.
pub fn kubeconfig() -> Option<PathBuf> {
    let default = concat!(env!("CARGO_MANIFEST_DIR"), "/dev/.state").into();
    let state: PathBuf = std::env::var_os("LOCKSTEP_STATE_DIR").map_or(default, PathBuf::from);
    let env = std::fs::read_to_string(state.join("env")).ok()?;
    let line = env
        .lines()
        .find_map(|line| line.strip_prefix("export KUBECONFIG="))?;
    Some(line.trim_matches(['"', '\'']).into())
}

async fn client() -> Option<Client> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let connect = async {
        let kubeconfig = Kubeconfig::read_from(kubeconfig()?).ok()?;
        let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default())
            .await
            .ok()?;
        let client = Client::try_from(config).ok()?;
        client.apiserver_version().await.ok()?;
        Some(client)
    };
    let client = connect.await;
    if client.is_none() {
        assert!(
            std::env::var("CI").as_deref() != Ok("true"),
            "CI needs the local stack: make up"
        );
        eprintln!("skipped: no API server; start the local stack with `make up`");
    }
    client
}

/// The cluster and a namespace that goes with the test.
pub struct World {
    pub client: Client,
    pub namespace: String,
}

impl World {
    /// Whom the cluster knows us as: where approvals are protected nobody else's name may stand in one.
    pub async fn me(&self) -> String {
        let api: Api<SelfSubjectReview> = Api::all(self.client.clone());
        let answer = api
            .create(&PostParams::default(), &SelfSubjectReview::default())
            .await
            .unwrap();
        answer.status.unwrap().user_info.unwrap().username.unwrap()
    }

    /// `None` where there is no cluster; the test is skipped then.
    pub async fn new() -> Option<Self> {
        let client = client().await?;
        install(&client).await;
        let namespaces: Api<Namespace> = Api::all(client.clone());
        let namespace = Namespace {
            metadata: ObjectMeta {
                generate_name: Some("kubernetes-".into()),
                ..ObjectMeta::default()
            },
            ..Namespace::default()
        };
        let made = namespaces
            .create(&PostParams::default(), &namespace)
            .await
            .unwrap();
        Some(Self {
            client,
            namespace: made.name_any(),
        })
    }

    pub fn api<K>(&self) -> Api<K>
    where
        K: kube::Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>,
    {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// Creates a binding and answers with its key.
    pub async fn bind(&self, name: &str, spec: Value) -> ObjectKey {
        let made = self
            .api()
            .create(&PostParams::default(), &binding(name, spec))
            .await
            .unwrap();
        self.key(&made)
    }

    /// Creates a connection that is called `gerrit`.
    pub async fn connect(&self) -> Api<GerritConnection> {
        let connection = serde_json::from_value(json!({
            "apiVersion": "lockstep.dev/v1alpha1",
            "kind": "GerritConnection",
            "metadata": {"name": "gerrit"},
            "spec": {"url": "https://gerrit.example.com", "auth": {"basic": {"secretRef": {"name": "gerrit"}}}},
        }))
        .unwrap();
        let connections: Api<GerritConnection> = self.api();
        connections
            .create(&PostParams::default(), &connection)
            .await
            .unwrap();
        connections
    }

    pub fn key(&self, binding: &AccessBinding) -> ObjectKey {
        ObjectKey {
            kind: "AccessBinding".into(),
            namespace: self.namespace.clone(),
            name: binding.name_any(),
            uid: binding.uid().unwrap(),
        }
    }

    pub fn name(&self, name: &str) -> Name {
        Name::new(&self.namespace, name)
    }

    /// The caches, filled.
    pub async fn follow(&self) -> Followed {
        let (store, woken) = Store::new(&self.client);
        let mut tasks = JoinSet::new();
        store.kinds.follow(&mut tasks);
        store.kinds.exist().await;
        store.follow(&self.client, &mut tasks);
        store.synced().await;
        let cluster = KubeCluster::new(
            self.client.clone(),
            store.clone(),
            Arc::new(Always),
            self.namespace.clone(),
            "test".into(),
        );
        let journal = StatusJournal::new(self.client.clone(), store.clone(), Arc::new(Always));
        Followed {
            store,
            cluster,
            journal,
            woken,
            tasks,
        }
    }

    pub async fn clean(self) {
        let namespaces: Api<Namespace> = Api::all(self.client.clone());
        let _ = namespaces.delete(&self.namespace, &DeleteParams::default()).await;
    }
}

pub fn binding(name: &str, spec: Value) -> AccessBinding {
    serde_json::from_value(json!({
        "apiVersion": "lockstep.dev/v1alpha1",
        "kind": "AccessBinding",
        "metadata": {"name": name},
        "spec": spec,
    }))
    .unwrap()
}

/// Claims a group through the connection `gerrit`.
pub fn claims(group: &str) -> Value {
    json!({"gerrit": [{"connectionRef": {"name": "gerrit"}, "group": {"name": group}}]})
}

/// Caches over the whole cluster, kept current until dropped.
pub struct Followed {
    pub store: Arc<Store>,
    pub cluster: KubeCluster,
    pub journal: StatusJournal,
    pub woken: UnboundedReceiver<Subject>,
    #[expect(dead_code, reason = "held: dropped, the caches stand still")]
    tasks: JoinSet<()>,
}

impl Followed {
    /// Waits until the binding is in the cache.
    pub async fn see(&self, name: &Name) -> Arc<AccessBinding> {
        eventually("the binding is seen", || self.store.bindings.get(name)).await
    }

    /// Waits until this object of ours is woken; others, of tests beside this one, are passed over.
    pub async fn woken(&mut self, name: &Name) {
        self.woken_before(name).await;
    }

    /// Whoever is woken before this object of ours: what is woken comes in order.
    pub async fn woken_before(&mut self, name: &Name) -> Vec<Name> {
        let mut before = Vec::new();
        let wait = async {
            loop {
                let woken = self.woken.recv().await.unwrap().name;
                if woken == *name {
                    break;
                }
                before.push(woken);
            }
        };
        tokio::time::timeout(SOON, wait)
            .await
            .unwrap_or_else(|_| panic!("{name} was not woken"));
        before
    }
}

/// A permit that is always given.
pub struct Always;

impl Permit for Always {
    fn check(&self, _: Duration) -> Result<(), NoPermit> {
        Ok(())
    }
}

/// Looks into memory again until there is an answer.
pub async fn eventually<T: Debug>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    answered(what, || std::future::ready(look())).await
}

/// Asks somebody else again until there is an answer.
pub async fn answered<T: Debug, F: Future<Output = Option<T>>>(what: &str, mut ask: impl FnMut() -> F) -> T {
    let wait = async {
        loop {
            if let Some(found) = ask().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(SOON, wait)
        .await
        .unwrap_or_else(|_| panic!("never: {what}"))
}

async fn install(client: &Client) {
    static INSTALLED: tokio::sync::OnceCell<()> = tokio::sync::OnceCell::const_new();
    INSTALLED
        .get_or_init(|| async {
            let api: Api<CustomResourceDefinition> = Api::all(client.clone());
            for definition in crd::all() {
                let name = definition.name_any();
                let params = PatchParams::apply("lockstep-tests").force();
                api.patch(&name, &params, &Patch::Apply(&definition))
                    .await
                    .unwrap();
                let established = await_condition(api.clone(), &name, is_crd_established());
                tokio::time::timeout(SOON, established).await.unwrap().unwrap();
            }
        })
        .await;
}
