//! Groups and their members.

use lockstep_core::domain::access::names::gerrit_group_uuid;
use reqwest::Method;
use serde_json::json;

use super::super::names::segment;
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

/// Somebody with an address: ourselves, else whoever comes first.
async fn somebody(b: &Bench<'_>) -> Result<(i64, String), Broken> {
    if let Some(email) = &b.email {
        return Ok((b.me, email.clone()));
    }
    let query = [
        ("q", "is:active".to_owned()),
        ("o", "DETAILS".to_owned()),
        ("n", "100".to_owned()),
    ];
    let said = b.get("a/accounts/".into(), &query).await?;
    let found = said.json.as_array().and_then(|all| {
        all.iter()
            .find_map(|one| Some((one["_account_id"].as_i64()?, one["email"].as_str()?.to_owned())))
    });
    found.ok_or_else(|| Broken::Skipped("no account in sight has an e-mail address".into()))
}

pub(super) async fn by_email(b: &Bench<'_>) -> Result<Held, Broken> {
    let (id, email) = somebody(b).await?;
    let query = [("q", format!("email:\"{email}\""))];
    let said = b.get("a/accounts/".into(), &query).await?;
    let found = said
        .json
        .as_array()
        .is_some_and(|all| all.iter().any(|one| one["_account_id"] == json!(id)));
    demand(said.status == 200 && found, || said.show())?;
    Ok(None)
}
