//! The table of all endpoints, and the older spellings of paths that mean the same.

use crate::route::Table;
use crate::{
    assignments, catalog, memberships, models, oauth, objects, permissions, rule_sets, runs, scim, secrets,
    workspace_conf,
};

/// Prefixes that are answered by another version of the same API.
const ALIASES: &[(&str, &str)] = &[
    ("/api/2.1/accounts/", "/api/2.0/accounts/"),
    ("/api/2.0/scim/v2/", "/api/2.0/preview/scim/v2/"),
    ("/api/2.1/jobs/", "/api/2.2/jobs/"),
    ("/api/2.0/jobs/", "/api/2.2/jobs/"),
    ("/api/2.0/clusters/", "/api/2.1/clusters/"),
];

/// The spelling the table knows.
pub fn canonical(path: &str) -> String {
    ALIASES
        .iter()
        .find_map(|(old, new)| path.strip_prefix(old).map(|rest| format!("{new}{rest}")))
        .unwrap_or_else(|| path.to_owned())
}

pub fn table() -> Table {
    let mut groups: Vec<&'static [crate::route::Route]> = vec![
        &scim::WORKSPACE_USERS,
        &scim::WORKSPACE_GROUPS,
        &scim::WORKSPACE_PRINCIPALS,
        &scim::ACCOUNT_USERS,
        &scim::ACCOUNT_GROUPS,
        &scim::ACCOUNT_PRINCIPALS,
        &scim::OTHERS,
        assignments::ROUTES,
        memberships::ROUTES,
        permissions::ROUTES,
        catalog::ROUTES,
        catalog::grants::ROUTES,
        rule_sets::ROUTES,
        catalog::tags::ROUTES,
        models::registry::ROUTES,
        models::mlflow::ROUTES,
        models::mlflow_versions::ROUTES,
        models::artifacts::ROUTES,
        objects::jobs::ROUTES,
        runs::start::ROUTES,
        runs::read::ROUTES,
        runs::change::ROUTES,
        objects::files::ROUTES,
        objects::serving::ROUTES,
        objects::tracking::ROUTES,
        objects::tree::ROUTES,
        oauth::token::ROUTES,
        oauth::policies::ROUTES,
        oauth::secrets::ROUTES,
        oauth::personal::ROUTES,
        oauth::managed::ROUTES,
        secrets::ROUTES,
        secrets::values::ROUTES,
        secrets::acls::ROUTES,
        workspace_conf::ROUTES,
    ];
    groups.extend(objects::named::ROUTES);
    Table::new(&groups)
}
