//! Object permissions: reading the direct rows of a list, and writing them. PATCH adds or raises; only PUT takes
//! away, and it replaces the whole list, so it is built from a reading made just before.

use std::collections::{BTreeMap, BTreeSet};

use lockstep_core::domain::access::catalog::{current_level, join_levels, level_rank, object_type};
use lockstep_core::domain::access::grant::{Principal, Privilege, Right};
use lockstep_core::domain::plan::Change;
use lockstep_core::domain::ports::{SystemError, SystemErrorKind};
use lockstep_core::domain::promotion::proof::hardening::databricks as holes;
use reqwest::Method;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::limits::Family;
use super::names::{ADMINS, Named};
use super::people::People;
use super::plane::{Plane, Response};
use super::segment;
use crate::clients::http::{Call, Effect};

const ROUTE: &str = "/api/2.0/permissions/{type}/{id}";
const OWNER: &str = "IS_OWNER";
const MANAGE: &str = "CAN_MANAGE";
/// Types of which a list without exactly one owner is refused (CLI#3849; warehouses: TF resource_permissions.go).
const OWNED: &[&str] = &["jobs", "pipelines", "sql/warehouses"];

#[derive(Debug, Default, Deserialize)]
pub(super) struct Acl {
    #[serde(default, rename = "access_control_list")]
    entries: Vec<Entry>,
}

#[derive(Debug, Deserialize)]
struct Entry {
    #[serde(flatten)]
    who: Named,
    #[serde(default)]
    all_permissions: Vec<Held>,
}

#[derive(Debug, Deserialize)]
struct Held {
    #[serde(default)]
    permission_level: String,
    #[serde(default)]
    inherited: bool,
    /// Where from, as `/directories/7`.
    #[serde(default)]
    inherited_from_object: Vec<String>,
}

/// Lists that only name `admins` keep them: the root of all directories, the use of tokens and passwords, and the
/// registry of all models (permission definitions of the vendor's Terraform provider).
const KEEPS_ADMINS: &[(&str, &str)] = &[
    ("directories", "0"),
    ("authorization", "tokens"),
    ("authorization", "passwords"),
    ("registered-models", "root"),
];

/// The level at which a list must name `admins`, who hold `held` there directly.
fn admins_stay(kind: &str, id: &str, held: Option<&String>) -> Option<String> {
    if !KEEPS_ADMINS.contains(&(kind, id)) {
        return None;
    }
    // The root is refused without them, whatever a reading showed.
    held.cloned()
        .or_else(|| (kind == "directories").then(|| MANAGE.to_owned()))
}

/// A row as it is written.
#[derive(Debug, Serialize)]
struct Row<'a> {
    #[serde(flatten)]
    who: Named,
    permission_level: &'a str,
}

/// Direct levels by principal.
type Levels = BTreeMap<Principal, String>;

impl Acl {
    /// Direct rows alone, one level each: of two only the highest counts (TF#2079).
    fn direct(&self, kind: &str, people: &People) -> Levels {
        let mut levels = Levels::new();
        for Entry { who, all_permissions } in &self.entries {
            let highest = all_permissions
                .iter()
                .filter(|held| !held.inherited)
                .map(|held| current_level(kind, &held.permission_level))
                .max_by_key(|level| level_rank(kind, level))
                .map(ToOwned::to_owned);
            if let (Some(principal), Some(level)) = (who.principal(people), highest) {
                levels.insert(principal, level);
            }
        }
        levels
    }

    /// Everything that anybody holds, inherited or not.
    pub fn held(&self, kind: &str, people: &People) -> BTreeSet<holes::Held> {
        let mut all = BTreeSet::new();
        for Entry { who, all_permissions } in &self.entries {
            let Some(principal) = who.principal(people) else {
                continue;
            };
            all.extend(all_permissions.iter().map(|held| holes::Held {
                who: Some(principal.clone()),
                what: current_level(kind, &held.permission_level).to_owned(),
                from: held.inherited_from_object.first().cloned(),
            }));
        }
        all
    }

    /// Direct rows, and those among their principals who are never taken away.
    pub fn rows(&self, kind: &str, people: &People) -> (BTreeSet<Right>, BTreeSet<Principal>) {
        let direct = self.direct(kind, people);
        let mut protected: BTreeSet<Principal> = direct
            .iter()
            .filter(|(_, level)| *level == OWNER)
            .map(|(who, _)| who.clone())
            .collect();
        protected.insert(Principal::group(ADMINS, ADMINS));
        let rows = direct
            .into_iter()
            .map(|(who, level)| (who, Privilege::Level(level)))
            .collect();
        (rows, protected)
    }
}

/// One object of the permissions API.
pub(super) struct Object<'a> {
    pub plane: &'a Plane,
    pub people: &'a People,
    pub kind: &'a str,
    pub id: &'a str,
    /// Whom we are there, and whether that administers the workspace.
    pub me: &'a Principal,
    pub admin: bool,
}

impl Object<'_> {
    fn label(&self) -> String {
        format!("{}/{}", self.kind, self.id)
    }

    fn call(&self, method: Method, family: Family, effect: Effect) -> Call {
        let path = format!("/api/2.0/permissions/{}/{}", self.kind, segment(self.id));
        Call::new(method, ROUTE, path, family.name(), effect)
    }

    /// The list; `None`: the object does not exist.
    pub async fn read(&self) -> Result<Option<Acl>, SystemError> {
        let call = self.call(Method::GET, Family::PermissionsRead, Effect::Read);
        let response = self.plane.send(call).await?;
        if response.proves_absence() {
            if self.kind == "authorization" {
                // TF#2118: the list is born with the first token, so its absence says nothing about the right.
                return Err(response.refused(
                    SystemErrorKind::NotFound,
                    "the workspace keeps no such list before its first personal access token exists",
                ));
            }
            return Ok(None);
        }
        response.success()?.answer.json().map(Some)
    }

    /// Writes one change. What only adds or raises goes as PATCH and leaves everybody else alone.
    pub async fn apply(&self, change: &Change) -> Result<(), SystemError> {
        let (add, remove) = (levels(&change.add), levels(&change.remove));
        let raises = |who: &Principal, level: &String| {
            remove.get(who).is_none_or(|old| {
                old != level
                    && level_rank(self.kind, old).is_some()
                    && join_levels(self.kind, old, level) == level
            })
        };
        let only_raises = add.iter().all(|(who, level)| raises(who, level))
            && remove.keys().all(|who| add.contains_key(who));
        if only_raises {
            let seen = self.write(Method::PATCH, &add).await?;
            let done = add.iter().all(|(who, level)| seen.get(who) == Some(level));
            if done {
                return Ok(());
            }
            // The vendor keeps a level that it holds to be the higher one: say it with a PUT.
        }
        self.replace(&add, &remove).await
    }

    /// Replaces the list by what it holds now, changed. There is no etag: the reading is made here and at once, so
    /// that an entry somebody added since the plan is kept.
    async fn replace(&self, add: &Levels, remove: &Levels) -> Result<(), SystemError> {
        let Some(acl) = self.read().await? else {
            if add.is_empty() {
                return Ok(());
            }
            let message = format!("{} does not exist", self.label());
            return Err(self.plane.error(SystemErrorKind::NotFound, message));
        };
        let wanted = self.merged(acl.direct(self.kind, self.people), add, remove)?;
        let seen = self.write(Method::PUT, &wanted).await?;
        if let Some(who) = remove
            .keys()
            .find(|who| seen.contains_key(who) && !wanted.contains_key(who))
        {
            let message = format!(
                "{} keeps the row of {} whatever it is sent",
                self.label(),
                who.name
            );
            return Err(self.plane.error(SystemErrorKind::Refused, message));
        }
        let admins = Principal::group(ADMINS, ADMINS);
        let lost = |(who, level): (&Principal, &String)| *who != admins && seen.get(who) != Some(level);
        if wanted.iter().any(lost) {
            let message = format!(
                "the permissions of {} are not as they were written: somebody else writes them too",
                self.label()
            );
            return Err(self.plane.error(SystemErrorKind::Stale, message));
        }
        Ok(())
    }

    fn merged(&self, held: Levels, add: &Levels, remove: &Levels) -> Result<Levels, SystemError> {
        let admins = Principal::group(ADMINS, ADMINS);
        let admins_row = admins_stay(self.kind, self.id, held.get(&admins));
        let mut wanted = held;
        // A row that has changed since the plan is another row, and not ours to take.
        wanted.retain(|who, level| level == OWNER || remove.get(who).is_none_or(|gone| gone != level));
        for (who, level) in add {
            // Somebody gave more since the plan, or something else: neither is taken here.
            let held = wanted.get(who).map_or(level.as_str(), String::as_str);
            let both = join_levels(self.kind, held, level).to_owned();
            wanted.insert(who.clone(), both);
        }
        let owners = wanted.values().filter(|level| *level == OWNER).count();
        if OWNED.contains(&self.kind) && owners != 1 {
            let message = format!(
                "{}/{} would have {owners} owners and every change of its permissions is refused until it has exactly one: give it an owner",
                self.kind, self.id
            );
            return Err(self.plane.error(SystemErrorKind::Refused, message));
        }
        let levels = object_type(self.kind).map_or(&[][..], |row| row.levels);
        // Terraform adds the caller to every PUT (TF#1504). An administrator needs no row to stay in.
        if !self.admin && levels.contains(&MANAGE) && !wanted.contains_key(self.me) {
            wanted.insert(self.me.clone(), MANAGE.to_owned());
        }
        // "cannot change permissions for group admins" (TF#5712), except where they must be named to stay.
        wanted.remove(&admins);
        if let Some(level) = admins_row {
            wanted.insert(admins, level);
        }
        Ok(wanted)
    }

    /// Sends rows and reads the list that they made.
    async fn write(&self, method: Method, rows: &Levels) -> Result<Levels, SystemError> {
        let list: Vec<Row> = rows
            .iter()
            .map(|(who, level)| {
                let who = Named::of(who, self.people, self.plane)?;
                Ok(Row {
                    who,
                    permission_level: level,
                })
            })
            .collect::<Result<_, SystemError>>()?;
        let call = self
            .call(method, Family::PermissionsWrite, Effect::Repeatable)
            .json(&json!({"access_control_list": list}));
        let response = self.plane.send(call).await?;
        if response.status() == 400 {
            return Err(self.advise(&response, rows));
        }
        if response.refusal.misses_principal(response.status()) {
            return Err(self.plane.unknown_principal(&response));
        }
        let acl: Acl = response.success()?.answer.json()?;
        Ok(acl.direct(self.kind, self.people))
    }

    /// What a bad request about a list is about, as far as it can be told.
    fn advise(&self, response: &Response, rows: &Levels) -> SystemError {
        let levels: BTreeSet<&str> = rows.values().map(String::as_str).collect();
        let known = object_type(self.kind).map_or(&[][..], |row| row.levels);
        let advice = format!(
            "the permissions of {}/{} cannot be set to {}; its levels are {}",
            self.kind,
            self.id,
            levels.into_iter().collect::<Vec<_>>().join(", "),
            known.join(", ")
        );
        response.refused(SystemErrorKind::Refused, &advice)
    }
}

fn levels(rights: &BTreeSet<Right>) -> Levels {
    rights
        .iter()
        .filter_map(|(who, privilege)| match privilege {
            Privilege::Level(level) => Some((who.clone(), level.clone())),
            _ => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn admins_are_named_where_a_list_would_lose_them() {
        let manage = MANAGE.to_owned();
        for (kind, id, held, sent) in [
            ("directories", "0", None, Some(MANAGE)),
            ("directories", "0", Some(&manage), Some(MANAGE)),
            ("directories", "7", Some(&manage), None),
            ("authorization", "tokens", Some(&manage), Some(MANAGE)),
            ("authorization", "passwords", Some(&manage), Some(MANAGE)),
            ("authorization", "tokens", None, None),
            ("registered-models", "root", Some(&manage), Some(MANAGE)),
            ("registered-models", "42", Some(&manage), None),
            ("jobs", "0", Some(&manage), None),
        ] {
            assert_eq!(admins_stay(kind, id, held).as_deref(), sent, "{kind}/{id}");
        }
    }
}
