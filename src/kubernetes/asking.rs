//! What a person sees of promotions and credentials and asks of them, with their own rights: objects listed whole, an annotation put on
//! one, another one made. The operator does the rest.

use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::api::{DynamicObject, ListParams, Patch, PatchParams, PostParams};
use kube::core::ApiResource;
use kube::{Api, Client, Resource, ResourceExt as _};
use lockstep_core::api::{
    ChangeFreeze, ENVIRONMENT_LABEL, POLICY_LABEL, Promotion, PromotionPolicy, PromotionSpec,
    ServiceCredential,
};
use lockstep_core::domain::promotion::gate::freeze::Freeze;
use serde::de::DeserializeOwned;
use serde_json::json;

/// Objects in one page: a promotion may keep 256 KiB.
const PAGE: u32 = 50;
/// Who annotates and makes promotions for people.
const MANAGER: &str = "lockstep-cli";

/// What was read, and what could not be.
#[derive(Clone, Debug, Default)]
pub struct Promoted {
    pub policies: Vec<PromotionPolicy>,
    pub promotions: Vec<Promotion>,
    pub freezes: Vec<Freeze>,
    /// What could not be seen, for people.
    pub notes: Vec<String>,
}

/// The cluster did not do, or show, what was asked. The message says what to change.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NotAsked(pub String);

/// Policies and promotions, as whoever the client logs in as may see and change them.
pub struct Asking {
    client: Client,
}

impl Asking {
    pub fn new(client: Client) -> Self {
        Self { client }
    }

    /// Everything of one namespace, or of all; freezes of the operator's namespace count for every one.
    pub async fn everything(
        &self,
        namespace: Option<&str>,
        operator_namespace: &str,
    ) -> Result<Promoted, NotAsked> {
        let elsewhere = namespace.filter(|namespace| *namespace != operator_namespace);
        let (policies, promotions, own, shared) = futures::join!(
            self.list::<PromotionPolicy>(namespace),
            self.list::<Promotion>(namespace),
            self.list::<ChangeFreeze>(namespace),
            async {
                match elsewhere {
                    Some(_) => self.list::<ChangeFreeze>(Some(operator_namespace)).await,
                    None => Ok((Vec::new(), Vec::new())),
                }
            },
        );
        let mut seen = Promoted::default();
        let (policies, notes) = policies?;
        seen.notes.extend(notes);
        let (promotions, notes) = promotions?;
        seen.notes.extend(notes);
        let mut freezes = Vec::new();
        for listed in [own, shared] {
            // Who may not see them is told so, and sees the rest.
            match listed {
                Ok((found, notes)) => {
                    freezes.extend(found);
                    seen.notes.extend(notes);
                }
                Err(NotAsked(why)) => seen.notes.push(why),
            }
        }
        let declared = |freeze: &ChangeFreeze| Freeze::declared(freeze, operator_namespace);
        seen.freezes = freezes.iter().map(declared).collect();
        seen.policies = policies;
        seen.promotions = promotions;
        Ok(seen)
    }

    /// Every object of a kind; what does not decode is named, not dropped in silence.
    async fn list<K>(&self, namespace: Option<&str>) -> Result<(Vec<K>, Vec<String>), NotAsked>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + DeserializeOwned,
    {
        let resource = ApiResource::erase::<K>(&());
        let api: Api<DynamicObject> = match namespace {
            Some(namespace) => Api::namespaced_with(self.client.clone(), namespace, &resource),
            None => Api::all_with(self.client.clone(), &resource),
        };
        let (mut objects, mut notes) = (Vec::new(), Vec::new());
        let mut params = ListParams::default().limit(PAGE);
        loop {
            let page = api
                .list(&params)
                .await
                .map_err(|error| unread(&resource, namespace, &error))?;
            for object in page.items {
                let name = format!("{}/{}", object.namespace().unwrap_or_default(), object.name_any());
                match object.try_parse::<K>() {
                    Ok(object) => objects.push(object),
                    Err(error) => notes.push(format!("{} {name} is not understood: {error}", resource.kind)),
                }
            }
            match page.metadata.continue_.filter(|token| !token.is_empty()) {
                Some(token) => params = params.continue_token(&token),
                None => return Ok((objects, notes)),
            }
        }
    }

    /// One promotion.
    pub async fn promotion(&self, namespace: &str, name: &str) -> Result<Promotion, NotAsked> {
        self.one(namespace, name)
            .await?
            .ok_or_else(|| absent("Promotion", namespace, name))
    }

    /// One policy.
    pub async fn policy(&self, namespace: &str, name: &str) -> Result<PromotionPolicy, NotAsked> {
        self.one(namespace, name)
            .await?
            .ok_or_else(|| absent("PromotionPolicy", namespace, name))
    }

    async fn one<K>(&self, namespace: &str, name: &str) -> Result<Option<K>, NotAsked>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
            + DeserializeOwned
            + Clone
            + std::fmt::Debug,
    {
        let api: Api<K> = Api::namespaced(self.client.clone(), namespace);
        let resource = ApiResource::erase::<K>(&());
        let found = api.get_opt(name).await;
        found.map_err(|error| unread(&resource, Some(namespace), &error))
    }

    /// Every credential of one namespace, or of all, and what could not be seen.
    pub async fn credentials(
        &self,
        namespace: Option<&str>,
    ) -> Result<(Vec<ServiceCredential>, Vec<String>), NotAsked> {
        self.list(namespace).await
    }

    /// One credential.
    pub async fn credential(&self, namespace: &str, name: &str) -> Result<ServiceCredential, NotAsked> {
        self.one(namespace, name)
            .await?
            .ok_or_else(|| absent("ServiceCredential", namespace, name))
    }

    /// Puts an annotation on this very object: one that was made anew under its name is another.
    pub async fn annotate<K>(&self, object: &K, key: &str, value: &str) -> Result<(), NotAsked>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
            + DeserializeOwned
            + Clone
            + std::fmt::Debug,
    {
        let (namespace, name) = (object.namespace().unwrap_or_default(), object.name_any());
        let api: Api<K> = Api::namespaced(self.client.clone(), &namespace);
        let resource = ApiResource::erase::<K>(&());
        let patch = json!({"metadata": {"uid": object.uid(), "annotations": {key: value}}});
        let params = PatchParams {
            field_manager: Some(MANAGER.to_owned()),
            ..PatchParams::default()
        };
        let done = api.patch(&name, &params, &Patch::Merge(&patch)).await;
        done.map(drop)
            .map_err(|error| refused(&resource, "annotate", "patch", &namespace, &name, &error))
    }

    /// Makes a promotion that goes with its policy.
    pub async fn make(
        &self,
        policy: &PromotionPolicy,
        name: &str,
        spec: PromotionSpec,
    ) -> Result<Promotion, NotAsked> {
        let namespace = policy.namespace().unwrap_or_default();
        let api: Api<Promotion> = Api::namespaced(self.client.clone(), &namespace);
        let labels = [
            (POLICY_LABEL.to_owned(), policy.name_any()),
            (ENVIRONMENT_LABEL.to_owned(), spec.environment.clone()),
        ];
        let mut promotion = Promotion::new(name, spec);
        promotion.metadata.namespace = Some(namespace.clone());
        promotion.metadata.labels = Some(labels.into());
        promotion.metadata.owner_references = Some(vec![OwnerReference {
            api_version: PromotionPolicy::api_version(&()).into_owned(),
            kind: PromotionPolicy::kind(&()).into_owned(),
            name: policy.name_any(),
            uid: policy.uid().unwrap_or_default(),
            controller: None,
            // Whoever deletes a policy in the foreground need not wait for its history.
            block_owner_deletion: Some(false),
        }]);
        let params = PostParams {
            field_manager: Some(MANAGER.to_owned()),
            ..PostParams::default()
        };
        let made = api.create(&params, &promotion).await;
        let resource = ApiResource::erase::<Promotion>(&());
        made.map_err(|error| refused(&resource, "make", "create", &namespace, name, &error))
    }
}

fn absent(kind: &str, namespace: &str, name: &str) -> NotAsked {
    NotAsked(format!(
        "there is no {kind} {name} in namespace {namespace}: name another with -n"
    ))
}

fn unread(resource: &ApiResource, namespace: Option<&str>, error: &kube::Error) -> NotAsked {
    let (kind, plural) = (&resource.kind, &resource.plural);
    let place = namespace.map_or_else(
        || "any namespace".to_owned(),
        |namespace| format!("namespace {namespace}"),
    );
    NotAsked(match error {
        kube::Error::Api(status) if status.is_forbidden() => {
            format!("{kind} objects of {place} may not be read (RBAC: get and list {plural})")
        }
        kube::Error::Api(status) if status.is_not_found() => format!(
            "this cluster does not know {kind}: install the CRDs with `lockstep crds | kubectl apply --server-side -f -`"
        ),
        error => format!("{kind} objects cannot be read: {error}"),
    })
}

fn refused(
    resource: &ApiResource,
    what: &str,
    verb: &str,
    namespace: &str,
    name: &str,
    error: &kube::Error,
) -> NotAsked {
    let (kind, plural) = (&resource.kind, &resource.plural);
    NotAsked(match error {
        kube::Error::Api(status) if status.is_forbidden() => format!(
            "you may not {what} {kind} {name}: {} (RBAC: {verb} {plural} in {namespace})",
            status.message
        ),
        kube::Error::Api(status) if status.is_already_exists() => {
            format!("{kind} {name} exists already: look at it, or ask again in a second")
        }
        kube::Error::Api(status) if status.is_not_found() => {
            format!("{kind} {name} is gone from namespace {namespace}")
        }
        error => format!("{kind} {name} was refused: {error}"),
    })
}

#[cfg(test)]
#[path = "asking_tests.rs"]
mod tests;
