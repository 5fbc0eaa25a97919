//! The ports [`Cluster`] and `Objects` for commands that only look: everything is listed once, with the caller's own
//! rights. Where those do not reach across the cluster, the namespaces in question are listed instead, and the answer
//! says so.

mod credentials;
mod pages;
mod promotions;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use k8s_openapi::api::admissionregistration::v1::{
    ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding,
};
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::core::PartialObjectMeta;
use kube::{Api, Client, CustomResourceExt as _, ResourceExt as _};
use lockstep_core::api::{
    AccessBinding, ChangeFreeze, CredentialStore, DatabricksConnection, GerritConnection, PlanApproval,
    Promotion, PromotionPolicy, ServiceCredential,
};
use lockstep_core::domain::access::declared::claim_words;
use lockstep_core::domain::ports::{Cluster, ConnectionKind, EntryId, KeepError, Note, ObjectKey};

use super::approving::has_a_say;
use super::arrival::Arrived;
use super::index::connections_of;
use super::name::{KindName, Name};
use super::protection::{POLICY, since};
use pages::{decoded, failed, is_forbidden, list, pages};

pub use pages::Unreadable;

/// The label every namespace has, and nobody can change.
const NAME_LABEL: &str = "kubernetes.io/metadata.name";

/// The cluster as one look found it.
#[derive(Clone, Debug, Default)]
pub struct Listing {
    gerrit: BTreeMap<Name, Arc<GerritConnection>>,
    databricks: BTreeMap<Name, Arc<DatabricksConnection>>,
    bindings: BTreeMap<Name, Arc<AccessBinding>>,
    approvals: Vec<Arc<PlanApproval>>,
    policies: BTreeMap<Name, Arc<PromotionPolicy>>,
    promotions: BTreeMap<Name, Arc<Promotion>>,
    freezes: BTreeMap<Name, Arc<ChangeFreeze>>,
    credentials: BTreeMap<Name, Arc<ServiceCredential>>,
    credential_stores: BTreeMap<Name, Arc<CredentialStore>>,
    namespaces: BTreeMap<String, BTreeMap<String, String>>,
    protected_since: Option<Timestamp>,
    going: bool,
    operator_namespace: String,
    /// What could not be seen, for people.
    pub notes: Vec<String>,
    /// What could not be seen of policies, promotions and freezes, for whoever asks about those.
    pub promotion_notes: Vec<String>,
    /// What could not be seen of credentials and stores, for whoever asks about those.
    pub credential_notes: Vec<String>,
}

impl Listing {
    /// Reads everything; `asked` are the namespaces in question.
    pub async fn read(
        client: &Client,
        asked: &BTreeSet<String>,
        operator_namespace: &str,
    ) -> Result<Self, Unreadable> {
        let mut listing = Self {
            operator_namespace: operator_namespace.to_owned(),
            ..Self::default()
        };
        let bindings = list::<AccessBinding>(client, asked).await?;
        let mut namespaces = asked.clone();
        for binding in &bindings.objects {
            let own = binding.namespace().unwrap_or_default();
            let used = connections_of(&own, &binding.spec);
            namespaces.extend(
                used.into_iter()
                    .map(|subject| subject.name.namespace().to_owned()),
            );
            namespaces.insert(own);
        }
        let mut homes = namespaces.clone();
        homes.insert(operator_namespace.to_owned());
        let (gerrit, databricks, approvals, known, protected, going, promoted, found) = futures::join!(
            list::<GerritConnection>(client, &namespaces),
            list::<DatabricksConnection>(client, &namespaces),
            list::<PlanApproval>(client, &homes),
            namespace_labels(client, &namespaces),
            protected_since(client),
            is_going(client),
            promotions::read(client, &namespaces, &homes),
            credentials::read(client, &namespaces),
        );
        let (gerrit, databricks, approvals) = (gerrit?, databricks?, approvals?);
        let (known, known_notes) = known?;
        let (protected, protected_note) = protected?;
        listing.notes.extend(bindings.notes);
        listing.notes.extend(gerrit.notes);
        listing.notes.extend(databricks.notes);
        listing.notes.extend(approvals.notes);
        listing.notes.extend(known_notes);
        listing.notes.extend(protected_note);
        bindings
            .objects
            .into_iter()
            .for_each(|binding| listing.put_binding(binding));
        gerrit
            .objects
            .into_iter()
            .for_each(|found| listing.put_gerrit(found));
        databricks
            .objects
            .into_iter()
            .for_each(|found| listing.put_databricks(found));
        listing.approvals = approvals.objects.into_iter().map(Arc::new).collect();
        listing.namespaces = known;
        listing.protected_since = protected;
        listing.going = going;
        listing.put_promoted(promoted?);
        listing.put_credentials(found?);
        Ok(listing)
    }

    /// Lays an object over what the cluster has.
    pub fn put_binding(&mut self, binding: AccessBinding) {
        self.bindings.insert(Name::of(&binding), Arc::new(binding));
    }

    /// Lays an object over what the cluster has.
    pub fn put_gerrit(&mut self, connection: GerritConnection) {
        self.gerrit.insert(Name::of(&connection), Arc::new(connection));
    }

    /// Lays an object over what the cluster has.
    pub fn put_databricks(&mut self, connection: DatabricksConnection) {
        self.databricks
            .insert(Name::of(&connection), Arc::new(connection));
    }

    /// Lays labels over what the cluster has.
    pub fn put_namespace(&mut self, name: &str, mut labels: BTreeMap<String, String>) {
        labels.insert(NAME_LABEL.to_owned(), name.to_owned());
        self.namespaces.insert(name.to_owned(), labels);
    }

    /// Names of all connections, by kind.
    pub fn connections(&self) -> impl Iterator<Item = (ConnectionKind, &Name)> {
        let gerrit = self.gerrit.keys().map(|name| (ConnectionKind::Gerrit, name));
        let databricks = self
            .databricks
            .keys()
            .map(|name| (ConnectionKind::Databricks, name));
        gerrit.chain(databricks)
    }
}

/// Labels by namespace, and what could not be seen.
type Labels = (BTreeMap<String, BTreeMap<String, String>>, Vec<String>);

async fn namespace_labels(client: &Client, asked: &BTreeSet<String>) -> Result<Labels, Unreadable> {
    type Meta = PartialObjectMeta<Namespace>;
    let api = Api::<Arrived<Meta>>::all(client.clone());
    let labels = |meta: &Meta| meta.metadata.labels.clone().unwrap_or_default();
    match pages(&api).await {
        Ok(found) => {
            let known = decoded("Namespace", found).objects;
            return Ok((
                known.iter().map(|meta| (meta.name_any(), labels(meta))).collect(),
                Vec::new(),
            ));
        }
        Err(error) if is_forbidden(&error) => {}
        Err(error) => return Err(failed("Namespace", &error)),
    }
    let (mut known, mut notes) = (BTreeMap::new(), Vec::new());
    for namespace in asked {
        match api.get_opt(namespace).await {
            Ok(Some(found)) => {
                known.insert(namespace.clone(), found.labels().clone());
            }
            Ok(None) => {}
            Err(error) if is_forbidden(&error) => {
                notes.push(format!(
                    "labels of namespace {namespace} may not be read: tenants that select by label are not seen to match"
                ));
                known.insert(
                    namespace.clone(),
                    BTreeMap::from([(NAME_LABEL.to_owned(), namespace.clone())]),
                );
            }
            Err(error) => return Err(failed("Namespace", &error)),
        }
    }
    Ok((known, notes))
}

async fn protected_since(client: &Client) -> Result<(Option<Timestamp>, Option<String>), Unreadable> {
    let policies: Api<ValidatingAdmissionPolicy> = Api::all(client.clone());
    let bindings: Api<ValidatingAdmissionPolicyBinding> = Api::all(client.clone());
    match futures::join!(policies.get_opt(POLICY), bindings.get_opt(POLICY)) {
        (Ok(policy), Ok(binding)) => Ok((since(policy.as_ref(), binding.as_ref()), None)),
        (Err(error), _) | (_, Err(error)) if is_forbidden(&error) => Ok((
            Some(Timestamp::UNIX_EPOCH),
            Some(format!(
                "whether the admission policy {POLICY} is in force may not be seen: assumed that it is"
            )),
        )),
        (Err(error), _) | (_, Err(error)) => Err(failed("ValidatingAdmissionPolicy", &error)),
    }
}

/// Whether the CRD of bindings is being deleted; whoever may not see it is shown a plan without that brake.
async fn is_going(client: &Client) -> bool {
    let api: Api<CustomResourceDefinition> = Api::all(client.clone());
    let found = api.get_metadata_opt(AccessBinding::crd_name()).await;
    found.is_ok_and(|found| found.is_some_and(|found| found.metadata.deletion_timestamp.is_some()))
}

/// Nothing is written from here.
fn refused(what: &'static str) -> KeepError {
    KeepError {
        what,
        message: "this command only reads".into(),
    }
}

#[async_trait]
impl Cluster for Listing {
    fn gerrit_connection(&self, namespace: &str, name: &str) -> Option<Arc<GerritConnection>> {
        self.gerrit.get(&Name::new(namespace, name)).cloned()
    }

    fn databricks_connection(&self, namespace: &str, name: &str) -> Option<Arc<DatabricksConnection>> {
        self.databricks.get(&Name::new(namespace, name)).cloned()
    }

    fn gerrit_connections(&self) -> Vec<Arc<GerritConnection>> {
        self.gerrit.values().cloned().collect()
    }

    fn databricks_connections(&self) -> Vec<Arc<DatabricksConnection>> {
        self.databricks.values().cloned().collect()
    }

    fn binding(&self, namespace: &str, name: &str) -> Option<Arc<AccessBinding>> {
        self.bindings.get(&Name::new(namespace, name)).cloned()
    }

    fn bindings(&self) -> Vec<Arc<AccessBinding>> {
        self.bindings.values().cloned().collect()
    }

    fn claimants(&self, words: &BTreeSet<String>) -> Vec<Arc<AccessBinding>> {
        self.bindings
            .values()
            .filter(|binding| !claim_words(&binding.spec).is_disjoint(words))
            .cloned()
            .collect()
    }

    fn namespace_labels(&self, name: &str) -> Option<BTreeMap<String, String>> {
        self.namespaces.get(name).cloned()
    }

    fn approvals(&self, object: &ObjectKey) -> Vec<Arc<PlanApproval>> {
        self.approvals
            .iter()
            .filter(|approval| has_a_say(approval, object, &self.operator_namespace))
            .cloned()
            .collect()
    }

    fn approvals_protected_since(&self) -> Option<Timestamp> {
        self.protected_since
    }

    fn kind_is_going(&self, kind: &str) -> bool {
        self.going && kind == KindName::AccessBinding.as_str()
    }

    async fn write_status(&self, _object: &ObjectKey, _status: serde_json::Value) -> Result<(), KeepError> {
        Err(refused("status"))
    }

    async fn add_finalizer(&self, _object: &ObjectKey, _finalizer: &str) -> Result<(), KeepError> {
        Err(refused("finalizer"))
    }

    async fn remove_finalizer(&self, _object: &ObjectKey, _finalizer: &str) -> Result<(), KeepError> {
        Err(refused("finalizer"))
    }

    async fn use_approval(
        &self,
        _approval: &PlanApproval,
        _entry: &EntryId,
        _at: Timestamp,
    ) -> Result<(), KeepError> {
        Err(refused("approval"))
    }

    async fn note(&self, _object: &ObjectKey, _note: Note) {}
}
