//! One folder per working kind, the same files in each: gather, plan, apply, report, mod (the recipe). Controllers
//! know the ports of the domain and never an adapter. What several kinds read stands beside the folders: `branches` (where
//! governed branches stand), `dependants` (whom an object is kept for), `governed` (whom bindings declare), `hinted` (whom
//! a hint from outside concerns).

pub mod access_binding;
pub mod branches;
pub mod change_freeze;
pub mod connections;
pub mod credential_store;
mod dependants;
mod governed;
pub mod hinted;
pub mod promotion;
pub mod promotion_policy;
pub mod service_credential;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use lockstep_core::domain::ports::{
    Clock, Cluster, ConnectionKey, Journal, Probes, Record, SystemError, SystemErrorKind, Systems, Tally,
};
use lockstep_core::domain::promotion::ports::deployments::Deployments;
use lockstep_core::domain::promotion::ports::objects::Objects;
use lockstep_core::domain::promotion::ports::reviews::Reviews;
use lockstep_core::domain::rotation::ports::inventory::Inventories;
use lockstep_core::domain::rotation::ports::issuers::Issuers;
use lockstep_core::domain::rotation::ports::objects::Credentials;
use lockstep_core::domain::rotation::ports::stores::Stores;
use lockstep_core::domain::rotation::value::FingerprintKey;

/// When an object is looked at again without anybody asking.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// After this time, exactly: the controller has chosen it so that neighbours share one snapshot.
    After(Duration),
    /// With the object's own backoff: the pass failed in a way that is likely to pass.
    Backoff,
    /// Not before something changes.
    AwaitChange,
}

/// One kind's reconcile. It never fails: what goes wrong is in the object's status and in the answer.
#[async_trait]
pub trait Reconcile: Send + Sync + 'static {
    /// The kind it looks after.
    type Object: Send + Sync + 'static;

    /// One pass: gather, plan, apply, report. A pass never waits for the outside to catch up.
    async fn reconcile(&self, object: Arc<Self::Object>, context: &Context) -> Next;

    /// Whether its next pass must not wait behind others that are due.
    fn is_urgent(&self, _object: &Self::Object) -> bool {
        false
    }
}

/// What every controller needs from outside: ports, and nothing else.
#[derive(Clone)]
pub struct Context {
    pub cluster: Arc<dyn Cluster>,
    pub objects: Arc<dyn Objects>,
    pub systems: Arc<dyn Systems>,
    pub reviews: Arc<dyn Reviews>,
    pub deployments: Arc<dyn Deployments>,
    pub credentials: Arc<dyn Credentials>,
    pub issuers: Arc<dyn Issuers>,
    pub stores: Arc<dyn Stores>,
    pub inventories: Arc<dyn Inventories>,
    /// Tells values apart in statuses.
    pub fingerprints: Arc<FingerprintKey>,
    /// The operator's namespace.
    pub home: String,
    pub probes: Arc<dyn Probes>,
    pub journal: Arc<dyn Journal>,
    pub record: Arc<dyn Record>,
    pub clock: Arc<dyn Clock>,
    pub tally: Arc<dyn Tally>,
    /// Who writes, as the record names it.
    pub actor: String,
}

/// What a reading should have held and did not.
fn unread(connection: &ConnectionKey, what: &str) -> SystemError {
    let message = format!("{what} is missing in what was read");
    SystemError::new(connection.to_string(), SystemErrorKind::BadAnswer, message)
}
