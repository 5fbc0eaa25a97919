//! What rotations rely on, tried by the very code that rotates: a client secret of the scratch service principal, a token
//! of our own, and an entry of a scratch secret scope. Nothing tells a value.

use std::collections::BTreeSet;
use std::time::Instant;

use lockstep_core::domain::ports::{SystemError, SystemErrorKind};
use lockstep_core::domain::rotation::label::Label;
use lockstep_core::domain::rotation::machine::state::CredentialId;
use lockstep_core::domain::rotation::ports::issuers::{Issuer, Listed};
use lockstep_core::domain::rotation::ports::stores::{Entry, Owned, Owner};
use lockstep_core::domain::rotation::value::{Fields, Value};
use reqwest::Method;
use serde_json::json;

use super::{Bench, LOOK, PROPAGATION};
use crate::clients::contract::{Broken, Held, demand};

/// How long what is tried lives if nobody takes it away: seconds.
const LIFETIME: u64 = 3_600;

fn label(b: &Bench<'_>) -> Label {
    Label::new(&b.prefix, 1)
}

/// What the identity may not do is not tried.
fn skipped(error: SystemError) -> Broken {
    match error.kind {
        SystemErrorKind::Forbidden | SystemErrorKind::NotFound => Broken::Skipped(error.to_string()),
        _ => Broken::Failed(error),
    }
}

/// Looks until it is so, as long as the vendor may take; says how many seconds it took if it was not so at once.
async fn within<F: Future<Output = Result<bool, SystemError>>>(
    what: &str,
    mut look: impl FnMut() -> F,
) -> Result<Held, Broken> {
    let begun = Instant::now();
    loop {
        let so = look().await?;
        let took = begun.elapsed();
        if so {
            return Ok((took > LOOK).then(|| format!("{what} after {} s", took.as_secs())));
        }
        demand(took < PROPAGATION, || {
            format!("not {what} within {} s", PROPAGATION.as_secs())
        })?;
        tokio::time::sleep(LOOK).await;
    }
}

fn ids(listed: Vec<Listed>) -> BTreeSet<CredentialId> {
    listed.into_iter().map(|one| one.id).collect()
}

/// One that was just minted, from its list entry to its end.
async fn a_whole_life(
    b: &Bench<'_>,
    issuer: &dyn Issuer,
    undo: impl FnOnce(&CredentialId),
) -> Result<Held, Broken> {
    let before: BTreeSet<CredentialId> = ids(issuer.list().await.map_err(skipped)?);
    let minted = issuer.mint(&label(b), Some(LIFETIME)).await.map_err(skipped)?;
    undo(&minted.id);
    demand(minted.expires.is_some(), || {
        "the answer does not say when it runs out".into()
    })?;
    let mut notes = Vec::new();
    notes.extend(within("let in", || issuer.prove(&minted.credential)).await?);
    let seen = async || -> Result<Vec<Listed>, SystemError> {
        let mut listed = issuer.list().await?;
        listed.retain(|one| !before.contains(&one.id));
        Ok(listed)
    };
    notes.extend(within("listed", async || Ok(!seen().await?.is_empty())).await?);
    let new = seen().await?;
    let ours = new.iter().find(|one| one.id == minted.id);
    demand(ours.is_some_and(|one| one.expires == minted.expires), || {
        "it is listed without its id or its end".into()
    })?;
    if issuer.allowed().labelled {
        let label = ours.and_then(|one| one.label.as_ref());
        demand(label.is_some(), || "it is listed without its comment".into())?;
    }
    issuer.revoke(&minted.id).await?;
    let refused = async || Ok(!issuer.prove(&minted.credential).await?);
    notes.extend(within("refused once it was revoked", refused).await?);
    // Asked for again, as after an answer that was lost.
    issuer.revoke(&minted.id).await?;
    Ok((!notes.is_empty()).then(|| notes.join(", ")))
}

pub(super) async fn secret(b: &Bench<'_>) -> Result<Held, Broken> {
    let application = b.application.get("service principal")?;
    let principal = b.principal.get("service principal")?;
    let issuer = b
        .system
        .principal_secrets(Some(&application))
        .await
        .map_err(skipped)?;
    let undo = |id: &CredentialId| {
        let path = format!(
            "/api/2.0/accounts/servicePrincipals/{principal}/credentials/secrets/{}",
            id.0
        );
        b.undo("client secret", Method::DELETE, path, None);
    };
    a_whole_life(b, &*issuer, undo).await
}

pub(super) async fn token(b: &Bench<'_>) -> Result<Held, Broken> {
    let issuer = b.system.personal_tokens(None).await.map_err(skipped)?;
    let undo = |id: &CredentialId| {
        let path = "/api/2.0/token/delete".to_owned();
        b.undo(
            "personal access token",
            Method::POST,
            path,
            Some(json!({"token_id": id.0})),
        );
    };
    a_whole_life(b, &*issuer, undo).await
}

pub(super) async fn scope(b: &Bench<'_>) -> Result<Held, Broken> {
    let named = json!({"scope": b.prefix});
    let said = b
        .send(Method::POST, "/api/2.0/secrets/scopes/create", &named)
        .await?;
    said.made("secret scopes")?;
    let path = "/api/2.0/secrets/scopes/delete".to_owned();
    b.undo("secret scope", Method::POST, path, Some(named));
    let store = b.system.secret_scope(&b.prefix, "probe").await?;
    let owner = Owner {
        uid: b.prefix.clone(),
        name: "probe".into(),
    };
    let mut versions = vec![store.read().await?.version];
    for value in ["first", "second"] {
        let fields: Fields = [("value".to_owned(), Value::new(value.to_owned()))].into();
        let entry = Entry {
            owner: &owner,
            fields: &fields,
            previous: &Fields::new(),
        };
        let last = versions.last().map_or("", String::as_str);
        store.write(&entry, last).await?;
        let seen = store.read().await?;
        let kept = seen.fields.get("value").map(Value::expose);
        demand(
            seen.owned == Owned::By(owner.clone()) && kept == Some(value),
            || "what was put is not what is read".into(),
        )?;
        demand(!versions.contains(&seen.version), || {
            "a put does not change when the list says the key was written".into()
        })?;
        versions.push(seen.version);
        // The list tells milliseconds; no put of ours comes as close to the next.
        tokio::time::sleep(LOOK / 100).await;
    }
    Ok(None)
}
