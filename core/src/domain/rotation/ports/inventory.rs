//! What anybody holds in a system, governed or not: for people who look for the token that everybody forgot.

use async_trait::async_trait;

use super::issuers::{Aws, Listed};
use crate::domain::ports::{ConnectionKey, SystemError};

/// What a credential is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HeldKind {
    /// An OAuth secret of a service principal. Workload identity federation makes it needless.
    DatabricksSecret,
    /// A personal access token. Where a service principal holds it, federation makes it needless.
    DatabricksToken,
    GerritToken,
    AwsAccessKey,
}

/// One credential that somebody holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    pub kind: HeldKind,
    /// Address of whose it is, as its issuer says it ([`super::issuers::Issuer::address`]).
    pub address: String,
    /// What people call whose it is.
    pub owner: String,
    /// Whether that is a person; else a service principal or a service user.
    pub person: bool,
    pub listed: Listed,
}

/// Everything that could be seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inventory {
    pub held: Vec<Held>,
    /// What could not be seen and why, one sentence each.
    pub unseen: Vec<String>,
}

/// Lists what anybody holds in the systems behind connections. Reads only, and much: one call for every service
/// principal of Databricks, for every account of Gerrit and for every user of IAM.
#[async_trait]
pub trait Inventories: Send + Sync {
    async fn everything(&self, connection: &ConnectionKey) -> Result<Inventory, SystemError>;

    /// Access keys of the account that is reached so. `users`: of whom they are told at least, where users may not be listed.
    async fn access_keys(&self, aws: &Aws, users: &[String]) -> Result<Inventory, SystemError>;
}
