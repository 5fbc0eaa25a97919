//! The CRDs: generated files are current, everything is bounded, every rule accepts and refuses what it should,
//! offline and on a real API server.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "crds/cluster.rs"]
mod cluster;
#[path = "crds/examples.rs"]
mod examples;
#[path = "crds/largest.rs"]
mod largest;
#[path = "crds/offline.rs"]
mod offline;
#[path = "crds/reference.rs"]
mod reference;
#[path = "crds/schemas.rs"]
mod schemas;
#[path = "crds/server.rs"]
mod server;
