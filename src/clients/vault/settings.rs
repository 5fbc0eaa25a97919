//! What a store in Vault is made of, once its references are resolved.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;
use url::Url;

use crate::clients::identity::IdentityTokens;

/// How to log in.
#[derive(Clone)]
pub enum VaultAuth {
    /// As it is: it is neither renewed nor replaced.
    Token(SecretString),
    /// Auth method `approle`.
    AppRole {
        /// Where the method is mounted: `approle`.
        mount: String,
        role_id: String,
        secret_id: SecretString,
    },
    /// Auth methods `kubernetes` and `jwt`: both take a token of a ServiceAccount for a role. The first asks the
    /// cluster about it, the second knows the cluster's keys.
    ServiceAccount {
        /// Where the method is mounted: `kubernetes`, `jwt`.
        mount: String,
        role: String,
        /// Whom the token is for, as the role expects it.
        audience: String,
        tokens: Arc<dyn IdentityTokens>,
    },
}

impl fmt::Debug for VaultAuth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Token(_) => f.write_str("Token"),
            Self::AppRole { mount, .. } => write!(f, "AppRole({mount})"),
            Self::ServiceAccount { mount, role, .. } => write!(f, "ServiceAccount({mount}, {role})"),
        }
    }
}

/// Everything a store in Vault needs.
#[derive(Clone, Debug)]
pub struct VaultSettings {
    /// Base URL, without `/v1`.
    pub address: Url,
    /// Namespace of Vault Enterprise or OpenBao; `None`: the root.
    pub namespace: Option<String>,
    /// Where the engine is mounted, for example `secret`.
    pub mount: String,
    pub auth: VaultAuth,
    /// Certificates to trust besides the public ones.
    pub ca_pem: Option<Vec<u8>>,
    /// Longest time of one request.
    pub timeout: Duration,
    /// Requests under way at once.
    pub concurrency: usize,
    /// Whether loopback addresses, and plain `http` to them, are allowed.
    pub allow_loopback: bool,
}
