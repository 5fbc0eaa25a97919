//! How Kubernetes is reached: watch caches, status by server-side apply, the journal, finalizers, events, the lease,
//! Secrets and tokens. Knows no other system.
//!
//! * [`store`]: what is in the cluster, and who has to be looked at when it changes.
//! * [`cluster`], `promoting` and [`journal`]: the ports over it.
//! * [`listing`]: the ports that read, over one look, for commands.
//! * [`lease`]: who leads, and for how long that is certain.
//! * [`secret`] and [`token`]: credentials, read when they are needed and never held in a cache.

mod approving;
mod arrival;
mod asking;
mod audience;
mod backoff;
mod cache;
mod changes;
pub mod cluster;
mod credentials;
mod departures;
mod fingerprints;
mod holding;
mod index;
mod installation;
pub mod journal;
mod kinds;
pub mod lease;
pub mod listing;
mod name;
mod notes;
mod permit;
mod promoting;
mod promotions;
mod protection;
mod rehearsal;
mod rotation_watch;
pub mod secret;
mod secret_store;
pub mod store;
pub mod token;
mod write;

pub use approving::{Approver, NotApproved};
pub use arrival::{Arrived, Body, Kind, Undecodable};
pub use asking::{Asking, NotAsked, Promoted};
pub use backoff::jittered;
pub use cache::{Cache, Held, Look};
pub use cluster::{KubeCluster, REPORT_MANAGER};
pub use fingerprints::fingerprint_key;
pub use installation::{CHANGED_BY_POLICY, Installation, Leader, Seen};
pub use journal::{JOURNAL_MANAGER, StatusJournal};
pub use kinds::Kinds;
pub use lease::{Elector, LONGEST_WRITE, Lost, unique_identity};
pub use listing::{Listing, Unreadable};
pub use name::{KindName, Name, Subject};
pub use permit::{LeasePermit, ReadOnlyPermit};
pub use protection::{POLICY, Protection, RULE};
pub use rehearsal::rehearse;
pub use secret::{Credential, Secrets};
pub use secret_store::SecretStore;
pub use store::Store;
pub use token::{IdentityToken, IdentityTokenRequests};
