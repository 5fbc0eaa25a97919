//! The commands, as people and scripts run them: the built binary against real Kubernetes, a real Gerrit and the
//! Databricks simulator, and the pure answers behind it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "scenarios/support/mod.rs"]
#[allow(
    dead_code,
    clippy::default_trait_access,
    reason = "the commands need the stack and a world of their own, and no operator"
)]
mod support;

#[path = "cli/commands.rs"]
mod commands;

#[path = "cli/queries.rs"]
mod queries;

#[path = "cli/proxies.rs"]
mod proxies;
