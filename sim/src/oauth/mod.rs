//! What proves who is calling: token endpoints, federation policies, client secrets, personal access tokens.

pub mod exchange;
pub mod managed;
pub mod personal;
pub mod policies;
pub mod secrets;
pub mod token;
