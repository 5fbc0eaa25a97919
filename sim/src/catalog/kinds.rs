//! Securable types of Unity Catalog and the privileges that can be granted on each. A privilege of a child can be
//! granted on its parents, from where it is inherited (docs: Unity Catalog privileges and securable objects).

#[derive(Debug)]
pub struct Kind {
    /// As in paths and answers.
    pub name: &'static str,
    pub noun: &'static str,
    /// Segments of a full name; 0 for the metastore, which is named by its id.
    pub parts: usize,
    /// Its own privileges, those of its children included.
    pub privileges: &'static [&'static [&'static str]],
}

const EVERY: &[&str] = &["ALL_PRIVILEGES", "MANAGE", "APPLY_TAG", "BROWSE"];
const TABLE: &[&str] = &["SELECT", "MODIFY", "REFRESH"];
const VOLUME: &[&str] = &["READ_VOLUME", "WRITE_VOLUME"];
const FUNCTION: &[&str] = &["EXECUTE"];
const SCHEMA: &[&str] = &[
    "USE_SCHEMA",
    "USAGE",
    "CREATE",
    "CREATE_TABLE",
    "CREATE_VIEW",
    "CREATE_MATERIALIZED_VIEW",
    "CREATE_FUNCTION",
    "CREATE_MODEL",
    "CREATE_VOLUME",
    "EXTERNAL_USE_SCHEMA",
];
const CATALOG: &[&str] = &["USE_CATALOG", "CREATE_SCHEMA", "CREATE_FOREIGN_SECURABLE"];
const METASTORE: &[&str] = &[
    "CREATE_CATALOG",
    "CREATE_CLEAN_ROOM",
    "CREATE_CONNECTION",
    "CREATE_EXTERNAL_LOCATION",
    "CREATE_PROVIDER",
    "CREATE_RECIPIENT",
    "CREATE_SHARE",
    "CREATE_SERVICE_CREDENTIAL",
    "CREATE_STORAGE_CREDENTIAL",
    "MANAGE_ALLOWLIST",
    "SET_SHARE_PERMISSION",
    "USE_CONNECTION",
    "USE_MARKETPLACE_ASSETS",
    "USE_PROVIDER",
    "USE_RECIPIENT",
    "USE_SHARE",
];
const FILES: &[&str] = &["READ_FILES", "WRITE_FILES"];
const LOCATION: &[&str] = &[
    "CREATE_EXTERNAL_TABLE",
    "CREATE_EXTERNAL_VOLUME",
    "CREATE_MANAGED_STORAGE",
    "CREATE_FOREIGN_SECURABLE",
    "EXTERNAL_USE_LOCATION",
];
const CREDENTIAL: &[&str] = &[
    "CREATE_EXTERNAL_LOCATION",
    "CREATE_EXTERNAL_TABLE",
    "READ_PRIVATE_FILES",
    "WRITE_PRIVATE_FILES",
];

const fn kind(
    name: &'static str,
    noun: &'static str,
    parts: usize,
    privileges: &'static [&'static [&'static str]],
) -> Kind {
    Kind {
        name,
        noun,
        parts,
        privileges,
    }
}

pub static KINDS: &[Kind] = &[
    kind("METASTORE", "Metastore", 0, &[METASTORE]),
    kind(
        "CATALOG",
        "Catalog",
        1,
        &[EVERY, CATALOG, SCHEMA, TABLE, VOLUME, FUNCTION],
    ),
    kind("SCHEMA", "Schema", 2, &[EVERY, SCHEMA, TABLE, VOLUME, FUNCTION]),
    kind("TABLE", "Table", 3, &[EVERY, TABLE]),
    kind("STAGING_TABLE", "Staging table", 3, &[EVERY, TABLE]),
    kind("VOLUME", "Volume", 3, &[EVERY, VOLUME]),
    kind("FUNCTION", "Function", 3, &[EVERY, FUNCTION]),
    kind("PIPELINE", "Pipeline", 3, &[EVERY, TABLE]),
    kind(
        "EXTERNAL_LOCATION",
        "External location",
        1,
        &[EVERY, FILES, LOCATION],
    ),
    kind(
        "STORAGE_CREDENTIAL",
        "Storage credential",
        1,
        &[EVERY, FILES, CREDENTIAL],
    ),
    kind(
        "CREDENTIAL",
        "Credential",
        1,
        &[EVERY, &["ACCESS", "CREATE_CONNECTION"], FILES, CREDENTIAL],
    ),
    kind(
        "CONNECTION",
        "Connection",
        1,
        &[EVERY, &["USE_CONNECTION", "CREATE_FOREIGN_CATALOG"]],
    ),
    kind("SHARE", "Share", 1, &[&["SELECT"]]),
    kind("RECIPIENT", "Recipient", 1, &[&["SELECT"]]),
    kind("PROVIDER", "Provider", 1, &[&["USE_PROVIDER"]]),
    kind(
        "CLEAN_ROOM",
        "Clean room",
        1,
        &[&[
            "ALL_PRIVILEGES",
            "MANAGE",
            "BROWSE",
            "EXECUTE_CLEAN_ROOM_TASK",
            "MODIFY_CLEAN_ROOM",
        ]],
    ),
    kind(
        "EXTERNAL_METADATA",
        "External metadata",
        1,
        &[&["ALL_PRIVILEGES", "MANAGE", "MODIFY", "BROWSE"]],
    ),
];

/// Types are written in either case. A registered model is granted on as `function`
/// [GO service/catalog/interface.go].
pub fn by_name(name: &str) -> Option<&'static Kind> {
    KINDS.iter().find(|kind| kind.name.eq_ignore_ascii_case(name))
}

impl Kind {
    pub fn allows(&self, privilege: &str) -> bool {
        self.privileges.iter().any(|set| set.contains(&privilege))
    }
}

pub fn exists(privilege: &str) -> bool {
    KINDS.iter().any(|kind| kind.allows(privilege))
}
