//! The CRDs of all kinds, polished for the API server.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;

use super::{AccessBinding, DatabricksConnection, GerritConnection, PlanApproval};

/// Every kind's CRD, in the order a newcomer meets them.
pub fn all() -> Vec<CustomResourceDefinition> {
    vec![
        GerritConnection::crd(),
        DatabricksConnection::crd(),
        AccessBinding::crd(),
        PlanApproval::crd(),
    ]
}
