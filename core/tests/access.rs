//! What access means, as properties over small worlds and as examples that read like the behaviour.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "access/binding.rs"]
mod binding;
#[path = "access/faults.rs"]
mod faults;
#[path = "access/generate.rs"]
mod generate;
#[path = "access/judge.rs"]
mod judge;
#[path = "access/outside.rs"]
mod outside;
#[path = "access/specs.rs"]
mod specs;

#[path = "access/behaviour.rs"]
mod behaviour;
#[path = "access/digests.rs"]
mod digests;
#[path = "access/doubts.rs"]
mod doubts;
#[path = "access/life.rs"]
mod life;
#[path = "access/memory.rs"]
mod memory;
#[path = "access/properties.rs"]
mod properties;
