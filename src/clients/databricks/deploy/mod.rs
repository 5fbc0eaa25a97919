//! What promotions do in Databricks, over the same clients and budgets as everything else of the connection: `files`
//! puts trees into directories, `job` sets jobs and starts their runs (`jobs` and `runs` find them, `settled` and `run_state` say how
//! they stand), `model` moves aliases, `serving` changes what endpoints serve, `witness` lists what else happened, `holders` who else
//! could.
//!
//! Nothing here decides whether a promotion may go on, and nothing repeats a write whose outcome is unknown.

mod files;
pub(super) mod folder;
mod holders;
mod job;
pub(super) mod jobs;
mod model;
pub(super) mod pages;
pub(super) mod run_state;
pub(super) mod runs;
mod served;
pub(super) mod serving;
mod settled;
mod witness;

use std::sync::Arc;

use lockstep_core::domain::access::grant::System;
use lockstep_core::domain::ports::SystemError;
use lockstep_core::domain::promotion::ports::deployments::{
    Deployment, Endpoints, Files, Jobs, Models, Witness,
};
use lockstep_core::domain::promotion::ports::holders::Holders;

use super::segment;
use super::system::{DatabricksSystem, Inner};

/// One connection's Databricks, as promotions see it.
pub struct DatabricksDeployment {
    files: files::WorkspaceFiles,
    jobs: job::WorkspaceJobs,
    models: model::RegisteredModels,
    endpoints: serving::ServingEndpoints,
    witness: witness::WorkspaceWitness,
    holders: holders::WorkspaceHolders,
}

impl DatabricksSystem {
    /// The same connection for promotions: clients, permit and budgets are shared.
    pub fn deployment(&self) -> DatabricksDeployment {
        let inner = || Arc::clone(&self.0);
        DatabricksDeployment {
            files: files::WorkspaceFiles::new(inner()),
            jobs: job::WorkspaceJobs::new(inner()),
            models: model::RegisteredModels::new(inner()),
            endpoints: serving::ServingEndpoints::new(inner()),
            witness: witness::WorkspaceWitness::new(inner()),
            holders: holders::WorkspaceHolders::new(inner()),
        }
    }
}

impl Deployment for DatabricksDeployment {
    fn files(&self) -> &dyn Files {
        &self.files
    }

    fn jobs(&self) -> &dyn Jobs {
        &self.jobs
    }

    fn models(&self) -> &dyn Models {
        &self.models
    }

    fn endpoints(&self) -> &dyn Endpoints {
        &self.endpoints
    }

    fn witness(&self) -> &dyn Witness {
        &self.witness
    }

    fn holders(&self) -> &dyn Holders {
        &self.holders
    }
}

/// Address of a thing of the workspace, as the record names it.
async fn in_workspace(inner: &Inner, kind: &str, id: &str) -> Result<String, SystemError> {
    let system = System::Workspace(inner.facts().await?.workspace.clone());
    Ok(format!("{system}/{kind}/{}", segment(id)))
}

/// Address of a thing of a model, as the record names it.
async fn in_model(inner: &Inner, model: &str, below: &str) -> Result<String, SystemError> {
    let system = System::Metastore(inner.metastore().await?.clone());
    Ok(format!("{system}/model/{}/{below}", segment(model)))
}
