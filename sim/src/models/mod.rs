//! Registered models of Unity Catalog: versions, aliases and tags. `versions` is what they are, `registry` the REST
//! API of the catalog, `mlflow` and `mlflow_versions` that of the MLflow client, `artifacts` where it puts the files of a version.
//! As securables (made, granted on, owned) models are `catalog`'s.

pub mod artifacts;
pub mod mlflow;
pub mod mlflow_versions;
pub mod registry;
pub mod rights;
pub mod versions;
