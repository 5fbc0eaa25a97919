//! The rows: every kind of object whose whole behaviour here is to be created, listed, read and deleted.

use super::shape::IdForm::{Digits, Hex, Name, Number, Uuid};
use super::shape::Operation::{Create, Delete, Get, List};
use super::shape::{IdForm, Shape};
use crate::route::{Handler, Route};

const fn shape(
    kind: &'static str,
    id_form: IdForm,
    id_field: &'static str,
    name_field: &'static str,
    list_key: &'static str,
) -> Shape {
    Shape {
        kind,
        id_form,
        id_field,
        name_field,
        list_key,
        key: id_field,
        by_name: false,
        wrapper: None,
        unique: false,
        whole: true,
        defaults: "{}",
    }
}

static CLUSTERS: Shape = Shape {
    whole: false,
    defaults: r#"{"state": "RUNNING", "creator_user_name": "$CREATOR"}"#,
    ..shape("clusters", Digits, "cluster_id", "cluster_name", "clusters")
};
static POOLS: Shape = Shape {
    whole: false,
    defaults: r#"{"state": "ACTIVE"}"#,
    ..shape(
        "instance-pools",
        Digits,
        "instance_pool_id",
        "instance_pool_name",
        "instance_pools",
    )
};
static POLICIES: Shape = Shape {
    whole: false,
    unique: true,
    defaults: r#"{"creator_user_name": "$CREATOR", "created_at_timestamp": "$NOW"}"#,
    ..shape("cluster-policies", Hex, "policy_id", "name", "policies")
};
static PIPELINES: Shape = Shape {
    whole: false,
    defaults: r#"{"state": "IDLE", "creator_user_name": "$CREATOR"}"#,
    ..shape("pipelines", Uuid, "pipeline_id", "name", "statuses")
};
static WAREHOUSES: Shape = Shape {
    whole: false,
    unique: true,
    defaults: r#"{"state": "RUNNING", "creator_name": "$CREATOR"}"#,
    ..shape("sql/warehouses", Hex, "id", "name", "warehouses")
};
static REPOS: Shape = Shape {
    unique: true,
    defaults: r#"{"branch": "main"}"#,
    ..shape("repos", Number, "id", "path", "repos")
};
static QUERIES: Shape = Shape {
    wrapper: Some("query"),
    defaults: r#"{"lifecycle_state": "ACTIVE", "owner_user_name": "$CREATOR"}"#,
    ..shape("sql/queries", Uuid, "id", "display_name", "results")
};
static ALERTS: Shape = Shape {
    wrapper: Some("alert"),
    defaults: r#"{"lifecycle_state": "ACTIVE", "owner_user_name": "$CREATOR"}"#,
    ..shape("sql/alerts", Uuid, "id", "display_name", "results")
};
static ALERTS_V2: Shape = Shape {
    defaults: r#"{"lifecycle_state": "ACTIVE", "owner_user_name": "$CREATOR"}"#,
    ..shape("alertsv2", Uuid, "id", "display_name", "alerts")
};
static DASHBOARDS: Shape = Shape {
    defaults: r#"{"lifecycle_state": "ACTIVE"}"#,
    ..shape("dashboards", Hex, "dashboard_id", "display_name", "dashboards")
};
static LEGACY_DASHBOARDS: Shape = shape("dbsql-dashboards", Uuid, "id", "name", "results");
static GENIE: Shape = shape("genie", Hex, "space_id", "title", "spaces");
static VECTOR_SEARCH: Shape = Shape {
    key: "name",
    by_name: true,
    unique: true,
    defaults: r#"{"creator": "$CREATOR", "endpoint_status": {"state": "ONLINE"}, "num_indexes": 0}"#,
    ..shape("vector-search-endpoints", Uuid, "id", "name", "endpoints")
};
static APPS: Shape = Shape {
    unique: true,
    defaults: r#"{"creator": "$CREATOR", "compute_status": {"state": "ACTIVE"}, "app_status": {"state": "RUNNING"}}"#,
    ..shape("apps", Name, "name", "name", "apps")
};
static DATABASES: Shape = Shape {
    unique: true,
    defaults: r#"{"creator": "$CREATOR", "state": "AVAILABLE"}"#,
    ..shape("database-instances", Name, "name", "name", "database_instances")
};
static PROJECTS: Shape = shape("database-projects", Name, "project_id", "name", "projects");
static ASSISTANTS: Shape = Shape {
    unique: true,
    ..shape(
        "knowledge-assistants",
        Uuid,
        "id",
        "display_name",
        "knowledge_assistants",
    )
};
static AGENTS: Shape = Shape {
    unique: true,
    ..shape(
        "supervisor-agents",
        Uuid,
        "id",
        "display_name",
        "supervisor_agents",
    )
};
/// Below: made and read by code of their own; the row says how their ids and names look.
static SERVING: Shape = Shape {
    key: "name",
    by_name: true,
    unique: true,
    defaults: r#"{"creator": "$CREATOR", "creation_timestamp": "$NOW", "last_updated_timestamp": "$NOW",
        "permission_level": "CAN_MANAGE", "config": {"config_version": 1},
        "state": {"ready": "READY", "config_update": "NOT_UPDATING"}}"#,
    ..shape("serving-endpoints", Hex, "id", "name", "endpoints")
};
static JOBS: Shape = shape("jobs", Number, "job_id", "name", "jobs");
static EXPERIMENTS: Shape = shape("experiments", Digits, "experiment_id", "name", "experiments");
static MODELS: Shape = shape("registered-models", Hex, "id", "name", "registered_models");

pub static SHAPES: &[&Shape] = &[
    &CLUSTERS,
    &POOLS,
    &POLICIES,
    &PIPELINES,
    &WAREHOUSES,
    &REPOS,
    &QUERIES,
    &ALERTS,
    &ALERTS_V2,
    &DASHBOARDS,
    &LEGACY_DASHBOARDS,
    &GENIE,
    &VECTOR_SEARCH,
    &APPS,
    &DATABASES,
    &PROJECTS,
    &ASSISTANTS,
    &AGENTS,
    &SERVING,
    &JOBS,
    &EXPERIMENTS,
    &MODELS,
];

pub fn by_kind(kind: &str) -> Option<&'static Shape> {
    SHAPES.iter().find(|shape| shape.kind == kind).copied()
}

const PAGED: &[&str] = &[
    "page_token",
    "page_size",
    "max_results",
    "filter",
    "view",
    "filter_by",
    "sort_by",
    "sort_column",
    "sort_order",
    "can_use_cluster",
    "run_as_user_id",
    "path_prefix",
    "next_page_token",
    "order_by",
    "show_trashed",
    "include_shared",
    "space",
    "q",
    "page",
    "order",
];

/// Collection and one: POST and GET on `collection`, GET and DELETE on `one`.
macro_rules! rest {
    ($shape:expr, $collection:literal, $one:literal) => {
        [
            Route::with("POST", $collection, Handler::Object(Create, &$shape)).query(&[
                "no_compute",
                "dataset_catalog",
                "dataset_schema",
                "supervisor_agent_id",
                "knowledge_assistant_id",
            ]),
            Route::with("GET", $collection, Handler::Object(List, &$shape)).query(PAGED),
            Route::with("GET", $one, Handler::Object(Get, &$shape)).query(&["include_serialized_space"]),
            Route::with("DELETE", $one, Handler::Object(Delete, &$shape)).query(&[
                "force",
                "purge",
                "cascade",
                "allow_missing",
            ]),
        ]
    };
}

/// The older manner: a verb at the end of the path, the id in the query or the body.
macro_rules! verbs {
    ($shape:expr, $key:literal, $create:literal, $list:literal, $get:literal, $delete:literal) => {
        [
            Route::with("POST", $create, Handler::Object(Create, &$shape)),
            Route::with("GET", $list, Handler::Object(List, &$shape)).query(PAGED),
            Route::with("GET", $get, Handler::Object(Get, &$shape)).query(&[$key]),
            Route::with("POST", $delete, Handler::Object(Delete, &$shape)).body(&[$key]),
        ]
    };
}

pub const ROUTES: [&[Route]; 17] = [
    &verbs!(
        CLUSTERS,
        "cluster_id",
        "/api/2.1/clusters/create",
        "/api/2.1/clusters/list",
        "/api/2.1/clusters/get",
        "/api/2.1/clusters/permanent-delete"
    ),
    &verbs!(
        POOLS,
        "instance_pool_id",
        "/api/2.0/instance-pools/create",
        "/api/2.0/instance-pools/list",
        "/api/2.0/instance-pools/get",
        "/api/2.0/instance-pools/delete"
    ),
    &verbs!(
        POLICIES,
        "policy_id",
        "/api/2.0/policies/clusters/create",
        "/api/2.0/policies/clusters/list",
        "/api/2.0/policies/clusters/get",
        "/api/2.0/policies/clusters/delete"
    ),
    &rest!(
        PIPELINES,
        "/api/2.0/pipelines",
        "/api/2.0/pipelines/{pipeline_id}"
    ),
    &rest!(
        WAREHOUSES,
        "/api/2.0/sql/warehouses",
        "/api/2.0/sql/warehouses/{id}"
    ),
    &rest!(REPOS, "/api/2.0/repos", "/api/2.0/repos/{id}"),
    &rest!(QUERIES, "/api/2.0/sql/queries", "/api/2.0/sql/queries/{id}"),
    &rest!(ALERTS, "/api/2.0/sql/alerts", "/api/2.0/sql/alerts/{id}"),
    &rest!(ALERTS_V2, "/api/2.0/alerts", "/api/2.0/alerts/{id}"),
    &rest!(
        DASHBOARDS,
        "/api/2.0/lakeview/dashboards",
        "/api/2.0/lakeview/dashboards/{dashboard_id}"
    ),
    &rest!(
        LEGACY_DASHBOARDS,
        "/api/2.0/preview/sql/dashboards",
        "/api/2.0/preview/sql/dashboards/{id}"
    ),
    &rest!(GENIE, "/api/2.0/genie/spaces", "/api/2.0/genie/spaces/{space_id}"),
    &rest!(
        VECTOR_SEARCH,
        "/api/2.0/vector-search/endpoints",
        "/api/2.0/vector-search/endpoints/{name}"
    ),
    &rest!(APPS, "/api/2.0/apps", "/api/2.0/apps/{name}"),
    &rest!(
        DATABASES,
        "/api/2.0/database/instances",
        "/api/2.0/database/instances/{name}"
    ),
    &rest!(
        ASSISTANTS,
        "/api/2.1/knowledge-assistants",
        "/api/2.1/knowledge-assistants/{id}"
    ),
    &rest!(
        AGENTS,
        "/api/2.1/supervisor-agents",
        "/api/2.1/supervisor-agents/{id}"
    ),
];
