//! Bad answers and bad days.

use jiff::Timestamp;
use lockstep::clients::databricks::Budget;
use lockstep_core::domain::ports::{AccessSystem as _, Clock as _, SystemErrorKind};
use serde_json::json;

use crate::sim::{Sim, account, change, creation, group, member, workspace};

const GROUPS: &str = "/api/2.0/accounts/{account}/scim/v2/Groups";
const GROUP: &str = "/api/2.0/accounts/{account}/scim/v2/Groups/{id}";

#[tokio::test]
async fn answers_that_are_none_are_bad_answers() {
    for (action, kind) in [
        (json!("Html"), SystemErrorKind::BadAnswer),
        (json!("Garbage"), SystemErrorKind::BadAnswer),
        (json!({"BigBody": {"mb": 10}}), SystemErrorKind::BadAnswer),
        (json!("DropBefore"), SystemErrorKind::Unreachable),
        (json!("Truncate"), SystemErrorKind::Unreachable),
        (
            json!({"FailBefore": {"status": 500}}),
            SystemErrorKind::Unreachable,
        ),
        (
            json!({"Refuse": {"status": 403, "message": "not yours"}}),
            SystemErrorKind::Forbidden,
        ),
    ] {
        let sim = Sim::start().await;
        let databricks = sim.system();
        databricks.system.probe().await.unwrap();
        sim.fault("GET", "*/scim/v2/Users", 9, action.clone()).await;
        databricks.clock.advance(1);
        let error = databricks
            .system
            .directory(&account(), databricks.clock.now())
            .await
            .unwrap_err();
        assert_eq!(error.kind, kind, "{action}: {error}");
        assert!(error.message.contains("GET /api/2.0/accounts/"), "{error}");
        assert!(error.message.len() < 1_000);
    }
}

#[tokio::test]
async fn a_refusal_carries_the_vendors_words() {
    let sim = Sim::start().await;
    let databricks = sim.system();
    let ada = databricks.who("ada@example.com").await;
    let target = group(&account(), &json!("12345"));
    let error = databricks
        .apply(&change(&target, &[member(&ada)], &[]))
        .await
        .unwrap_err();
    assert_eq!(error.kind, SystemErrorKind::NotFound);
    assert!(error.message.contains("PATCH /api/2.0/accounts/"), "{error}");
    assert!(error.message.contains("Group with id 12345 not found"), "{error}");
}

#[tokio::test]
async fn whoever_asks_us_to_wait_is_left_alone_until_then() {
    let sim = Sim::start().await;
    let databricks = sim.system();
    databricks.system.probe().await.unwrap();
    let wait = json!({"TooManyRequests": {"retry_after": 120}});
    sim.fault("GET", GROUPS, 1, wait).await;
    sim.forget().await;
    let create = creation(&account(), "team", &[]);
    let named = lockstep_core::domain::access::observed::Named::Group {
        system: account(),
        name: "team".into(),
    };
    databricks.clock.advance(1);
    let now = databricks.clock.now();
    for _ in 0..3 {
        let error = databricks.system.locate(&named, now).await.unwrap_err();
        assert_eq!(error.kind, SystemErrorKind::Throttled, "{error}");
        assert!(error.retry_at.is_some_and(|at| at > now));
    }
    assert_eq!(sim.asked().await, [(format!("GET {GROUPS}"), 1)]);
    // Other families go on.
    databricks.apply(&create).await.unwrap();
}

#[tokio::test]
async fn throttling_in_disguise_is_throttling() {
    let sim = Sim::start().await;
    let databricks = sim.system();
    let ada = databricks.who("ada@example.com").await;
    let made = databricks
        .apply(&creation(&account(), "team", &[]))
        .await
        .unwrap()
        .target;
    let disguise =
        json!({"Refuse": {"status": 500, "message": "REQUEST_LIMIT_EXCEEDED: too many SCIM requests"}});
    sim.fault("PATCH", GROUP, 1, disguise.clone()).await;
    // Short waits are waited out by the HTTP stack.
    databricks
        .apply(&change(&made, &[member(&ada)], &[]))
        .await
        .unwrap();
    assert_eq!(databricks.rows(&made).await, ["ada@example.com member"]);
}

#[tokio::test]
async fn a_patch_that_was_lost_after_its_effect_is_repeated_without_harm() {
    let sim = Sim::start().await;
    let databricks = sim.system();
    let ada = databricks.who("ada@example.com").await;
    let made = databricks
        .apply(&creation(&account(), "team", &[]))
        .await
        .unwrap()
        .target;
    sim.fault("PATCH", GROUP, 1, json!("DropAfter")).await;
    databricks
        .apply(&change(&made, &[member(&ada)], &[]))
        .await
        .unwrap();
    assert_eq!(databricks.rows(&made).await, ["ada@example.com member"]);
}

#[tokio::test]
async fn readings_that_lag_are_handed_on_as_seen() {
    let sim = Sim::start().await;
    let databricks = sim.system();
    let ada = databricks.who("ada@example.com").await;
    let made = databricks
        .apply(&creation(&workspace(), "team", &[]))
        .await
        .unwrap()
        .target;
    sim.settings(json!({"lag": 3600.0})).await;
    databricks
        .apply(&change(&made, &[member(&ada)], &[]))
        .await
        .unwrap();
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..20 {
        seen.insert(databricks.see(&made).await.rows.len());
    }
    assert!(seen.is_subset(&[0, 1].into()), "{seen:?}");
    assert!(seen.contains(&0), "a lag of an hour shows within twenty readings");
}

#[tokio::test]
async fn the_vendors_limits_are_kept_without_being_refused() {
    let sim = Sim::start().await;
    sim.settings(json!({"limits": true})).await;
    let mut settings = sim.system_settings();
    settings.budget = Budget::Published;
    let databricks = Sim::system_with(settings);
    databricks
        .system
        .directory(&account(), Timestamp::MIN)
        .await
        .unwrap();
    for number in 0..8 {
        let create = creation(&account(), &format!("team-{number}"), &[]);
        databricks.apply(&create).await.unwrap();
    }
    let counts = sim.control("GET", "counts", None).await;
    assert_eq!(counts["errors"], 0, "{counts}");
}

#[tokio::test]
async fn without_a_permit_nothing_is_written() {
    let sim = Sim::start().await;
    let databricks = sim.without_permit();
    databricks.directory(&account(), Timestamp::MIN).await.unwrap();
    let create = creation(&account(), "team", &[]);
    let error = databricks.apply(&[&create]).await.unwrap_err();
    assert_eq!(error.kind, SystemErrorKind::NoPermit);
    assert_eq!(sim.writes().await, 0);
}
