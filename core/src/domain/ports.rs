//! The traits the outside must offer, and the classes of what can go wrong there. Adapters implement them,
//! controllers and queries know nothing else.

mod cluster;
mod keeping;
mod systems;

use std::time::Duration;

use jiff::Timestamp;

pub use cluster::{Cluster, Note};
pub use keeping::{Entry, EntryId, Event, Journal, JournalState, KeepError, NEWEST, ObjectKey, Record};
pub use systems::{
    AccessSystem, Applied, ConnectionKey, ConnectionKind, ErrorClass, Probe, Probes, SystemError,
    SystemErrorKind, Systems,
};

/// Proof that a write may begin: a lease that outlives the call's deadline. Checked as the last step before sending.
pub trait Permit: Send + Sync {
    /// Refuses unless the right to write lasts at least `needed` from now.
    fn check(&self, needed: Duration) -> Result<(), NoPermit>;
}

/// Why no write may begin.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no permit to write: {0}")]
pub struct NoPermit(pub String);

/// The time, so that tests can set it.
pub trait Clock: Send + Sync {
    fn now(&self) -> Timestamp;
}

/// Counts what should be noticed by more people than those who look at the object.
pub trait Tally: Send + Sync {
    /// Something was changed by hand in a system of this kind.
    fn drifted(&self, kind: ConnectionKind);
}
