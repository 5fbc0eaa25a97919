//! What access means, as properties over small worlds and as examples that read like the behaviour.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "access/binding.rs"]
mod binding;
#[path = "access/generate.rs"]
mod generate;
#[path = "access/judge.rs"]
mod judge;
#[path = "access/outside.rs"]
mod outside;
#[path = "access/specs.rs"]
mod specs;

#[path = "access/properties.rs"]
mod properties;
