//! The Databricks adapter against the simulator: each behaviour that the controllers rely on, and each bad day.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on says so by failing"
)]

#[path = "databricks/faults.rs"]
mod faults;
#[path = "databricks/groups.rs"]
mod groups;
#[path = "databricks/login.rs"]
mod login;
#[path = "databricks/objects.rs"]
mod objects;
#[path = "databricks/sim.rs"]
mod sim;
#[path = "databricks/workspace.rs"]
mod workspace;
