//! What Lockstep takes for granted about Gerrit, tried on a scratch group and on a scratch ref of a scratch project.
//! Every row was first seen on a running Gerrit 3.13.5.

mod groups;
mod people;
mod rights;

use futures::FutureExt as _;
use lockstep_core::domain::access::names::gerrit_group_uuid;
use lockstep_core::domain::ports::SystemError;
use reqwest::Method;
use serde_json::{Value, json};

use super::GerritSystem;
use super::names::segment;
use super::rest::{Rest, parse};
use crate::clients::contract::{Assumption, Broken, Fact, Finding, Made, Tell, run};
use crate::clients::http::Effect;

/// Gerrit deletes no projects without a plugin, so one empty project serves all runs.
const PROJECT: &str = "lockstep-probe";

/// What the rows work on.
pub(super) struct Bench<'a> {
    rest: &'a Rest,
    /// Begins every name.
    prefix: String,
    server: String,
    owner: String,
    me: i64,
    email: Option<String>,
    uuid: String,
    group: Fact,
    project: Fact,
    groups: Made<String>,
}

/// An answer with its status, whatever it is.
struct Said {
    status: u16,
    text: String,
    json: Value,
}

impl Said {
    fn show(&self) -> String {
        let text: String = self.text.chars().take(160).collect();
        format!("{} {}", self.status, text.trim())
    }
}

impl Bench<'_> {
    async fn get(&self, path: String, query: &[(&str, String)]) -> Result<Said, SystemError> {
        Ok(said(&self.rest.ask("/a/probe", path, query).await?))
    }

    async fn write(&self, method: Method, path: String, body: Value) -> Result<Said, SystemError> {
        let answer = self
            .rest
            .write(method, "/a/probe", path, Effect::Once, Some(&body))
            .await?;
        Ok(said(&answer))
    }

    /// Asks for a group's deletion. Gerrit 3.13.5 answers 500 where another group vanishes while it looks whether
    /// this one is still in use, so it is asked again.
    async fn delete(&self, uuid: &str) -> Result<Said, SystemError> {
        let path = format!("a/groups/{}", segment(uuid));
        for _ in 0..2 {
            match self.write(Method::DELETE, path.clone(), Value::Null).await {
                Ok(said) if said.status >= 500 => {}
                other => return other,
            }
        }
        self.write(Method::DELETE, path, Value::Null).await
    }

    async fn change_rights(&self, body: Value) -> Result<Said, Broken> {
        let path = format!(
            "a/projects/{}/access",
            segment(&self.project.get("scratch project")?)
        );
        Ok(self.write(Method::POST, path, body).await?)
    }

    fn ref_name(&self) -> String {
        format!("refs/heads/{}/*", self.prefix)
    }
}

fn said(answer: &crate::clients::http::Answer) -> Said {
    Said {
        status: answer.status.as_u16(),
        text: answer.text(),
        json: parse(answer).unwrap_or_default(),
    }
}

impl GerritSystem {
    /// Tries every assumption under a prefix of its own, and cleans up.
    pub async fn contract(
        &self,
        prefix: &str,
        tell: &Tell<'_>,
        stop: impl Future<Output = ()> + Send,
    ) -> Result<Vec<Finding>, SystemError> {
        let facts = self.facts().await?;
        let bench = Bench {
            rest: &self.rest,
            prefix: prefix.to_owned(),
            server: facts.server.clone(),
            owner: facts.administrators(&self.rest)?.to_owned(),
            me: facts.account.id,
            email: facts.account.email.clone(),
            uuid: gerrit_group_uuid(&facts.server, prefix),
            group: Fact::default(),
            project: Fact::default(),
            groups: Made::default(),
        };
        let rows = rows();
        let mut findings = tokio::select! {
            findings = run(&rows, &bench, tell) => findings,
            () = stop => Vec::new(),
        };
        tell("cleaning up");
        findings.extend(clean_up(&bench).await);
        Ok(findings)
    }
}

/// One row per assumption. Not a constant, because the bench borrows.
fn rows<'b>() -> Vec<Assumption<Bench<'b>>> {
    const SEEN: &str = "seen on Gerrit 3.13.5";
    vec![
        Assumption {
            name: "a group is created under the uuid we choose, owned by the group we name, with nobody in it",
            source: SEEN,
            expected: "201, our uuid, no members",
            check: |b| groups::create(b).boxed(),
        },
        Assumption {
            name: "a taken group name is refused",
            source: SEEN,
            expected: "409",
            check: |b| groups::taken(b, true).boxed(),
        },
        Assumption {
            name: "a taken group uuid is refused",
            source: SEEN,
            expected: "409",
            check: |b| groups::taken(b, false).boxed(),
        },
        Assumption {
            name: "adding a member twice is adding it once",
            source: SEEN,
            expected: "200 twice, one member",
            check: |b| groups::add_twice(b).boxed(),
        },
        Assumption {
            name: "a member that does not exist is refused",
            source: SEEN,
            expected: "422",
            check: |b| groups::add_stranger(b).boxed(),
        },
        Assumption {
            name: "removing a member twice is removing it once",
            source: SEEN,
            expected: "204 twice, no member",
            check: |b| groups::remove_twice(b).boxed(),
        },
        Assumption {
            name: "a renamed group keeps its uuid",
            source: SEEN,
            expected: "200, and the new name under the old uuid",
            check: |b| groups::rename(b).boxed(),
        },
        Assumption {
            name: "a missing group is 404",
            source: SEEN,
            expected: "404",
            check: |b| groups::missing(b).boxed(),
        },
        Assumption {
            name: "description, visibility and owner of a group are set and shown",
            source: SEEN,
            expected: "200 three times, and what was set",
            check: |b| groups::describe(b).boxed(),
        },
        Assumption {
            name: "a group is put into a group and taken out, each twice as once",
            source: SEEN,
            expected: "200 twice, one include; 204 twice, none",
            check: |b| groups::nest(b).boxed(),
        },
        Assumption {
            name: "a group's log says who added and removed whom, and when",
            source: SEEN,
            expected: "200, with our additions and removals by us",
            check: |b| groups::audit(b).boxed(),
        },
        Assumption {
            name: "a group is deleted, or the server says in so many words that it deletes none",
            source: "a 404 of a server that deletes no groups is not \"gone\" (seen on Gerrit 3.13.5)",
            expected: "2xx and then 404, or 404 with \"not enabled\"",
            check: |b| groups::delete(b).boxed(),
        },
        Assumption {
            name: "an account is found by its whole e-mail address",
            source: "Gerrit's search for accounts matches prefixes, so that answers are compared whole",
            expected: "200 with the account among the answers",
            check: |b| people::by_email(b).boxed(),
        },
        Assumption {
            name: "accounts come in pages, inactive ones included when asked for",
            source: SEEN,
            expected: "two pages of one, two accounts, and word that there are more",
            check: |b| people::pages(b).boxed(),
        },
        Assumption {
            name: "a scratch project can be made",
            source: "lockstep",
            expected: "201, or 409 when it is there from an earlier run",
            check: |b| rights::project(b).boxed(),
        },
        Assumption {
            name: "rules that are added are shown",
            source: SEEN,
            expected: "200, and both rules on the ref",
            check: |b| rights::add_rules(b).boxed(),
        },
        Assumption {
            name: "adding what is there changes nothing",
            source: SEEN,
            expected: "200 with the same revision",
            check: |b| rights::add_again(b).boxed(),
        },
        Assumption {
            name: "a permission removed with empty rules leaves the ref's other permissions",
            source: SEEN,
            expected: "create is gone, push is there",
            check: |b| rights::remove_one(b).boxed(),
        },
        Assumption {
            name: "a label's range is changed by removing and adding in one call",
            source: "an added range alone appends a second line that no reading shows (seen on Gerrit 3.13.5)",
            expected: "200, and the new range",
            check: |b| rights::change_range(b).boxed(),
        },
        Assumption {
            name: "a rule for a group that does not exist is refused",
            source: SEEN,
            expected: "422",
            check: |b| rights::rule_for_stranger(b).boxed(),
        },
        Assumption {
            name: "a BLOCK is shown as such",
            source: SEEN,
            expected: "200, and BLOCK",
            check: |b| rights::block(b).boxed(),
        },
        Assumption {
            name: "an exclusive permission is shown as such",
            source: SEEN,
            expected: "200, and exclusive",
            check: |b| rights::exclusive(b).boxed(),
        },
        Assumption {
            name: "rights of several projects are read in one call, which one missing project fails",
            source: SEEN,
            expected: "200 with both projects; 404",
            check: |b| rights::batch(b).boxed(),
        },
    ]
}

async fn clean_up(b: &Bench<'_>) -> Vec<Finding> {
    let mut left = Vec::new();
    if b.project.get("scratch project").is_ok() {
        let section = json!({b.ref_name(): {"permissions": {}}});
        match b.change_rights(json!({"remove": section})).await {
            Ok(said) if said.status == 200 => {}
            Ok(said) => left.push(Finding::left_behind(&b.ref_name(), &said.show())),
            Err(why) => left.push(Finding::left_behind(&b.ref_name(), &format!("{why:?}"))),
        }
    }
    for uuid in b.groups.take() {
        left.extend(delete_group(b, &uuid).await);
    }
    left
}

/// Deletes a group, or hides it where this server deletes none.
async fn delete_group(b: &Bench<'_>, uuid: &str) -> Option<Finding> {
    match b.rest.group(uuid).await {
        Ok(Some(_)) => {}
        Ok(None) => return None,
        Err(error) => return Some(Finding::left_behind(uuid, &error.to_string())),
    }
    let path = format!("a/groups/{}", segment(uuid));
    let said = match b.delete(uuid).await {
        Ok(said) => said,
        Err(error) => return Some(Finding::left_behind(uuid, &error.to_string())),
    };
    if (200..300).contains(&said.status) {
        return None;
    }
    if said.status == 404 && said.text.contains("not enabled") {
        let hidden = b
            .write(
                Method::PUT,
                format!("{path}/options"),
                json!({"visible_to_all": false}),
            )
            .await;
        match hidden {
            Ok(said) if said.status == 200 => {}
            Ok(said) => return Some(Finding::left_behind(uuid, &said.show())),
            Err(error) => return Some(Finding::left_behind(uuid, &error.to_string())),
        }
        let name = super::names::tombstone(uuid, &b.prefix);
        let renamed = b
            .write(Method::PUT, format!("{path}/name"), json!({"name": name}))
            .await;
        return match renamed {
            // As empty and hidden as the operator itself leaves a group where none can be deleted.
            Ok(said) if said.status == 200 => None,
            Ok(said) => Some(Finding::left_behind(uuid, &said.show())),
            Err(error) => Some(Finding::left_behind(uuid, &error.to_string())),
        };
    }
    Some(Finding::left_behind(uuid, &said.show()))
}
