//! What a connection's client is to those who open it: access, reviews or deployments, and credentials. Each is made of
//! the same client, so that its budget, its permit and its breaker are one.

use std::sync::Arc;

use lockstep_core::domain::ports::{AccessSystem, Probe, SystemError};
use lockstep_core::domain::promotion::ports::deployments::Deployment;
use lockstep_core::domain::promotion::ports::reviews::Review;
use lockstep_core::domain::rotation::ports::inventory::Inventory;
use lockstep_core::domain::rotation::ports::issuers::{Identity, Issuer, Principal};
use lockstep_core::domain::rotation::ports::stores::Store;

use crate::clients::databricks::{DatabricksDeployment, DatabricksSystem};
use crate::clients::gerrit::{GerritReview, GerritSystem, GitCache};

/// One connection's system.
#[derive(Clone)]
pub(super) enum Reached {
    Gerrit {
        system: Arc<GerritSystem>,
        review: Arc<GerritReview>,
    },
    Databricks {
        system: Arc<DatabricksSystem>,
        /// Made once: it remembers runs, which spares searching for them.
        deployment: Arc<DatabricksDeployment>,
    },
}

impl Reached {
    /// `connection` is a name that no other connection ever has.
    pub fn gerrit(system: GerritSystem, cache: Arc<GitCache>, connection: &str) -> Self {
        let system = Arc::new(system);
        let review = Arc::new(system.review(cache, connection));
        Self::Gerrit { system, review }
    }

    pub fn databricks(system: DatabricksSystem) -> Self {
        let deployment = Arc::new(system.deployment());
        Self::Databricks {
            system: Arc::new(system),
            deployment,
        }
    }

    pub fn access(&self) -> Arc<dyn AccessSystem> {
        match self {
            Self::Gerrit { system, .. } => system.clone(),
            Self::Databricks { system, .. } => system.clone(),
        }
    }

    /// `None`: changes are not reviewed there.
    pub fn review(&self) -> Option<Arc<dyn Review>> {
        match self {
            Self::Gerrit { review, .. } => Some(review.clone()),
            Self::Databricks { .. } => None,
        }
    }

    /// `None`: nothing is deployed there.
    pub fn deployment(&self) -> Option<Arc<dyn Deployment>> {
        match self {
            Self::Databricks { deployment, .. } => Some(deployment.clone()),
            Self::Gerrit { .. } => None,
        }
    }

    /// `None`: this kind of credential is not minted there.
    pub async fn issuer(&self, identity: &Identity) -> Result<Option<Arc<dyn Issuer>>, SystemError> {
        let of = |whose: &Principal| match whose {
            Principal::Own => None,
            Principal::Of(application_id) => Some(application_id.clone()),
        };
        let issuer = match (self, identity) {
            (Self::Databricks { system, .. }, Identity::DatabricksServicePrincipal { whose, .. }) => {
                system.principal_secrets(of(whose).as_deref()).await?
            }
            (Self::Databricks { system, .. }, Identity::DatabricksToken { whose, .. }) => {
                system.personal_tokens(of(whose).as_deref()).await?
            }
            (Self::Gerrit { system, .. }, Identity::GerritToken { account, .. }) => {
                system.auth_tokens(account).await?
            }
            _ => return Ok(None),
        };
        Ok(Some(issuer))
    }

    /// An entry of a secret scope; `None`: there are none there.
    pub async fn secret_scope(&self, scope: &str, path: &str) -> Result<Option<Arc<dyn Store>>, SystemError> {
        match self {
            Self::Databricks { system, .. } => system.secret_scope(scope, path).await.map(Some),
            Self::Gerrit { .. } => Ok(None),
        }
    }

    /// Whether a secret scope is there and can be written; `None`: there are none there.
    pub async fn probe_secret_scope(&self, scope: &str) -> Result<Option<()>, SystemError> {
        match self {
            Self::Databricks { system, .. } => system.probe_secret_scope(scope).await.map(Some),
            Self::Gerrit { .. } => Ok(None),
        }
    }

    /// What anybody holds there.
    pub async fn everything(&self) -> Result<Inventory, SystemError> {
        match self {
            Self::Gerrit { system, .. } => system.everything().await,
            Self::Databricks { system, .. } => system.everything().await,
        }
    }

    pub async fn probe(&self) -> Result<Probe, SystemError> {
        match self {
            Self::Gerrit { system, .. } => system.probe().await,
            Self::Databricks { system, .. } => system.probe().await,
        }
    }
}
