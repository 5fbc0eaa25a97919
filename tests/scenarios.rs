//! What users live through, against real Kubernetes, a real Gerrit and the Databricks simulator. One binary, so that
//! one operator serves all scenarios that do not kill it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "scenarios/support/mod.rs"]
mod support;

#[path = "scenarios/story.rs"]
mod story;

#[path = "scenarios/sweep.rs"]
mod sweep;
