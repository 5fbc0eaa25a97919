//! The Helm chart: what it renders, and what a real cluster makes of it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "chart/beside.rs"]
mod beside;
#[allow(dead_code)]
#[path = "crds/cluster.rs"]
mod cluster;
#[path = "chart/installed.rs"]
mod installed;
#[allow(dead_code)]
#[path = "crds/offline.rs"]
mod offline;
#[path = "chart/policies.rs"]
mod policies;
#[path = "chart/rendered.rs"]
mod rendered;
