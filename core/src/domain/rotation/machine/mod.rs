//! How one credential goes from generation to generation: [`state`] (what survives a crash), [`next`] (what to do now),
//! through any crash and any answer that did not come. The model checker explores it whole.

#[cfg(test)]
mod asking_tests;
mod decide;
mod drain;
mod guards;
mod learn;
#[cfg(test)]
mod model;
mod prepare;
pub mod state;
mod step;

pub use step::{Effect, Ending, Held, Issued, Next, Orders, Seen, Slots, next};
