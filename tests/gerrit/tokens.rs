//! Auth tokens on the real server: they overlap, they run out, and what is revoked is refused at once.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use lockstep::clients::gerrit::GerritSystem;
use lockstep_core::domain::access::grant::Principal;
use lockstep_core::domain::ports::SystemErrorKind;
use lockstep_core::domain::rotation::label::Label;
use lockstep_core::domain::rotation::machine::state::CredentialId;
use lockstep_core::domain::rotation::ports::issuers::{Issuer, Listed};
use reqwest::Method;
use serde_json::{Value, json};

use super::corner::{Corner, corner_or_skip};
use super::relay::Relay;
use super::server::{Granted, Now, plain};

const UID: &str = "0f8f2d2c-0a6c-4d7e-9f40-7d0c2f3f8a11";

fn label(generation: u64) -> Label {
    Label::new(UID, generation)
}

fn system(url: &str, c: &Corner) -> Arc<GerritSystem> {
    let settings = plain(url, &c.admin.0, &c.admin.1);
    Arc::new(GerritSystem::new(settings, Arc::new(Granted), Arc::new(Now), None).unwrap())
}

/// A bot of one's own, and its tokens.
async fn bot(c: &Corner) -> (Principal, Arc<dyn Issuer>) {
    let bot = c.account("bot").await;
    let issuer = system(&c.url, c).auth_tokens(&bot.name).await.unwrap();
    (bot, issuer)
}

fn ids(listed: &[Listed]) -> Vec<&str> {
    listed.iter().map(|one| one.id.0.as_str()).collect()
}

/// What a consumer is answered who logs in with it, by no client of ours.
async fn logs_in(c: &Corner, username: &str, token: &str) -> u16 {
    let url = format!("{}/a/accounts/self", c.url);
    let request = c.raw.get(url).basic_auth(username, Some(token));
    request.send().await.unwrap().status().as_u16()
}

#[tokio::test]
async fn two_generations_live_beside_each_other_and_the_revoked_one_is_refused_at_once() {
    let c = corner_or_skip!();
    let (bot, issuer) = bot(&c).await;
    let one = issuer.mint(&label(1), Some(86_400)).await.unwrap();
    let two = issuer.mint(&label(2), Some(86_400)).await.unwrap();
    assert_eq!(
        (one.credential.client.as_str(), one.credential.host.as_str()),
        (bot.name.as_str(), c.url.as_str())
    );
    assert_eq!(one.id.0, label(1).to_string());
    for minted in [&one, &two] {
        assert!(issuer.prove(&minted.credential).await.unwrap());
        assert_eq!(
            logs_in(&c, &bot.name, minted.credential.value.expose()).await,
            200
        );
        let left = minted.expires.unwrap().duration_since(Timestamp::now());
        assert!(left > SignedDuration::from_hours(23), "{left}");
        assert!(left < SignedDuration::from_hours(25), "{left}");
    }
    let mut listed = issuer.list().await.unwrap();
    // The server keeps no order.
    listed.sort_by(|one, other| one.id.cmp(&other.id));
    let labels: Vec<_> = listed.iter().filter_map(|one| one.label.clone()).collect();
    assert_eq!(labels, [label(1), label(2)]);
    assert_eq!(listed[0].expires, one.expires);
    issuer.revoke(&one.id).await.unwrap();
    assert!(!issuer.prove(&one.credential).await.unwrap());
    assert_eq!(logs_in(&c, &bot.name, one.credential.value.expose()).await, 401);
    assert!(issuer.prove(&two.credential).await.unwrap());
    issuer.revoke(&one.id).await.unwrap();
    assert_eq!(ids(&issuer.list().await.unwrap()), [two.id.0.as_str()]);
    assert_eq!(
        issuer.address(),
        format!("gerrit://{}/account/{}/tokens", c.server, bot.subject)
    );
    c.deactivate(&bot).await;
}

#[tokio::test]
async fn a_mint_whose_answer_was_lost_is_found_by_its_label_and_never_repeated() {
    let c = corner_or_skip!();
    let (bot, direct) = bot(&c).await;
    let relay = Relay::start(&c.url).await;
    let issuer = system(&relay.url, &c).auth_tokens(&bot.name).await.unwrap();
    assert_eq!(
        issuer.address(),
        direct.address(),
        "whichever way leads to the server"
    );
    relay.lose(1);
    let error = issuer.mint(&label(1), None).await.err().unwrap();
    assert_eq!(error.kind, SystemErrorKind::OutcomeUnknown);
    let listed = issuer.list().await.unwrap();
    assert_eq!(listed[0].label, Some(label(1)));
    // Asked for once more all the same, it is there already, and its value is lost for good.
    let error = issuer.mint(&label(1), None).await.err().unwrap();
    assert_eq!(error.kind, SystemErrorKind::OutcomeUnknown);
    assert_eq!(issuer.list().await.unwrap(), listed);
    relay.lose(1);
    let error = issuer.revoke(&listed[0].id).await.unwrap_err();
    assert_eq!(error.kind, SystemErrorKind::OutcomeUnknown);
    issuer.revoke(&listed[0].id).await.unwrap();
    assert_eq!(issuer.list().await.unwrap(), Vec::new());
    c.deactivate(&bot).await;
}

#[tokio::test]
async fn the_eleventh_token_and_a_stranger_in_the_way_are_told() {
    let c = corner_or_skip!();
    let (bot, issuer) = bot(&c).await;
    let most = issuer.allowed().limit.unwrap();
    let path = format!("accounts/{}/tokens/by-hand", bot.subject);
    c.put(&path, json!({})).await;
    for generation in 1..u64::from(most) {
        issuer.mint(&label(generation), None).await.unwrap();
    }
    let error = issuer.mint(&label(99), None).await.err().unwrap();
    assert_eq!(error.kind, SystemErrorKind::Refused);
    assert!(error.message.contains("Maximum number of tokens"), "{error}");
    let listed = issuer.list().await.unwrap();
    assert_eq!(listed.len(), usize::try_from(most).unwrap());
    let stranger = listed.iter().find(|one| one.label.is_none()).unwrap();
    assert_eq!(stranger.id, CredentialId("by-hand".into()));
    c.deactivate(&bot).await;
}

#[tokio::test]
async fn an_account_whose_owner_is_gone_lets_nobody_in() {
    let c = corner_or_skip!();
    let (bot, issuer) = bot(&c).await;
    let minted = issuer.mint(&label(1), None).await.unwrap();
    assert_eq!(minted.expires, None);
    assert!(issuer.prove(&minted.credential).await.unwrap());
    c.deactivate(&bot).await;
    assert!(!issuer.prove(&minted.credential).await.unwrap());
    // And yet it can be revoked, lest it come back with the account.
    issuer.revoke(&minted.id).await.unwrap();
    assert_eq!(issuer.list().await.unwrap(), Vec::new());
    let error = system(&c.url, &c).auth_tokens(&bot.name).await.err().unwrap();
    assert_eq!(error.kind, SystemErrorKind::NotFound);
}

#[tokio::test]
async fn somebody_elses_value_proves_nothing() {
    let c = corner_or_skip!();
    let (bot, issuer) = bot(&c).await;
    let other = c.account("other").await;
    let others = system(&c.url, &c).auth_tokens(&other.name).await.unwrap();
    let minted = others.mint(&label(1), None).await.unwrap();
    assert!(!issuer.prove(&minted.credential).await.unwrap());
    let taken = issuer.credential(&minted.id, minted.credential.value.clone());
    assert!(!issuer.prove(&taken).await.unwrap());
    for who in [&bot, &other] {
        c.deactivate(who).await;
    }
}

#[tokio::test]
async fn everything_that_anybody_holds_is_found() {
    let c = corner_or_skip!();
    let (bot, issuer) = bot(&c).await;
    issuer.mint(&label(1), Some(3600)).await.unwrap();
    let path = format!("accounts/{}/tokens/forgotten", bot.subject);
    c.put(&path, json!({})).await;
    c.by_hand(
        Method::PUT,
        &format!("groups/Service%20Users/members/{}", bot.subject),
        Value::Null,
    )
    .await;
    let everything = system(&c.url, &c).everything().await.unwrap();
    assert_eq!(everything.unseen, Vec::<String>::new());
    let ours: Vec<_> = everything
        .held
        .iter()
        .filter(|held| held.address == issuer.address())
        .collect();
    let mut seen: Vec<_> = ours
        .iter()
        .map(|held| {
            (
                held.listed.id.0.as_str(),
                held.listed.label.is_some(),
                held.person,
            )
        })
        .collect();
    seen.sort_unstable();
    let labelled = label(1).to_string();
    assert_eq!(
        seen,
        [("forgotten", false, false), (labelled.as_str(), true, false)]
    );
    assert!(
        everything.held.iter().any(|held| held.owner != bot.name),
        "others' as well"
    );
    c.by_hand(
        Method::DELETE,
        &format!("groups/Service%20Users/members/{}", bot.subject),
        Value::Null,
    )
    .await;
    c.deactivate(&bot).await;
}
