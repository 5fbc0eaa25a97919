//! What rotates where, what is old, and what a person's order would do. Over objects as the cluster has them; values are
//! not among them.

mod everything;
mod orders;
mod rows;

pub use everything::{Everything, Line, everything, ways_to_aws};
pub use orders::{revoking, rotating};
pub use rows::{Detail, GenerationLine, Row, detail, row};
