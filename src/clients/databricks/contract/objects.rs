//! The permissions API, on a scratch job and a scratch directory.

use reqwest::Method;
use serde_json::{Value, json};

use super::super::segment;
use super::Bench;
use crate::clients::contract::{Broken, Held, demand};

/// Direct levels by principal; inherited ones are left out.
fn direct(list: &Value) -> Vec<(String, String)> {
    let entries = list["access_control_list"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    let mut direct = Vec::new();
    for entry in &entries {
        let name = ["user_name", "group_name", "service_principal_name"]
            .iter()
            .find_map(|key| entry[*key].as_str())
            .unwrap_or_default();
        for level in entry["all_permissions"].as_array().into_iter().flatten() {
            if level["inherited"] != json!(true) {
                let level = level["permission_level"].as_str().unwrap_or_default();
                direct.push((name.to_owned(), level.to_owned()));
            }
        }
    }
    direct
}

async fn levels(b: &Bench<'_>, path: &str) -> Result<Vec<(String, String)>, Broken> {
    let said = b.get(path, &[]).await?;
    demand(said.is_success(), || said.show())?;
    Ok(direct(&said.json))
}

fn of_group(b: &Bench<'_>, levels: &[(String, String)]) -> Vec<String> {
    levels
        .iter()
        .filter(|(name, _)| *name == b.prefix)
        .map(|(_, level)| level.clone())
        .collect()
}

fn job_path(b: &Bench<'_>) -> Result<String, Broken> {
    b.group.get("scratch group")?;
    Ok(format!(
        "/api/2.0/permissions/jobs/{}",
        segment(&b.job.get("scratch job")?)
    ))
}

pub(super) async fn job(b: &Bench<'_>) -> Result<Held, Broken> {
    let said = b
        .send(Method::POST, "/api/2.2/jobs/create", &json!({"name": b.prefix}))
        .await?;
    said.made("jobs")?;
    let id = said.json["job_id"].clone();
    b.undo(
        "job",
        Method::POST,
        "/api/2.2/jobs/delete".into(),
        Some(json!({"job_id": id})),
    );
    b.job.set(said.word("/job_id"));
    let path = format!("/api/2.0/permissions/jobs/{}", segment(&said.word("/job_id")));
    let levels = levels(b, &path).await?;
    let owners = levels.iter().filter(|(_, level)| level == "IS_OWNER").count();
    demand(owners == 1, || format!("{levels:?}"))?;
    Ok(None)
}

pub(super) async fn raise(b: &Bench<'_>) -> Result<Held, Broken> {
    let path = job_path(b)?;
    for level in ["CAN_VIEW", "CAN_MANAGE_RUN"] {
        let body = json!({"access_control_list": [{"group_name": b.prefix, "permission_level": level}]});
        let said = b.send(Method::PATCH, &path, &body).await?;
        demand(said.is_success(), || said.show())?;
    }
    let seen = of_group(b, &levels(b, &path).await?);
    demand(seen == ["CAN_MANAGE_RUN"], || format!("{seen:?}"))?;
    Ok(None)
}

pub(super) async fn no_owner(b: &Bench<'_>) -> Result<Held, Broken> {
    let path = job_path(b)?;
    let body = json!({"access_control_list": [{"group_name": b.prefix, "permission_level": "CAN_VIEW"}]});
    let said = b.send(Method::PUT, &path, &body).await?;
    demand(said.status == 400, || said.show())?;
    Ok(None)
}

pub(super) async fn replace(b: &Bench<'_>) -> Result<Held, Broken> {
    let path = job_path(b)?;
    let said = b.get(&path, &[]).await?;
    demand(said.is_success(), || said.show())?;
    let entries = said.json["access_control_list"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    let owner = entries.iter().find(|entry| {
        entry["all_permissions"].as_array().is_some_and(|all| {
            all.iter()
                .any(|level| level["permission_level"] == json!("IS_OWNER"))
        })
    });
    let owner = owner.ok_or_else(|| Broken::Seen("nobody owns the job".into()))?;
    let key = ["user_name", "service_principal_name", "group_name"]
        .into_iter()
        .find(|key| owner[*key].is_string())
        .unwrap_or("user_name");
    let body = json!({"access_control_list": [{key: owner[key], "permission_level": "IS_OWNER"}]});
    let said = b.send(Method::PUT, &path, &body).await?;
    demand(said.is_success(), || said.show())?;
    let said = b.get(&path, &[]).await?;
    let admins = said.json["access_control_list"]
        .as_array()
        .is_some_and(|all| all.iter().any(|entry| entry["group_name"] == json!("admins")));
    let group = of_group(b, &direct(&said.json));
    demand(group.is_empty() && admins, || {
        format!(
            "group {group:?}, admins {}",
            if admins { "there" } else { "gone" }
        )
    })?;
    Ok(None)
}

pub(super) async fn wrong_level(b: &Bench<'_>) -> Result<Held, Broken> {
    let path = job_path(b)?;
    let body =
        json!({"access_control_list": [{"group_name": b.prefix, "permission_level": "CAN_ATTACH_TO"}]});
    let said = b.send(Method::PATCH, &path, &body).await?;
    demand(said.status == 400, || said.show())?;
    Ok(None)
}

pub(super) async fn directory(b: &Bench<'_>) -> Result<Held, Broken> {
    b.group.get("scratch group")?;
    let path = format!("/Shared/{}", b.prefix);
    let said = b
        .send(Method::POST, "/api/2.0/workspace/mkdirs", &json!({"path": path}))
        .await?;
    said.made("directories")?;
    b.undo(
        &path,
        Method::POST,
        "/api/2.0/workspace/delete".into(),
        Some(json!({"path": path, "recursive": true})),
    );
    let said = b.get("/api/2.0/workspace/get-status", &[("path", &path)]).await?;
    demand(said.is_success(), || said.show())?;
    b.directory.set(said.word("/object_id"));
    let acl = format!(
        "/api/2.0/permissions/directories/{}",
        segment(&said.word("/object_id"))
    );
    let body = json!({"access_control_list": [{"group_name": b.prefix, "permission_level": "CAN_READ"}]});
    let said = b.send(Method::PATCH, &acl, &body).await?;
    demand(said.is_success(), || said.show())?;
    let seen = of_group(b, &levels(b, &acl).await?);
    demand(seen == ["CAN_READ"], || format!("{seen:?}"))?;
    Ok(None)
}

pub(super) async fn unknown(b: &Bench<'_>) -> Result<Held, Broken> {
    let path = job_path(b)?;
    let nobody = format!("{}-nobody", b.prefix);
    let body = json!({"access_control_list": [{"group_name": nobody, "permission_level": "CAN_VIEW"}]});
    let said = b.send(Method::PATCH, &path, &body).await?;
    demand(said.unknown_principal, || said.show())?;
    Ok(None)
}
