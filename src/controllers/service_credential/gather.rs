//! Reads what a pass needs: what is declared, what is remembered, and who may use what. Issuer and stores are opened, and
//! nothing is asked of them yet.

use std::collections::BTreeMap;
use std::sync::Arc;

use kube::ResourceExt as _;
use lockstep_core::api::condition::Reason;
use lockstep_core::api::{FINALIZER, ServiceCredential};
use lockstep_core::domain::ports::{KeepError, SystemError};
use lockstep_core::domain::promotion::gate::freeze::{self, Stopped};
use lockstep_core::domain::rotation::declared::{Declared, Lies};
use lockstep_core::domain::rotation::machine::state::{Rotation, StoreName};
use lockstep_core::domain::rotation::ports::issuers::{Identity, Issuer};
use lockstep_core::domain::rotation::ports::stores::Store;
use lockstep_core::domain::rotation::{claims, rows};

use super::super::Context;
use super::reading::{self, Problem};

/// A place of a value, opened.
pub struct Open {
    pub lies: Lies,
    /// `Err`: it may not be written, or cannot be reached at all.
    pub store: Result<Arc<dyn Store>, Problem>,
}

/// What a pass knows before it begins.
pub struct Gathered {
    pub declared: Result<Declared, Problem>,
    /// What is remembered of its generations.
    pub rotation: Result<Rotation, Problem>,
    /// Whether the record could be asked, where it had to be.
    pub record: Result<(), KeepError>,
    pub issuer: Result<Arc<dyn Issuer>, Problem>,
    pub stores: BTreeMap<StoreName, Open>,
    /// Others that share identity or place.
    pub others: Vec<Arc<ServiceCredential>>,
    /// What stops it, with the reason that people gave.
    pub frozen: Option<String>,
}

/// What an error means to a credential that is about to use something.
pub fn problem(error: &SystemError) -> Problem {
    (error.reason(), error.to_string())
}

pub async fn gather(credential: &ServiceCredential, context: &Context) -> Gathered {
    let now = context.clock.now();
    let namespace = credential.namespace().unwrap_or_default();
    let declared = reading::declared(credential, now);
    let (rotation, record) = remembered(credential, context).await;
    let mut gathered = Gathered {
        rotation,
        record,
        issuer: Err((Reason::InvalidSpec, String::new())),
        stores: BTreeMap::new(),
        others: context.credentials.sharing(&claims::words(credential)),
        frozen: frozen(credential, context),
        declared,
    };
    let Ok(declared) = &gathered.declared else {
        return gathered;
    };
    gathered.issuer = open_issuer(&declared.identity, &namespace, credential, context).await;
    for lies in &declared.stores {
        let store = open_store(lies, &namespace, context).await;
        let open = Open {
            lies: lies.clone(),
            store,
        };
        gathered.stores.insert(lies.name.clone(), open);
    }
    if let Ok(issuer) = &gathered.issuer {
        let word = claims::identity_word(issuer.address());
        gathered.others.extend(context.credentials.sharing(&[word]));
    }
    gathered
}

/// Its generations, from the status or, where that says nothing of them, from the record: a status that was wiped must not
/// make us forget what lives.
async fn remembered(
    credential: &ServiceCredential,
    context: &Context,
) -> (Result<Rotation, Problem>, Result<(), KeepError>) {
    let mut status = credential.status.clone().unwrap_or_default();
    if status.generations.is_none() {
        let uid = credential.uid().unwrap_or_default();
        match context.record.generations_of(&uid).await {
            Ok(rows) => status.generations = rows,
            Err(error) => return (Ok(Rotation::default()), Err(error)),
        }
    }
    let rotation = rows::rotation(&status).map_err(|why| (Reason::InventoryLost, why.to_string()));
    (rotation, Ok(()))
}

fn frozen(credential: &ServiceCredential, context: &Context) -> Option<String> {
    let freezes = context.objects.freezes();
    let labels = credential.labels();
    let namespace = credential.namespace().unwrap_or_default();
    let stopped = Stopped {
        kind: "ServiceCredential",
        namespace: &namespace,
        labels,
        rollback: false,
    };
    let applying = freeze::applying(&freezes, &stopped, context.clock.now());
    let first = applying.first()?;
    Some(format!(
        "ChangeFreeze {}/{} until {}: {}",
        first.namespace, first.name, first.until, first.reason
    ))
}

/// What was minted under a right that is gone since is still ours to revoke: who holds something is not asked again.
async fn open_issuer(
    identity: &Identity,
    namespace: &str,
    credential: &ServiceCredential,
    context: &Context,
) -> Result<Arc<dyn Issuer>, Problem> {
    let going = credential.metadata.deletion_timestamp.is_some();
    let holds = credential.finalizers().iter().any(|held| held == FINALIZER);
    let revokes = going && holds;
    if !revokes {
        reading::may_mint(identity, namespace, &*context.cluster)?;
    }
    if let Identity::AwsAccessKey { aws, .. } = identity
        && aws.secret.is_none()
        && namespace != context.home
    {
        return Err(reading::ambient(&context.home));
    }
    context
        .issuers
        .open(identity, revokes)
        .await
        .map_err(|error| problem(&error))
}

async fn open_store(lies: &Lies, namespace: &str, context: &Context) -> Result<Arc<dyn Store>, Problem> {
    reading::may_write(
        &lies.place,
        namespace,
        &*context.cluster,
        &*context.credentials,
        &context.home,
    )?;
    context
        .stores
        .open(&lies.place)
        .await
        .map_err(|error| problem(&error))
}
