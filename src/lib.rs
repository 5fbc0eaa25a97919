//! The operator, as a map of the house. Arrows point inward; a test holds them.
//!
//! * [`clients`]: how other systems are reached. Knows no Kubernetes.
//! * [`kubernetes`]: how Kubernetes is reached. Knows no other system.
//! * [`audit`]: the record.
//! * [`controllers`]: one folder per working kind; gather, plan, apply, report. Knows ports only.
//! * [`queries`]: questions over the same rows. Knows ports only.
//! * [`runtime`]: builds the adapters and hands them in.
//! * [`cli`]: the commands.

pub mod audit;
pub mod cli;
pub mod clients;
pub mod controllers;
pub mod kubernetes;
pub mod queries;
pub mod runtime;
