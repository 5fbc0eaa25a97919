//! What the name of an object means: one row per type of the permissions API, saying which call answers for its
//! names and where in the answer the id stands.

use std::collections::BTreeMap;

use lockstep_core::domain::ports::{SystemError, SystemErrorKind};
use serde_json::Value;

use super::limits::Family;
use super::plane::Plane;
use super::segment;
use crate::clients::http::Call;

/// How a name becomes an id.
#[derive(Clone, Copy, Debug)]
enum Way {
    /// One call with the name at the end of the path.
    InPath { path: &'static str, id: &'static str },
    /// One call with the name as a query parameter.
    InQuery {
        path: &'static str,
        parameter: &'static str,
        id: &'static str,
    },
    /// The workspace tree, where the path must be of this type.
    Tree { word: &'static str },
    /// A listing, narrowed by name where the vendor can.
    Listing {
        path: &'static str,
        query: &'static [(&'static str, &'static str)],
        narrow: Option<&'static str>,
        items: &'static str,
        id: &'static str,
        name: &'static str,
    },
    /// The name is the id.
    Itself,
}

struct Row {
    kind: &'static str,
    family: Family,
    way: Way,
}

const fn row(kind: &'static str, way: Way) -> Row {
    Row {
        kind,
        family: Family::Other,
        way,
    }
}

const fn tracked(kind: &'static str, way: Way) -> Row {
    Row {
        kind,
        family: Family::Tracking,
        way,
    }
}

const fn listing(
    path: &'static str,
    query: &'static [(&'static str, &'static str)],
    items: &'static str,
    id: &'static str,
    name: &'static str,
) -> Way {
    Way::Listing {
        path,
        query,
        narrow: None,
        items,
        id,
        name,
    }
}

const HUNDRED: &[(&str, &str)] = &[("page_size", "100")];

/// Calls from the vendor's SDK (service/*/impl.go); the id is the one the permissions API takes.
const ROWS: &[Row] = &[
    row(
        "jobs",
        Way::Listing {
            path: "/api/2.2/jobs/list",
            query: &[("limit", "100")],
            narrow: Some("name"),
            items: "jobs",
            id: "/job_id",
            name: "/settings/name",
        },
    ),
    row(
        "pipelines",
        listing(
            "/api/2.0/pipelines",
            &[("max_results", "100")],
            "statuses",
            "/pipeline_id",
            "/name",
        ),
    ),
    row(
        "clusters",
        listing(
            "/api/2.1/clusters/list",
            HUNDRED,
            "clusters",
            "/cluster_id",
            "/cluster_name",
        ),
    ),
    row(
        "cluster-policies",
        listing(
            "/api/2.0/policies/clusters/list",
            &[],
            "policies",
            "/policy_id",
            "/name",
        ),
    ),
    row(
        "instance-pools",
        listing(
            "/api/2.0/instance-pools/list",
            &[],
            "instance_pools",
            "/instance_pool_id",
            "/instance_pool_name",
        ),
    ),
    row(
        "sql/warehouses",
        listing("/api/2.0/sql/warehouses", &[], "warehouses", "/id", "/name"),
    ),
    row(
        "serving-endpoints",
        Way::InPath {
            path: "/api/2.0/serving-endpoints/{name}",
            id: "/id",
        },
    ),
    tracked(
        "registered-models",
        Way::InQuery {
            path: "/api/2.0/mlflow/databricks/registered-models/get",
            parameter: "name",
            id: "/registered_model_databricks/id",
        },
    ),
    tracked(
        "experiments",
        Way::InQuery {
            path: "/api/2.0/mlflow/experiments/get-by-name",
            parameter: "experiment_name",
            id: "/experiment/experiment_id",
        },
    ),
    row("directories", Way::Tree { word: "DIRECTORY" }),
    row("notebooks", Way::Tree { word: "NOTEBOOK" }),
    row("files", Way::Tree { word: "FILE" }),
    row("repos", Way::Tree { word: "REPO" }),
    row(
        "dashboards",
        listing(
            "/api/2.0/lakeview/dashboards",
            &[("page_size", "1000")],
            "dashboards",
            "/dashboard_id",
            "/display_name",
        ),
    ),
    row(
        "dbsql-dashboards",
        Way::Listing {
            path: "/api/2.0/preview/sql/dashboards",
            query: HUNDRED,
            narrow: Some("q"),
            items: "results",
            id: "/id",
            name: "/name",
        },
    ),
    row(
        "sql/queries",
        listing("/api/2.0/sql/queries", HUNDRED, "results", "/id", "/display_name"),
    ),
    row(
        "sql/alerts",
        listing("/api/2.0/sql/alerts", HUNDRED, "results", "/id", "/display_name"),
    ),
    row(
        "alertsv2",
        listing("/api/2.0/alerts", HUNDRED, "alerts", "/id", "/display_name"),
    ),
    row(
        "vector-search-endpoints",
        Way::InPath {
            path: "/api/2.0/vector-search/endpoints/{name}",
            id: "/id",
        },
    ),
    row(
        "apps",
        Way::InPath {
            path: "/api/2.0/apps/{name}",
            id: "/name",
        },
    ),
    row(
        "database-instances",
        Way::InPath {
            path: "/api/2.0/database/instances/{name}",
            id: "/name",
        },
    ),
    // No call of the published SDK answers for their names; the permissions API takes the name.
    row("database-projects", Way::Itself),
    row(
        "genie",
        listing("/api/2.0/genie/spaces", HUNDRED, "spaces", "/space_id", "/title"),
    ),
    row(
        "knowledge-assistants",
        listing(
            "/api/2.1/knowledge-assistants",
            HUNDRED,
            "knowledge_assistants",
            "/id",
            "/display_name",
        ),
    ),
    row(
        "supervisor-agents",
        listing(
            "/api/2.1/supervisor-agents",
            HUNDRED,
            "supervisor_agents",
            "/id",
            "/display_name",
        ),
    ),
    // `tokens` and `passwords` are all there is.
    row("authorization", Way::Itself),
];

/// More pages than any workspace fills: a listing that never ends must not hold us for ever.
const MOST_PAGES: usize = 1_000;

/// Ids by name, as far as one call or one listing answers.
pub(super) type Names = BTreeMap<String, Vec<String>>;

/// Under which key a reading that answers for this name is kept: a whole listing answers for all names at once.
pub(super) fn key(kind: &str, name: &str) -> String {
    match find(kind).map(|row| row.way) {
        Some(Way::Listing { narrow: None, .. }) => kind.to_owned(),
        _ => format!("{kind}\n{name}"),
    }
}

fn find(kind: &str) -> Option<&'static Row> {
    ROWS.iter().find(|row| row.kind == kind)
}

/// Asks what a name means.
pub(super) async fn read(plane: &Plane, kind: &str, name: &str) -> Result<Names, SystemError> {
    let Some(Row { family, way, .. }) = find(kind) else {
        let message = format!("objects of type {kind} cannot be named; give the id");
        return Err(plane.error(SystemErrorKind::Refused, message));
    };
    let family = family.name();
    let one = |found: Option<Value>, id: &str| {
        let id = found.as_ref().and_then(|answer| text(answer.pointer(id)?));
        id.map(|id| (name.to_owned(), vec![id])).into_iter().collect()
    };
    match *way {
        Way::Itself => Ok([(name.to_owned(), vec![name.to_owned()])].into()),
        Way::InPath { path, id } => {
            let filled = path.replace("{name}", &segment(name));
            Ok(one(plane.find(Call::get(path, filled, family)).await?, id))
        }
        Way::InQuery { path, parameter, id } => {
            let call = Call::get(path, path, family).query(parameter, name);
            Ok(one(plane.find(call).await?, id))
        }
        Way::Tree { word } => tree(plane, word, name, family).await,
        Way::Listing {
            path,
            query,
            narrow,
            items,
            id,
            name: named,
        } => {
            let mut call = Call::get(path, path, family);
            for (key, value) in query {
                call = call.query(*key, *value);
            }
            if let Some(parameter) = narrow {
                call = call.query(parameter, name);
            }
            list(plane, &call, items, id, named).await
        }
    }
}

/// One path of the workspace tree.
async fn tree(plane: &Plane, word: &str, path: &str, family: &'static str) -> Result<Names, SystemError> {
    let status = "/api/2.0/workspace/get-status";
    let call = Call::get(status, status, family).query("path", path);
    let Some(found) = plane.find::<Value>(call).await? else {
        return Ok(Names::new());
    };
    let kind = found
        .get("object_type")
        .and_then(Value::as_str)
        .unwrap_or_default();
    if kind != word {
        let message = format!("{path} is a {kind}, not a {word}");
        return Err(plane.error(SystemErrorKind::Refused, message));
    }
    let id = found.get("object_id").and_then(text);
    Ok(id.map(|id| (path.to_owned(), vec![id])).into_iter().collect())
}

/// All pages of a listing. A page may be empty and still not be the last; the oldest listings count pages instead
/// of handing out tokens.
async fn list(plane: &Plane, first: &Call, items: &str, id: &str, name: &str) -> Result<Names, SystemError> {
    let mut names = Names::new();
    let (mut call, mut seen, mut page) = (first.clone(), 0, 1u64);
    for _ in 0..MOST_PAGES {
        let answer: Value = plane.read(call).await?;
        let rows = answer
            .get(items)
            .and_then(Value::as_array)
            .map_or(&[][..], Vec::as_slice);
        seen += rows.len();
        for row in rows {
            if let (Some(name), Some(id)) = (row.pointer(name).and_then(text), row.pointer(id).and_then(text))
            {
                names.entry(name).or_default().push(id);
            }
        }
        let token = answer.get("next_page_token").and_then(Value::as_str);
        let counted = answer.get("count").and_then(Value::as_u64);
        if let Some(token) = token.filter(|token| !token.is_empty()) {
            call = first.clone().query("page_token", token);
        } else if counted.is_some_and(|count| !rows.is_empty() && (seen as u64) < count) {
            page += 1;
            call = first.clone().query("page", page.to_string());
        } else {
            return Ok(names);
        }
    }
    let message = format!("{} comes in pages without end", first.label());
    Err(plane.error(SystemErrorKind::BadAnswer, message))
}

/// Ids are numbers or strings; numbers are longer than a double holds exactly, so they are never read as one.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use lockstep_core::domain::access::catalog::OBJECT_TYPES;

    use super::*;

    #[test]
    fn every_type_of_the_catalog_can_be_looked_up() {
        for kind in OBJECT_TYPES {
            assert!(find(kind.path).is_some(), "{}", kind.path);
        }
        assert_eq!(ROWS.len(), OBJECT_TYPES.len());
    }

    #[test]
    fn a_whole_listing_answers_for_all_names() {
        assert_eq!(key("clusters", "a"), key("clusters", "b"));
        assert_ne!(key("jobs", "a"), key("jobs", "b"));
    }
}
