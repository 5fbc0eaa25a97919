//! How other systems are reached. Knows no Kubernetes.

pub mod databricks;
pub mod gerrit;
pub mod http;
