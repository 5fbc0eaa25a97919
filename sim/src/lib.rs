//! A stateful, strict stand-in for the Databricks REST APIs: an account, its workspaces, and a control plane under
//! `/_sim/` that fills the world, breaks it, and tells what was asked of it.
//!
//! - `state` is the world; `call`, `route`, `routes` and `error` are how it is spoken to;
//! - `scim`, `assignments`, `permissions`, `catalog`, `rule_sets`, `objects` and `oauth` answer, one API family each,
//!   each family with its table of routes beside its handlers;
//! - `runs` are jobs at work, `models` what they make, `time` how both move on;
//! - `dispatch` is the life of a request, `world` what one process holds, `control` what tests steer.

// Handlers share one signature so that they can stand in tables; some of them cannot fail.
#![allow(clippy::unnecessary_wraps)]

pub mod args;
pub mod assignments;
pub mod call;
pub mod catalog;
pub mod control;
pub mod dispatch;
pub mod error;
pub mod identity;
pub mod limits;
pub mod listen;
pub mod memberships;
pub mod models;
pub mod multipart;
pub mod oauth;
pub mod objects;
pub mod permissions;
pub mod response;
pub mod route;
pub mod routes;
pub mod rule_sets;
pub mod runs;
pub mod scim;
pub mod secrets;
pub mod serve;
pub mod settings;
pub mod state;
pub mod time;
pub mod workspace_conf;
pub mod world;
