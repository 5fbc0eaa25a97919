//! What measurements share: `stand` is the stack of their own, `operator` what is measured, `calls` what reaches the
//! systems, `results` what is written and printed.

pub mod calls;
pub mod operator;
pub mod results;
pub mod stand;
