//! Access as one relation: a [`grant::Grant`] is a row `(target, principal, privilege)`. Desired access is a set of
//! rows, observed access is a set of rows, and a plan is their difference.

pub mod address;
pub mod catalog;
pub mod declared;
pub mod directory;
pub mod grant;
pub mod observed;
