//! How a promotion goes: [`queue`] (who has the turn), [`attempt`] (under which name), [`ready`] (a step with everything
//! it needs), [`state`] and [`steps`] (forward and back, through any crash), [`rollback`] (back to what the record
//! knows), [`kept`] (what survives). The model checker explores it whole.

pub mod attempt;
mod guards;
pub mod kept;
mod learn;
#[cfg(test)]
mod model;
pub mod queue;
pub mod ready;
pub mod rollback;
pub mod state;
pub mod steps;
mod undo;
