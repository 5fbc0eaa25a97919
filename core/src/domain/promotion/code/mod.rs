//! What is brought and run: the [`tree`] of a commit with its [`links`], the [`definition`] of a job in it, and the
//! [`sources`] that say whose code a job runs.

pub mod definition;
pub mod links;
pub mod sources;
pub mod tree;
