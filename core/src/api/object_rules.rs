//! Rules over objects and securables, made from the lists of their keys: a new type is one word here.

use kube::core::Rule;

use super::schema::{distinct, exactly_one, field};

/// Keys of [`ObjectAccess`] that name an object by name or id.
const BY_NAME: &[&str] = &[
    "job",
    "pipeline",
    "cluster",
    "clusterPolicy",
    "instancePool",
    "warehouse",
    "servingEndpoint",
    "registeredModel",
    "dashboard",
    "dbsqlDashboard",
    "query",
    "alert",
    "alertV2",
    "vectorSearchEndpoint",
    "app",
    "databaseInstance",
    "databaseProject",
    "genieSpace",
    "knowledgeAssistant",
    "supervisorAgent",
];
/// Keys of [`ObjectAccess`] that name an object by path or id.
const BY_PATH: &[&str] = &["directory", "notebook", "file", "repo", "experiment"];
/// Keys of [`SecurableGrant`].
const SECURABLE_KEYS: &[&str] = &[
    "catalog",
    "schema",
    "table",
    "volume",
    "function",
    "model",
    "metastore",
    "externalLocation",
    "storageCredential",
    "credential",
    "connection",
    "share",
    "recipient",
    "provider",
    "pipeline",
    "cleanRoom",
    "externalMetadata",
    "stagingTable",
];

fn object_keys() -> Vec<&'static str> {
    [BY_NAME, BY_PATH, &["authorization"]].concat()
}

/// An object row names one object.
pub fn one_object() -> Rule {
    exactly_one(&object_keys())
}

/// A grant names one securable.
pub fn one_securable() -> Rule {
    exactly_one(SECURABLE_KEYS)
}

/// No object twice in one workspace: of two levels only the higher one would ever be seen there.
pub fn distinct_objects() -> Rule {
    let named = |keys: &[&str], name: &str| {
        keys.iter().fold(String::new(), |chain, key| {
            let object = field("o", key);
            chain
                + &format!(
                    "has({object}) ? '{key}:' + (has({object}.{name}) ? {object}.{name} : has({object}.id) ? '#' + {object}.id : '') : "
                )
        })
    };
    let key = named(BY_NAME, "name")
        + &named(BY_PATH, "path")
        + "has(o.authorization) ? 'authorization:' + o.authorization : ''";
    distinct(
        &key,
        "an object may be named once only; give it the highest of the levels",
    )
}

/// No securable twice: its privileges stand in one row.
pub fn distinct_grants() -> Rule {
    let key = SECURABLE_KEYS.iter().fold(String::new(), |chain, key| {
        let securable = field("o", key);
        chain + &format!("has({securable}) ? '{key}:' + {securable} : ")
    });
    distinct(
        &(key + "''"),
        "a securable may be named once only; list all its privileges there",
    )
}

#[cfg(test)]
mod tests {
    use super::super::objects::{ObjectAccess, SecurableGrant};
    use super::*;

    /// A key that the type has and the rules forget would let an object through unnamed or twice.
    #[test]
    fn the_rules_know_every_key_of_the_types() {
        let known = |keys: &[&str], row: &serde_json::Value, rest: &[&str]| {
            let mut keys: Vec<String> = keys.iter().chain(rest).map(|key| (*key).to_owned()).collect();
            let properties = row["properties"].as_object();
            let mut fields: Vec<String> = properties
                .into_iter()
                .flatten()
                .map(|(name, _)| name.clone())
                .collect();
            keys.sort();
            fields.sort();
            assert_eq!(keys, fields);
        };
        known(
            &object_keys(),
            schemars::schema_for!(ObjectAccess).as_value(),
            &["level", "foreign"],
        );
        known(
            SECURABLE_KEYS,
            schemars::schema_for!(SecurableGrant).as_value(),
            &["privileges", "foreign"],
        );
    }
}
