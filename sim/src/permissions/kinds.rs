//! The object types of the permissions API, one row each: path, what answers call it, its levels from low to high,
//! who owns it. Sources: [TF permissions/permission_definitions.go], [GO service/iam/model.go].

/// How an object type treats IS_OWNER.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ownership {
    None,
    /// A PUT must name exactly one owner (jobs, pipelines; CLI#3849).
    ExactlyOne,
    /// A PUT without an owner keeps the one there is, and is refused if there is none (warehouses).
    Kept,
}

#[derive(Debug)]
pub struct Kind {
    /// `{type}` in the path.
    pub path: &'static str,
    pub aliases: &'static [&'static str],
    /// `object_type` in answers.
    pub word: &'static str,
    /// For messages.
    pub noun: &'static str,
    /// From low to high, as core's table of the adapter under test has them (a test compares the two).
    pub levels: &'static [&'static str],
    pub ownership: Ownership,
    /// Whether the object has a path and inherits from the directories above it.
    pub in_tree: bool,
}

const READ_RUN_EDIT_MANAGE: &[&str] = &["CAN_READ", "CAN_RUN", "CAN_EDIT", "CAN_MANAGE"];
const USE_MANAGE: &[&str] = &["CAN_USE", "CAN_MANAGE"];
const QUERY_MANAGE: &[&str] = &["CAN_QUERY", "CAN_MANAGE"];

const fn kind(
    path: &'static str,
    word: &'static str,
    noun: &'static str,
    levels: &'static [&'static str],
) -> Kind {
    Kind {
        path,
        aliases: &[],
        word,
        noun,
        levels,
        ownership: Ownership::None,
        in_tree: false,
    }
}

const fn tree(mut row: Kind) -> Kind {
    row.in_tree = true;
    row
}

const fn owned(mut row: Kind, ownership: Ownership) -> Kind {
    row.ownership = ownership;
    row
}

const fn also(mut row: Kind, aliases: &'static [&'static str]) -> Kind {
    row.aliases = aliases;
    row
}

pub static KINDS: &[Kind] = &[
    kind(
        "clusters",
        "cluster",
        "Cluster",
        &["CAN_ATTACH_TO", "CAN_RESTART", "CAN_MANAGE"],
    ),
    kind(
        "cluster-policies",
        "cluster-policy",
        "Cluster policy",
        &["CAN_USE"],
    ),
    kind(
        "instance-pools",
        "instance-pool",
        "Instance pool",
        &["CAN_ATTACH_TO", "CAN_MANAGE"],
    ),
    owned(
        kind(
            "jobs",
            "job",
            "Job",
            &["CAN_VIEW", "CAN_MANAGE_RUN", "CAN_MANAGE", "IS_OWNER"],
        ),
        Ownership::ExactlyOne,
    ),
    owned(
        kind(
            "pipelines",
            "pipelines",
            "Pipeline",
            &["CAN_VIEW", "CAN_RUN", "CAN_MANAGE", "IS_OWNER"],
        ),
        Ownership::ExactlyOne,
    ),
    tree(kind("notebooks", "notebook", "Notebook", READ_RUN_EDIT_MANAGE)),
    tree(kind(
        "directories",
        "directory",
        "Directory",
        READ_RUN_EDIT_MANAGE,
    )),
    tree(kind("files", "file", "File", READ_RUN_EDIT_MANAGE)),
    tree(kind("repos", "repo", "Repo", READ_RUN_EDIT_MANAGE)),
    tree(kind(
        "experiments",
        "mlflowExperiment",
        "Experiment",
        &["CAN_READ", "CAN_EDIT", "CAN_MANAGE"],
    )),
    kind(
        "registered-models",
        "registered-model",
        "Registered model",
        &[
            "CAN_READ",
            "CAN_EDIT",
            "CAN_MANAGE_STAGING_VERSIONS",
            "CAN_MANAGE_PRODUCTION_VERSIONS",
            "CAN_MANAGE",
        ],
    ),
    kind(
        "serving-endpoints",
        "serving-endpoint",
        "Serving endpoint",
        &["CAN_VIEW", "CAN_QUERY", "CAN_MANAGE"],
    ),
    also(
        owned(
            kind(
                "sql/warehouses",
                "warehouses",
                "Warehouse",
                &["CAN_VIEW", "CAN_USE", "CAN_MONITOR", "CAN_MANAGE", "IS_OWNER"],
            ),
            Ownership::Kept,
        ),
        &["warehouses"],
    ),
    kind("dashboards", "dashboard", "Dashboard", READ_RUN_EDIT_MANAGE),
    also(
        kind("dbsql-dashboards", "dashboard", "Dashboard", READ_RUN_EDIT_MANAGE),
        &["sql/dashboards"],
    ),
    also(
        kind("sql/queries", "query", "Query", READ_RUN_EDIT_MANAGE),
        &["queries"],
    ),
    also(
        kind("sql/alerts", "alert", "Alert", READ_RUN_EDIT_MANAGE),
        &["alerts"],
    ),
    kind("alertsv2", "alertv2", "Alert", READ_RUN_EDIT_MANAGE),
    // CAN_MANAGE on tokens is what admins have; it cannot be given.
    kind("authorization/tokens", "tokens", "Tokens", &["CAN_USE"]),
    kind("authorization/passwords", "passwords", "Passwords", &["CAN_USE"]),
    kind(
        "vector-search-endpoints",
        "vector-search-endpoints",
        "Vector search endpoint",
        USE_MANAGE,
    ),
    kind("apps", "apps", "App", USE_MANAGE),
    kind(
        "database-instances",
        "database-instances",
        "Database instance",
        USE_MANAGE,
    ),
    kind(
        "database-projects",
        "database-projects",
        "Database project",
        USE_MANAGE,
    ),
    // Not in the provider's table; the CLI writes them like dashboards.
    kind("genie", "genie", "Genie space", READ_RUN_EDIT_MANAGE),
    kind(
        "knowledge-assistants",
        "knowledge-assistants",
        "Knowledge assistant",
        QUERY_MANAGE,
    ),
    kind(
        "supervisor-agents",
        "supervisor-agents",
        "Supervisor agent",
        QUERY_MANAGE,
    ),
];

pub fn by_path(path: &str) -> Option<&'static Kind> {
    KINDS
        .iter()
        .find(|kind| kind.path == path || kind.aliases.contains(&path))
}

/// What a level allows, in the vendor's manner of describing it.
pub fn describe(level: &str, kind: &Kind) -> String {
    let noun = kind.noun.to_lowercase();
    let verb = level
        .strip_prefix("CAN_")
        .unwrap_or(level)
        .replace('_', " ")
        .to_lowercase();
    if level == "IS_OWNER" {
        format!("Is the owner of the {noun}")
    } else {
        format!("Can {verb} the {noun}")
    }
}

impl Kind {
    pub fn rank(&self, level: &str) -> usize {
        self.levels
            .iter()
            .position(|known| *known == level)
            .map_or(0, |at| at + 1)
    }

    /// What the maker of an object is given on it.
    pub fn creator_level(&self) -> Option<&'static str> {
        if self.ownership == Ownership::None {
            self.levels.iter().find(|level| **level == "CAN_MANAGE").copied()
        } else {
            Some("IS_OWNER")
        }
    }
}
