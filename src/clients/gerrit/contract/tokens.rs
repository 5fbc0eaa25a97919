//! What rotations rely on, tried by the very code that rotates, on tokens of our own account. Nothing tells a value.

use lockstep_core::domain::ports::SystemErrorKind;
use lockstep_core::domain::rotation::label::Label;
use reqwest::Method;
use serde_json::{Value, json};

use super::Bench;
use crate::clients::contract::{Broken, Finding, Held, demand};

/// How long what is tried lives if nobody takes it away: seconds.
const LIFETIME: u64 = 3_600;

pub(super) async fn overlap(b: &Bench<'_>) -> Result<Held, Broken> {
    let username = b.username.as_deref();
    let username = username.ok_or_else(|| Broken::Skipped("our account has no user name".into()))?;
    let issuer = match b.system.auth_tokens(username).await {
        Ok(issuer) => issuer,
        Err(error) if error.kind == SystemErrorKind::Refused => {
            return Err(Broken::Skipped(error.to_string()));
        }
        Err(error) => return Err(error.into()),
    };
    let mut minted = Vec::new();
    for generation in [1, 2] {
        let label = Label::new(&b.prefix, generation);
        b.tokens.remember(label.to_string());
        minted.push(issuer.mint(&label, Some(LIFETIME)).await?);
    }
    let listed = issuer.list().await?;
    for new in &minted {
        let row = listed.iter().find(|one| one.id == new.id);
        demand(
            row.is_some_and(|row| row.label.is_some() && row.expires == new.expires && row.expires.is_some()),
            || format!("{} is not listed with its end", new.id.0),
        )?;
        demand(issuer.prove(&new.credential).await?, || {
            format!("{} does not let in beside the other", new.id.0)
        })?;
    }
    for old in &minted {
        issuer.revoke(&old.id).await?;
        demand(!issuer.prove(&old.credential).await?, || {
            format!("{} lets in although it was deleted", old.id.0)
        })?;
        issuer.revoke(&old.id).await?;
    }
    Ok(None)
}

pub(super) async fn taken(b: &Bench<'_>) -> Result<Held, Broken> {
    let id = Label::new(&b.prefix, 3).to_string();
    let path = format!("a/accounts/self/tokens/{id}");
    let body = json!({"lifetime": "60min"});
    b.tokens.remember(id);
    let first = b.write(Method::PUT, path.clone(), body.clone()).await?;
    if matches!(first.status, 404 | 405) {
        return Err(Broken::Skipped("the server knows no auth tokens".into()));
    }
    // The answer holds a token, so only its status is told.
    demand(first.status == 201, || first.status.to_string())?;
    let again = b.write(Method::PUT, path.clone(), body).await?;
    let gone = b.write(Method::DELETE, path, Value::Null).await?;
    demand(matches!(again.status, 404 | 409) && gone.status == 204, || {
        format!("{}, then {}", again.status, gone.status)
    })?;
    Ok(None)
}

pub(super) async fn clean_up(b: &Bench<'_>) -> Vec<Finding> {
    let mut left = Vec::new();
    for id in b.tokens.take() {
        let path = format!("a/accounts/self/tokens/{id}");
        match b.write(Method::DELETE, path, Value::Null).await {
            // Gone already is gone.
            Ok(said) if matches!(said.status, 204 | 404) => {}
            Ok(said) => left.push(Finding::left_behind(&id, &said.show())),
            Err(error) => left.push(Finding::left_behind(&id, &error.to_string())),
        }
    }
    left
}
