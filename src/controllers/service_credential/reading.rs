//! A credential as its object says it: who may use what, what people asked of it, what its status keeps.

use std::collections::BTreeSet;

use jiff::Timestamp;
use kube::ResourceExt as _;
use lockstep_core::api::condition::Reason;
use lockstep_core::api::connection::Use;
use lockstep_core::api::credential_store::{AwsAuth, CredentialStoreSpec};
use lockstep_core::api::{COMPROMISED, FINALIZER, ROTATE, ServiceCredential};
use lockstep_core::domain::access::reach::{Refusal, Tenancy};
use lockstep_core::domain::defaults;
use lockstep_core::domain::ports::{Cluster, ConnectionKey, ConnectionKind};
use lockstep_core::domain::rotation::declared::{self, Declared};
use lockstep_core::domain::rotation::machine::state::StoreName;
use lockstep_core::domain::rotation::ports::issuers::{Identity, Principal};
use lockstep_core::domain::rotation::ports::objects::Credentials;
use lockstep_core::domain::rotation::ports::stores::Place;
use lockstep_core::domain::rotation::{reach, rows};

/// What keeps a credential from being followed.
pub type Problem = (Reason, String);

/// Whether nothing of it is left to do.
pub fn is_gone(credential: &ServiceCredential) -> bool {
    credential.metadata.deletion_timestamp.is_some() && !holds(credential)
}

/// Reads the spec.
pub fn declared(credential: &ServiceCredential, now: Timestamp) -> Result<Declared, Problem> {
    let namespace = credential.namespace().unwrap_or_default();
    Declared::read(&credential.spec, &namespace, now).map_err(|why| (Reason::InvalidSpec, why.to_string()))
}

/// Generations that a person said are known to others.
pub fn compromised(credential: &ServiceCredential) -> Result<BTreeSet<u64>, Problem> {
    let Some(text) = credential.annotations().get(COMPROMISED) else {
        return Ok(BTreeSet::new());
    };
    let words = text.split(',').map(str::trim).filter(|word| !word.is_empty());
    words
        .map(|word| {
            word.parse().map_err(|_| {
                let message = format!(
                    "annotation {COMPROMISED}: {word:?} is no number of a generation: write for example 3, or 2,3"
                );
                (Reason::InvalidSpec, message)
            })
        })
        .collect()
}

/// Whether one of them may live.
pub fn is_stolen(credential: &ServiceCredential) -> bool {
    let Ok(stolen) = compromised(credential) else {
        return false;
    };
    let Some(status) = credential.status.as_ref().filter(|_| !stolen.is_empty()) else {
        return false;
    };
    rows::rotation(status).is_ok_and(|rotation| rotation.may_live(&stolen))
}

/// What people want rotated for, if they do and it was not yet.
pub fn rotate_for(credential: &ServiceCredential) -> Option<&str> {
    let wanted = credential.annotations().get(ROTATE)?.as_str();
    let done = credential
        .status
        .as_ref()
        .and_then(|status| status.rotated_for.as_deref());
    (done != Some(wanted)).then_some(wanted)
}

/// Whether its namespace may mint for this identity.
pub fn may_mint(identity: &Identity, namespace: &str, cluster: &dyn Cluster) -> Result<(), Problem> {
    let refused = |refusal: Refusal| (refusal.reason, refusal.message);
    let labels = cluster.namespace_labels(namespace);
    match identity {
        Identity::DatabricksServicePrincipal { connection, whose }
        | Identity::DatabricksToken { connection, whose } => {
            let found = cluster
                .databricks_connection(&connection.namespace, &connection.name)
                .ok_or_else(|| gone(connection))?;
            let tenants = found.spec.tenants.as_ref();
            let tenancy = Tenancy::databricks(tenants, namespace, labels.as_ref(), Use::Rotation)
                .ok_or_else(|| not_allowed(connection, namespace))?;
            let status = found.status.as_ref();
            let own = status.and_then(|status| Some(status.identity.as_ref()?.name.clone()));
            match whose {
                Principal::Own => at_home(connection, namespace),
                Principal::Of(id) if own.as_deref() == Some(id) => Err(own_by_number(connection)),
                Principal::Of(id) => tenancy
                    .service_principal(id, "roles/servicePrincipal.user")
                    .map_err(refused),
            }
        }
        Identity::GerritToken { connection, account } => {
            let found = cluster
                .gerrit_connection(&connection.namespace, &connection.name)
                .ok_or_else(|| gone(connection))?;
            let tenants = found.spec.tenants.as_ref();
            let tenancy = Tenancy::gerrit(tenants, namespace, labels.as_ref(), Use::Rotation)
                .ok_or_else(|| not_allowed(connection, namespace))?;
            let own = found.status.as_ref().and_then(|status| status.account.as_ref());
            if own.is_some_and(|own| own.username.as_deref() == Some(account)) {
                at_home(connection, namespace)?;
            }
            tenancy.account(account).map_err(refused)
        }
        // Whose key it logs in with lies in its own namespace.
        Identity::AwsAccessKey { .. } => Ok(()),
    }
}

/// Who mints for the connection's own identity can do what the connection can, for every tenant of it.
fn at_home(connection: &ConnectionKey, namespace: &str) -> Result<(), Problem> {
    if connection.namespace == namespace {
        return Ok(());
    }
    let message = format!(
        "the credential that {connection} itself logs in with can be minted in its own namespace alone: create this \
         object there"
    );
    Err((Reason::NotAllowed, message))
}

fn own_by_number(connection: &ConnectionKey) -> Problem {
    let message = format!(
        "this is the identity that {connection} itself logs in with: write applicationId: self, which demands a lifetime \
         that outlives two missed rotations"
    );
    (Reason::NotAllowed, message)
}

fn gone(connection: &ConnectionKey) -> Problem {
    (Reason::DependencyNotReady, format!("{connection} does not exist"))
}

fn not_allowed(connection: &ConnectionKey, namespace: &str) -> Problem {
    let message = format!(
        "{connection} has no tenant entry with use Rotation for namespace {namespace}: ask its owner"
    );
    (Reason::NotAllowed, message)
}

/// Whether its namespace may write to this place.
pub fn may_write(
    place: &Place,
    namespace: &str,
    cluster: &dyn Cluster,
    credentials: &dyn Credentials,
    home: &str,
) -> Result<(), Problem> {
    let Place::CredentialStore {
        namespace: of,
        name,
        path,
    } = place
    else {
        return Ok(());
    };
    let store = credentials.credential_store(of, name).ok_or_else(|| {
        let message = format!("CredentialStore {of}/{name} does not exist");
        (Reason::DependencyNotReady, message)
    })?;
    let labels = cluster.namespace_labels(namespace);
    let called = format!("CredentialStore {of}/{name}");
    reach::may_write(
        store.spec.tenants.as_ref(),
        namespace,
        labels.as_ref(),
        &called,
        path,
    )
    .map_err(|refusal| (refusal.reason, refusal.message))?;
    usable(&store.spec, of, cluster, home)
}

/// Whether the store's namespace may use what the store stands on. `home`: the operator's namespace.
pub fn usable(
    store: &CredentialStoreSpec,
    namespace: &str,
    cluster: &dyn Cluster,
    home: &str,
) -> Result<(), Problem> {
    if let Some(aws) = &store.aws_secrets_manager
        && matches!(aws.auth, AwsAuth::Default(_))
        && namespace != home
    {
        return Err(ambient(home));
    }
    let Some(scope) = &store.databricks_secret_scope else {
        return Ok(());
    };
    let connection = defaults::connection(ConnectionKind::Databricks, &scope.connection_ref, namespace);
    let found = cluster
        .databricks_connection(&connection.namespace, &connection.name)
        .ok_or_else(|| gone(&connection))?;
    let labels = cluster.namespace_labels(namespace);
    let tenants = found.spec.tenants.as_ref();
    Tenancy::databricks(tenants, namespace, labels.as_ref(), Use::Rotation)
        .map(drop)
        .ok_or_else(|| not_allowed(&connection, namespace))
}

/// The operator's own identity serves nobody else.
pub fn ambient(home: &str) -> Problem {
    let message = format!(
        "auth.default uses the operator's own identity, which serves objects in namespace {home} alone: use auth.secretRef"
    );
    (Reason::NotAllowed, message)
}

/// Whether values of it may lie in stores or live at its issuer.
fn holds(credential: &ServiceCredential) -> bool {
    credential.finalizers().iter().any(|held| held == FINALIZER)
}

/// Whether a credential depends on a connection: it mints through it, and is let to, or what it minted may still live.
pub fn mints_through(
    cluster: &dyn Cluster,
    credential: &ServiceCredential,
    connection: &ConnectionKey,
) -> bool {
    let namespace = credential.namespace().unwrap_or_default();
    let identity = declared::identity(&credential.spec.issuer, &namespace);
    identity.connection() == Some(connection)
        && (holds(credential) || may_mint(&identity, &namespace, cluster).is_ok())
}

/// Whether values of a credential may lie in a CredentialStore: its spec names it, or it was written to before.
pub fn lies_in(credential: &ServiceCredential, namespace: &str, name: &str) -> bool {
    let own = credential.namespace().unwrap_or_default();
    let there = |place: &Place| matches!(place, Place::CredentialStore { namespace: of, name: store, .. } if of == namespace && store == name);
    let stated = credential
        .spec
        .stores
        .iter()
        .map(|target| declared::place(target, &own));
    let rows = credential
        .status
        .iter()
        .flat_map(|status| status.stores.iter().flatten());
    let written = rows.filter_map(|row| Place::parse(&StoreName(row.name.clone()), &own));
    holds(credential) && stated.chain(written).any(|place| there(&place))
}
