//! Grants of Unity Catalog: true additions and removals by principal, so that nobody else is ever touched.

use std::collections::{BTreeMap, BTreeSet};

use lockstep_core::domain::access::grant::{Privilege, Right};
use lockstep_core::domain::plan::Change;
use lockstep_core::domain::ports::{SystemError, SystemErrorKind};
use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use super::limits::Family;
use super::names::name_of;
use super::people::People;
use super::plane::Plane;
use super::segment;
use crate::clients::http::{Call, Effect};

const ROUTE: &str = "/api/2.1/unity-catalog/permissions/{type}/{name}";
/// The older word for using a catalog or a schema (TF#1658).
const LEGACY_USE: &str = "USAGE";
/// More pages than any list of grants has: a server that never ends its list must not hold us for ever.
const MOST_PAGES: usize = 1_000;

#[derive(Debug, Deserialize)]
struct Page {
    #[serde(default)]
    privilege_assignments: Vec<Assignment>,
    #[serde(default)]
    next_page_token: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Assignment {
    #[serde(default)]
    principal: String,
    #[serde(default)]
    privileges: Vec<Value>,
}

/// Direct grants on one securable, by principal as the vendor spells it.
#[derive(Debug, Default)]
pub(super) struct Grants(BTreeMap<String, BTreeSet<String>>);

/// One securable.
pub(super) struct Securable<'a> {
    pub plane: &'a Plane,
    /// As the path spells it: `schema`, `function` for a registered model.
    pub kind: &'a str,
    pub name: &'a str,
}

/// The modern word for a privilege on a kind of securable.
fn modern<'a>(kind: &str, privilege: &'a str) -> &'a str {
    match (kind, privilege) {
        ("catalog", LEGACY_USE) => "USE_CATALOG",
        ("schema", LEGACY_USE) => "USE_SCHEMA",
        (_, other) => other,
    }
}

impl Grants {
    pub fn rows(&self, kind: &str, people: &People) -> BTreeSet<Right> {
        let mut rows = BTreeSet::new();
        for (name, privileges) in &self.0 {
            let who = people.guessed(name);
            for privilege in privileges {
                let word = modern(kind, privilege).to_owned();
                rows.insert((who.clone(), Privilege::Securable(word)));
            }
        }
        rows
    }

    fn holds_legacy(&self, name: &str) -> bool {
        self.0
            .get(name)
            .is_some_and(|privileges| privileges.contains(LEGACY_USE))
    }
}

impl Securable<'_> {
    fn call(&self, method: Method, effect: Effect) -> Call {
        let path = format!(
            "/api/2.1/unity-catalog/permissions/{}/{}",
            segment(self.kind),
            segment(self.name)
        );
        Call::new(method, ROUTE, path, Family::Other.name(), effect)
    }

    /// The grants; `None`: the securable does not exist. Pages may be empty and still not be the last, and
    /// reading without pages is deprecated.
    pub async fn read(&self) -> Result<Option<Grants>, SystemError> {
        let (mut grants, mut token) = (Grants::default(), None::<String>);
        for _ in 0..MOST_PAGES {
            let mut call = self.call(Method::GET, Effect::Read).query("max_results", "0");
            if let Some(token) = &token {
                call = call.query("page_token", token);
            }
            let Some(page) = self.plane.find::<Page>(call).await? else {
                return Ok(None);
            };
            for assignment in page.privilege_assignments {
                let Assignment {
                    principal,
                    privileges,
                } = assignment;
                // What a deleted principal leaves behind is nobody's.
                if !principal.is_empty() {
                    let words = privileges.into_iter().filter_map(word);
                    grants.0.entry(principal).or_default().extend(words);
                }
            }
            match page.next_page_token.filter(|next| !next.is_empty()) {
                None => return Ok(Some(grants)),
                Some(next) if Some(&next) == token.as_ref() => break,
                next => token = next,
            }
        }
        let message = format!(
            "the grants on {} {} come in pages without end",
            self.kind, self.name
        );
        Err(self.plane.error(SystemErrorKind::BadAnswer, message))
    }

    /// Writes one change. `seen`: the newest reading, to tell who holds a privilege under its older word.
    pub async fn apply(
        &self,
        change: &Change,
        people: &People,
        seen: Option<&Grants>,
    ) -> Result<(), SystemError> {
        let mut edits: BTreeMap<String, (BTreeSet<&str>, BTreeSet<&str>)> = BTreeMap::new();
        for (adds, rights) in [(false, &change.remove), (true, &change.add)] {
            for (who, privilege) in rights {
                let Privilege::Securable(word) = privilege else {
                    continue;
                };
                let name = name_of(who, people, self.plane)?;
                let legacy = seen.is_some_and(|seen| seen.holds_legacy(&name));
                let (add, remove) = edits.entry(name).or_default();
                if adds {
                    // The same privilege in both lists is refused.
                    remove.remove(word.as_str());
                    add.insert(word);
                } else {
                    remove.insert(word);
                    if legacy && modern(self.kind, LEGACY_USE) == word {
                        remove.insert(LEGACY_USE);
                    }
                }
            }
        }
        let changes: Vec<Value> = edits
            .into_iter()
            .map(|(principal, (add, remove))| {
                let mut edit = json!({"principal": principal});
                for (key, words) in [("add", add), ("remove", remove)] {
                    if !words.is_empty() {
                        edit[key] = json!(words);
                    }
                }
                edit
            })
            .collect();
        let call = self
            .call(Method::PATCH, Effect::Repeatable)
            .json(&json!({"changes": changes, "omit_permissions_in_response": true}));
        let response = self.plane.send(call).await?;
        if response.refusal.misses_principal(response.status()) {
            return Err(self.plane.unknown_principal(&response));
        }
        if response.proves_absence() && change.only_removes() {
            return Ok(());
        }
        response.success().map(|_| ())
    }
}

/// A privilege is a word, or an object around one.
fn word(value: Value) -> Option<String> {
    match value {
        Value::String(word) => Some(word),
        Value::Object(fields) => fields.get("privilege")?.as_str().map(ToOwned::to_owned),
        _ => None,
    }
}
