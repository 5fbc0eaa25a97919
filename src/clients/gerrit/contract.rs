//! What Lockstep takes for granted about Gerrit, tried on a scratch group and on a scratch ref of a scratch project.
//! Every row was first seen on a running Gerrit 3.13.5.

use futures::FutureExt as _;
use lockstep_core::domain::access::names::gerrit_group_uuid;
use lockstep_core::domain::ports::SystemError;
use reqwest::Method;
use serde_json::{Value, json};

use super::GerritSystem;
use super::names::segment;
use super::rest::{Rest, parse};
use crate::clients::contract::{Assumption, Broken, Fact, Finding, Held, Made, Tell, demand, run};
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

    async fn members(&self) -> Result<Vec<i64>, Broken> {
        let group = self.rest.group(&self.group.get("scratch group")?).await?;
        let group = group.ok_or_else(|| Broken::Seen("the group is not found".into()))?;
        Ok(group.members.iter().map(|member| member.id).collect())
    }

    async fn change_members(&self, verb: &str, who: &str) -> Result<Said, Broken> {
        let path = format!(
            "a/groups/{}/members.{verb}",
            segment(&self.group.get("scratch group")?)
        );
        Ok(self.write(Method::POST, path, json!({"members": [who]})).await?)
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

    /// Rules of one permission on the scratch ref, as the project shows them.
    async fn rules(&self, permission: &str) -> Result<Value, Broken> {
        let path = format!(
            "a/projects/{}/access",
            segment(&self.project.get("scratch project")?)
        );
        let said = self.get(path, &[]).await?;
        let sections = said.json.get("local").cloned().unwrap_or_default();
        let section = sections.get(self.ref_name()).cloned().unwrap_or_default();
        Ok(section["permissions"][permission]["rules"].clone())
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
            check: |b| create(b).boxed(),
        },
        Assumption {
            name: "a taken group name is refused",
            source: SEEN,
            expected: "409",
            check: |b| taken(b, true).boxed(),
        },
        Assumption {
            name: "a taken group uuid is refused",
            source: SEEN,
            expected: "409",
            check: |b| taken(b, false).boxed(),
        },
        Assumption {
            name: "adding a member twice is adding it once",
            source: SEEN,
            expected: "200 twice, one member",
            check: |b| add_twice(b).boxed(),
        },
        Assumption {
            name: "a member that does not exist is refused",
            source: SEEN,
            expected: "422",
            check: |b| add_stranger(b).boxed(),
        },
        Assumption {
            name: "removing a member twice is removing it once",
            source: SEEN,
            expected: "204 twice, no member",
            check: |b| remove_twice(b).boxed(),
        },
        Assumption {
            name: "a renamed group keeps its uuid",
            source: SEEN,
            expected: "200, and the new name under the old uuid",
            check: |b| rename(b).boxed(),
        },
        Assumption {
            name: "a missing group is 404",
            source: SEEN,
            expected: "404",
            check: |b| missing(b).boxed(),
        },
        Assumption {
            name: "an account is found by its whole e-mail address",
            source: "Gerrit's search for accounts matches prefixes, so that answers are compared whole",
            expected: "200 with the account among the answers",
            check: |b| by_email(b).boxed(),
        },
        Assumption {
            name: "a scratch project can be made",
            source: "lockstep",
            expected: "201, or 409 when it is there from an earlier run",
            check: |b| project(b).boxed(),
        },
        Assumption {
            name: "rules that are added are shown",
            source: SEEN,
            expected: "200, and both rules on the ref",
            check: |b| add_rules(b).boxed(),
        },
        Assumption {
            name: "adding what is there changes nothing",
            source: SEEN,
            expected: "200 with the same revision",
            check: |b| add_again(b).boxed(),
        },
        Assumption {
            name: "a permission removed with empty rules leaves the ref's other permissions",
            source: SEEN,
            expected: "create is gone, push is there",
            check: |b| remove_one(b).boxed(),
        },
        Assumption {
            name: "a label's range is changed by removing and adding in one call",
            source: "an added range alone appends a second line that no reading shows (seen on Gerrit 3.13.5)",
            expected: "200, and the new range",
            check: |b| change_range(b).boxed(),
        },
        Assumption {
            name: "a rule for a group that does not exist is refused",
            source: SEEN,
            expected: "422",
            check: |b| rule_for_stranger(b).boxed(),
        },
    ]
}

async fn create(b: &Bench<'_>) -> Result<Held, Broken> {
    let path = format!("a/groups/{}", segment(&b.prefix));
    let body =
        json!({"uuid": b.uuid, "owner_id": b.owner, "description": "scratch of lockstep doctor --probe"});
    b.groups.remember(b.uuid.clone());
    let said = b.write(Method::PUT, path, body).await?;
    if said.status == 403 {
        return Err(Broken::Skipped("the identity may not create groups".into()));
    }
    demand(said.status == 201, || said.show())?;
    demand(said.json["id"] == json!(b.uuid), || {
        format!("uuid {}", said.json["id"])
    })?;
    b.group.set(&b.uuid);
    let members = b.members().await?;
    demand(members.is_empty(), || format!("members {members:?}"))?;
    Ok(None)
}

async fn taken(b: &Bench<'_>, name: bool) -> Result<Held, Broken> {
    b.group.get("scratch group")?;
    let (name, uuid) = if name {
        (
            b.prefix.clone(),
            gerrit_group_uuid(&b.server, &format!("{}-twin", b.prefix)),
        )
    } else {
        (format!("{}-twin", b.prefix), b.uuid.clone())
    };
    if uuid != b.uuid {
        b.groups.remember(uuid.clone());
    }
    let path = format!("a/groups/{}", segment(&name));
    let said = b
        .write(Method::PUT, path, json!({"uuid": uuid, "owner_id": b.owner}))
        .await?;
    demand(said.status == 409, || said.show())?;
    Ok(None)
}

async fn add_twice(b: &Bench<'_>) -> Result<Held, Broken> {
    for _ in 0..2 {
        let said = b.change_members("add", &b.me.to_string()).await?;
        demand(said.status == 200, || said.show())?;
    }
    let members = b.members().await?;
    demand(members == [b.me], || format!("members {members:?}"))?;
    Ok(None)
}

async fn add_stranger(b: &Bench<'_>) -> Result<Held, Broken> {
    let said = b.change_members("add", &format!("{}-nobody", b.prefix)).await?;
    demand(said.status == 422, || said.show())?;
    Ok(None)
}

async fn remove_twice(b: &Bench<'_>) -> Result<Held, Broken> {
    for _ in 0..2 {
        let said = b.change_members("delete", &b.me.to_string()).await?;
        demand(said.status == 204, || said.show())?;
    }
    let members = b.members().await?;
    demand(members.is_empty(), || format!("members {members:?}"))?;
    Ok(None)
}

async fn rename(b: &Bench<'_>) -> Result<Held, Broken> {
    let uuid = b.group.get("scratch group")?;
    let name = format!("{} a/b %ü", b.prefix);
    let path = format!("a/groups/{}/name", segment(&uuid));
    let said = b.write(Method::PUT, path, json!({"name": name})).await?;
    demand(said.status == 200, || said.show())?;
    let group = b.rest.group(&uuid).await?;
    let seen = group.map(|group| group.name).unwrap_or_default();
    demand(seen == name, || format!("name {seen:?}"))?;
    Ok(None)
}

async fn missing(b: &Bench<'_>) -> Result<Held, Broken> {
    let uuid = gerrit_group_uuid(&b.server, &format!("{}-never", b.prefix));
    let said = b.get(format!("a/groups/{uuid}/detail"), &[]).await?;
    demand(said.status == 404, || said.show())?;
    Ok(None)
}

async fn by_email(b: &Bench<'_>) -> Result<Held, Broken> {
    let Some(email) = &b.email else {
        return Err(Broken::Skipped("the identity has no e-mail address".into()));
    };
    let query = [("q", format!("email:\"{email}\""))];
    let said = b.get("a/accounts/".into(), &query).await?;
    let found = said
        .json
        .as_array()
        .is_some_and(|all| all.iter().any(|one| one["_account_id"] == json!(b.me)));
    demand(said.status == 200 && found, || said.show())?;
    Ok(None)
}

async fn project(b: &Bench<'_>) -> Result<Held, Broken> {
    let body = json!({"permissions_only": true, "description": "scratch of lockstep doctor --probe; may be deleted"});
    let said = b
        .write(Method::PUT, format!("a/projects/{PROJECT}"), body)
        .await?;
    if said.status == 403 {
        return Err(Broken::Skipped("the identity may not create projects".into()));
    }
    demand(matches!(said.status, 201 | 409), || said.show())?;
    b.project.set(PROJECT);
    Ok(Some(format!(
        "the empty project {PROJECT} stays for later runs, because Gerrit itself deletes no projects"
    )))
}

fn allow(b: &Bench<'_>, permission: &str, rule: Value) -> Value {
    let mut rules = serde_json::Map::new();
    rules.insert(b.uuid.clone(), rule);
    json!({permission: {"rules": rules}})
}

async fn add_rules(b: &Bench<'_>) -> Result<Held, Broken> {
    b.group.get("scratch group")?;
    for permission in ["push", "create"] {
        let section =
            json!({b.ref_name(): {"permissions": allow(b, permission, json!({"action": "ALLOW"}))}});
        let said = b.change_rights(json!({"add": section})).await?;
        demand(said.status == 200, || said.show())?;
    }
    for permission in ["push", "create"] {
        let rules = b.rules(permission).await?;
        demand(rules.get(&b.uuid).is_some(), || format!("{permission}: {rules}"))?;
    }
    Ok(None)
}

async fn add_again(b: &Bench<'_>) -> Result<Held, Broken> {
    let section = json!({b.ref_name(): {"permissions": allow(b, "push", json!({"action": "ALLOW"}))}});
    b.group.get("scratch group")?;
    let first = b.change_rights(json!({"add": section.clone()})).await?;
    let second = b.change_rights(json!({"add": section})).await?;
    let (before, after) = (&first.json["revision"], &second.json["revision"]);
    demand(
        second.status == 200 && before == after && !before.is_null(),
        || format!("{} revision {before} then {after}", second.status),
    )?;
    Ok(None)
}

async fn remove_one(b: &Bench<'_>) -> Result<Held, Broken> {
    b.group.get("scratch group")?;
    let section = json!({b.ref_name(): {"permissions": {"create": {"rules": {}}}}});
    let said = b.change_rights(json!({"remove": section})).await?;
    demand(said.status == 200, || said.show())?;
    let (create, push) = (b.rules("create").await?, b.rules("push").await?);
    let holds = create.get(&b.uuid).is_none() && push.get(&b.uuid).is_some();
    demand(holds, || format!("create {create}, push {push}"))?;
    Ok(None)
}

async fn change_range(b: &Bench<'_>) -> Result<Held, Broken> {
    b.group.get("scratch group")?;
    let vote = |min: i32, max: i32| {
        let rule = json!({"action": "ALLOW", "min": min, "max": max});
        json!({b.ref_name(): {"permissions": allow(b, "label-Code-Review", rule)}})
    };
    let said = b.change_rights(json!({"add": vote(-1, 1)})).await?;
    if said.status == 400 {
        return Err(Broken::Skipped(format!("no label Code-Review: {}", said.show())));
    }
    demand(said.status == 200, || said.show())?;
    let said = b
        .change_rights(json!({"remove": vote(-1, 1), "add": vote(0, 1)}))
        .await?;
    demand(said.status == 200, || said.show())?;
    let rule = b.rules("label-Code-Review").await?[&b.uuid].clone();
    let range = (
        rule["min"].as_i64().unwrap_or(0),
        rule["max"].as_i64().unwrap_or(0),
    );
    demand(range == (0, 1), || rule.to_string())?;
    Ok(None)
}

async fn rule_for_stranger(b: &Bench<'_>) -> Result<Held, Broken> {
    let uuid = gerrit_group_uuid(&b.server, &format!("{}-never", b.prefix));
    let mut rules = serde_json::Map::new();
    rules.insert(uuid, json!({"action": "ALLOW"}));
    let section = json!({b.ref_name(): {"permissions": {"push": {"rules": rules}}}});
    let said = b.change_rights(json!({"add": section})).await?;
    demand(said.status == 422, || said.show())?;
    Ok(None)
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
    let said = match b.write(Method::DELETE, path.clone(), Value::Null).await {
        Ok(said) => said,
        Err(error) => return Some(Finding::left_behind(uuid, &error.to_string())),
    };
    if (200..300).contains(&said.status) {
        return None;
    }
    if said.status == 404 && said.text.contains("not enabled") {
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
