//! Databricks: a workspace and, where the connection names it, its account, read into rows and written from
//! changes.
//!
//! [`DatabricksSystem`] is the whole of it for everybody outside. Inside, calls go through `plane` (one host with
//! our login), `observe` and `apply` say which part answers for which target, what is read is kept in `snapshot`s, and every kind of target has a file of its own: `side`, `groups`
//! and `membership` for groups, `workspace` for permissions and entitlements, `acl` for objects and `lookup` for
//! their names, `catalog` for Unity Catalog, `roles` for service principals. What promotions do stands apart, in
//! `deploy`, and what rotations do, in `credentials`.

mod acl;
mod apply;
mod catalog;
mod contract;
mod credentials;
mod deploy;
mod groups;
pub mod limits;
mod login;
mod lookup;
mod membership;
mod names;
mod observe;
mod pages;
mod people;
mod plane;
mod probe;
mod roles;
mod scim;
mod settings;
mod side;
mod snapshot;
mod system;
mod vendor;
mod workspace;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

pub use deploy::DatabricksDeployment;
pub use limits::Budget;
pub use settings::{AccountSettings, Auth, DatabricksSettings};
pub use system::DatabricksSystem;

/// What a path segment keeps as it is (RFC 3986, unreserved).
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// A name or id as one segment of a path.
fn segment(text: &str) -> String {
    utf8_percent_encode(text, SEGMENT).to_string()
}
