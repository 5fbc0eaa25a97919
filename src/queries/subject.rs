//! What people call targets: canonical addresses, and the words a newcomer would try.

use lockstep_core::api::objects::ObjectName;
use lockstep_core::domain::access::catalog::OBJECT_TYPES;
use lockstep_core::domain::access::grant::{System, Target};
use lockstep_core::domain::access::observed::Named;

/// Forms that are understood, for messages.
pub const FORMS: &str = "gerrit://…, databricks://… or unity://… as `lockstep plan --output json` prints them; \
    group/NAME; project/NAME REF; job/NAME, experiment/PATH, servingEndpoint/NAME, directory/PATH and the other object \
    types; catalog/NAME, schema/NAME, table/NAME, model/NAME and the other securables; servicePrincipal/ID; workspace/ID";

/// Everything a user's words may mean in the systems that are in sight: each is asked.
pub fn candidates(words: &str, systems: &[System]) -> Result<Vec<Named>, String> {
    let words = words.trim();
    if words.contains("://") {
        return words.parse::<Target>().map(|target| vec![Named::Plain(target)]);
    }
    let (kind, name) = words
        .split_once('/')
        .filter(|(kind, name)| !kind.is_empty() && !name.is_empty())
        .ok_or_else(|| format!("{words:?} is not a target: write one of {FORMS}"))?;
    let found = match kind {
        "group" => groups(name, systems),
        "project" => return refs(name, systems),
        "workspace" => workspaces(name, systems),
        "servicePrincipal" | "serviceprincipal" => roles(name, systems),
        _ => objects(kind, name, systems)
            .or_else(|| securables(kind, name, systems))
            .ok_or_else(|| format!("{kind:?} is no type of target: write one of {FORMS}"))?,
    };
    Ok(found)
}

fn groups(name: &str, systems: &[System]) -> Vec<Named> {
    systems
        .iter()
        .filter(|system| !matches!(system, System::Metastore(_)))
        .map(|system| Named::Group {
            system: system.clone(),
            name: name.to_owned(),
        })
        .collect()
}

/// `ml/fraud refs/heads/prod`: project names may hold slashes, so a space or `@` parts them.
fn refs(words: &str, systems: &[System]) -> Result<Vec<Named>, String> {
    let (project, ref_name) = words
        .split_once([' ', '@'])
        .map(|(project, ref_name)| (project.trim(), ref_name.trim()))
        .filter(|(_, ref_name)| !ref_name.is_empty())
        .ok_or_else(|| format!("name the ref too: 'project/{words} refs/heads/main'"))?;
    Ok(systems
        .iter()
        .filter_map(|system| match system {
            System::Gerrit(server) => Some(Named::Plain(Target::GerritRef {
                server: server.clone(),
                project: project.to_owned(),
                ref_name: ref_name.to_owned(),
            })),
            System::Workspace(_) | System::Account(_) | System::Metastore(_) => None,
        })
        .collect())
}

fn workspaces(name: &str, systems: &[System]) -> Vec<Named> {
    systems
        .iter()
        .filter_map(|system| match system {
            System::Workspace(id) if id == name => Some(Named::Plain(Target::Workspace {
                workspace: id.clone(),
            })),
            _ => None,
        })
        .collect()
}

fn roles(application_id: &str, systems: &[System]) -> Vec<Named> {
    systems
        .iter()
        .filter_map(|system| match system {
            System::Account(account) => Some(Named::Plain(Target::Roles {
                account: account.clone(),
                application_id: application_id.to_lowercase(),
            })),
            _ => None,
        })
        .collect()
}

/// Object types by the words of a manifest (`job`, `servingEndpoint`) and of the API (`jobs`).
fn objects(kind: &str, name: &str, systems: &[System]) -> Option<Vec<Named>> {
    let plain = |word: &str| {
        word.rsplit('/')
            .next()
            .unwrap_or(word)
            .replace('-', "")
            .to_lowercase()
    };
    let wanted = plain(kind);
    let singular = |path: &str| {
        let word = plain(path);
        match word.strip_suffix("ies") {
            Some(stem) => format!("{stem}y"),
            None => word.strip_suffix('s').unwrap_or(&word).to_owned(),
        }
    };
    let row = OBJECT_TYPES
        .iter()
        .find(|row| plain(row.path) == wanted || singular(row.path) == wanted)?;
    let found = systems.iter().filter_map(|system| match system {
        System::Workspace(workspace) => Some(Named::Object {
            workspace: workspace.clone(),
            kind: row.path,
            name: ObjectName::Name(name.to_owned()),
        }),
        _ => None,
    });
    Some(found.collect())
}

/// Securables by the grants API's own word; models of Unity Catalog are functions there.
fn securables(kind: &str, name: &str, systems: &[System]) -> Option<Vec<Named>> {
    let kind = match kind.to_lowercase().as_str() {
        "model" => "function".to_owned(),
        known @ ("catalog" | "schema" | "table" | "view" | "volume" | "function" | "metastore" | "share"
        | "recipient" | "provider" | "connection" | "external_location" | "storage_credential"
        | "credential") => {
            if known == "view" {
                "table".into()
            } else {
                known.to_owned()
            }
        }
        "externallocation" => "external_location".to_owned(),
        "storagecredential" => "storage_credential".to_owned(),
        _ => return None,
    };
    let found = systems.iter().filter_map(|system| match system {
        System::Metastore(metastore) => Some(Named::Plain(Target::Securable {
            metastore: metastore.clone(),
            kind: kind.clone(),
            name: name.to_lowercase(),
        })),
        _ => None,
    });
    Some(found.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(words: &str) -> Vec<String> {
        let systems = [
            System::Gerrit("g".into()),
            System::Account("a".into()),
            System::Workspace("1".into()),
            System::Metastore("m".into()),
        ];
        candidates(words, &systems)
            .unwrap()
            .iter()
            .map(|named| match named {
                Named::Plain(target) => target.to_string(),
                named => format!("{}: {}", named.system(), named.label()),
            })
            .collect()
    }

    #[test]
    fn words_mean_what_a_newcomer_expects() {
        assert_eq!(told("job/fraud-train"), ["databricks://1: jobs fraud-train"]);
        assert_eq!(told("jobs/fraud-train"), ["databricks://1: jobs fraud-train"]);
        assert_eq!(
            told("servingEndpoint/fraud"),
            ["databricks://1: serving-endpoints fraud"]
        );
        assert_eq!(told("warehouse/wh"), ["databricks://1: sql/warehouses wh"]);
        assert_eq!(
            told("project/ml/fraud refs/heads/prod"),
            ["gerrit://g/projects/ml%2Ffraud?ref=refs/heads/prod"]
        );
        assert_eq!(told("schema/ml_prod.fraud"), ["unity://m/schema/ml_prod.fraud"]);
        assert_eq!(told("model/a.b.c"), ["unity://m/function/a.b.c"]);
        assert_eq!(told("group/ml-fraud").len(), 3);
        assert_eq!(told("databricks://1/jobs/77"), ["databricks://1/jobs/77"]);
    }

    #[test]
    fn other_words_are_refused_with_the_forms() {
        for words in ["", "fraud", "job/", "nonsense/x", "project/ml", "gerrit://"] {
            let refused = candidates(words, &[System::Gerrit("g".into())]);
            assert!(refused.is_err(), "{words:?}");
        }
    }
}
