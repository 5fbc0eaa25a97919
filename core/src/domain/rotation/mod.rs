//! A secret is replaced before it grows old: every consumer always has one that works, and none lives that nobody knows
//! of.
//!
//! * [`machine`]: how one credential goes from generation to generation, through any crash.
//! * [`schedule`]: when the next one is due, and whether what is asked for can be kept at all.
//! * [`declared`]: what one object asks for; [`claims`]: whether two may ask for the same.
//! * [`reach`]: who may write how far into a store.
//! * [`rows`] and [`rendering`]: a rotation as its status keeps it, a credential as its stores hold it.
//! * [`label`]: by what a credential of ours is told from any other at its issuer.
//! * [`value`]: what nobody can print.
//! * [`fact`]: what the record says of a credential.
//! * [`ports`]: issuers, stores, the objects of the cluster, and what anybody holds.

pub mod claims;
pub mod declared;
pub mod fact;
pub mod label;
pub mod machine;
pub mod ports;
pub mod reach;
pub mod rendering;
pub mod rows;
pub mod schedule;
pub mod value;
