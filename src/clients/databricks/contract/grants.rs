//! Unity Catalog, on a scratch schema.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::json;

use super::super::segment;
use super::Bench;
use crate::clients::contract::{Broken, Held, demand};

const CATALOG: &str = "/api/2.1/unity-catalog";

/// More pages than the grants of a schema that was just made can have.
const MOST_PAGES: usize = 20;

pub(super) async fn schema(b: &Bench<'_>) -> Result<Held, Broken> {
    let said = b
        .get(&format!("{CATALOG}/catalogs"), &[("max_results", "100")])
        .await?;
    if !said.is_success() {
        return Err(Broken::Skipped(format!("no Unity Catalog here: {}", said.show())));
    }
    let catalogs = said.json["catalogs"].as_array().cloned().unwrap_or_default();
    let name = b.prefix.replace('-', "_");
    let mut why = "there is no catalog".to_owned();
    for catalog in catalogs.iter().filter_map(|catalog| catalog["name"].as_str()) {
        let body = json!({"name": name, "catalog_name": catalog});
        let said = b.send(Method::POST, &format!("{CATALOG}/schemas"), &body).await?;
        if said.is_success() {
            let full = format!("{catalog}.{name}");
            let path = format!("{CATALOG}/schemas/{}", segment(&full));
            b.undo(&format!("schema {full}"), Method::DELETE, path, None);
            b.schema.set(full);
            return Ok(None);
        }
        why = said.show();
    }
    Err(Broken::Skipped(format!(
        "the identity may not make a schema in any catalog: {why}"
    )))
}

pub(super) async fn twice(b: &Bench<'_>) -> Result<Held, Broken> {
    let schema = b.schema.get("scratch schema")?;
    let application = b.application.get("service principal")?;
    let path = format!("{CATALOG}/permissions/schema/{}", segment(&schema));
    for verb in ["add", "add", "remove", "remove"] {
        let body = json!({"changes": [{"principal": application, verb: ["USE_SCHEMA"]}]});
        let said = b.send(Method::PATCH, &path, &body).await?;
        demand(said.is_success(), || format!("{verb}: {}", said.show()))?;
    }
    let said = b.get(&path, &[("max_results", "0")]).await?;
    demand(said.is_success(), || said.show())?;
    let left = said.json["privilege_assignments"]
        .as_array()
        .is_some_and(|all| all.iter().any(|one| one["principal"] == json!(application)));
    demand(!left, || said.json.to_string())?;
    Ok(None)
}

pub(super) async fn pages(b: &Bench<'_>) -> Result<Held, Broken> {
    let schema = b.schema.get("scratch schema")?;
    let application = b.application.get("service principal")?;
    let path = format!("{CATALOG}/permissions/schema/{}", segment(&schema));
    let give = json!({"changes": [{"principal": application, "add": ["USE_SCHEMA"]}]});
    let said = b.send(Method::PATCH, &path, &give).await?;
    demand(said.is_success(), || said.show())?;
    let (mut token, mut tokens, mut holders) = (String::new(), BTreeSet::new(), Vec::new());
    for _ in 0..MOST_PAGES {
        let mut query = vec![("max_results", "0")];
        if !token.is_empty() {
            query.push(("page_token", token.as_str()));
        }
        let said = b.get(&path, &query).await?;
        demand(said.is_success(), || said.show())?;
        let page = said.json["privilege_assignments"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        holders.extend(page.into_iter().map(|row| row["principal"].clone()));
        token = said.word("/next_page_token");
        if token.is_empty() {
            let count = holders
                .iter()
                .filter(|holder| **holder == json!(application))
                .count();
            demand(count == 1, || {
                format!("{count} rows of the one who was granted, of {}", holders.len())
            })?;
            return Ok(None);
        }
        demand(tokens.insert(token.clone()), || {
            "the same page token twice".into()
        })?;
    }
    Err(Broken::Seen(format!("no end after {MOST_PAGES} pages")))
}

pub(super) async fn unknown(b: &Bench<'_>) -> Result<Held, Broken> {
    let schema = b.schema.get("scratch schema")?;
    let path = format!("{CATALOG}/permissions/schema/{}", segment(&schema));
    let nobody = format!("{}-nobody", b.prefix);
    let give = json!({"changes": [{"principal": nobody, "add": ["USE_SCHEMA"]}]});
    let said = b.send(Method::PATCH, &path, &give).await?;
    demand(said.unknown_principal, || said.show())?;
    Ok(None)
}
