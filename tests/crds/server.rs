//! The same table on a real API server, which prices the rules and stops those that cost too much.

use kube::api::{Api, ApiResource, DeleteParams, DynamicObject, Patch, PatchParams, PostParams};
use kube::core::GroupVersionKind;
use kube::runtime::{conditions, wait::await_condition};
use kube::{Client, ResourceExt};
use lockstep_core::api::crd;
use serde_json::{Value, json};

use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;

use super::cluster;
use super::examples::{self, Example, MANIFESTS};

const FIELD_MANAGER: &str = "lockstep-crd-test";

/// Applies the CRDs and waits until they are served.
pub async fn install(client: &Client) {
    let crds: Api<CustomResourceDefinition> = Api::all(client.clone());
    for crd in crd::all() {
        let name = crd.name_any();
        let apply = PatchParams::apply(FIELD_MANAGER).force().validation_strict();
        crds.patch(&name, &apply, &Patch::Apply(&crd))
            .await
            .unwrap_or_else(|e| panic!("{name}: {e}"));
        let established = await_condition(crds.clone(), &name, conditions::is_crd_established());
        tokio::time::timeout(std::time::Duration::from_secs(30), established)
            .await
            .unwrap()
            .unwrap();
    }
}

pub struct Scratch {
    client: Client,
    namespace: String,
}

impl Scratch {
    pub async fn new(client: &Client) -> Self {
        let namespaces: Api<Namespace> = Api::all(client.clone());
        let namespace = json!({"metadata": {"generateName": "crd-rules-"}});
        let made = namespaces
            .create(
                &PostParams::default(),
                &serde_json::from_value(namespace).unwrap(),
            )
            .await
            .unwrap();
        Self {
            client: client.clone(),
            namespace: made.name_any(),
        }
    }

    fn api(&self, client: Client, kind: &str) -> Api<DynamicObject> {
        let kind = GroupVersionKind::gvk("lockstep.dev", "v1alpha1", kind);
        Api::namespaced_with(client, &self.namespace, &ApiResource::from_gvk(&kind))
    }

    /// Where the chart's policy is in force an approval is its approver's to make.
    async fn client_for(&self, spec: &Value) -> Client {
        let approver = spec["approver"].as_str().filter(|name| is_plain(name));
        let theirs = match approver {
            Some(name) => cluster::as_user(Some(name)).await,
            None => None,
        };
        theirs.unwrap_or_else(|| self.client.clone())
    }

    /// What the API server says to `spec`, as a message; the object is kept only if `keep`.
    pub async fn apply(&self, kind: &str, name: &str, spec: &Value, keep: bool) -> Result<(), String> {
        let object = json!({"apiVersion": "lockstep.dev/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec});
        let mut apply = PatchParams::apply(FIELD_MANAGER).force().validation_strict();
        if !keep {
            apply = apply.dry_run();
        }
        let client = self.client_for(spec).await;
        match self
            .api(client, kind)
            .patch(name, &apply, &Patch::Apply(&object))
            .await
        {
            Ok(_) => Ok(()),
            Err(kube::Error::Api(status)) => Err(status.message.clone()),
            Err(error) => panic!("{kind}: {error}"),
        }
    }

    pub async fn remove(self) {
        let namespaces: Api<Namespace> = Api::all(self.client.clone());
        namespaces
            .delete(&self.namespace, &DeleteParams::default())
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn the_api_server_agrees() {
    let Some(client) = cluster::client().await else {
        return;
    };
    install(&client).await;
    let scratch = Scratch::new(&client).await;
    let mut surprises = Vec::new();
    for (
        n,
        Example {
            kind,
            why,
            name,
            spec,
            old,
            refused,
        },
    ) in examples::all().into_iter().enumerate()
    {
        let name = name.unwrap_or_else(|| format!("example-{n}"));
        if let Some(old) = &old {
            scratch.apply(&kind, &name, old, true).await.unwrap();
        }
        let answer = scratch.apply(&kind, &name, &spec, false).await;
        let expected = match (&answer, &refused) {
            (Ok(()), None) => true,
            (Err(message), Some(part)) => unquote(message).contains(&unquote(part)),
            _ => false,
        };
        if !expected {
            surprises.push(format!("{kind}: {why}: expected {refused:?}, got {answer:?}"));
        }
    }
    for file in MANIFESTS {
        for object in examples::manifest(file) {
            if object["apiVersion"] == "lockstep.dev/v1alpha1" {
                let (kind, name) = (
                    object["kind"].as_str().unwrap(),
                    object["metadata"]["name"].as_str().unwrap(),
                );
                if let Err(message) = scratch.apply(kind, name, &object["spec"], false).await {
                    surprises.push(format!("examples/{file}: {message}"));
                }
            }
        }
    }
    scratch.remove().await;
    assert!(surprises.is_empty(), "{surprises:#?}");
}

/// Whether a header can carry a name.
fn is_plain(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic())
}

/// The API server and this table quote patterns and words differently.
fn unquote(text: &str) -> String {
    text.replace(['\\', '"', '\''], "")
}
