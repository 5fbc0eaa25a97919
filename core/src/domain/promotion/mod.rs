//! A change that people reviewed and a check verified is brought to an environment, and nothing else is.
//!
//! * [`policy`]: what is asked for; [`expressions`] is what `${...}` stands for, [`paths`] which files a pattern means.
//! * [`arrivals`]: what there is to bring.
//! * [`gate`]: whether it may.
//! * [`machine`]: how it goes, forward and back, through any crash.
//! * [`code`]: what is brought and run.
//! * [`proof`]: what it proves.
//! * [`ports`]: what it asks of the world outside.

pub mod arrivals;
pub mod code;
pub mod expressions;
pub mod gate;
pub mod machine;
pub mod paths;
pub mod policy;
pub mod ports;
pub mod proof;
