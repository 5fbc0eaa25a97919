//! Groups: made, filled, renamed, listed, deleted, and who changed them.

use std::sync::Arc;

use jiff::Timestamp;
use lockstep::clients::gerrit::GerritSystem;
use lockstep::clients::http::HttpMetrics;
use lockstep_core::domain::access::drift::Deed;
use lockstep_core::domain::access::grant::Principal;
use lockstep_core::domain::access::observed::{GroupProperties, Located};
use lockstep_core::domain::plan::Change;
use lockstep_core::domain::ports::{AccessSystem as _, SystemErrorKind};
use prometheus_client::registry::Registry;
use reqwest::Method;
use serde_json::{Value, json};

use super::corner::{corner_or_skip, member, members, subjects};
use super::server::{Granted, Now, plain};

#[tokio::test]
async fn a_group_lives_from_creation_to_deletion() {
    let c = corner_or_skip!();
    let (ada, bob) = (c.account("ada").await, c.account("bob").await);
    assert_eq!(c.locate(&c.name("team")).await, Located::Absent);
    let (target, uuid) = c.create("team", &[&ada]).await;
    assert_eq!(c.locate(&c.name("team")).await, Located::At(target.clone()));
    let seen = c.see(&target).await;
    assert_eq!(members(&seen), subjects(&[&ada]), "the creator is no member");
    let group = seen.group.clone().unwrap();
    assert_eq!(group.description.as_deref(), Some("made by a test"));
    assert_eq!(group.visible_to_all, Some(true));
    assert_ne!(
        group.owner.as_deref(),
        Some(uuid.as_str()),
        "it does not own itself"
    );

    let mut change = Change::new(target.clone(), "team");
    change.add = [
        member(&bob),
        member(&Principal::group("global:Registered-Users", "")),
    ]
    .into();
    change.remove = [member(&ada)].into();
    change.describe = Some(GroupProperties {
        name: c.name("renamed"),
        description: Some(String::new()),
        owner: Some(uuid.clone()),
        visible_to_all: Some(false),
    });
    c.apply(&change).await.unwrap();
    let seen = c.see(&target).await;
    let everybody = Principal::group("global:Registered-Users", "");
    assert_eq!(members(&seen), subjects(&[&bob, &everybody]));
    let group = seen.group.clone().unwrap();
    assert_eq!((group.name, group.description), (c.name("renamed"), None));
    assert_eq!((group.owner, group.visible_to_all), (Some(uuid), Some(false)));
    assert_eq!(c.locate(&c.name("team")).await, Located::Absent);

    c.delete(&target).await.unwrap();
    assert!(!c.see(&target).await.present);
    c.delete(&target).await.unwrap();
    for who in [&ada, &bob] {
        c.deactivate(who).await;
    }
}

#[tokio::test]
async fn a_creation_done_before_is_taken_over_and_a_strangers_name_is_not() {
    let c = corner_or_skip!();
    let (ada, bob) = (c.account("ada").await, c.account("bob").await);
    let (target, uuid) = c.create("team", &[&ada]).await;
    // The answer got lost; somebody renamed the group meanwhile.
    c.put(&format!("groups/{uuid}/name"), json!({"name": c.name("other")}))
        .await;
    c.apply(&c.creation("team", &[&ada, &bob])).await.unwrap();
    let seen = c.see(&target).await;
    assert_eq!(members(&seen), subjects(&[&ada, &bob]));
    assert_eq!(seen.group.as_ref().unwrap().name, c.name("team"));

    c.put(
        &format!("groups/{}", c.name("taken")),
        json!({"owner_id": "Administrators"}),
    )
    .await;
    let error = c.apply(&c.creation("taken", &[&ada])).await.unwrap_err();
    assert_eq!(error.kind, SystemErrorKind::Refused);
    assert!(
        error.message.contains("exists already under another uuid"),
        "{error}"
    );
    c.delete(&target).await.unwrap();
    let Located::At(stranger) = c.locate(&c.name("taken")).await else {
        panic!("it is there");
    };
    c.delete(&stranger).await.unwrap();
    for who in [&ada, &bob] {
        c.deactivate(who).await;
    }
}

#[tokio::test]
async fn hostile_names_are_held_exactly_or_refused() {
    let c = corner_or_skip!();
    for name in [
        "a/b",
        "a%2Fb",
        "100%",
        "..",
        "a..b",
        "\"q\" 'q'",
        "plus+plus",
        "Grüße €",
        "a?b#c",
        "a\\b",
        "a b&c=d",
        "{x}",
        "123",
    ] {
        let name = format!("x{name}x");
        let (target, _) = c.create(&name, &[]).await;
        assert_eq!(
            c.locate(&c.name(&name)).await,
            Located::At(target.clone()),
            "{name}"
        );
        assert_eq!(c.see(&target).await.group.as_ref().unwrap().name, c.name(&name));
        c.delete(&target).await.unwrap();
        assert!(!c.see(&target).await.present, "{name}");
    }
    for name in ["a\nb", "a\tb", "a ", "a\u{7f}b", &"x".repeat(300)] {
        let error = c.apply(&c.creation(name, &[])).await.unwrap_err();
        assert_eq!(error.kind, SystemErrorKind::Refused, "{name:?}");
        assert!(error.message.contains("cannot hold"), "{error}");
    }
}

#[tokio::test]
async fn pages_of_two_show_the_same_groups() {
    let c = corner_or_skip!(|settings| settings.page = 2);
    let mut targets = Vec::new();
    for index in 0..5 {
        targets.push(c.create(&format!("g{index}"), &[]).await.0);
    }
    for target in &targets {
        assert!(c.see_now(target).await.present);
    }
    for target in &targets {
        c.delete(target).await.unwrap();
        assert!(!c.see(target).await.present);
    }
}

#[tokio::test]
async fn creations_at_once_all_arrive() {
    let c = corner_or_skip!();
    let changes: Vec<Change> = (0..8)
        .map(|index| c.creation(&format!("p{index}"), &[]))
        .collect();
    for done in futures::future::join_all(changes.iter().map(|change| c.apply(change))).await {
        done.unwrap();
    }
    for change in &changes {
        assert!(c.see(&change.target).await.present);
        c.delete(&change.target).await.unwrap();
    }
}

#[tokio::test]
async fn a_thousand_looks_cost_the_pages_of_one_listing() {
    let c = corner_or_skip!();
    let (target, uuid) = c.create("team", &[]).await;
    let mut registry = Registry::default();
    let metrics = HttpMetrics::register(&mut registry);
    let settings = plain(&c.url, &c.admin.0, &c.admin.1);
    let system = GerritSystem::new(settings, Arc::new(Granted), Arc::new(Now), Some(metrics)).unwrap();
    let asked = Timestamp::now();
    let looks = (0..1000).map(|_| system.observe(&target, asked));
    assert!(futures::future::join_all(looks).await.iter().all(Result::is_ok));
    let listings = |registry: &Registry| {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, registry).unwrap();
        let line = text.lines().find(|line| {
            line.starts_with("lockstep_client_requests_total") && line.contains(r#"route="/a/groups/""#)
        });
        line.unwrap().rsplit(' ').next().unwrap().to_owned()
    };
    assert_eq!(listings(&registry), "1");
    // A strange hand is seen by whoever asks for something newer, and by nobody else.
    c.put(
        &format!("groups/{uuid}/description"),
        json!({"description": "other"}),
    )
    .await;
    let old = system.observe(&target, asked).await.unwrap();
    assert_eq!(
        old.group.as_ref().unwrap().description.as_deref(),
        Some("made by a test")
    );
    let new = system.observe(&target, Timestamp::now()).await.unwrap();
    assert_eq!(new.group.as_ref().unwrap().description.as_deref(), Some("other"));
    assert_eq!(listings(&registry), "2");
    c.delete(&target).await.unwrap();
}

#[tokio::test]
async fn a_group_that_something_refers_to_is_buried_and_comes_back() {
    let c = corner_or_skip!();
    let ada = c.account("ada").await;
    let project = c.project("app").await;
    let (target, uuid) = c.create("team", &[&ada]).await;
    let on = c.on(&project, "refs/heads/main");
    c.change_rights(&on, &[(&uuid, "read")], &[]).await.unwrap();
    c.delete(&target).await.unwrap();
    let seen = c.see(&target).await;
    assert!(!seen.present && seen.rows.is_empty());
    assert_eq!(c.locate(&c.name("team")).await, Located::Absent);
    let (_, text) = c
        .by_hand(Method::GET, &format!("groups/{uuid}/detail"), Value::Null)
        .await;
    assert!(
        text.contains("zz-lockstep-deleted-") && text.contains(r#""members":[]"#),
        "{text}"
    );
    c.delete(&target).await.unwrap();

    c.apply(&c.creation("team", &[&ada])).await.unwrap();
    let seen = c.see(&target).await;
    assert_eq!(seen.group.as_ref().unwrap().name, c.name("team"));
    assert_eq!(members(&seen), subjects(&[&ada]));
    c.change_rights(&on, &[], &[(&uuid, "read")]).await.unwrap();
    c.delete(&target).await.unwrap();
    let (status, _) = c
        .by_hand(Method::GET, &format!("groups/{uuid}"), Value::Null)
        .await;
    assert_eq!(status, 404);
    c.deactivate(&ada).await;
}

#[tokio::test]
async fn drift_is_told_with_a_name() {
    let c = corner_or_skip!();
    let (ada, bob) = (c.account("ada").await, c.account("bob").await);
    let (target, uuid) = c.create("team", &[&ada]).await;
    c.put(&format!("groups/{uuid}/members/{}", bob.subject), Value::Null)
        .await;
    let nobody = Principal::account(1, "nobody");
    let asked = [
        (bob.clone(), Deed::Added),
        (bob.clone(), Deed::Removed),
        (nobody.clone(), Deed::Added),
    ];
    let found = c.system.who(&target, &asked[..1]).await.unwrap();
    assert!(found[&bob].contains("admin"), "{found:?}");
    let found = c.system.who(&target, &asked[1..]).await.unwrap();
    assert!(found.is_empty(), "{found:?}");
    c.delete(&target).await.unwrap();
    for who in [&ada, &bob] {
        c.deactivate(who).await;
    }
}
