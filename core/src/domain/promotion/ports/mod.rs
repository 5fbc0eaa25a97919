//! What promotion asks of the world outside: of the system where changes are reviewed ([`reviews`], [`configuration`]), of
//! the one that runs them ([`deployments`], [`holders`]), of the cluster ([`objects`]).

pub mod configuration;
pub mod deployments;
pub mod holders;
pub mod objects;
pub mod reviews;
