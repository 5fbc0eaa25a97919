//! People in both systems, connections, and as many bindings as are asked for.

use futures::{StreamExt as _, stream};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{Namespace, Secret};
use kube::Client;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams};
use lockstep_core::api::{AccessBinding, DatabricksConnection, GerritConnection};
use serde_json::{Value, json};

use crate::common::calls::{Calls, Passage, kubernetes_writes, of_simulator};
use crate::common::operator::record;
use crate::extent::Extent;
use crate::support::gerrit::Gerrit;
use crate::support::operator::NAMESPACE as OPERATOR;
use crate::support::sim::Sim;
use crate::support::stack::{Stack, stack};
use crate::support::team::prepare_cluster;

const NAMESPACE: &str = "bench";
/// People in both systems.
const PEOPLE: usize = 40;
/// Members of a team at first; a change adds one.
pub const MEMBERS: usize = 5;
/// Requests to Kubernetes under way at once.
const AT_ONCE: usize = 16;
const CLIENT: &str = "00000000-0000-4000-8000-0000000be0c8";

/// Where a team's groups are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Gerrit, and local to the workspace.
    GerritAndWorkspace,
    /// Gerrit, and the account.
    GerritAndAccount,
    /// Local to the workspace.
    Workspace,
}

pub struct World {
    kube: Client,
    pub gerrit: Gerrit,
    pub sim: Sim,
    passage: Passage,
    /// Gerrit keeps groups for ever: those of one run must not meet those of another.
    run: String,
    worlds: usize,
    shape: Shape,
    /// Numbers of the people in Gerrit, and their ids in the workspace.
    accounts: Vec<i64>,
    users: Vec<String>,
}

fn stood() -> &'static Stack {
    stack().expect("the stack is up")
}

fn email(person: usize) -> String {
    format!("bench-{person}@example.com")
}

/// Who is in a team; the first [`MEMBERS`] from the beginning.
pub fn member(team: usize, at: usize) -> usize {
    (team + 7 * at) % PEOPLE
}

impl World {
    pub async fn new() -> Self {
        let kube = stood().kube().await;
        prepare_cluster(stood()).await;
        let gerrit = Gerrit::new(stood());
        let accounts = stream::iter(0..PEOPLE)
            .map(|person| {
                let gerrit = gerrit.clone();
                async move { gerrit.account(&format!("bench-{person}"), &email(person)).await }
            })
            .buffered(4)
            .collect()
            .await;
        let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}});
        let namespaces: Api<Namespace> = Api::all(kube.clone());
        namespaces
            .patch(NAMESPACE, &apply(), &Patch::Apply(&namespace))
            .await
            .unwrap();
        Self {
            kube,
            gerrit,
            sim: Sim::new(stood()),
            passage: Passage::open(stood().get("GERRIT_URL")).await,
            run: format!("b{:x}", std::process::id()),
            worlds: 0,
            shape: Shape::Workspace,
            accounts,
            users: Vec::new(),
        }
    }

    fn namespaced<K>(&self) -> Api<K>
    where
        K: kube::Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>,
    {
        Api::namespaced(self.kube.clone(), NAMESPACE)
    }

    /// An empty world; no operator may be running.
    pub async fn fresh(&mut self, shape: Shape, settings: &Value, lifted: bool) {
        self.worlds += 1;
        self.shape = shape;
        remove(self.namespaced::<AccessBinding>()).await;
        remove(self.namespaced::<GerritConnection>()).await;
        remove(self.namespaced::<DatabricksConnection>()).await;
        remove(Api::<Lease>::namespaced(self.kube.clone(), OPERATOR)).await;
        let _ = std::fs::remove_dir_all(record());
        self.sim.control(reqwest::Method::POST, "reset", None).await;
        let users: Vec<Value> = (0..PEOPLE)
            .map(|person| json!({"userName": email(person), "displayName": email(person)}))
            .collect();
        self.sim
            .seed(json!({"users": users, "servicePrincipals": [{
                "applicationId": CLIENT, "displayName": "lockstep", "accountAdmin": true, "admin": true,
                "secrets": ["secret-of-the-bench"],
            }]}))
            .await;
        let (_, listed) = self.scim("Users?count=100").await;
        let by_name = |person| {
            let rows = listed["Resources"].as_array().into_iter().flatten();
            let found = rows.into_iter().find(|row| row["userName"] == email(person));
            found.unwrap()["id"].as_str().unwrap().to_owned()
        };
        self.users = (0..PEOPLE).map(by_name).collect();
        self.sim
            .control(reqwest::Method::POST, "settings", Some(settings.clone()))
            .await;
        self.connect(lifted).await;
    }

    async fn scim(&self, rest: &str) -> (u16, Value) {
        let path = format!("/api/2.0/preview/scim/v2/{rest}");
        self.sim.call(reqwest::Method::GET, &path, None).await
    }

    async fn connect(&self, lifted: bool) {
        let host = |url: &str| url.split("://").nth(1).unwrap().trim_end_matches('/').to_owned();
        let databricks = stood().get("DATABRICKS_SIM_URL").trim_end_matches('/');
        let secret = |name: &str, host: String, data: Value| {
            json!({
                "apiVersion": "v1", "kind": "Secret",
                "metadata": {"name": name, "annotations": {"lockstep.dev/host": host}}, "stringData": data,
            })
        };
        let user = json!({
            "username": stood().get("GERRIT_ADMIN_USER"), "password": stood().get("GERRIT_ADMIN_PASSWORD"),
        });
        let client = json!({"clientId": CLIENT, "clientSecret": "secret-of-the-bench"});
        self.apply::<Secret>(&secret("gerrit", host(&self.passage.url), user))
            .await;
        self.apply::<Secret>(&secret("databricks", host(databricks), client))
            .await;
        let limits = if lifted {
            json!({"requestsPerSecond": 0})
        } else {
            json!({})
        };
        let tenant = |reach: Value| json!([{"namespaces": {"names": [NAMESPACE]}, "uses": ["Access"], "reach": reach}]);
        self.apply::<GerritConnection>(&json!({
            "apiVersion": "lockstep.dev/v1alpha1", "kind": "GerritConnection", "metadata": {"name": "gerrit"},
            "spec": {
                "url": self.passage.url, "auth": {"basic": {"secretRef": {"name": "gerrit"}}}, "limits": limits,
                "tenants": tenant(json!({"groups": ["*"]})),
            },
        }))
        .await;
        self.apply::<DatabricksConnection>(&json!({
            "apiVersion": "lockstep.dev/v1alpha1", "kind": "DatabricksConnection", "metadata": {"name": "prod"},
            "spec": {
                "host": databricks, "account": {"host": databricks, "id": self.sim.account},
                "auth": {"oauthSecret": {"secretRef": {"name": "databricks"}}}, "limits": limits,
                "tenants": tenant(json!({"workspace": ["*"], "groups": ["*"]})),
            },
        }))
        .await;
    }

    async fn apply<K>(&self, body: &Value)
    where
        K: kube::Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>
            + serde::de::DeserializeOwned
            + Clone
            + std::fmt::Debug,
    {
        let name = body["metadata"]["name"].as_str().unwrap();
        self.namespaced::<K>()
            .patch(name, &apply(), &Patch::Apply(body))
            .await
            .unwrap();
    }

    /// Name of a team's group, in every system.
    pub fn group(&self, team: usize) -> String {
        format!("{}-{}-{team:05}", self.run, self.worlds)
    }

    fn members(team: usize, members: usize) -> Value {
        (0..members)
            .map(|at| json!({"person": {"email": email(member(team, at))}}))
            .collect()
    }

    /// Declares teams; nothing reads them yet.
    pub async fn declare(&self, teams: usize, interval: &str) {
        let api = self.namespaced::<AccessBinding>();
        each(teams, |team| {
            let (group, api) = (self.group(team), api.clone());
            let mut spec =
                json!({"mode": "Enforce", "interval": interval, "members": Self::members(team, MEMBERS)});
            if self.shape != Shape::Workspace {
                spec["gerrit"] = json!([{"connectionRef": {"name": "gerrit"}, "group": {"name": group}}]);
            }
            let here = json!({"connectionRef": {"name": "prod"}, "group": {"name": group}});
            spec["databricks"] = match self.shape {
                Shape::GerritAndAccount => json!({"account": here}),
                Shape::GerritAndWorkspace | Shape::Workspace => json!({"workspaces": [here]}),
            };
            let binding: AccessBinding = serde_json::from_value(json!({
                "apiVersion": "lockstep.dev/v1alpha1", "kind": "AccessBinding",
                "metadata": {"name": group, "namespace": NAMESPACE}, "spec": spec,
            }))
            .unwrap();
            async move {
                api.create(&PostParams::default(), &binding).await.unwrap();
            }
        })
        .await;
    }

    /// Merges into every team's spec.
    pub async fn edit(&self, teams: usize, change: impl Fn(usize) -> Value) {
        let api = self.namespaced::<AccessBinding>();
        each(teams, |team| {
            let (group, api) = (self.group(team), api.clone());
            let body = json!({"spec": change(team)});
            async move {
                let params = PatchParams::default();
                api.patch_metadata(&group, &params, &Patch::Merge(&body))
                    .await
                    .unwrap();
            }
        })
        .await;
    }

    pub async fn every(&self, teams: usize, interval: &str) {
        self.edit(teams, |_| json!({"interval": interval})).await;
    }

    /// One more member in each team.
    pub async fn grow(&self, teams: usize) {
        self.edit(teams, |team| json!({"members": Self::members(team, MEMBERS + 1)}))
            .await;
    }

    /// Whether the listing of the teams' groups carries their members.
    pub fn lists_members(&self) -> bool {
        self.shape != Shape::GerritAndAccount
    }

    pub async fn calls(&self) -> Calls {
        of_simulator(&self.sim).await.and(self.passage.calls())
    }

    /// How much there is to list now.
    pub async fn extent(&self) -> Extent {
        let (_, groups) = self.gerrit.get("/groups/?n=100000").await;
        let (_, people) = self
            .gerrit
            .get("/accounts/?q=is:active%20OR%20is:inactive&n=1000")
            .await;
        let base = match self.shape {
            Shape::GerritAndAccount => format!("/api/2.0/accounts/{}/scim/v2", self.sim.account),
            Shape::GerritAndWorkspace | Shape::Workspace => "/api/2.0/preview/scim/v2".into(),
        };
        let mut rows = [0; 3];
        for (rows, of) in rows.iter_mut().zip(["Groups", "Users", "ServicePrincipals"]) {
            let path = format!("{base}/{of}?count=1");
            let (_, page) = self.sim.call(reqwest::Method::GET, &path, None).await;
            *rows = usize::try_from(page["totalResults"].as_u64().unwrap()).unwrap();
        }
        Extent {
            gerrit_groups: groups.as_object().unwrap().len(),
            gerrit_accounts: people.as_array().unwrap().len(),
            groups: rows[0],
            users: rows[1],
            service_principals: rows[2],
        }
    }

    /// Writes that the API server has served.
    pub async fn kubernetes_writes(&self) -> Calls {
        kubernetes_writes(&self.kube).await
    }

    /// Members of a team's group in Gerrit, sorted.
    pub async fn in_gerrit(&self, team: usize) -> Vec<i64> {
        self.gerrit.members(&self.group(team)).await.unwrap_or_default()
    }

    pub fn account(&self, person: usize) -> i64 {
        self.accounts[person]
    }

    /// Id of a team's workspace group, and ids of its members, sorted.
    pub async fn in_workspace(&self, team: usize) -> (String, Vec<String>) {
        let filter = crate::support::gerrit::encode(&format!("displayName eq \"{}\"", self.group(team)));
        let (_, found) = self.scim(&format!("Groups?filter={filter}")).await;
        let group = &found["Resources"][0];
        let members = group["members"].as_array().into_iter().flatten();
        let mut ids: Vec<String> = members.map(|m| m["value"].as_str().unwrap().to_owned()).collect();
        ids.sort();
        (group["id"].as_str().unwrap_or_default().to_owned(), ids)
    }

    pub fn user(&self, person: usize) -> &str {
        &self.users[person]
    }

    /// Somebody edits a workspace group by hand.
    pub async fn patch_workspace_group(&self, id: &str, operation: Value) {
        let path = format!("/api/2.0/preview/scim/v2/Groups/{id}");
        let body = json!({
            "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": [operation],
        });
        let (status, answer) = self.sim.call(reqwest::Method::PATCH, &path, Some(body)).await;
        assert!(status < 300, "{status} {answer}");
    }
}

fn apply() -> PatchParams {
    PatchParams::apply("bench").force()
}

async fn each<F: Future<Output = ()>>(teams: usize, work: impl Fn(usize) -> F) {
    stream::iter(0..teams)
        .map(work)
        .buffer_unordered(AT_ONCE)
        .collect::<()>()
        .await;
}

/// Removes all objects at once, whatever they still wait for.
async fn remove<K>(api: Api<K>)
where
    K: kube::Resource<DynamicType = ()>
        + serde::de::DeserializeOwned
        + Clone
        + std::fmt::Debug
        + Send
        + Sync
        + 'static,
{
    let all = api.list_metadata(&ListParams::default()).await.unwrap().items;
    let names: Vec<String> = all.iter().map(kube::ResourceExt::name_any).collect();
    stream::iter(names)
        .map(|name| {
            let api = api.clone();
            async move {
                let body = json!({"metadata": {"finalizers": null}});
                api.patch_metadata(&name, &PatchParams::default(), &Patch::Merge(&body))
                    .await
                    .unwrap();
                api.delete(&name, &DeleteParams::default()).await.unwrap();
            }
        })
        .buffer_unordered(AT_ONCE)
        .collect::<()>()
        .await;
}
