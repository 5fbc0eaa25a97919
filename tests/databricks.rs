//! The Databricks adapter against the simulator: each behaviour that the controllers rely on, and each bad day.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on says so by failing"
)]

#[path = "databricks/credentials.rs"]
mod credentials;
#[path = "databricks/credentials_lost.rs"]
mod credentials_lost;
#[path = "databricks/deploy.rs"]
mod deploy;
#[path = "databricks/deploy_files.rs"]
mod deploy_files;
#[path = "databricks/deploy_holders.rs"]
mod deploy_holders;
#[path = "databricks/deploy_job.rs"]
mod deploy_job;
#[path = "databricks/deploy_model.rs"]
mod deploy_model;
#[path = "databricks/deploy_runs.rs"]
mod deploy_runs;
#[path = "databricks/deploy_serving.rs"]
mod deploy_serving;
#[path = "databricks/deploy_witness.rs"]
mod deploy_witness;
#[path = "databricks/faults.rs"]
mod faults;
#[path = "databricks/groups.rs"]
mod groups;
#[path = "databricks/login.rs"]
mod login;
#[path = "databricks/objects.rs"]
mod objects;
#[path = "databricks/probing.rs"]
mod probing;
#[path = "databricks/secret_scope.rs"]
mod secret_scope;
#[path = "databricks/sim.rs"]
mod sim;
#[path = "databricks/waiting.rs"]
mod waiting;
#[path = "databricks/workspace.rs"]
mod workspace;
