//! What rotations do in Databricks, over the same clients and budgets as everything else of the connection: `secrets`
//! gives OAuth secrets of service principals and `tokens` personal access tokens, `who` says whose they are, `scope` keeps
//! values in a secret scope, `everything` lists what anybody holds.
//!
//! A mint is sent once. Whatever leaves open whether there is a new credential is `OutcomeUnknown`, and whoever asked
//! lists before anything else is done.

mod everything;
mod scope;
mod secrets;
mod tokens;
mod who;

use std::sync::Arc;

use lockstep_core::domain::access::grant::System;
use lockstep_core::domain::ports::{SystemError, SystemErrorKind};
use lockstep_core::domain::rotation::ports::issuers::Issuer;
use lockstep_core::domain::rotation::ports::stores::Store;

use super::segment;
use super::system::DatabricksSystem;

/// The longest lifetime of a secret or a token, in seconds: 730 days (Databricks REST, oauth2 secrets; learn.microsoft.com,
/// personal access tokens).
const LONGEST: u64 = 63_072_000;

impl DatabricksSystem {
    /// OAuth secrets of a service principal; `None`: of the one that the connection logs in as.
    pub async fn principal_secrets(
        &self,
        application_id: Option<&str>,
    ) -> Result<Arc<dyn Issuer>, SystemError> {
        let who = who::find(&self.0, application_id).await?;
        let issuer = secrets::PrincipalSecrets::new(Arc::clone(&self.0), who)?;
        Ok(Arc::new(issuer))
    }

    /// Personal access tokens of the workspace; `None`: those of whom the connection logs in as, else made on behalf of
    /// a service principal.
    pub async fn personal_tokens(
        &self,
        application_id: Option<&str>,
    ) -> Result<Arc<dyn Issuer>, SystemError> {
        let who = who::find(&self.0, application_id).await?;
        let issuer = tokens::PersonalTokens::new(Arc::clone(&self.0), who).await?;
        Ok(Arc::new(issuer))
    }

    /// An entry of a secret scope of the workspace.
    pub async fn secret_scope(&self, scope: &str, path: &str) -> Result<Arc<dyn Store>, SystemError> {
        let workspace = System::Workspace(self.0.facts().await?.workspace.clone());
        let address = format!("{workspace}/secret-scope/{}/{}", segment(scope), segment(path));
        let entry = scope::ScopeEntry::new(Arc::clone(&self.0), scope, path, address)?;
        Ok(Arc::new(entry))
    }

    /// Whether a secret scope of the workspace is there, lets us in, and can be written through the vendor's API.
    pub async fn probe_secret_scope(&self, scope: &str) -> Result<(), SystemError> {
        scope::probe(&self.0.workspace.plane, scope).await
    }
}

/// A mint whose answer was none may have made something all the same, whatever stood in front of the system.
fn minted_or_not(mut error: SystemError) -> SystemError {
    if error.kind == SystemErrorKind::BadAnswer {
        error.kind = SystemErrorKind::OutcomeUnknown;
    }
    error
}
