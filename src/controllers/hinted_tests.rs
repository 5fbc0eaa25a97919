use jiff::Timestamp;
use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use lockstep_core::api::{DatabricksConnection, GerritConnection, PlanApproval, Promotion, PromotionSpec};
use lockstep_core::domain::ports::{EntryId, KeepError, Note};
use lockstep_core::domain::promotion::gate::freeze::Freeze;
use serde_json::{Value, json};

use super::*;

/// Objects that are there, and nothing that could be written.
#[derive(Default)]
struct World {
    gerrit: Vec<Arc<GerritConnection>>,
    databricks: Vec<Arc<DatabricksConnection>>,
    bindings: Vec<Arc<AccessBinding>>,
    policies: Vec<Arc<PromotionPolicy>>,
}

fn refused() -> KeepError {
    KeepError {
        what: "world",
        message: "nothing is written here".into(),
    }
}

#[async_trait]
impl Cluster for World {
    fn gerrit_connection(&self, namespace: &str, name: &str) -> Option<Arc<GerritConnection>> {
        let named = |found: &&Arc<GerritConnection>| {
            found.namespace().as_deref() == Some(namespace) && found.name_any() == name
        };
        self.gerrit.iter().find(named).cloned()
    }
    fn databricks_connection(&self, namespace: &str, name: &str) -> Option<Arc<DatabricksConnection>> {
        let named = |found: &&Arc<DatabricksConnection>| {
            found.namespace().as_deref() == Some(namespace) && found.name_any() == name
        };
        self.databricks.iter().find(named).cloned()
    }
    fn binding(&self, _: &str, _: &str) -> Option<Arc<AccessBinding>> {
        None
    }
    fn bindings(&self) -> Vec<Arc<AccessBinding>> {
        self.bindings.clone()
    }
    fn claimants(&self, _: &BTreeSet<String>) -> Vec<Arc<AccessBinding>> {
        Vec::new()
    }
    fn namespace_labels(&self, _: &str) -> Option<BTreeMap<String, String>> {
        Some(BTreeMap::new())
    }
    fn approvals(&self, _: &ObjectKey) -> Vec<Arc<PlanApproval>> {
        Vec::new()
    }
    fn approvals_protected_since(&self) -> Option<Timestamp> {
        None
    }
    fn kind_is_going(&self, _: &str) -> bool {
        false
    }
    async fn write_status(&self, _: &ObjectKey, _: Value) -> Result<(), KeepError> {
        Err(refused())
    }
    async fn add_finalizer(&self, _: &ObjectKey, _: &str) -> Result<(), KeepError> {
        Err(refused())
    }
    async fn remove_finalizer(&self, _: &ObjectKey, _: &str) -> Result<(), KeepError> {
        Err(refused())
    }
    async fn use_approval(&self, _: &PlanApproval, _: &EntryId, _: Timestamp) -> Result<(), KeepError> {
        Err(refused())
    }
    async fn note(&self, _: &ObjectKey, _: Note) {}
}

#[async_trait]
impl Objects for World {
    fn policy(&self, _: &str, _: &str) -> Option<Arc<PromotionPolicy>> {
        None
    }
    fn policies(&self) -> Vec<Arc<PromotionPolicy>> {
        self.policies.clone()
    }
    fn promotion(&self, _: &str, _: &str) -> Option<Arc<Promotion>> {
        None
    }
    fn promotions_of(&self, _: &str, _: &str) -> Vec<Arc<Promotion>> {
        Vec::new()
    }
    fn freezes(&self) -> Vec<Freeze> {
        Vec::new()
    }
    async fn make(&self, _: &PromotionPolicy, _: &str, _: PromotionSpec) -> Result<(), KeepError> {
        Err(refused())
    }
    async fn delete(&self, _: &ObjectKey) -> Result<(), KeepError> {
        Err(refused())
    }
    async fn keep(&self, _: &ObjectKey, _: Value) -> Result<(), KeepError> {
        Err(refused())
    }
}

fn object<T: serde::de::DeserializeOwned>(
    kind: &str,
    namespace: &str,
    name: &str,
    spec: Value,
    status: Value,
) -> Arc<T> {
    let object = json!({
        "apiVersion": "lockstep.dev/v1alpha1", "kind": kind, "metadata": {"namespace": namespace, "name": name},
        "spec": spec, "status": status,
    });
    Arc::new(serde_json::from_value(object).unwrap())
}

/// Connections that let everybody in, to two servers.
fn world() -> World {
    let gerrit = |name: &str, server: &str| {
        let spec = json!({
            "url": "https://gerrit.example.com", "auth": {"basic": {"secretRef": {"name": "gerrit"}}},
            "tenants": [{
                "namespaces": {"names": ["ml"]}, "uses": ["Access", "Promotion"],
                "reach": {"projects": ["*"], "refs": ["*"], "groups": ["*"]},
            }],
        });
        object(
            "GerritConnection",
            "platform",
            name,
            spec,
            json!({"server": server}),
        )
    };
    let databricks = json!({
        "host": "https://dbc.example.com", "auth": {"oauthSecret": {"secretRef": {"name": "dbx"}}},
        "tenants": [{
            "namespaces": {"names": ["ml"]}, "uses": ["Promotion"],
            "reach": {"servicePrincipals": ["*"], "paths": ["*"]},
        }],
    });
    World {
        gerrit: vec![gerrit("gerrit", "site"), gerrit("other", "elsewhere")],
        databricks: vec![object(
            "DatabricksConnection",
            "platform",
            "prod",
            databricks,
            json!({}),
        )],
        ..World::default()
    }
}

fn key(name: &str) -> ConnectionKey {
    ConnectionKey {
        kind: ConnectionKind::Gerrit,
        namespace: "platform".into(),
        name: name.into(),
    }
}

/// Names of those whom a hint through a connection concerns.
fn names(world: &World, connection: &str, hint: &Hint) -> Vec<String> {
    let concerned = concerned(&key(connection), hint, world, world);
    concerned
        .into_iter()
        .map(|key| format!("{}/{}", key.namespace, key.name))
        .collect()
}

/// A binding for a group of its own with a right on a project.
fn binding(name: &str, more: Value, status: Value) -> Arc<AccessBinding> {
    let mut spec = json!({"gerrit": [{
        "connectionRef": {"name": "gerrit", "namespace": "platform"}, "group": {"name": name},
        "access": [{"project": format!("project-of-{name}"), "ref": "refs/heads/*", "permission": "read"}],
    }]});
    for (field, value) in more.as_object().unwrap() {
        spec[field] = value.clone();
    }
    object("AccessBinding", "ml", name, spec, status)
}

/// A status that has resolved the binding's group to this uuid, and holds it.
fn holding(name: &str, uuid: &str) -> Value {
    let group = format!("gerrit://site/groups/{uuid}");
    json!({
        "pins": [{"system": "gerrit://site", "names": [{"name": format!("group/{name}"), "means": group}]}],
        "inventory": [{
            "target": group, "principals": ["account:7"], "privilege": "member", "origin": "Created",
            "since": "2026-11-22T00:00:00Z",
        }],
    })
}

fn group(uuid: &str) -> Hint {
    Hint::Group { uuid: uuid.into() }
}

#[test]
fn a_group_concerns_whoever_holds_it_or_may_yet_mean_it() {
    let mut world = world();
    let (a, b) = ("a".repeat(40), "b".repeat(40));
    let source = json!({"members": [{"gerritGroup": {
        "connectionRef": {"name": "gerrit", "namespace": "platform"}, "name": "whoever",
    }}]});
    let elsewhere = json!({"gerrit": [{
        "connectionRef": {"name": "other", "namespace": "platform"}, "group": {"name": "elsewhere"},
    }]});
    world.bindings = vec![
        binding("holds-a", json!({}), holding("holds-a", &a)),
        binding("holds-b", json!({}), holding("holds-b", &b)),
        binding("new", json!({}), json!({})),
        binding("fed", source, holding("fed", &b)),
        binding("elsewhere", elsewhere, json!({})),
        binding("no-gerrit", json!({"gerrit": []}), json!({})),
        object(
            "AccessBinding",
            "stranger",
            "new",
            json!({"gerrit": [{
                "connectionRef": {"name": "gerrit", "namespace": "platform"}, "group": {"name": "new"},
            }]}),
            json!({}),
        ),
    ];
    assert_eq!(
        names(&world, "gerrit", &group(&a)),
        ["ml/holds-a", "ml/new", "ml/fed"]
    );
    assert_eq!(
        names(&world, "gerrit", &group(&b)),
        ["ml/holds-b", "ml/new", "ml/fed"]
    );
    assert_eq!(names(&world, "other", &group(&a)), ["ml/elsewhere"]);
    // A group that was lost and is made again by the same derived uuid.
    let made = gerrit_group_uuid("site", "holds-a");
    assert_eq!(
        names(&world, "gerrit", &group(&made)),
        ["ml/holds-a", "ml/new", "ml/fed"]
    );
}

#[test]
fn a_projects_configuration_concerns_whoever_declares_or_holds_rights_there() {
    let mut world = world();
    let row = json!({"inventory": [{
        "target": "gerrit://site/projects/given-once?ref=refs/heads/*", "principals": ["group:x"], "privilege": "read",
        "origin": "Created", "since": "2026-11-22T00:00:00Z",
    }]});
    world.bindings = vec![binding("a", json!({}), json!({})), binding("b", json!({}), row)];
    let config = |project: &str| Hint::Config {
        project: project.into(),
    };
    assert_eq!(names(&world, "gerrit", &config("project-of-a")), ["ml/a"]);
    assert_eq!(names(&world, "gerrit", &config("given-once")), ["ml/b"]);
    assert_eq!(
        names(&world, "gerrit", &config("project-of-nobody")),
        Vec::<String>::new()
    );
    assert_eq!(
        names(&world, "other", &config("project-of-a")),
        Vec::<String>::new()
    );
}

fn policy(namespace: &str, more: Value) -> Arc<PromotionPolicy> {
    let mut spec = json!({
        "gerrit": {"connectionRef": {"name": "gerrit", "namespace": "platform"}, "project": "ml/fraud"},
        "gate": {
            "approval": {"label": "Code-Review", "group": "leads"},
            "verification": {"label": "Verified", "group": "ci"},
        },
        "steps": [{"name": "code", "files": {"path": "/Workspace/lockstep/fraud/${revision}"}}],
        "environments": [{
            "name": "prod", "branch": "prod",
            "databricks": {"connectionRef": {"name": "prod", "namespace": "platform"}},
            "runAs": {"applicationId": "a"},
        }],
    });
    for (field, value) in more.as_object().unwrap() {
        spec[field] = value.clone();
    }
    object("PromotionPolicy", namespace, "fraud", spec, json!({}))
}

#[test]
fn a_branch_and_its_projects_configuration_concern_the_policies_that_govern_it() {
    let branch = |project: &str, branch: &str| Hint::Branch {
        project: project.into(),
        branch: branch.into(),
    };
    let config = Hint::Config {
        project: "ml/fraud".into(),
    };
    let nobody: [&str; 0] = [];
    let mut world = world();
    world.policies = vec![policy("ml", json!({}))];
    world.bindings = vec![binding("a", json!({}), json!({}))];
    assert_eq!(names(&world, "gerrit", &branch("ml/fraud", "prod")), ["ml/fraud"]);
    assert_eq!(names(&world, "gerrit", &config), ["ml/fraud"]);
    assert_eq!(names(&world, "gerrit", &branch("ml/fraud", "feature")), nobody);
    assert_eq!(names(&world, "gerrit", &branch("ml/other", "prod")), nobody);
    assert_eq!(names(&world, "other", &branch("ml/fraud", "prod")), nobody);

    // Who may not promote there, does not want to now, or cannot be read makes nobody read anything.
    for policy in [
        policy("stranger", json!({})),
        policy("ml", json!({"suspend": true})),
        policy("ml", json!({"environments": []})),
    ] {
        world.policies = vec![policy];
        assert_eq!(names(&world, "gerrit", &branch("ml/fraud", "prod")), nobody);
        assert_eq!(names(&world, "gerrit", &config), nobody);
    }
}
