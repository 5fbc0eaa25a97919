//! How other systems are reached. Knows no Kubernetes.

pub mod contract;
pub mod databricks;
pub mod gerrit;
pub mod http;
