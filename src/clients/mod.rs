//! How other systems are reached. Knows no Kubernetes.

#[cfg(feature = "aws")]
pub mod aws;
pub mod contract;
pub mod databricks;
pub mod gerrit;
pub mod http;
pub mod identity;
pub mod vault;
