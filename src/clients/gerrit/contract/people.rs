//! Accounts, which are only read.

use serde_json::json;

use super::Bench;
use crate::clients::contract::{Broken, Held, demand};

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

pub(super) async fn pages(b: &Bench<'_>) -> Result<Held, Broken> {
    let mut seen = Vec::new();
    for start in ["0", "1"] {
        let query = [
            ("q", "is:active OR is:inactive".to_owned()),
            ("o", "DETAILS".to_owned()),
            ("n", "1".to_owned()),
            ("S", start.to_owned()),
        ];
        let said = b.get("a/accounts/".into(), &query).await?;
        demand(said.status == 200, || said.show())?;
        let page = said.json.as_array().cloned().unwrap_or_default();
        let more = page
            .last()
            .is_some_and(|last| last["_more_accounts"] == json!(true));
        if start == "0" && page.len() == 1 && !more {
            return Err(Broken::Skipped("only one account is in sight".into()));
        }
        demand(page.len() == 1, || {
            format!("{} accounts in a page of one", page.len())
        })?;
        seen.push(page[0]["_account_id"].clone());
    }
    demand(seen[0] != seen[1], || format!("{} twice", seen[0]))?;
    Ok(None)
}
