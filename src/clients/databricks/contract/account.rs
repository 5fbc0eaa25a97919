//! The account: its groups, and roles on its service principals.

use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::super::plane::Plane;
use super::super::segment;
use super::groups::listed;
use super::{Bench, LOOK, PATCH, PROPAGATION, Undo};
use crate::clients::contract::{Broken, Held, demand};

fn account<'a>(b: &Bench<'a>) -> Result<(&'a str, &'a Plane), Broken> {
    b.account
        .ok_or_else(|| Broken::Skipped("the connection names no account".into()))
}

fn groups(account: &str) -> String {
    format!("/api/2.0/accounts/{}/scim/v2/Groups", segment(account))
}

pub(super) async fn create(b: &Bench<'_>) -> Result<Held, Broken> {
    let (account, plane) = account(b)?;
    let path = groups(account);
    let body = json!({"displayName": format!("{}-account", b.prefix)});
    let said = b.call(plane, Method::POST, &path, &[], Some(&body)).await?;
    said.made("groups in the account")?;
    let id = said.word("/id");
    demand(!id.is_empty(), || "no id".into())?;
    b.made.remember(Undo {
        what: "group of the account".into(),
        account: true,
        method: Method::DELETE,
        path: format!("{path}/{}", segment(&id)),
        body: None,
    });
    b.account_group.set(id);
    let said = b.call(plane, Method::POST, &path, &[], Some(&body)).await?;
    demand(said.status == 409, || said.show())?;
    Ok(None)
}

/// Changes the members, and waits until they are seen to be these.
async fn change(b: &Bench<'_>, operation: Value, times: usize, wanted: &[String]) -> Result<Held, Broken> {
    let (account, plane) = account(b)?;
    let id = b.account_group.get("group of the account")?;
    let path = format!("{}/{}", groups(account), segment(&id));
    let body = json!({"schemas": [PATCH], "Operations": [operation]});
    for _ in 0..times {
        let said = b.call(plane, Method::PATCH, &path, &[], Some(&body)).await?;
        demand(said.is_success(), || said.show())?;
    }
    let begun = Instant::now();
    loop {
        let query = [("attributes", "id,members")];
        let said = b.call(plane, Method::GET, &path, &query, None).await?;
        demand(said.is_success(), || said.show())?;
        let members = said.json["members"].as_array().cloned().unwrap_or_default();
        let members: Vec<&str> = members
            .iter()
            .filter_map(|member| member["value"].as_str())
            .collect();
        if members == wanted {
            return Ok(Some(format!("seen after {} ms", begun.elapsed().as_millis())));
        }
        demand(begun.elapsed() < PROPAGATION, || format!("members {members:?}"))?;
        tokio::time::sleep(LOOK).await;
    }
}

pub(super) async fn fill(b: &Bench<'_>) -> Result<Held, Broken> {
    let who = b.account_principal.get("service principal of the account")?;
    let add = json!({"op": "add", "path": "members", "value": [{"value": who}]});
    change(b, add, 2, &[who]).await
}

pub(super) async fn listing(b: &Bench<'_>) -> Result<Held, Broken> {
    let (account, plane) = account(b)?;
    let id = b.account_group.get("group of the account")?;
    listed(b, plane, &groups(account), &id).await
}

pub(super) async fn clear(b: &Bench<'_>) -> Result<Held, Broken> {
    let who = b.account_principal.get("service principal of the account")?;
    let remove = json!({"op": "remove", "path": format!("members[value eq \"{who}\"]")});
    change(b, remove, 1, &[]).await
}

pub(super) async fn rule_set(b: &Bench<'_>) -> Result<Held, Broken> {
    let (account, plane) = account(b)?;
    let path = format!("/api/2.0/accounts/{}/scim/v2/ServicePrincipals", segment(account));
    let body = json!({"displayName": format!("{}-roles", b.prefix)});
    let said = b.call(plane, Method::POST, &path, &[], Some(&body)).await?;
    said.made("service principals in the account")?;
    b.made.remember(Undo {
        what: "service principal of the account".into(),
        account: true,
        method: Method::DELETE,
        path: format!("{path}/{}", said.word("/id")),
        body: None,
    });
    b.account_principal.set(said.word("/id"));
    let name = format!(
        "accounts/{account}/servicePrincipals/{}/ruleSets/default",
        said.word("/applicationId")
    );
    let path = format!(
        "/api/2.0/preview/accounts/{}/access-control/rule-sets",
        segment(account)
    );
    let said = b
        .call(plane, Method::GET, &path, &[("name", &name), ("etag", "")], None)
        .await?;
    demand(said.is_success(), || said.show())?;
    let etag = said.word("/etag");
    let principal = format!("servicePrincipals/{}", name.split('/').nth(3).unwrap_or_default());
    let rules = |role: &str| {
        json!({"name": name, "rule_set": {
            "name": name, "etag": etag, "grant_rules": [{"role": role, "principals": [principal]}],
        }})
    };
    let first = rules("roles/servicePrincipal.user");
    let said = b.call(plane, Method::PUT, &path, &[], Some(&first)).await?;
    demand(said.is_success(), || said.show())?;
    let second = rules("roles/servicePrincipal.manager");
    let said = b.call(plane, Method::PUT, &path, &[], Some(&second)).await?;
    demand(said.status == 409, || said.show())?;
    Ok(None)
}
