//! Who may enter the workspace, through the door that Lockstep takes, and what a group is entitled to there.

use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::super::plane::Plane;
use super::super::workspace::Door;
use super::{Bench, GROUPS, LOOK, PATCH, PROPAGATION, Said, Undo, said};
use crate::clients::contract::{Broken, Held, demand};

/// The account's door, or the workspace's own where the account is not ours to ask.
async fn door<'a>(b: &Bench<'a>) -> Result<(Door, &'a Plane), Broken> {
    if let Some((account, plane)) = b.account {
        let door = Door::Account {
            account: account.to_owned(),
            workspace: b.workspace.clone(),
        };
        if plane.send(door.call(Method::GET, None)).await?.status() != 403 {
            return Ok((door, plane));
        }
    }
    Ok((Door::Workspace, b.plane))
}

/// Levels of one principal, by its number.
async fn levels(door: &Door, plane: &Plane, id: &str) -> Result<Vec<String>, Broken> {
    let said = said(&plane.send(door.call(Method::GET, None)).await?);
    demand(said.is_success(), || said.show())?;
    let rows = said.json["permission_assignments"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    let number: u64 = id
        .parse()
        .map_err(|_| Broken::Seen(format!("id {id} is no number")))?;
    let own = rows
        .iter()
        .filter(|row| row["principal"]["principal_id"].as_u64() == Some(number));
    let levels = own.flat_map(|row| row["permissions"].as_array().cloned().unwrap_or_default());
    Ok(levels
        .filter_map(|level| level.as_str().map(ToOwned::to_owned))
        .collect())
}

async fn until(door: &Door, plane: &Plane, id: &str, wanted: &[&str]) -> Result<(), Broken> {
    let end = Instant::now() + PROPAGATION;
    loop {
        let seen = levels(door, plane, id).await?;
        if seen == wanted {
            return Ok(());
        }
        demand(Instant::now() < end, || format!("permissions {seen:?}"))?;
        tokio::time::sleep(LOOK).await;
    }
}

async fn assign(door: &Door, plane: &Plane, id: &str) -> Result<Said, Broken> {
    let call = door
        .call(Method::PUT, Some(id))
        .json(&json!({"permissions": ["USER"]}));
    Ok(said(&plane.send(call).await?))
}

pub(super) async fn permission(b: &Bench<'_>) -> Result<Held, Broken> {
    let (door, plane) = door(b).await?;
    if let Door::Workspace = door {
        return through_the_workspace(b, &door).await;
    }
    let id = b.account_group.get("group of the account")?;
    let leave = door.call(Method::DELETE, Some(&id));
    b.made.remember(Undo {
        what: "assignment to the workspace".into(),
        account: true,
        method: Method::DELETE,
        path: leave.path.clone(),
        body: None,
    });
    let entered = assign(&door, plane, &id).await?;
    demand(entered.is_success(), || entered.show())?;
    until(&door, plane, &id, &["USER"]).await?;
    for _ in 0..2 {
        let left = said(&plane.send(leave.clone()).await?);
        demand(left.is_success() || left.absent, || left.show())?;
    }
    until(&door, plane, &id, &[]).await?;
    Ok(Some("through the account".into()))
}

/// The scratch service principal is in the workspace that made it: it is admitted again by its name.
async fn through_the_workspace(b: &Bench<'_>, door: &Door) -> Result<Held, Broken> {
    let id = b.principal.get("service principal")?;
    let named = json!({"principal": {"service_principal_name": b.application.get("service principal")?}});
    let call = door
        .call(Method::POST, None)
        .json(&json!({"permission_assignments": [named]}));
    let entered = said(&b.plane.send(call).await?);
    if matches!(entered.status, 403 | 404) {
        return Err(Broken::Skipped(format!(
            "this workspace has no such call: {}",
            entered.show()
        )));
    }
    demand(entered.is_success(), || entered.show())?;
    let entered = assign(door, b.plane, &id).await?;
    demand(entered.is_success(), || entered.show())?;
    until(door, b.plane, &id, &["USER"]).await?;
    Ok(Some("through the workspace's own call".into()))
}

async fn entitlements(b: &Bench<'_>, path: &str) -> Result<Vec<String>, Broken> {
    let said = b.get(path, &[("attributes", "id,entitlements")]).await?;
    demand(said.is_success(), || said.show())?;
    let rows = said.json["entitlements"].as_array().cloned().unwrap_or_default();
    Ok(rows
        .iter()
        .filter_map(|row| row["value"].as_str().map(ToOwned::to_owned))
        .collect())
}

pub(super) async fn entitlement(b: &Bench<'_>) -> Result<Held, Broken> {
    const WORD: &str = "databricks-sql-access";
    let path = format!("{GROUPS}/{}", b.group.get("scratch group")?);
    let patch = |operation: Value| json!({"schemas": [PATCH], "Operations": [operation]});
    let give = patch(json!({"op": "add", "path": "entitlements", "value": [{"value": WORD}]}));
    let said = b.send(Method::PATCH, &path, &give).await?;
    demand(said.is_success(), || said.show())?;
    let end = Instant::now() + PROPAGATION;
    loop {
        let seen = entitlements(b, &path).await?;
        if seen == [WORD] {
            break;
        }
        demand(Instant::now() < end, || format!("entitlements {seen:?}"))?;
        tokio::time::sleep(LOOK).await;
    }
    let take = patch(json!({"op": "remove", "path": format!("entitlements[value eq \"{WORD}\"]")}));
    for first in [true, false] {
        let said = b.send(Method::PATCH, &path, &take).await?;
        let done = !first && said.status == 400 && said.words.contains("No such attribute");
        demand(said.is_success() || done, || said.show())?;
    }
    Ok(None)
}
