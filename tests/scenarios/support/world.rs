//! What is made once per cluster, and what every world has: kinds, namespaces, an identity in both systems.

use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::ResourceExt;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams};
use lockstep_core::api::{
    AccessBinding, ChangeFreeze, CredentialStore, DatabricksConnection, GerritConnection, Promotion,
    PromotionPolicy, ServiceCredential,
};
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use super::eventually;
use super::gerrit::{Gerrit, encode};
use super::operator::NAMESPACE;
use super::sim::Sim;
use super::stack::Stack;

/// Everything planted as a secret holds this word, which stands nowhere else.
pub const PLANTED: &str = "zanzibar";
/// The operator's account in Gerrit.
pub const GERRIT_USER: &str = "lockstep-scenarios";
pub const GERRIT_PASSWORD: &str = "zanzibar-of-the-gerrit-account";
/// The operator's service principal.
pub const APPLICATION: &str = "00000000-0000-4000-8000-00000000beef";
pub const CLIENT_SECRET: &str = "zanzibar-of-the-service-principal";

/// Who applies what scenarios apply.
pub fn manager() -> PatchParams {
    PatchParams::apply("scenarios").force()
}

/// CRDs and the operator's namespace.
pub async fn prepare_cluster(stack: &Stack) {
    let client = stack.kube().await;
    let crds: Api<CustomResourceDefinition> = Api::all(client.clone());
    for crd in lockstep_core::api::crd::all() {
        crds.patch(&crd.name_any(), &manager(), &Patch::Apply(&crd))
            .await
            .unwrap();
    }
    for crd in lockstep_core::api::crd::all() {
        eventually("the CRD is served", 30, || async {
            let seen = crds.get(&crd.name_any()).await.map_err(|e| e.to_string())?;
            let conditions = seen
                .status
                .and_then(|status| status.conditions)
                .unwrap_or_default();
            let served = conditions
                .iter()
                .any(|c| c.type_ == "Established" && c.status == "True");
            served.then_some(()).ok_or_else(|| format!("{conditions:?}"))
        })
        .await;
    }
    namespace(&client, NAMESPACE).await;
}

pub async fn namespace(client: &kube::Client, name: &str) {
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let body = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
    namespaces
        .patch(name, &manager(), &Patch::Apply(&body))
        .await
        .unwrap();
}

/// An administrator in both systems, as the docs tell users to make one.
pub async fn identity(gerrit: &Gerrit, sim: &Sim) {
    static MADE: OnceCell<()> = OnceCell::const_new();
    MADE.get_or_init(|| async {
        let body =
            json!({"name": GERRIT_USER, "http_password": GERRIT_PASSWORD, "groups": ["Administrators"]});
        let path = format!("/accounts/{}", encode(GERRIT_USER));
        let (status, answer) = gerrit.call(reqwest::Method::PUT, &path, Some(body)).await;
        assert!(status == 201 || status == 409, "{status} {answer}");
        principal(sim).await;
    })
    .await;
}

/// Its Databricks half.
pub async fn principal(sim: &Sim) {
    sim.seed(json!({"servicePrincipals": [{
        "applicationId": APPLICATION, "displayName": "lockstep", "accountAdmin": true, "admin": true,
        "secrets": [CLIENT_SECRET],
    }]}))
    .await;
}

/// Everything of ours in a namespace as text; then all of it is deleted without ado.
pub async fn clear(stack: &Stack, namespace: &str) -> String {
    let client = stack.kube().await;
    let mut said = clear_kind::<ServiceCredential>(&client, namespace).await;
    said += &clear_kind::<CredentialStore>(&client, namespace).await;
    said += &clear_kind::<PromotionPolicy>(&client, namespace).await;
    said += &clear_kind::<Promotion>(&client, namespace).await;
    said += &clear_kind::<ChangeFreeze>(&client, namespace).await;
    said += &clear_kind::<AccessBinding>(&client, namespace).await;
    said += &clear_kind::<GerritConnection>(&client, namespace).await;
    said += &clear_kind::<DatabricksConnection>(&client, namespace).await;
    said
}

/// Takes away the finalizers of an object.
pub async fn strip<K>(api: &Api<K>, name: &str) -> kube::Result<K>
where
    K: serde::de::DeserializeOwned + Clone + std::fmt::Debug,
{
    let free = Patch::Merge(json!({"metadata": {"finalizers": null}}));
    api.patch(name, &PatchParams::default(), &free).await
}

async fn clear_kind<K>(client: &kube::Client, namespace: &str) -> String
where
    K: kube::Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>
        + serde::Serialize
        + serde::de::DeserializeOwned
        + Clone
        + std::fmt::Debug,
{
    let api: Api<K> = Api::namespaced(client.clone(), namespace);
    let Ok(all) = api.list(&ListParams::default()).await else {
        return String::new();
    };
    for object in &all {
        let name = object.name_any();
        // Deleted first, so that nobody puts the finalizer back.
        let _ = api.delete(&name, &DeleteParams::default()).await;
        let _ = strip(&api, &name).await;
    }
    serde_json::to_string(&all.items).unwrap_or_default()
}

/// Puts what `more` says over `into`; null takes away.
pub fn merge(into: &mut Value, more: Value) {
    match (into, more) {
        (Value::Object(into), Value::Object(more)) => {
            for (key, value) in more {
                if value.is_null() {
                    into.remove(&key);
                } else {
                    merge(into.entry(key).or_insert(Value::Null), value);
                }
            }
        }
        (into, more) => *into = more,
    }
}
