//! What Lockstep takes for granted about Gerrit, tried on a scratch group, and on a scratch ref, a scratch branch and a
//! scratch change of a scratch project. `groups`, `people` and `rights` try what access relies on, `changes` what
//! promotions do, `tokens` what rotations do.

mod changes;
mod groups;
mod people;
mod rights;
mod rows;
mod tokens;

use std::sync::Arc;

use lockstep_core::domain::access::names::gerrit_group_uuid;
use lockstep_core::domain::ports::SystemError;
use reqwest::Method;
use serde_json::{Value, json};

use super::GerritSystem;
use super::names::segment;
use super::rest::{Rest, parse};
use crate::clients::contract::{Broken, Fact, Finding, Made, Tell, run};
use crate::clients::http::Effect;

/// Gerrit deletes no projects without a plugin, so one empty project serves all runs.
const PROJECT: &str = "lockstep-probe";

/// What the rows work on.
pub(super) struct Bench<'a> {
    system: &'a Arc<GerritSystem>,
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
    /// Commit at the tip of the scratch branch.
    tip: Fact,
    /// Number of the scratch change, and its commit.
    change: Fact,
    revision: Fact,
    groups: Made<String>,
    /// Our own user name.
    username: Option<String>,
    /// Ids of our own tokens.
    tokens: Made<String>,
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
        self: &Arc<Self>,
        prefix: &str,
        tell: &Tell<'_>,
        stop: impl Future<Output = ()> + Send,
    ) -> Result<Vec<Finding>, SystemError> {
        let facts = self.facts().await?;
        let bench = Bench {
            system: self,
            rest: &self.rest,
            prefix: prefix.to_owned(),
            server: facts.server.clone(),
            owner: facts.administrators(&self.rest)?.to_owned(),
            me: facts.account.id,
            email: facts.account.email.clone(),
            uuid: gerrit_group_uuid(&facts.server, prefix),
            group: Fact::default(),
            project: Fact::default(),
            tip: Fact::default(),
            change: Fact::default(),
            revision: Fact::default(),
            groups: Made::default(),
            username: facts.account.username.clone(),
            tokens: Made::default(),
        };
        let rows = rows::rows();
        let mut findings = tokio::select! {
            findings = run(&rows, &bench, tell) => findings,
            () = stop => Vec::new(),
        };
        tell("cleaning up");
        findings.extend(clean_up(&bench).await);
        Ok(findings)
    }
}

async fn clean_up(b: &Bench<'_>) -> Vec<Finding> {
    let mut left = changes::clean_up(b).await;
    left.extend(tokens::clean_up(b).await);
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
