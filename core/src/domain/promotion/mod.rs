//! A change that people reviewed and a check verified is brought to an environment, and nothing else is.
//!
//! * what is asked for: [`policy`];
//! * what is known: [`people`], [`evidence`], [`rules`];
//! * whether it may: [`gate`] (a table of [`findings`] over one change), [`range`] (over every commit below it),
//!   [`windows`] and [`freeze`] (now?), [`break_glass`];
//! * what there is to bring: [`arrivals`];
//! * how it goes: [`ready`] (a step with everything it needs), [`queue`] (who has the turn), [`steps`] and [`state`] (forward and back, through any crash), [`attempt`] (under
//!   which name), [`rollback`] (back to what the record knows);
//! * what it asks of the system where changes are reviewed: [`ports`]; of the cluster: [`objects`];
//! * what it proves: [`provenance`] (where a model comes from), [`completeness`] (what else ran), [`fact`] (what the
//!   record is told).
//!
//! [`expressions`] is what `${...}` stands for. What the steps need of the outside is [`deploy_ports`], over [`tree`] (what
//! is uploaded), [`definition`] (what a job is) and [`sources`] (whose code it runs).

pub mod arrivals;
pub mod attempt;
pub mod break_glass;
pub mod completeness;
pub mod definition;
pub mod deploy_ports;
pub mod evidence;
pub mod expressions;
pub mod fact;
pub mod finding;
pub mod findings;
pub mod freeze;
pub mod gate;
mod guards;
pub mod kept;
mod learn;
pub mod links;
pub mod objects;
pub mod paths;
pub mod people;
pub mod policy;
pub mod ports;
pub mod provenance;
pub mod queue;
pub mod range;
pub mod ready;
pub mod rollback;
pub mod rules;
pub mod sources;
pub mod state;
pub mod steps;
pub mod tree;
mod undo;
pub mod windows;

#[cfg(test)]
mod model;
