//! Who holds what on the things that an environment's steps move, and who can act as its identity: read for
//! [`hardening`](crate::domain::promotion::proof::hardening::databricks), inherited rights and owners included.

use std::collections::BTreeSet;

use async_trait::async_trait;
use jiff::Timestamp;

use crate::domain::access::grant::Principal;
use crate::domain::ports::SystemError;
use crate::domain::promotion::proof::hardening::databricks::{Held, Thing};

/// Reads only. Readings are shared by all who ask about the same thing.
#[async_trait]
pub trait Holders: Send + Sync {
    /// Whom we are there.
    async fn ourselves(&self) -> Result<Principal, SystemError>;

    /// Everything that anybody holds there, no older than `fresh`; `None`: it does not exist. Of a folder that does not
    /// exist yet it is what is held on the nearest one above.
    async fn of(&self, thing: &Thing, fresh: Timestamp) -> Result<Option<BTreeSet<Held>>, SystemError>;
}
