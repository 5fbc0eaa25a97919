//! What a rotation asks of the world outside: of whoever gives credentials ([`issuers`]), of where their values lie for
//! consumers ([`stores`]), of the cluster ([`objects`]), and of what anybody holds ([`inventory`]).
//!
//! Looking writes nothing. A write whose answer is lost is an error of kind `OutcomeUnknown`; it is looked for and never
//! blindly repeated. No error ever holds a value.

pub mod inventory;
pub mod issuers;
pub mod objects;
pub mod stores;
