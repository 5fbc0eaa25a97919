//! What a connection to Databricks is made of, once its references are resolved.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;

use super::limits::Budget;
use crate::clients::identity::IdentityTokens;

/// How to log in.
#[derive(Clone)]
pub enum Auth {
    /// Nothing stored: a token of ours is exchanged for one of theirs.
    WorkloadIdentity {
        client_id: String,
        /// Unset: the account id, else the token endpoint.
        audience: Option<String>,
        tokens: Arc<dyn IdentityTokens>,
    },
    OauthSecret {
        client_id: String,
        client_secret: SecretString,
    },
    /// Reaches its own workspace and nothing else.
    PersonalAccessToken(SecretString),
}

impl Auth {
    /// Application id of the service principal we are, where the settings tell.
    pub(super) fn client_id(&self) -> Option<&str> {
        match self {
            Self::WorkloadIdentity { client_id, .. } | Self::OauthSecret { client_id, .. } => Some(client_id),
            Self::PersonalAccessToken(_) => None,
        }
    }
}

impl fmt::Debug for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WorkloadIdentity { client_id, .. } => write!(f, "WorkloadIdentity({client_id})"),
            Self::OauthSecret { client_id, .. } => write!(f, "OauthSecret({client_id})"),
            Self::PersonalAccessToken(_) => f.write_str("PersonalAccessToken"),
        }
    }
}

/// The account console's API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountSettings {
    /// Base URL.
    pub host: String,
    /// Account id, a UUID.
    pub id: String,
}

/// Everything a connection needs.
#[derive(Clone, Debug)]
pub struct DatabricksSettings {
    /// Base URL of the workspace.
    pub host: String,
    pub account: Option<AccountSettings>,
    pub auth: Auth,
    /// Certificates to trust besides the public ones.
    pub ca_pem: Option<Vec<u8>>,
    pub budget: Budget,
    /// Longest time of one request.
    pub timeout: Duration,
    /// Requests under way at once.
    pub concurrency: usize,
    /// Whether loopback addresses, and plain `http` to them, are allowed.
    pub allow_loopback: bool,
}
