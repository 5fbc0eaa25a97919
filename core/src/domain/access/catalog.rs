//! The vendor's types, levels and limits as data: adding an object type is adding a row.

/// One object type of the permissions API.
#[derive(Clone, Copy, Debug)]
pub struct ObjectType {
    /// The type as the permissions API spells it in its path.
    pub path: &'static str,
    /// Key of `reach` that covers it.
    pub reach: &'static str,
    /// Levels that can be given directly, from the least to the greatest; of two, the later one holds the earlier,
    /// but for those in [`BESIDE`].
    pub levels: &'static [&'static str],
}

const fn row(path: &'static str, reach: &'static str, levels: &'static [&'static str]) -> ObjectType {
    ObjectType { path, reach, levels }
}

const READ_RUN_EDIT: &[&str] = &["CAN_READ", "CAN_RUN", "CAN_EDIT", "CAN_MANAGE"];
const USE_MANAGE: &[&str] = &["CAN_USE", "CAN_MANAGE"];

/// Every object type (from the vendor's Terraform provider, permissions resource).
pub const OBJECT_TYPES: &[ObjectType] = &[
    row(
        "clusters",
        "clusters",
        &["CAN_ATTACH_TO", "CAN_RESTART", "CAN_MANAGE"],
    ),
    row("cluster-policies", "clusterPolicies", &["CAN_USE"]),
    row(
        "instance-pools",
        "instancePools",
        &["CAN_ATTACH_TO", "CAN_MANAGE"],
    ),
    row(
        "jobs",
        "jobs",
        &["CAN_VIEW", "CAN_MANAGE_RUN", "CAN_MANAGE", "IS_OWNER"],
    ),
    row(
        "pipelines",
        "pipelines",
        &["CAN_VIEW", "CAN_RUN", "CAN_MANAGE", "IS_OWNER"],
    ),
    row("notebooks", "paths", READ_RUN_EDIT),
    row("directories", "paths", READ_RUN_EDIT),
    row("files", "paths", READ_RUN_EDIT),
    row("repos", "paths", READ_RUN_EDIT),
    row(
        "experiments",
        "experiments",
        &["CAN_READ", "CAN_EDIT", "CAN_MANAGE"],
    ),
    row(
        "registered-models",
        "models",
        &[
            "CAN_READ",
            "CAN_EDIT",
            "CAN_MANAGE_STAGING_VERSIONS",
            "CAN_MANAGE_PRODUCTION_VERSIONS",
            "CAN_MANAGE",
        ],
    ),
    row(
        "serving-endpoints",
        "servingEndpoints",
        &["CAN_VIEW", "CAN_QUERY", "CAN_MANAGE"],
    ),
    row(
        "sql/warehouses",
        "warehouses",
        &["CAN_VIEW", "CAN_USE", "CAN_MONITOR", "CAN_MANAGE", "IS_OWNER"],
    ),
    row("dashboards", "dashboards", READ_RUN_EDIT),
    row("dbsql-dashboards", "dashboards", READ_RUN_EDIT),
    row("sql/queries", "dashboards", READ_RUN_EDIT),
    row("sql/alerts", "dashboards", READ_RUN_EDIT),
    row("alertsv2", "dashboards", READ_RUN_EDIT),
    row("authorization", "tokens", &["CAN_USE"]),
    row("vector-search-endpoints", "vectorSearchEndpoints", USE_MANAGE),
    row("apps", "apps", USE_MANAGE),
    row("database-instances", "databaseInstances", USE_MANAGE),
    row("database-projects", "databaseInstances", USE_MANAGE),
    // Levels are not in the vendor's table; the workspace answers for them through permissionLevels.
    row("genie", "genieSpaces", READ_RUN_EDIT),
    row("knowledge-assistants", "agents", &["CAN_QUERY", "CAN_MANAGE"]),
    row("supervisor-agents", "agents", &["CAN_QUERY", "CAN_MANAGE"]),
];

/// The row of an object type, by its path.
pub fn object_type(path: &str) -> Option<&'static ObjectType> {
    OBJECT_TYPES.iter().find(|row| row.path == path)
}

/// Levels of which neither holds the other, with the least that holds both. On a warehouse CAN_VIEW sees everybody's
/// queries and the monitoring but runs nothing, CAN_USE starts it and runs queries but sees nobody else's, and
/// CAN_MONITOR may do exactly what the two may together
/// (learn.microsoft.com/azure/databricks/security/auth/access-control, SQL warehouse ACLs).
pub const BESIDE: &[(&str, [&str; 2], &str)] = &[("sql/warehouses", ["CAN_VIEW", "CAN_USE"], "CAN_MONITOR")];

/// How high a level stands on an object type. `None`: the type does not know the level.
pub fn level_rank(path: &str, level: &str) -> Option<usize> {
    object_type(path)?.levels.iter().position(|known| *known == level)
}

/// The least level that holds both; of one that the type does not know and another, the other.
pub fn join_levels<'a>(path: &str, a: &'a str, b: &'a str) -> &'a str {
    let beside = BESIDE
        .iter()
        .find(|(of, pair, _)| a != b && *of == path && pair.contains(&a) && pair.contains(&b));
    match beside {
        Some((_, _, both)) => both,
        None if level_rank(path, b) > level_rank(path, a) => b,
        None => a,
    }
}

/// The name that a level has today: what was CAN_VIEW in the first API for SQL objects is CAN_READ now
/// (databricks/terraform-provider-databricks, permissions/permission_definitions.go).
pub fn current_level<'a>(path: &str, level: &'a str) -> &'a str {
    let knows = |level| level_rank(path, level).is_some();
    if level == "CAN_VIEW" && !knows("CAN_VIEW") && knows("CAN_READ") {
        "CAN_READ"
    } else {
        level
    }
}

/// Levels, permissions and privileges that rule over others' rights and so need `administrative`.
pub fn is_administrative(word: &str) -> bool {
    matches!(
        word,
        "ADMIN" | "CAN_MANAGE" | "IS_OWNER" | "MANAGE" | "ALL_PRIVILEGES"
    ) || word.ends_with(".manager")
}

/// Longest time until a write must be readable: 11 minutes for legacy SQL objects (their group names are cached up
/// to 10 minutes on the read side), a minute for everything else (vendor's pages on permissions and on SCIM).
pub fn propagation_seconds(object_type: Option<&str>) -> i64 {
    match object_type {
        Some("sql/queries" | "sql/alerts" | "dbsql-dashboards" | "alertsv2") => 660,
        _ => 60,
    }
}

/// Most people one binding may resolve to; beyond that groups serve better.
pub const MAX_MEMBERS: usize = 2_000;
/// Most people counted once for each system they have a group in: a status remembers every one of them there, and
/// must stay under 256 KiB.
pub const MAX_MEMBERSHIPS: usize = 2 * MAX_MEMBERS;

/// Why a team is too large for one binding, if it is.
pub fn too_large_a_team(people: usize, systems: usize) -> Option<String> {
    let advice = "name groups of the identity provider instead, or divide the binding";
    if people > MAX_MEMBERS {
        Some(format!("{people} members are more than {MAX_MEMBERS}: {advice}"))
    } else if people * systems > MAX_MEMBERSHIPS {
        Some(format!(
            "{people} members in {systems} systems are more than {MAX_MEMBERSHIPS} memberships: {advice}"
        ))
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_join_holds_both_and_is_the_least_that_does() {
        for row in OBJECT_TYPES {
            for a in row.levels {
                for b in row.levels {
                    let both = join_levels(row.path, a, b);
                    assert_eq!(both, join_levels(row.path, b, a), "{} {a} {b}", row.path);
                    for level in [a, b] {
                        assert_eq!(join_levels(row.path, both, level), both, "{} {a} {b}", row.path);
                    }
                }
            }
        }
        assert_eq!(
            join_levels("sql/warehouses", "CAN_USE", "CAN_VIEW"),
            "CAN_MONITOR"
        );
        assert_eq!(
            join_levels("sql/warehouses", "CAN_USE", "CAN_MANAGE"),
            "CAN_MANAGE"
        );
        assert_eq!(
            join_levels("jobs", "CAN_MANAGE_RUN", "CAN_VIEW"),
            "CAN_MANAGE_RUN"
        );
    }

    #[test]
    fn an_older_name_is_read_where_the_type_has_a_newer_one() {
        assert_eq!(current_level("sql/queries", "CAN_VIEW"), "CAN_READ");
        assert_eq!(current_level("jobs", "CAN_VIEW"), "CAN_VIEW");
        assert_eq!(current_level("apps", "CAN_VIEW"), "CAN_VIEW");
    }
}
