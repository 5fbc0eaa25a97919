//! Access as one relation: a [`grant::Grant`] is a row `(target, principal, privilege)`. Desired access is a set of
//! rows, observed access is a set of rows, and a plan is their difference.

pub mod address;
mod administrative;
mod begun;
mod books;
pub mod catalog;
mod claim_group;
mod claim_right;
mod claim_words;
pub mod claims;
pub mod decide;
mod declare_databricks;
pub mod declared;
pub mod diff;
pub mod directory;
pub mod drift;
pub mod grant;
pub mod inventory;
pub mod labels;
pub mod names;
pub mod observed;
pub mod overlap;
pub(crate) mod patterns;
pub mod people;
pub mod pins;
mod place;
pub mod reach;
pub mod safety;
mod stakes;
pub mod trust;
pub mod weakening;
