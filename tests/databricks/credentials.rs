//! Credentials of service principals and people: minted, let in, listed, revoked, and who may.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use lockstep::clients::databricks::Auth;
use lockstep_core::domain::ports::{SystemError, SystemErrorKind};
use lockstep_core::domain::rotation::label::Label;
use lockstep_core::domain::rotation::ports::inventory::{Held, HeldKind};
use lockstep_core::domain::rotation::ports::issuers::{Issuer, Listed, Minted};
use serde_json::json;

use crate::sim::{BOT, Databricks, SECRET, Sim, US, WORKSPACE};

pub const UID: &str = "0f8f2d2c-0a6c-4d7e-9f40-7d0c2f3f8a11";
pub const OF_ACCOUNT: &str = "/api/2.0/accounts/{account}/servicePrincipals/{sp}/credentials/secrets";
const OF_WORKSPACE: &str = "/api/2.0/accounts/servicePrincipals/{sp}/credentials/secrets";
const ON_BEHALF: &str = "/api/2.0/token-management/on-behalf-of/tokens";
const DAY: u64 = 86_400;

pub fn label(generation: u64) -> Label {
    Label::new(UID, generation)
}

/// Nothing that holds a value can be printed, so an unexpected success is told by name.
pub fn refusal(minted: Result<Minted, SystemError>) -> SystemError {
    match minted {
        Ok(minted) => panic!("{} was minted", minted.id.0),
        Err(error) => error,
    }
}

pub fn ids(listed: &[Listed]) -> Vec<String> {
    listed.iter().map(|one| one.id.0.clone()).collect()
}

/// The workspace alone.
fn in_workspace(sim: &Sim) -> Databricks {
    let mut settings = sim.system_settings();
    settings.account = None;
    Sim::system_with(settings)
}

/// The bot may use personal access tokens, which wants that there is one already.
pub async fn let_use_tokens(sim: &Sim) {
    sim.stranger("POST", "/api/2.0/token/create", json!({"comment": "somebody's"}))
        .await;
    let row = json!({"service_principal_name": BOT, "permission_level": "CAN_USE"});
    sim.stranger(
        "PATCH",
        "/api/2.0/permissions/authorization/tokens",
        json!({"access_control_list": [row]}),
    )
    .await;
}

async fn sent(sim: &Sim, call: &str) -> u64 {
    let asked = sim.asked().await;
    asked
        .iter()
        .find(|(route, _)| route == call)
        .map_or(0, |(_, times)| *times)
}

/// Mints, sees it work, and sees it end.
async fn a_whole_life(issuer: &dyn Issuer, labelled: bool) {
    let before = ids(&issuer.list().await.unwrap());
    let minted = issuer.mint(&label(3), Some(30 * DAY)).await.unwrap();
    assert!(!before.contains(&minted.id.0));
    let listed = issuer.list().await.unwrap();
    let ours = listed.iter().find(|one| one.id == minted.id).unwrap();
    assert_eq!(ours.label, labelled.then(|| label(3)));
    assert_eq!(ours.comment, "");
    assert_eq!(ours.expires, minted.expires);
    let lives = minted.expires.unwrap().duration_since(ours.made.unwrap());
    assert_eq!(lives, SignedDuration::from_hours(30 * 24));
    assert!(issuer.prove(&minted.credential).await.unwrap());
    // As it comes back out of a store.
    let again = issuer.credential(&minted.id, minted.credential.value.clone());
    assert_eq!(
        (&again.client, &again.host),
        (&minted.credential.client, &minted.credential.host)
    );
    assert!(issuer.prove(&again).await.unwrap());
    issuer.revoke(&minted.id).await.unwrap();
    assert!(!issuer.prove(&again).await.unwrap());
    assert_eq!(ids(&issuer.list().await.unwrap()), before);
    issuer.revoke(&minted.id).await.unwrap();
}

#[tokio::test]
async fn a_secret_lives_its_life_through_the_account_or_the_workspace() {
    let sim = Sim::start().await;
    let mut addresses = Vec::new();
    for (databricks, call) in [(sim.system(), OF_ACCOUNT), (in_workspace(&sim), OF_WORKSPACE)] {
        sim.forget().await;
        let issuer = databricks.system.principal_secrets(Some(BOT)).await.unwrap();
        a_whole_life(&*issuer, false).await;
        assert_eq!(sent(&sim, &format!("POST {call}")).await, 1);
        assert_eq!(sent(&sim, &format!("DELETE {call}/{{secret}}")).await, 2);
        addresses.push(issuer.address().to_owned());
        let allowed = issuer.allowed();
        assert_eq!((allowed.limit, allowed.labelled), (Some(5), false));
        assert_eq!(allowed.longest_lifetime, Some(730 * DAY));
    }
    // Whichever way leads there, five is five.
    assert_eq!(addresses[0], addresses[1]);
}

#[tokio::test]
async fn whom_the_workspace_knows_is_looked_up_once() {
    let sim = Sim::start().await;
    let databricks = sim.system();
    sim.forget().await;
    for _ in 0..3 {
        databricks.system.principal_secrets(Some(BOT)).await.unwrap();
        databricks.system.personal_tokens(Some(BOT)).await.unwrap();
    }
    let found = sent(&sim, "GET /api/2.0/preview/scim/v2/ServicePrincipals").await;
    assert_eq!(found, 1);
}

#[tokio::test]
async fn what_consumers_log_in_with_says_whom_and_where() {
    let sim = Sim::start().await;
    let databricks = sim.system();
    let secrets = databricks.system.principal_secrets(Some(BOT)).await.unwrap();
    let minted = secrets.mint(&label(1), None).await.unwrap();
    assert_eq!(
        (minted.credential.client.as_str(), minted.credential.host.as_str()),
        (BOT, sim.url.as_str())
    );
    let tokens = databricks.system.personal_tokens(None).await.unwrap();
    let minted = tokens.mint(&label(1), None).await.unwrap();
    assert_eq!(
        (minted.credential.client.as_str(), minted.credential.host.as_str()),
        ("", sim.url.as_str())
    );
    assert_eq!(tokens.address(), format!("databricks://{WORKSPACE}/tokens/{US}"));
}

#[tokio::test]
async fn who_administers_the_workspace_alone_goes_through_its_door() {
    let sim = Sim::start().await;
    let local = "aaaaaaaa-0000-4000-8000-000000000009";
    sim.seed(json!({"servicePrincipals": [
        {"applicationId": local, "admin": true, "secrets": [format!("{SECRET}-local")]}]}))
        .await;
    let databricks = Sim::system_with(sim.settings_with(Auth::OauthSecret {
        client_id: local.into(),
        client_secret: format!("{SECRET}-local").into(),
    }));
    let issuer = databricks.system.principal_secrets(Some(BOT)).await.unwrap();
    sim.forget().await;
    a_whole_life(&*issuer, false).await;
    assert_eq!(sent(&sim, &format!("GET {OF_ACCOUNT}")).await, 1, "asked once");
    assert_eq!(sent(&sim, &format!("POST {OF_WORKSPACE}")).await, 1);
}

#[tokio::test]
async fn the_connections_own_secret_can_be_rotated() {
    let sim = Sim::start().await;
    for databricks in [sim.system(), in_workspace(&sim)] {
        let issuer = databricks.system.principal_secrets(None).await.unwrap();
        assert_eq!(issuer.list().await.unwrap().len(), 1, "the one we log in with");
        a_whole_life(&*issuer, false).await;
        let named = databricks
            .system
            .principal_secrets(Some(&US.to_uppercase()))
            .await
            .unwrap();
        assert_eq!(named.address(), issuer.address());
    }
}

#[tokio::test]
async fn a_principal_that_only_the_account_knows_is_let_in_there() {
    let sim = Sim::start().await;
    let far = "aaaaaaaa-0000-4000-8000-000000000008";
    sim.seed(json!({"servicePrincipals": [{"applicationId": far, "workspaces": []}]}))
        .await;
    let databricks = sim.system();
    let issuer = databricks.system.principal_secrets(Some(far)).await.unwrap();
    a_whole_life(&*issuer, false).await;
    let error = databricks.system.personal_tokens(Some(far)).await.err().unwrap();
    assert_eq!(error.kind, SystemErrorKind::NotFound);
    assert!(error.message.contains("not in the workspace"), "{error}");
    let nobody = "aaaaaaaa-0000-4000-8000-00000000000f";
    let error = databricks
        .system
        .principal_secrets(Some(nobody))
        .await
        .err()
        .unwrap();
    assert_eq!(error.kind, SystemErrorKind::NotFound);
    assert!(error.message.contains(nobody), "{error}");
}

#[tokio::test]
async fn secrets_belong_to_service_principals() {
    let sim = Sim::start().await;
    let error = sim.token().system.principal_secrets(None).await.err().unwrap();
    assert_eq!(error.kind, SystemErrorKind::Refused);
    assert!(error.message.contains("admin@example.com is a user"), "{error}");
}

#[tokio::test]
async fn a_token_of_our_own_lives_its_life() {
    let sim = Sim::start().await;
    for databricks in [sim.system(), sim.token()] {
        let issuer = databricks.system.personal_tokens(None).await.unwrap();
        a_whole_life(&*issuer, true).await;
    }
}

#[tokio::test]
async fn a_token_on_behalf_of_a_service_principal_lives_its_life() {
    let sim = Sim::start().await;
    let_use_tokens(&sim).await;
    let databricks = sim.system();
    let issuer = databricks.system.personal_tokens(Some(BOT)).await.unwrap();
    assert_eq!(
        issuer.list().await.unwrap(),
        Vec::new(),
        "others' tokens are not its own"
    );
    a_whole_life(&*issuer, true).await;
    let kept = issuer.mint(&label(4), None).await.unwrap();
    assert!(issuer.prove(&kept.credential).await.unwrap());
    let listed = issuer.list().await.unwrap();
    assert!(listed[0].last_used.is_some(), "{listed:?}");
}

#[tokio::test]
async fn what_strangers_wrote_on_a_token_is_shown_and_never_taken_for_ours() {
    let sim = Sim::start().await;
    for comment in ["ci", "lockstep-", "lockstep-abc-01"] {
        sim.stranger("POST", "/api/2.0/token/create", json!({"comment": comment}))
            .await;
    }
    let issuer = sim.token().system.personal_tokens(None).await.unwrap();
    issuer.mint(&label(1), None).await.unwrap();
    let mut seen: Vec<(String, bool)> = issuer
        .list()
        .await
        .unwrap()
        .into_iter()
        .map(|one| (one.comment, one.label.is_some()))
        .collect();
    seen.sort();
    let row = |comment: &str, ours| (comment.to_owned(), ours);
    assert_eq!(
        seen,
        [
            row("", true),
            row("ci", false),
            row("lockstep-", false),
            row("lockstep-abc-01", false)
        ]
    );
}

#[tokio::test]
async fn the_sixth_secret_is_refused_in_the_vendors_words() {
    let sim = Sim::start().await;
    let issuer = sim.system().system.principal_secrets(Some(BOT)).await.unwrap();
    for _ in 0..5 {
        issuer.mint(&label(1), None).await.unwrap();
    }
    let error = refusal(issuer.mint(&label(1), None).await);
    assert_eq!(error.kind, SystemErrorKind::Refused);
    assert!(error.message.contains("QUOTA_EXCEEDED"), "{error}");
    assert_eq!(issuer.list().await.unwrap().len(), 5);
}

#[tokio::test]
async fn a_lifetime_that_is_too_long_is_refused() {
    let sim = Sim::start().await;
    let cap = json!({"maxTokenLifetimeDays": "90"});
    let databricks = sim.token();
    let tokens = databricks.system.personal_tokens(None).await.unwrap();
    sim.stranger("PATCH", "/api/2.0/workspace-conf", cap).await;
    let secrets = sim.system().system.principal_secrets(Some(BOT)).await.unwrap();
    for issuer in [&tokens, &secrets] {
        let error = refusal(issuer.mint(&label(1), Some(731 * DAY)).await);
        assert_eq!(error.kind, SystemErrorKind::Refused, "{error}");
    }
}

#[tokio::test]
async fn a_credential_runs_out_and_is_listed_with_its_end() {
    let sim = Sim::start().await;
    let databricks = sim.token();
    let secrets = sim.system().system.principal_secrets(Some(BOT)).await.unwrap();
    let tokens = databricks.system.personal_tokens(None).await.unwrap();
    let mut minted = Vec::new();
    for issuer in [&secrets, &tokens] {
        minted.push(issuer.mint(&label(1), Some(3600)).await.unwrap());
    }
    sim.settings(json!({"clockOffset": 3601})).await;
    for (issuer, minted) in [&secrets, &tokens].into_iter().zip(&minted) {
        assert!(!issuer.prove(&minted.credential).await.unwrap());
    }
    // A secret that has run out still takes one of the five places.
    assert_eq!(secrets.list().await.unwrap()[0].expires, minted[0].expires);
}

#[tokio::test]
async fn what_is_not_let_in_yet_is_no_error() {
    let sim = Sim::start().await;
    sim.settings(json!({"credentialLag": 30})).await;
    let secrets = sim.system().system.principal_secrets(Some(BOT)).await.unwrap();
    let tokens = sim.token().system.personal_tokens(None).await.unwrap();
    let mut minted = Vec::new();
    for issuer in [&secrets, &tokens] {
        let new = issuer.mint(&label(1), None).await.unwrap();
        assert!(!issuer.prove(&new.credential).await.unwrap());
        minted.push(new);
    }
    sim.settings(json!({"clockOffset": 31})).await;
    for (issuer, minted) in [&secrets, &tokens].into_iter().zip(&minted) {
        assert!(issuer.prove(&minted.credential).await.unwrap());
    }
}

#[tokio::test]
async fn whoever_may_not_use_tokens_is_told_what_is_missing() {
    let sim = Sim::start().await;
    let databricks = sim.system();
    let issuer = databricks.system.personal_tokens(Some(BOT)).await.unwrap();
    let error = refusal(issuer.mint(&label(1), None).await);
    assert_eq!(error.kind, SystemErrorKind::Forbidden);
    assert!(error.message.contains("CAN_USE"), "{error}");
    let azure =
        json!({"Refuse": {"status": 404, "error_code": "ENDPOINT_NOT_FOUND", "message": "No API found"}});
    sim.fault("POST", ON_BEHALF, 1, azure).await;
    let error = refusal(issuer.mint(&label(1), None).await);
    assert!(error.message.contains("applicationId: self"), "{error}");
}

#[tokio::test]
async fn nothing_is_minted_without_a_permit() {
    let sim = Sim::start().await;
    let system = sim.without_permit();
    for issuer in [
        system.principal_secrets(Some(BOT)).await.unwrap(),
        system.personal_tokens(None).await.unwrap(),
    ] {
        let error = refusal(issuer.mint(&label(1), None).await);
        assert_eq!(error.kind, SystemErrorKind::NoPermit);
        assert_eq!(issuer.list().await.unwrap(), Vec::new());
    }
}

fn of<'a>(held: &'a [Held], kind: HeldKind, owner: &str) -> Vec<&'a Held> {
    held.iter()
        .filter(|one| one.kind == kind && one.owner == owner)
        .collect()
}

#[tokio::test]
async fn everything_that_anybody_holds_is_found() {
    let sim = Sim::start().await;
    let past = json!({"comment": "laptop", "createdDaysAgo": 400, "lastUsedDaysAgo": 80});
    sim.seed(json!({
        "servicePrincipals": [{"applicationId": "aaaaaaaa-0000-4000-8000-000000000008", "displayName": "far",
            "workspaces": [], "secrets": ["far-1", "far-2"]}],
        "tokens": [{"value": "adas-old-one", "principal": "ada@example.com", "workspace": WORKSPACE.parse::<u64>().unwrap(),
            "personal": past}],
    }))
    .await;
    sim.settings(json!({"emptyPages": true})).await;
    let everything = sim.system().system.everything().await.unwrap();
    assert_eq!(everything.unseen, Vec::<String>::new());
    let held = &everything.held;
    assert_eq!(of(held, HeldKind::DatabricksSecret, "far").len(), 2);
    let ours = of(held, HeldKind::DatabricksSecret, "lockstep");
    let issuer = sim.system().system.principal_secrets(None).await.unwrap();
    assert_eq!(ours[0].address, issuer.address());
    let forgotten = of(held, HeldKind::DatabricksToken, "ada@example.com");
    let Held { person, listed, .. } = forgotten[0];
    assert!(*person);
    assert_eq!((listed.comment.as_str(), listed.expires), ("laptop", None));
    let idle = Timestamp::now().duration_since(listed.last_used.unwrap());
    assert!((80..=81).contains(&(idle.as_hours() / 24)), "{idle}");
    // Without the account, what the workspace cannot know is said.
    let local = in_workspace(&sim).system.everything().await.unwrap();
    assert_eq!(of(&local.held, HeldKind::DatabricksSecret, "far").len(), 0);
    assert_eq!(local.unseen.len(), 1, "{:?}", local.unseen);
}

#[tokio::test]
async fn what_may_not_be_seen_is_said_and_hides_nothing_else() {
    let sim = Sim::start().await;
    let refuse =
        json!({"Refuse": {"status": 403, "error_code": "PERMISSION_DENIED", "message": "not yours"}});
    sim.fault("GET", "/api/2.0/token-management/tokens", 1, refuse)
        .await;
    let everything = sim.system().system.everything().await.unwrap();
    assert_eq!(everything.held.len(), 1, "our own secret");
    assert!(
        everything.unseen[0].contains("personal access tokens"),
        "{:?}",
        everything.unseen
    );
    let down = json!({"FailBefore": {"status": 500}});
    sim.fault("GET", "/api/2.0/token-management/tokens", 9, down)
        .await;
    let error = sim.system().system.everything().await.unwrap_err();
    assert_eq!(error.kind, SystemErrorKind::Unreachable);
}

/// One of each kind, with the call that mints there.
pub async fn issuers(sim: &Sim) -> [(&'static str, Arc<dyn Issuer>); 3] {
    let_use_tokens(sim).await;
    let system = sim.system().system;
    [
        (OF_ACCOUNT, system.principal_secrets(Some(BOT)).await.unwrap()),
        (
            "/api/2.0/token/create",
            system.personal_tokens(None).await.unwrap(),
        ),
        (ON_BEHALF, system.personal_tokens(Some(BOT)).await.unwrap()),
    ]
}
