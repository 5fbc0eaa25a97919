//! How Kubernetes is reached, on a real API server.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "kubernetes/support.rs"]
mod support;

#[path = "kubernetes/credentials.rs"]
mod credentials;
#[path = "kubernetes/departures.rs"]
mod departures;
#[path = "kubernetes/leading.rs"]
mod leading;
#[path = "kubernetes/memory.rs"]
mod memory;
#[path = "kubernetes/objects.rs"]
mod objects;
#[path = "kubernetes/waking.rs"]
mod waking;
