//! Roles on a service principal: one rule set that a write replaces whole, guarded by an etag.

use std::collections::BTreeSet;

use lockstep_core::domain::access::grant::{Principal, PrincipalKind, Privilege, Right};
use lockstep_core::domain::plan::Change;
use lockstep_core::domain::ports::{SystemError, SystemErrorKind};
use reqwest::Method;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::limits::Family;
use super::names::name_of;
use super::people::People;
use super::plane::{Plane, Response};
use super::segment;
use crate::clients::http::{Call, Effect};

const ROUTE: &str = "/api/2.0/preview/accounts/{account}/access-control/rule-sets";
/// How often a write gives way to somebody else's before the pass does.
const ATTEMPTS: usize = 5;

#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct RuleSet {
    #[serde(default)]
    etag: String,
    #[serde(default)]
    grant_rules: Vec<Rule>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Rule {
    #[serde(default)]
    role: String,
    #[serde(default)]
    principals: Vec<String>,
}

/// One row per kind of principal: how rules spell it.
const PREFIXES: &[(PrincipalKind, &str)] = &[
    (PrincipalKind::User, "users/"),
    (PrincipalKind::Group, "groups/"),
    (PrincipalKind::ServicePrincipal, "servicePrincipals/"),
];

fn principal(text: &str, people: &People) -> Option<Principal> {
    let (kind, name) = PREFIXES
        .iter()
        .find_map(|(kind, prefix)| Some((*kind, text.strip_prefix(prefix)?)))?;
    Some(match kind {
        PrincipalKind::Group => Principal::group(name, name),
        _ => people.named(kind, name),
    })
}

impl RuleSet {
    pub fn rows(&self, people: &People) -> BTreeSet<Right> {
        self.grant_rules
            .iter()
            .flat_map(|rule| {
                let role = Privilege::Role(rule.role.clone());
                rule.principals
                    .iter()
                    .filter_map(|text| principal(text, people))
                    .map(move |who| (who, role.clone()))
            })
            .collect()
    }

    /// The rules with a change made to them; rules and principals that are not its business stay as they are.
    fn merged(&self, add: &[(String, String)], remove: &[(String, String)]) -> Vec<Rule> {
        let mut rules = self.grant_rules.clone();
        for (role, who) in remove {
            for rule in rules.iter_mut().filter(|rule| rule.role == *role) {
                rule.principals.retain(|held| !held.eq_ignore_ascii_case(who));
            }
        }
        for (role, who) in add {
            let held = |rule: &Rule| {
                rule.role == *role && rule.principals.iter().any(|held| held.eq_ignore_ascii_case(who))
            };
            if rules.iter().any(held) {
                continue;
            }
            match rules.iter_mut().find(|rule| rule.role == *role) {
                Some(rule) => rule.principals.push(who.clone()),
                None => rules.push(Rule {
                    role: role.clone(),
                    principals: vec![who.clone()],
                }),
            }
        }
        rules.retain(|rule| !rule.principals.is_empty());
        rules
    }
}

/// The rule set of one service principal.
pub(super) struct Roles<'a> {
    pub plane: &'a Plane,
    pub account: &'a str,
    pub application_id: &'a str,
}

impl Roles<'_> {
    fn name(&self) -> String {
        format!(
            "accounts/{}/servicePrincipals/{}/ruleSets/default",
            self.account, self.application_id
        )
    }

    fn call(&self, method: Method, effect: Effect) -> Call {
        let path = format!(
            "/api/2.0/preview/accounts/{}/access-control/rule-sets",
            segment(self.account)
        );
        Call::new(method, ROUTE, path, Family::Other.name(), effect)
    }

    /// The rules; `None`: there is no such service principal.
    pub async fn read(&self) -> Result<Option<RuleSet>, SystemError> {
        let call = self
            .call(Method::GET, Effect::Read)
            .query("name", self.name())
            .query("etag", "");
        self.plane.find(call).await
    }

    /// Reads, merges and replaces; whoever was faster is merged with.
    pub async fn apply(&self, change: &Change, people: &People) -> Result<(), SystemError> {
        let words = |rights: &BTreeSet<Right>| -> Result<Vec<(String, String)>, SystemError> {
            let mut words = Vec::new();
            for (who, privilege) in rights {
                let Privilege::Role(role) = privilege else {
                    continue;
                };
                let prefix = PREFIXES.iter().find(|(kind, _)| *kind == who.kind);
                let prefix = prefix.map_or("", |(_, prefix)| prefix);
                words.push((
                    role.clone(),
                    format!("{prefix}{}", name_of(who, people, self.plane)?),
                ));
            }
            Ok(words)
        };
        let (add, remove) = (words(&change.add)?, words(&change.remove)?);
        for _ in 0..ATTEMPTS {
            let Some(rules) = self.read().await? else {
                if add.is_empty() {
                    return Ok(());
                }
                let message = format!("there is no service principal {}", self.application_id);
                return Err(self.plane.error(SystemErrorKind::NotFound, message));
            };
            let merged = rules.merged(&add, &remove);
            if merged == rules.grant_rules {
                return Ok(());
            }
            let name = self.name();
            // Not repeated below: a second sending would meet its own etag and look like somebody else's write.
            let call = self.call(Method::PUT, Effect::Once).json(&json!({
                "name": name,
                "rule_set": {"name": name, "etag": rules.etag, "grant_rules": merged},
            }));
            let response = match self.plane.send(call).await {
                Ok(response) if response.refusal.misses_principal(response.status()) => {
                    return Err(self.plane.unknown_principal(&response));
                }
                outcome => outcome.and_then(Response::success),
            };
            match response {
                Ok(_) => return Ok(()),
                // Stale: somebody was faster. Unknown: the next reading shows what became of it.
                Err(error)
                    if matches!(
                        error.kind,
                        SystemErrorKind::Stale | SystemErrorKind::OutcomeUnknown
                    ) => {}
                Err(error) => return Err(error),
            }
        }
        let message = format!(
            "the roles on service principal {} were changed by somebody else {ATTEMPTS} times in a row",
            self.application_id
        );
        Err(self.plane.error(SystemErrorKind::Stale, message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(role: &str, principals: &[&str]) -> Rule {
        Rule {
            role: role.into(),
            principals: principals.iter().map(|text| (*text).to_owned()).collect(),
        }
    }

    fn word(role: &str, who: &str) -> (String, String) {
        (role.to_owned(), who.to_owned())
    }

    #[test]
    fn a_merge_keeps_what_is_not_its_business() {
        let rules = RuleSet {
            etag: "e".into(),
            grant_rules: vec![
                rule("roles/servicePrincipal.manager", &["users/ada@example.com"]),
                rule("roles/servicePrincipal.user", &["groups/old"]),
            ],
        };
        let add = [
            word("roles/servicePrincipal.user", "groups/new"),
            word("roles/x", "groups/new"),
            word("roles/servicePrincipal.manager", "users/ADA@example.com"),
        ];
        let remove = [word("roles/servicePrincipal.user", "groups/old")];
        assert_eq!(
            rules.merged(&add, &remove),
            [
                rule("roles/servicePrincipal.manager", &["users/ada@example.com"]),
                rule("roles/servicePrincipal.user", &["groups/new"]),
                rule("roles/x", &["groups/new"]),
            ]
        );
    }

    #[test]
    fn a_rule_for_nobody_is_dropped() {
        let rules = RuleSet {
            etag: String::new(),
            grant_rules: vec![rule("roles/servicePrincipal.user", &["groups/old"])],
        };
        assert!(
            rules
                .merged(&[], &[word("roles/servicePrincipal.user", "groups/old")])
                .is_empty()
        );
    }
}
