//! SCIM: groups, people and memberships.

use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::super::plane::Plane;
use super::{Bench, GROUPS, LOOK, PATCH, PRINCIPALS, PROPAGATION, USERS};
use crate::clients::contract::{Broken, Held, demand};

pub(super) async fn create(b: &Bench<'_>) -> Result<Held, Broken> {
    let said = b.make_group(&b.prefix).await?;
    said.made("groups")?;
    demand(!said.word("/id").is_empty(), || "no id".into())?;
    b.group.set(said.word("/id"));
    Ok(None)
}

pub(super) async fn twin(b: &Bench<'_>) -> Result<Held, Broken> {
    b.group.get("scratch group")?;
    let said = b.make_group(&b.prefix).await?;
    demand(said.status == 409, || said.show())?;
    Ok(None)
}

pub(super) async fn filter(b: &Bench<'_>) -> Result<Held, Broken> {
    b.group.get("scratch group")?;
    let until = Instant::now() + PROPAGATION;
    loop {
        let found = b.find_groups(&b.prefix).await?;
        if found == [b.prefix.clone()] {
            return Ok(None);
        }
        demand(found.is_empty() && Instant::now() < until, || {
            format!("{found:?}")
        })?;
        tokio::time::sleep(LOOK).await;
    }
}

pub(super) async fn quotes(b: &Bench<'_>) -> Result<Held, Broken> {
    b.group.get("scratch group")?;
    let name = format!("{} \"q\" 'a\\b", b.prefix);
    let said = b.make_group(&name).await?;
    if said.status == 400 {
        return Err(Broken::Skipped(format!(
            "such a name is refused: {}",
            said.show()
        )));
    }
    said.made("groups")?;
    let until = Instant::now() + PROPAGATION;
    loop {
        let found = b.find_groups(&name).await?;
        if found == [name.clone()] {
            return Ok(None);
        }
        demand(found.is_empty() && Instant::now() < until, || {
            format!("{found:?}")
        })?;
        tokio::time::sleep(LOOK).await;
    }
}

pub(super) async fn lower_case(b: &Bench<'_>) -> Result<Held, Broken> {
    // Nobody can be written to under this domain (RFC 2606).
    let name = format!("{}-User@Example.Invalid", b.prefix.to_uppercase());
    let said = b.send(Method::POST, USERS, &json!({"userName": name})).await?;
    if matches!(said.status, 400 | 409 | 422) {
        return Err(Broken::Skipped(format!(
            "people come from elsewhere here: {}",
            said.show()
        )));
    }
    said.made("users")?;
    let path = format!("{USERS}/{}", said.word("/id"));
    b.undo(&format!("user {name}"), Method::DELETE, path, None);
    let kept = said.word("/userName");
    demand(kept == name.to_lowercase(), || kept.clone())?;
    Ok(None)
}

pub(super) async fn principal(b: &Bench<'_>) -> Result<Held, Broken> {
    let said = b
        .send(Method::POST, PRINCIPALS, &json!({"displayName": b.prefix}))
        .await?;
    said.made("service principals")?;
    let (id, application) = (said.word("/id"), said.word("/applicationId"));
    b.undo(
        "service principal",
        Method::DELETE,
        format!("{PRINCIPALS}/{id}"),
        None,
    );
    demand(!id.is_empty() && !application.is_empty(), || {
        said.json.to_string()
    })?;
    b.principal.set(id);
    b.application.set(application);
    Ok(None)
}

async fn patch(b: &Bench<'_>, operation: Value) -> Result<super::Said, Broken> {
    let path = format!("{GROUPS}/{}", b.group.get("scratch group")?);
    let body = json!({"schemas": [PATCH], "Operations": [operation]});
    Ok(b.send(Method::PATCH, &path, &body).await?)
}

async fn members(b: &Bench<'_>) -> Result<Vec<String>, Broken> {
    let path = format!("{GROUPS}/{}", b.group.get("scratch group")?);
    let said = b.get(&path, &[("attributes", "id,members")]).await?;
    demand(said.is_success(), || said.show())?;
    let members = said.json["members"].as_array().cloned().unwrap_or_default();
    Ok(members
        .iter()
        .map(|member| member["value"].as_str().unwrap_or_default().to_owned())
        .collect())
}

pub(super) async fn add_twice(b: &Bench<'_>) -> Result<Held, Broken> {
    let who = b.principal.get("service principal")?;
    let add = json!({"op": "add", "path": "members", "value": [{"value": who}]});
    for _ in 0..2 {
        let said = patch(b, add.clone()).await?;
        demand(said.is_success(), || said.show())?;
    }
    Ok(None)
}

pub(super) async fn seen_after(b: &Bench<'_>) -> Result<Held, Broken> {
    let who = b.principal.get("service principal")?;
    let begun = Instant::now();
    loop {
        let seen = members(b).await?;
        if seen == [who.clone()] {
            return Ok(Some(format!("seen after {} ms", begun.elapsed().as_millis())));
        }
        demand(begun.elapsed() < PROPAGATION, || format!("members {seen:?}"))?;
        tokio::time::sleep(LOOK).await;
    }
}

pub(super) async fn remove_by_filter(b: &Bench<'_>) -> Result<Held, Broken> {
    let first = b.principal.get("service principal")?;
    let name = format!("{}-nested", b.prefix);
    let said = b.make_group(&name).await?;
    said.made("groups")?;
    let second = said.word("/id");
    let said = patch(
        b,
        json!({"op": "add", "path": "members", "value": [{"value": second}]}),
    )
    .await?;
    demand(said.is_success(), || said.show())?;
    let remove = json!({"op": "remove", "path": format!("members[value eq \"{first}\"]")});
    let said = patch(b, remove).await?;
    demand(said.is_success(), || said.show())?;
    let until = Instant::now() + PROPAGATION;
    loop {
        let seen = members(b).await?;
        if seen == [second.clone()] {
            return Ok(None);
        }
        demand(Instant::now() < until, || format!("members {seen:?}"))?;
        tokio::time::sleep(LOOK).await;
    }
}

pub(super) async fn listing(b: &Bench<'_>) -> Result<Held, Broken> {
    let id = b.group.get("scratch group")?;
    listed(b, b.plane, GROUPS, &id).await
}

/// Whether a listing shows a group, which has a member, and whether it shows the member.
pub(super) async fn listed(b: &Bench<'_>, plane: &Plane, path: &str, id: &str) -> Result<Held, Broken> {
    let (mut start, until) = (1_usize, Instant::now() + PROPAGATION);
    loop {
        let index = start.to_string();
        let query = [
            ("startIndex", index.as_str()),
            ("count", "100"),
            ("attributes", "id,members"),
        ];
        let said = b.call(plane, Method::GET, path, &query, None).await?;
        demand(said.is_success(), || said.show())?;
        let page = said.json["Resources"].as_array().cloned().unwrap_or_default();
        if let Some(group) = page.iter().find(|group| group["id"] == json!(id)) {
            let with = group["members"]
                .as_array()
                .is_some_and(|members| !members.is_empty());
            let note = if with {
                "listings carry members: drift checks cost pages"
            } else {
                "listings leave members out: drift checks cost one call a group"
            };
            return Ok(Some(note.into()));
        }
        if page.is_empty() {
            demand(Instant::now() < until, || "the group is in no page".into())?;
            tokio::time::sleep(LOOK).await;
            start = 1;
        } else {
            start += page.len();
        }
    }
}

pub(super) async fn paging(b: &Bench<'_>) -> Result<Held, Broken> {
    b.group.get("scratch group")?;
    let mut seen = Vec::new();
    for start in ["1", "2"] {
        let said = b
            .get(
                GROUPS,
                &[("startIndex", start), ("count", "1"), ("attributes", "id")],
            )
            .await?;
        demand(said.is_success(), || said.show())?;
        let page = said.json["Resources"].as_array().cloned().unwrap_or_default();
        demand(page.len() == 1, || {
            format!("{} groups in a page of one", page.len())
        })?;
        seen.push(page[0]["id"].clone());
    }
    demand(seen[0] != seen[1], || format!("{} twice", seen[0]))?;
    Ok(None)
}

pub(super) async fn missing(b: &Bench<'_>) -> Result<Held, Broken> {
    let name = format!("{}-gone", b.prefix);
    let said = b.make_group(&name).await?;
    said.made("groups")?;
    let path = format!("{GROUPS}/{}", said.word("/id"));
    let gone = b.call(b.plane, Method::DELETE, &path, &[], None).await?;
    demand(gone.is_success(), || gone.show())?;
    let until = Instant::now() + PROPAGATION;
    loop {
        let said = b.get(&path, &[]).await?;
        if said.status == 404 {
            demand(!said.words.is_empty(), || said.show())?;
            return Ok(None);
        }
        demand(said.is_success() && Instant::now() < until, || said.show())?;
        tokio::time::sleep(LOOK).await;
    }
}
