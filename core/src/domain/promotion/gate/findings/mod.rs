//! The rows of the gate's table, grouped by what they look at. Each is a function of a [`Case`](super::Case) and
//! says nothing, or one finding.

pub mod agents;
pub mod approvals;
pub mod approvers;
pub mod content;
pub mod floor;
pub mod labels;
pub mod merge;
pub mod moment;
pub mod upstream;
pub mod verification;
mod weigh;
