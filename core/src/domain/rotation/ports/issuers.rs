//! Who gives credentials, and what can be asked of them.

use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;

use crate::domain::ports::{ConnectionKey, SystemError};
use crate::domain::rotation::label::Label;
use crate::domain::rotation::machine::state::CredentialId;
use crate::domain::rotation::value::Value;

/// For whom an issuer mints, and how it is reached.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Identity {
    /// OAuth secrets of a service principal.
    DatabricksServicePrincipal {
        connection: ConnectionKey,
        whose: Principal,
    },
    /// Personal access tokens; those of another service principal are made on its behalf.
    DatabricksToken {
        connection: ConnectionKey,
        whose: Principal,
    },
    /// Auth tokens of an account, by its user name.
    GerritToken {
        connection: ConnectionKey,
        account: String,
    },
    /// Access keys of an IAM user.
    AwsAccessKey { aws: Aws, user: String },
}

/// A service principal, as a connection sees it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Principal {
    /// The one that the connection itself logs in as.
    Own,
    /// By its application id.
    Of(String),
}

/// How AWS is reached.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Aws {
    /// Of the object that says so: its Secrets are the only ones that it may name.
    pub namespace: String,
    /// A Secret with the keys `accessKeyId` and `secretAccessKey`; `None`: the operator's ambient identity.
    pub secret: Option<String>,
    pub region: String,
    /// Instead of the vendor's own endpoints.
    pub endpoint: Option<String>,
}

/// What an issuer always allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowed {
    /// Credentials of one identity at most; `None`: no limit that matters.
    pub limit: Option<u32>,
    /// Whether a credential carries a [`Label`] from its first moment on.
    pub labelled: bool,
    /// The longest lifetime, in seconds; `None`: credentials have none.
    pub longest_lifetime: Option<u64>,
}

/// One credential as its issuer lists it, whoever made it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    pub id: CredentialId,
    /// What it is labelled with, if that is a label of ours.
    pub label: Option<Label>,
    /// What people wrote on it, as a token's comment; empty: nothing, or a label of ours.
    pub comment: String,
    pub made: Option<Timestamp>,
    pub expires: Option<Timestamp>,
    pub last_used: Option<Timestamp>,
}

/// What came of a mint.
pub struct Minted {
    pub id: CredentialId,
    /// What a consumer logs in with.
    pub credential: Credential,
    /// When the issuer lets it in no more, as the issuer says; `None`: it does not say.
    pub expires: Option<Timestamp>,
}

/// What a consumer logs in with.
#[derive(Clone)]
pub struct Credential {
    /// The part that is no secret: client id, user name, access key id; empty where a token needs none.
    pub client: String,
    pub value: Value,
    /// Base URL of where it is let in, without a slash at the end; empty where there is none in particular.
    pub host: String,
}

/// One identity at one issuer.
#[async_trait]
pub trait Issuer: Send + Sync {
    fn allowed(&self) -> Allowed;

    /// Canonical address of the identity, whichever connection reaches it: two credentials with one address share its
    /// limit.
    fn address(&self) -> &str;

    /// Every credential of the identity, whoever made it.
    async fn list(&self) -> Result<Vec<Listed>, SystemError>;

    /// Asks for one more. `lifetime`: seconds, where the issuer sets one. `OutcomeUnknown` whenever it may exist
    /// without our having its value, an answer that could not be read included.
    async fn mint(&self, label: &Label, lifetime: Option<u64>) -> Result<Minted, SystemError>;

    /// Makes a credential out of a value that lay in a store.
    fn credential(&self, id: &CredentialId, value: Value) -> Credential;

    /// Logs in with it, as a consumer does and by no cache of ours; `false`: it was not let in.
    async fn prove(&self, credential: &Credential) -> Result<bool, SystemError>;

    /// Revokes it; one that is not there is revoked. Only what was minted here is ever asked for.
    async fn revoke(&self, id: &CredentialId) -> Result<(), SystemError>;
}

/// Opens issuers. They share clients and budgets with everything else of their connection.
#[async_trait]
pub trait Issuers: Send + Sync {
    /// `going`: whoever asks is being deleted, and has something there to revoke. What it logged in with may have gone
    /// first, with its namespace; then the last login serves on.
    async fn open(&self, identity: &Identity, going: bool) -> Result<Arc<dyn Issuer>, SystemError>;
}
