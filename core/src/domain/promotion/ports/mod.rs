//! What promotion asks of the world outside: of the system where changes are reviewed ([`reviews`]), of the one that runs them
//! ([`deployments`]), of the cluster ([`objects`]).

pub mod deployments;
pub mod objects;
pub mod reviews;
