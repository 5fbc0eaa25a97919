//! Groups and their members.

use lockstep_core::domain::access::names::gerrit_group_uuid;
use reqwest::Method;
use serde_json::json;

use super::super::history::time;
use super::super::names::segment;
use super::super::wire::{AuditEvent, GroupInfo};
use super::{Bench, Said};
use crate::clients::contract::{Broken, Held, demand};

impl Bench<'_> {
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
}

pub(super) async fn create(b: &Bench<'_>) -> Result<Held, Broken> {
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

pub(super) async fn taken(b: &Bench<'_>, name: bool) -> Result<Held, Broken> {
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

pub(super) async fn add_twice(b: &Bench<'_>) -> Result<Held, Broken> {
    for _ in 0..2 {
        let said = b.change_members("add", &b.me.to_string()).await?;
        demand(said.status == 200, || said.show())?;
    }
    let members = b.members().await?;
    demand(members == [b.me], || format!("members {members:?}"))?;
    Ok(None)
}

pub(super) async fn add_stranger(b: &Bench<'_>) -> Result<Held, Broken> {
    let said = b.change_members("add", &format!("{}-nobody", b.prefix)).await?;
    demand(said.status == 422, || said.show())?;
    Ok(None)
}

pub(super) async fn remove_twice(b: &Bench<'_>) -> Result<Held, Broken> {
    for _ in 0..2 {
        let said = b.change_members("delete", &b.me.to_string()).await?;
        demand(said.status == 204, || said.show())?;
    }
    let members = b.members().await?;
    demand(members.is_empty(), || format!("members {members:?}"))?;
    Ok(None)
}

pub(super) async fn rename(b: &Bench<'_>) -> Result<Held, Broken> {
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

pub(super) async fn missing(b: &Bench<'_>) -> Result<Held, Broken> {
    let uuid = gerrit_group_uuid(&b.server, &format!("{}-never", b.prefix));
    let said = b.get(format!("a/groups/{uuid}/detail"), &[]).await?;
    demand(said.status == 404, || said.show())?;
    Ok(None)
}

/// Makes another group beside the scratch group, to be deleted with it, and answers with its uuid.
async fn make(b: &Bench<'_>, suffix: &str) -> Result<String, Broken> {
    b.group.get("scratch group")?;
    let name = format!("{}-{suffix}", b.prefix);
    let uuid = gerrit_group_uuid(&b.server, &name);
    b.groups.remember(uuid.clone());
    let body = json!({"uuid": uuid, "owner_id": b.owner});
    let said = b
        .write(Method::PUT, format!("a/groups/{}", segment(&name)), body)
        .await?;
    demand(said.status == 201, || said.show())?;
    Ok(uuid)
}

pub(super) async fn describe(b: &Bench<'_>) -> Result<Held, Broken> {
    let uuid = b.group.get("scratch group")?;
    let text = "described by lockstep doctor --probe: a/b %ü";
    for (what, body) in [
        ("description", json!({"description": text})),
        ("options", json!({"visible_to_all": true})),
        ("owner", json!({"owner": b.owner})),
    ] {
        let path = format!("a/groups/{}/{what}", segment(&uuid));
        let said = b.write(Method::PUT, path, body).await?;
        demand(said.status == 200, || format!("{what}: {}", said.show()))?;
    }
    let group = b.rest.group(&uuid).await?.unwrap_or_default();
    let holds = group.description.as_deref() == Some(text)
        && group.options.visible_to_all
        && group.owner().as_deref() == Some(b.owner.as_str());
    demand(holds, || {
        format!(
            "description {:?}, visible {}, owner {:?}",
            group.description,
            group.options.visible_to_all,
            group.owner()
        )
    })?;
    Ok(None)
}

pub(super) async fn nest(b: &Bench<'_>) -> Result<Held, Broken> {
    let inner = make(b, "nested").await?;
    let outer = b.group.get("scratch group")?;
    for (verb, status, wanted) in [("add", 200, vec![inner.clone()]), ("delete", 204, Vec::new())] {
        for _ in 0..2 {
            let path = format!("a/groups/{}/groups.{verb}", segment(&outer));
            let said = b.write(Method::POST, path, json!({"groups": [inner]})).await?;
            demand(said.status == status, || format!("{verb}: {}", said.show()))?;
        }
        let group = b.rest.group(&outer).await?.unwrap_or_default();
        let seen: Vec<String> = group.includes.iter().map(GroupInfo::uuid).collect();
        demand(seen == wanted, || format!("includes {seen:?}"))?;
    }
    Ok(None)
}

/// After the members and groups that earlier rows put in and took out.
pub(super) async fn audit(b: &Bench<'_>) -> Result<Held, Broken> {
    let path = format!("a/groups/{}/log.audit", segment(&b.group.get("scratch group")?));
    let said = b.get(path, &[]).await?;
    if said.status == 403 {
        return Err(Broken::Skipped(
            "the identity may not read the group's log".into(),
        ));
    }
    demand(said.status == 200, || said.show())?;
    let events: Vec<AuditEvent> = serde_json::from_value(said.json.clone()).unwrap_or_default();
    for kind in ["ADD_USER", "REMOVE_USER", "ADD_GROUP", "REMOVE_GROUP"] {
        let about = |event: &&AuditEvent| match &event.member.account {
            Some(account) => *account == b.me,
            None => event.member.uuid().is_some(),
        };
        let event = events.iter().filter(|event| event.kind == kind).find(about);
        let event = event.ok_or_else(|| Broken::Seen(format!("no {kind} in {}", said.show())))?;
        demand(event.user.id == b.me && time(&event.date).is_some(), || {
            format!("{event:?}")
        })?;
    }
    Ok(None)
}

pub(super) async fn delete(b: &Bench<'_>) -> Result<Held, Broken> {
    let uuid = make(b, "deleted").await?;
    let path = format!("a/groups/{}", segment(&uuid));
    let said = b.delete(&uuid).await?;
    if said.status == 404 && said.text.contains("not enabled") {
        let words = "this server deletes no groups: they are emptied, hidden and renamed";
        return Ok(Some(words.into()));
    }
    if matches!(said.status, 403 | 405) {
        let words = "the identity may not delete groups: they are emptied, hidden and renamed";
        return Ok(Some(words.into()));
    }
    demand((200..300).contains(&said.status), || said.show())?;
    let said = b.get(format!("{path}/detail"), &[]).await?;
    demand(said.status == 404, || said.show())?;
    Ok(None)
}
