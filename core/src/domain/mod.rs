//! What it means: pure, synchronous, ordered; `now` is passed in. [`ports`] are the traits the outside must offer.

pub mod access;
pub mod approval;
pub mod defaults;
#[cfg(test)]
mod exploring;
mod guards;
pub mod hint;
pub mod outcome;
pub mod pace;
pub mod plan;
pub mod ports;
pub mod promotion;
pub mod rotation;
pub mod unattended;
pub mod windows;
