//! What Lockstep means, readable without knowing Kubernetes or a network.
//!
//! * [`api`]: what users write: kinds, specs, statuses, conditions. Types only, no I/O, no clock.
//! * [`domain`]: what it means: pure and synchronous functions on ordered values, `now` passed in, and the
//!   [`domain::ports`] that the outside must offer.

pub mod api;
pub mod domain;
