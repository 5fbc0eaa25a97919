//! Rules on a scratch ref of the scratch project.

use lockstep_core::domain::access::names::gerrit_group_uuid;
use reqwest::Method;
use serde_json::{Value, json};

use super::super::names::segment;
use super::{Bench, PROJECT};
use crate::clients::contract::{Broken, Held, demand};

impl Bench<'_> {
    /// One permission on the scratch ref, as the project shows it.
    async fn permission(&self, permission: &str) -> Result<Value, Broken> {
        let path = format!(
            "a/projects/{}/access",
            segment(&self.project.get("scratch project")?)
        );
        let said = self.get(path, &[]).await?;
        let sections = said.json.get("local").cloned().unwrap_or_default();
        let section = sections.get(self.ref_name()).cloned().unwrap_or_default();
        Ok(section["permissions"][permission].clone())
    }

    async fn rules(&self, permission: &str) -> Result<Value, Broken> {
        Ok(self.permission(permission).await?["rules"].clone())
    }
}

pub(super) async fn project(b: &Bench<'_>) -> Result<Held, Broken> {
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

pub(super) async fn add_rules(b: &Bench<'_>) -> Result<Held, Broken> {
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

pub(super) async fn add_again(b: &Bench<'_>) -> Result<Held, Broken> {
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

pub(super) async fn remove_one(b: &Bench<'_>) -> Result<Held, Broken> {
    b.group.get("scratch group")?;
    let section = json!({b.ref_name(): {"permissions": {"create": {"rules": {}}}}});
    let said = b.change_rights(json!({"remove": section})).await?;
    demand(said.status == 200, || said.show())?;
    let (create, push) = (b.rules("create").await?, b.rules("push").await?);
    let holds = create.get(&b.uuid).is_none() && push.get(&b.uuid).is_some();
    demand(holds, || format!("create {create}, push {push}"))?;
    Ok(None)
}

pub(super) async fn change_range(b: &Bench<'_>) -> Result<Held, Broken> {
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

pub(super) async fn rule_for_stranger(b: &Bench<'_>) -> Result<Held, Broken> {
    let uuid = gerrit_group_uuid(&b.server, &format!("{}-never", b.prefix));
    let mut rules = serde_json::Map::new();
    rules.insert(uuid, json!({"action": "ALLOW"}));
    let section = json!({b.ref_name(): {"permissions": {"push": {"rules": rules}}}});
    let said = b.change_rights(json!({"add": section})).await?;
    demand(said.status == 422, || said.show())?;
    Ok(None)
}

pub(super) async fn block(b: &Bench<'_>) -> Result<Held, Broken> {
    b.group.get("scratch group")?;
    let section = json!({b.ref_name(): {"permissions": allow(b, "delete", json!({"action": "BLOCK"}))}});
    let said = b.change_rights(json!({"add": section})).await?;
    demand(said.status == 200, || said.show())?;
    let rule = b.rules("delete").await?[&b.uuid].clone();
    demand(rule["action"] == json!("BLOCK"), || rule.to_string())?;
    Ok(None)
}

pub(super) async fn exclusive(b: &Bench<'_>) -> Result<Held, Broken> {
    b.group.get("scratch group")?;
    let mut permissions = allow(b, "read", json!({"action": "ALLOW"}));
    permissions["read"]["exclusive"] = json!(true);
    let section = json!({b.ref_name(): {"permissions": permissions}});
    let said = b.change_rights(json!({"add": section})).await?;
    demand(said.status == 200, || said.show())?;
    let read = b.permission("read").await?;
    let holds = read["exclusive"] == json!(true) && read["rules"].get(&b.uuid).is_some();
    demand(holds, || read.to_string())?;
    Ok(None)
}

pub(super) async fn batch(b: &Bench<'_>) -> Result<Held, Broken> {
    let project = b.project.get("scratch project")?;
    let said = b
        .get(format!("a/projects/{}/parent", segment(&project)), &[])
        .await?;
    let parent = said.json.as_str().map(ToOwned::to_owned);
    let parent = parent.ok_or_else(|| Broken::Seen(format!("the project's parent: {}", said.show())))?;
    let ask = |names: [&str; 2]| {
        let query = names.map(|name| ("project", name.to_owned()));
        async move { b.get("a/access/".into(), &query).await }
    };
    let said = ask([&project, &parent]).await?;
    let both = [&project, &parent].iter().all(|name| {
        said.json
            .get(name.as_str())
            .is_some_and(|found| found["local"].is_object())
    });
    demand(said.status == 200 && both, || said.show())?;
    let said = ask([&project, &format!("{}-never", b.prefix)]).await?;
    demand(said.status == 404, || said.show())?;
    Ok(None)
}
