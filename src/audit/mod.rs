//! The record: every intent before its effect, every outcome after it, appended durably and chained by hash.
//!
//! A directory of segments with one JSON line per entry. Each line holds the hash of the line before it, so that
//! nothing can be taken out of the middle unnoticed. One process writes at a time. A secret cannot stand in it: no
//! entry has a type that could carry one.
//!
//! * [`record`]: the port.
//! * `line`: one line and its place in the chain.
//! * `segments`: the files, and how they are found again after a crash.
//! * `writer`: the one thread that appends; many entries share one sync.
//! * `fold`: what an object holds, according to the record.
//! * `heard`: who ever held anything, kept in memory.
//! * `facts`: baselines, environments and ended promotions, kept in memory as far as they are small.
//! * `trail`: which promotions were at work when.

mod facts;
mod fold;
mod heard;
mod line;
pub mod record;
mod segments;
mod told;
mod trail;
mod writer;

pub use record::FileRecord;
pub use segments::{OpenError, Recovered};

#[cfg(test)]
mod tests;
