//! Whom we say we are to systems that trust our cluster, so that nothing need be kept to log in with.

use async_trait::async_trait;
use lockstep_core::domain::ports::SystemError;
use secrecy::SecretString;

/// Tokens of one ServiceAccount. Systems verify them by the cluster's keys, or ask the cluster.
#[async_trait]
pub trait IdentityTokens: Send + Sync {
    /// A fresh token for this audience.
    async fn token(&self, audience: &str) -> Result<SecretString, SystemError>;
}
