//! Where values lie for consumers.

use std::sync::Arc;

use async_trait::async_trait;

use crate::domain::ports::SystemError;
use crate::domain::rotation::value::Fields;

/// Whose entry it is, as the store itself keeps it beside the values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// Uid of the ServiceCredential.
    pub uid: String,
    /// `<namespace>/<name>` of it, for people.
    pub name: String,
}

/// Whose an entry is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Owned {
    /// Nothing is there.
    Absent,
    /// Somebody made it who was not us; how people would look it up.
    Foreign(String),
    /// Somebody made it who was not us, and lets the ServiceCredential `<namespace>/<name>` take it over.
    Offered(String),
    By(Owner),
}

/// What stands at one place of a store. Not printable: it holds values.
pub struct Contents {
    pub owned: Owned,
    /// What a write must find unchanged, as the store counts versions; empty: nothing is there.
    pub version: String,
    pub fields: Fields,
    /// Fields of the last generation, where the store keeps them beside the new ones (a Kubernetes Secret's
    /// `previous.*`).
    pub previous: Fields,
}

impl Contents {
    pub fn absent() -> Self {
        Self {
            owned: Owned::Absent,
            version: String::new(),
            fields: Fields::new(),
            previous: Fields::new(),
        }
    }
}

/// What is to stand there. Not printable: it holds values.
pub struct Entry<'a> {
    pub owner: &'a Owner,
    pub fields: &'a Fields,
    /// Of the last generation, while it lives. A store that keeps versions of its own takes no notice.
    pub previous: &'a Fields,
}

/// One place of one store: a Secret, a path, a name.
#[async_trait]
pub trait Store: Send + Sync {
    /// Canonical address, whichever way leads to it: two objects must not write to one.
    fn address(&self) -> &str;

    /// What stands there now, from the store and from no cache. What is provably not there is absent and no error; what
    /// may be hidden, sealed or forbidden is an error.
    async fn read(&self) -> Result<Contents, SystemError>;

    /// Puts the entry there as a whole, if what stands there is still of this version. `Stale` where it is not.
    async fn write(&self, entry: &Entry<'_>, version: &str) -> Result<(), SystemError>;

    /// Takes it away with everything that was kept of it, if it is still of this version. `Stale` where it is not; what
    /// is gone is removed.
    async fn remove(&self, version: &str) -> Result<(), SystemError>;
}

/// Where a value is to lie.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// A Secret in the credential's own namespace.
    KubernetesSecret {
        namespace: String,
        name: String,
        /// The Secret's `type`.
        kind: String,
    },
    /// A path of a `CredentialStore`.
    CredentialStore {
        namespace: String,
        name: String,
        path: String,
    },
}

/// Opens stores.
#[async_trait]
pub trait Stores: Send + Sync {
    async fn open(&self, place: &Place) -> Result<Arc<dyn Store>, SystemError>;

    /// Whether the CredentialStore of this name lets us in.
    async fn probe(&self, namespace: &str, name: &str) -> Result<(), SystemError>;
}
