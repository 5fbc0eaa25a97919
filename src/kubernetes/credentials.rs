//! Who is looked at when a credential changes, and the port [`Credentials`] over the watch caches.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::apps::v1::{DaemonSet, Deployment, StatefulSet};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{Patch, PatchParams};
use kube::{Api, Resource};
use lockstep_core::api::reference::ConnectionRef;
use lockstep_core::api::service_credential::{CredentialIssuer, CredentialTarget, Restarted, RestartedKind};
use lockstep_core::api::{
    COMPROMISED, CredentialStore, DEPENDANTS_FINALIZER, FINALIZER, ROTATE, STARTED_FOR, ServiceCredential,
};
use lockstep_core::domain::ports::{SystemError, SystemErrorKind};
use lockstep_core::domain::rotation::claims;
use lockstep_core::domain::rotation::declared::place;
use lockstep_core::domain::rotation::machine::state::StoreName;
use lockstep_core::domain::rotation::ports::objects::Credentials;
use lockstep_core::domain::rotation::ports::stores::Place;
use serde_json::{Value, json};
use tokio::time::timeout;

use super::cache::Held;
use super::changes::{asked_again, lost_status};
use super::cluster::KubeCluster;
use super::index::Word;
use super::name::{KindName, Name, Subject};
use super::store::{Wiring, object, undecodable};

/// Field manager of it.
const STARTER: &str = "lockstep/restart";
/// Longest time a request may take. Well below what is left of a lease at its worst.
const DEADLINE: Duration = Duration::from_secs(6);

/// Connections and stores that a credential names.
fn named(namespace: &str, credential: &ServiceCredential) -> BTreeSet<Subject> {
    let subject = |kind, reference: &ConnectionRef| {
        let namespace = reference.namespace.as_deref().unwrap_or(namespace);
        Subject::new(kind, Name::new(namespace, &reference.name))
    };
    let issuer = match &credential.spec.issuer {
        CredentialIssuer::DatabricksServicePrincipal(one) | CredentialIssuer::DatabricksToken(one) => {
            Some(subject(KindName::DatabricksConnection, &one.connection_ref))
        }
        CredentialIssuer::GerritToken(one) => Some(subject(KindName::GerritConnection, &one.connection_ref)),
        CredentialIssuer::AwsAccessKey(_) => None,
    };
    let stores = credential.spec.stores.iter().filter_map(|target| match target {
        CredentialTarget::CredentialStore(store) => {
            Some(subject(KindName::CredentialStore, &store.store_ref))
        }
        CredentialTarget::KubernetesSecret(_) => None,
    });
    stores.chain(issuer).collect()
}

fn databricks(namespace: &str, reference: &ConnectionRef) -> Subject {
    let namespace = reference.namespace.as_deref().unwrap_or(namespace);
    Subject::new(
        KindName::DatabricksConnection,
        Name::new(namespace, &reference.name),
    )
}

fn has_finalizer(meta: &ObjectMeta, finalizer: &str) -> bool {
    meta.finalizers.iter().flatten().any(|held| held == finalizer)
}

/// Stores that values of a credential may lie in.
fn kept_in(namespace: &str, credential: &ServiceCredential) -> BTreeSet<Subject> {
    if !has_finalizer(&credential.metadata, FINALIZER) {
        return BTreeSet::new();
    }
    let stated = credential
        .spec
        .stores
        .iter()
        .map(|target| place(target, namespace));
    let rows = credential
        .status
        .iter()
        .flat_map(|status| status.stores.iter().flatten());
    let written = rows.filter_map(|row| Place::parse(&StoreName(row.name.clone()), namespace));
    stated
        .chain(written)
        .filter_map(|place| match place {
            Place::CredentialStore { namespace, name, .. } => Some(Subject::new(
                KindName::CredentialStore,
                Name::new(&namespace, &name),
            )),
            Place::KubernetesSecret { .. } => None,
        })
        .collect()
}

/// What people ask of a credential after it was made.
fn orders(credential: &ServiceCredential) -> [Option<&String>; 2] {
    let annotations = credential.metadata.annotations.as_ref();
    [ROTATE, COMPROMISED].map(|key| annotations.and_then(|all| all.get(key)))
}

impl Wiring {
    pub(super) fn credential_changed(
        &self,
        name: &Name,
        old: Option<&Held<ServiceCredential>>,
        new: Option<&Held<ServiceCredential>>,
    ) {
        let subject = Subject::new(KindName::ServiceCredential, name.clone());
        let torn = undecodable(old) != undecodable(new);
        let (old, new) = (object(old), object(new));
        let claims = |credential: Option<&ServiceCredential>| -> BTreeSet<Word> {
            let words = credential.map(claims::words).unwrap_or_default();
            words.iter().map(|word| Word::claim(word)).collect()
        };
        let (claimed, claiming) = (claims(old), claims(new));
        let words = |credential: Option<&ServiceCredential>, claims: &BTreeSet<Word>| -> BTreeSet<Word> {
            let Some(credential) = credential else {
                return BTreeSet::new();
            };
            let mut words = claims.clone();
            let named = named(name.namespace(), credential);
            words.extend(named.iter().map(|one| Word::connection(one.kind, &one.name)));
            words.extend([Word::namespace(name.namespace()), Word::credentials()]);
            words
        };
        self.reindex(&subject, &words(old, &claimed), &words(new, &claiming));
        let asked = asked_again(old, new);
        if asked {
            self.tell_named(name.namespace(), old, new);
        }
        if asked
            || torn
            || lost_status(old, new, |status| &status.conditions)
            || old.map(orders) != new.map(orders)
        {
            self.wake(subject);
        }
        // A store is kept for as long as a value may lie in it: it is told of the first one, and of the last one if it goes.
        let keeps = |credential: Option<&ServiceCredential>| {
            credential.map_or_else(BTreeSet::new, |credential| kept_in(name.namespace(), credential))
        };
        let (kept, keeps) = (keeps(old), keeps(new));
        let first = keeps
            .difference(&kept)
            .filter(|store| self.is_without_finalizer(store));
        let last = kept.difference(&keeps).filter(|store| self.is_going(store));
        for store in first.chain(last) {
            self.wake(store.clone());
        }
        // Whoever stood back from its claims may be served now, or must stand back.
        for word in claimed.symmetric_difference(&claiming) {
            self.wake_word(*word);
        }
    }

    /// A store in a secret scope hears of its connection, and its connection of who keeps it.
    pub(super) fn scope_changed(
        &self,
        subject: &Subject,
        old: Option<&CredentialStore>,
        new: Option<&CredentialStore>,
    ) {
        let scope = |store: Option<&CredentialStore>| -> BTreeSet<Subject> {
            let scope = store.and_then(|store| store.spec.databricks_secret_scope.as_ref());
            scope
                .map(|scope| databricks(subject.name.namespace(), &scope.connection_ref))
                .into_iter()
                .collect()
        };
        let kept = |store: Option<&CredentialStore>| {
            let kept = store.filter(|store| has_finalizer(&store.metadata, DEPENDANTS_FINALIZER));
            scope(kept)
        };
        let words = |store| -> BTreeSet<Word> {
            let scope = scope(store);
            scope
                .iter()
                .map(|one| Word::connection(one.kind, &one.name))
                .collect()
        };
        self.reindex(subject, &words(old), &words(new));
        for connection in kept(old).symmetric_difference(&kept(new)) {
            self.wake(connection.clone());
        }
    }

    /// A connection is told of whoever may be its first user, and of whoever may have been its last: it holds a finalizer
    /// in between.
    fn tell_named(&self, namespace: &str, old: Option<&ServiceCredential>, new: Option<&ServiceCredential>) {
        let names = |credential: Option<&ServiceCredential>| {
            credential.map_or_else(BTreeSet::new, |credential| named(namespace, credential))
        };
        let (old, new) = (names(old), names(new));
        let left = old.difference(&new).cloned();
        let lacking = new.iter().filter(|one| self.is_without_finalizer(one));
        for one in left.chain(lacking.cloned()) {
            self.wake(one);
        }
    }
}

#[async_trait]
impl Credentials for KubeCluster {
    fn credential(&self, namespace: &str, name: &str) -> Option<Arc<ServiceCredential>> {
        self.store.credentials.get(&Name::new(namespace, name))
    }

    fn credentials(&self) -> Vec<Arc<ServiceCredential>> {
        self.store.credentials.all()
    }

    fn credential_store(&self, namespace: &str, name: &str) -> Option<Arc<CredentialStore>> {
        self.store.credential_stores.get(&Name::new(namespace, name))
    }

    fn credential_stores(&self) -> Vec<Arc<CredentialStore>> {
        self.store.credential_stores.all()
    }

    fn sharing(&self, words: &[String]) -> Vec<Arc<ServiceCredential>> {
        let names: BTreeSet<Name> = words
            .iter()
            .flat_map(|word| self.store.find(Word::claim(word), KindName::ServiceCredential))
            .collect();
        names
            .iter()
            .filter_map(|name| self.store.credentials.last_known(name))
            .collect()
    }

    async fn restart(&self, namespace: &str, what: &Restarted, mark: &str) -> Result<(), SystemError> {
        let patch = json!({"spec": {"template": {"metadata": {"annotations": {STARTED_FOR: mark}}}}});
        match what.kind {
            RestartedKind::Deployment => self.start::<Deployment>(namespace, what, &patch).await,
            RestartedKind::StatefulSet => self.start::<StatefulSet>(namespace, what, &patch).await,
            RestartedKind::DaemonSet => self.start::<DaemonSet>(namespace, what, &patch).await,
        }
    }
}

impl KubeCluster {
    /// The same annotation twice is no change, and starts nothing.
    async fn start<K>(&self, namespace: &str, what: &Restarted, patch: &Value) -> Result<(), SystemError>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>
            + Clone
            + std::fmt::Debug
            + serde::de::DeserializeOwned,
    {
        let about = format!("{} {namespace}/{}", what.kind.as_str(), what.name);
        let fail =
            |kind, message: String| SystemError::new("Kubernetes", kind, format!("{about}: {message}"));
        self.writer
            .permitted(DEADLINE)
            .map_err(|why| fail(SystemErrorKind::NoPermit, why))?;
        let api: Api<K> = Api::namespaced(self.writer.client(), namespace);
        let parameters = PatchParams {
            field_manager: Some(STARTER.into()),
            ..PatchParams::default()
        };
        let patch = Patch::Strategic(patch);
        let asked = api.patch(&what.name, &parameters, &patch);
        match timeout(DEADLINE, asked).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(kube::Error::Api(status))) if status.code == 404 => Err(fail(
                SystemErrorKind::NotFound,
                "does not exist: take it out of spec.restart, or create it".into(),
            )),
            Ok(Err(kube::Error::Api(status))) if status.code == 403 => Err(fail(
                SystemErrorKind::Forbidden,
                format!("{}: grant the operator patch on it", status.message),
            )),
            Ok(Err(error)) => Err(fail(SystemErrorKind::Unreachable, error.to_string())),
            Err(_) => Err(fail(SystemErrorKind::Unreachable, "no answer in time".into())),
        }
    }
}
