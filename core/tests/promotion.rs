//! What promotion means, as examples that read like the behaviour and as properties over generated reviews.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
// Findings and the people of the review stand in every line.
#![allow(clippy::enum_glob_use, clippy::wildcard_imports)]

#[path = "promotion/review.rs"]
mod review;

#[path = "promotion/ahead.rs"]
mod ahead;
#[path = "promotion/approving.rs"]
mod approving;
#[path = "promotion/assisted.rs"]
mod assisted;
#[path = "promotion/counting.rs"]
mod counting;
#[path = "promotion/expressions.rs"]
mod expressions;
#[path = "promotion/gates.rs"]
mod gates;
#[path = "promotion/going.rs"]
mod going;
#[path = "promotion/merging.rs"]
mod merging;
#[path = "promotion/properties.rs"]
mod properties;
#[path = "promotion/queueing.rs"]
mod queueing;
#[path = "promotion/ranges.rs"]
mod ranges;
#[path = "promotion/returning.rs"]
mod returning;
#[path = "promotion/waiting.rs"]
mod waiting;
#[path = "promotion/windows.rs"]
mod windows;
