//! Arrows point inward: folders know the domain, and of each other only what this table says.

use super::paths::{module_of, paths};
use super::{Source, hold, sources};

/// Which folders of the operator a folder may know besides itself.
const OPERATOR: &[(&str, &[&str])] = &[
    ("clients", &[]),
    ("kubernetes", &[]),
    ("audit", &[]),
    ("controllers", &[]),
    // The same gathering and deciding answers what would change.
    ("queries", &["controllers"]),
    (
        "runtime",
        &["audit", "clients", "controllers", "kubernetes", "queries"],
    ),
    ("cli", &["controllers", "queries", "runtime"]),
    ("web", &["controllers", "queries", "runtime"]),
    ("main", &["cli", "queries", "runtime"]),
];

/// What every system's client stands on; it knows none of them.
const GROUND: [&str; 3] = ["contract", "http", "identity"];

/// What users write does not know what it means.
const CORE: &[(&str, &[&str])] = &[("api", &[]), ("domain", &["api"])];

/// Crates, or parts of them, that a folder may not know.
const STRANGERS: &[(&str, &[&str])] = &[
    ("clients", &["kube", "k8s_openapi"]),
    ("audit", &["kube", "k8s_openapi", "reqwest"]),
    ("kubernetes", &["reqwest"]),
    ("controllers", OUTSIDE),
    ("queries", OUTSIDE),
    ("api", PURE),
    ("domain", PURE),
];
/// What only adapters do.
const OUTSIDE: &[&str] = &[
    "reqwest",
    "axum",
    "kube::Api",
    "kube::Client",
    "kube::api",
    "kube::client",
    "kube::runtime",
    "tokio::fs",
    "tokio::net",
    "std::fs",
    "std::net",
];
/// What would make the core wait, look outside, or read a clock of its own.
const PURE: &[&str] = &[
    "reqwest",
    "tokio",
    "kube::Api",
    "kube::Client",
    "kube::client",
    "kube::runtime",
    "std::fs",
    "std::net",
    "std::env",
    "std::process",
    "std::time::Instant",
    "std::time::SystemTime",
];

fn row<'a>(table: &[(&str, &'a [&'a str])], folder: &str) -> Option<&'a [&'a str]> {
    let row = table.iter().find(|(name, _)| *name == folder);
    row.map(|(_, allowed)| *allowed)
}

fn broken(source: &Source, table: &[(&str, &'static [&'static str])]) -> Vec<String> {
    let module = module_of(&source.path);
    let Some(folder) = module.first() else {
        return Vec::new();
    };
    let Some(allowed) = row(table, folder) else {
        return vec![format!(
            "{}: {folder} has no row in the table of arrows",
            source.path
        )];
    };
    let paths = paths(source, "lockstep");
    let mut broken = Vec::new();
    for path in &paths.inner {
        let Some(to) = path.first() else { continue };
        let known = row(table, to).is_some();
        if known && to != folder && !allowed.contains(&to.as_str()) {
            broken.push(format!(
                "{}: {folder} must not know {}",
                source.path,
                path.join("::")
            ));
        }
        // Of the systems' clients none knows another.
        if let ("clients", Some(mine), Some(theirs)) = (folder.as_str(), module.get(1), path.get(1))
            && to == "clients"
            && mine != theirs
            && !GROUND.contains(&theirs.as_str())
        {
            broken.push(format!(
                "{}: clients::{mine} must not know {}",
                source.path,
                path.join("::")
            ));
        }
    }
    let strangers = row(STRANGERS, folder).unwrap_or_default();
    for path in paths.outer.iter().map(|path| path.join("::")) {
        let under = |stranger: &&&str| path == **stranger || path.starts_with(&format!("{stranger}::"));
        if strangers.iter().any(|stranger| under(&stranger)) {
            broken.push(format!("{}: {folder} must not know {path}", source.path));
        }
    }
    broken.sort();
    broken.dedup();
    broken
}

#[test]
fn arrows_point_inward() {
    let operator = sources("src");
    let core = sources("core/src");
    let operator = operator.iter().flat_map(|source| broken(source, OPERATOR));
    let core = core.iter().flat_map(|source| broken(source, CORE));
    hold(operator.chain(core).collect(), &[]);
}

fn caught(path: &str, text: &str) -> bool {
    let table = if path.starts_with("core/") { CORE } else { OPERATOR };
    !broken(&Source::new(path, text), table).is_empty()
}

#[test]
fn an_arrow_that_points_outward_is_caught_however_it_is_written() {
    for (path, text) in [
        ("src/clients/gerrit/mod.rs", "use crate::kubernetes::Lease;"),
        ("src/clients/gerrit/mod.rs", "use crate::{audit, clients::http};"),
        ("src/clients/gerrit/mod.rs", "use super::databricks::Plane;"),
        (
            "src/clients/http/mod.rs",
            "fn f() { crate::clients::gerrit::g() }",
        ),
        (
            "src/controllers/a/gather.rs",
            "use super::super::super::clients::http;",
        ),
        ("src/controllers/a/gather.rs", "fn f(client: kube::Client) {}"),
        ("src/controllers/a/gather.rs", "use kube::{Api, ResourceExt};"),
        (
            "src/controllers/mod.rs",
            "mod tests { use super::super::kubernetes::Cache; }",
        ),
        (
            "src/queries/look.rs",
            "fn f() { println!(\"{}\", crate::audit::line()); }",
        ),
        ("src/queries/look.rs", "impl crate::runtime::Run for X {}"),
        ("src/audit/mod.rs", "pub use crate::kubernetes as k;"),
        ("src/kubernetes/mod.rs", "type C = reqwest::Client;"),
        ("src/cli/run.rs", "use crate::clients::http::Address;"),
        ("src/main.rs", "fn main() { lockstep::kubernetes::start() }"),
        ("src/gadgets/mod.rs", ""),
        ("core/src/api/text.rs", "use crate::domain::defaults;"),
        ("core/src/domain/plan.rs", "fn f() { std::time::Instant::now(); }"),
        (
            "core/src/domain/plan.rs",
            "use std::{collections::BTreeMap, time::SystemTime};",
        ),
    ] {
        assert!(caught(path, text), "{path}: {text}");
    }
}

#[test]
fn an_arrow_that_points_inward_is_let_through() {
    for (path, text) in [
        (
            "src/clients/gerrit/groups.rs",
            "use super::rest::Rest; use crate::clients::http::Call;",
        ),
        (
            "src/controllers/a/gather.rs",
            "use super::super::Context; use kube::ResourceExt;",
        ),
        (
            "src/queries/look.rs",
            "use crate::controllers::Context; use lockstep_core::domain::plan::Plan;",
        ),
        (
            "src/runtime/mod.rs",
            "use crate::{audit, clients, controllers, kubernetes};",
        ),
        ("src/main.rs", "fn main() { lockstep::cli::main() }"),
        (
            "core/src/domain/plan.rs",
            "use crate::api::condition::Reason; use std::time::Duration;",
        ),
    ] {
        assert!(!caught(path, text), "{path}: {text}");
    }
}
