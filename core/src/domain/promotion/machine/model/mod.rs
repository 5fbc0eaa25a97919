//! The machines under a model checker: every order of merges, passes, answers, crashes and hands from outside, up to a
//! number of faults. All rules together hold everything; without any one of them the checker finds the accident.

mod act;
mod check;
mod world;
