//! Questions over the same rows that controllers decide by: what would change, who can do what and why, and which
//! edits take somebody out. Answers are values; whoever asked prints them. Knows ports only, and writes nothing.
//!
//! * [`difference`]: what a binding would change, now.
//! * [`survey`]: everything the bindings in sight declare, hold and were seen to have.
//! * [`look`]: what no binding named.
//! * [`who_can`], [`of_person`] and [`removal`]: pure answers over a survey.
//! * [`standing`]: which bindings somebody should look at.
//! * [`promotions`]: what runs where, what waits and why, and what a person's order would do.
//! * [`credentials`]: what rotates where, what is old, and what a person's order would do.
//! * [`subject`]: what people call targets.

pub mod credentials;
pub mod difference;
pub mod look;
pub mod of_person;
pub mod promotions;
pub mod removal;
pub mod standing;
pub mod subject;
pub mod survey;
pub mod who_can;
pub mod why;
