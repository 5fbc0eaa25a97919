//! Reading an access list: direct rows, rows inherited from the directories above, and the workspace admins, who
//! manage everything and cannot be lowered.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::kinds::{Kind, by_path};
use crate::state::{Object, Scope, State, SystemGroup};

/// A level with where it comes from; `None` is a direct row.
pub type Row = (String, Option<String>);

/// `/Users/ada@example.com` of a path below it.
pub fn home_of(path: &str) -> Option<&str> {
    let user = path.strip_prefix("/Users/")?.split('/').next()?;
    (!user.is_empty()).then_some(user)
}

/// Directories above a path, nearest first, the root last.
fn directories_above<'a>(
    state: &'a State,
    workspace: u64,
    path: &'a str,
) -> impl Iterator<Item = &'a Object> + use<'a> {
    let mut rest = path;
    std::iter::from_fn(move || {
        let (parent, _) = rest.rsplit_once('/')?;
        rest = parent;
        Some(if parent.is_empty() { "/" } else { parent })
    })
    .filter_map(move |parent| state.objects.named(workspace, "directories", parent).next())
    .filter(move |directory| directory.name != path)
}

/// Every row that counts for an object, by principal.
pub fn rows(state: &State, workspace: u64, kind: &Kind, object: &Object) -> BTreeMap<u64, Vec<Row>> {
    let mut rows: BTreeMap<u64, Vec<Row>> = BTreeMap::new();
    for (id, level) in &object.acl {
        rows.entry(*id).or_default().push((level.clone(), None));
    }
    if kind.in_tree {
        for directory in directories_above(state, workspace, &object.name) {
            for (id, level) in &directory.acl {
                let level = if kind.rank(level) > 0 {
                    level.clone()
                } else {
                    "CAN_READ".to_owned()
                };
                rows.entry(*id)
                    .or_default()
                    .push((level, Some(format!("/directories/{}", directory.id))));
            }
        }
    }
    let admins = state
        .directory
        .group_named(Scope::Workspace(workspace), SystemGroup::Admins.name());
    if let Some(admins) = admins {
        let level = if kind.levels.contains(&"CAN_MANAGE") || kind.path.starts_with("authorization/") {
            "CAN_MANAGE"
        } else {
            kind.levels.last().copied().unwrap_or("CAN_USE")
        };
        let from = if kind.in_tree {
            // The root holds its admins directly; all below inherit from it.
            (object.id != "0").then(|| "/directories/0".to_owned())
        } else {
            Some(format!("/{}/", kind.path))
        };
        rows.entry(admins.id).or_default().push((level.to_owned(), from));
    }
    rows
}

/// The highest level a principal has on an object, through groups and directories too.
pub fn effective(state: &State, workspace: u64, kind: &Kind, object: &Object, id: u64) -> usize {
    let who = state.directory.reach(workspace, id);
    rows(state, workspace, kind, object)
        .into_iter()
        .filter(|(id, _)| who.contains(id))
        .flat_map(|(_, rows)| rows)
        .map(|(level, _)| kind.rank(&level))
        .max()
        .unwrap_or(0)
}

pub fn can_manage(state: &State, workspace: u64, kind: &Kind, object: &Object, id: u64) -> bool {
    state.directory.is_workspace_admin(workspace, id)
        || (kind.levels.contains(&"CAN_MANAGE")
            && effective(state, workspace, kind, object, id) >= kind.rank("CAN_MANAGE"))
}

pub fn render(state: &State, workspace: u64, kind: &Kind, object: &Object) -> Value {
    let list: Vec<Value> = rows(state, workspace, kind, object)
        .into_iter()
        .filter_map(|(id, rows)| {
            let who = state.directory.principal(id)?;
            let (field, name) = who.acl_name();
            let all: Vec<Value> = rows
                .into_iter()
                .map(|(level, from)| match from {
                    None => json!({"permission_level": level, "inherited": false}),
                    Some(from) => {
                        json!({"permission_level": level, "inherited": true, "inherited_from_object": [from]})
                    }
                })
                .collect();
            let mut row = json!({"all_permissions": all});
            row[field] = json!(name);
            if field != "group_name" {
                row["display_name"] = json!(who.display_name());
            }
            Some(row)
        })
        .collect();
    json!({
        "object_id": object_id(kind, &object.id),
        "object_type": kind.word,
        "access_control_list": list,
    })
}

fn object_id(kind: &Kind, id: &str) -> String {
    if kind.path.starts_with("authorization/") {
        format!("/{}", kind.path)
    } else {
        format!("/{}/{id}", kind.path)
    }
}

/// The owner row of an object, if its type has owners and it has one.
pub fn owner(object: &Object) -> Option<u64> {
    object
        .acl
        .iter()
        .find(|(_, level)| *level == "IS_OWNER")
        .map(|(id, _)| *id)
}

/// Whether a principal may use personal access tokens at all.
pub fn may_use_tokens(state: &State, workspace: u64, id: u64) -> bool {
    if state.directory.is_workspace_admin(workspace, id) {
        return true;
    }
    let Some(kind) = by_path("authorization/tokens") else {
        return false;
    };
    state
        .objects
        .get(workspace, kind.path, "tokens")
        .is_some_and(|object| effective(state, workspace, kind, object, id) > 0)
}
