//! Groups of both planes.

use jiff::Timestamp;
use lockstep_core::domain::access::grant::Target;
use lockstep_core::domain::access::observed::{GroupProperties, Located, Named};
use lockstep_core::domain::plan::Change;
use lockstep_core::domain::ports::{AccessSystem as _, SystemErrorKind};
use serde_json::json;

use crate::sim::{Databricks, Sim, account, bot, change, creation, group, member, team, workspace};

async fn locate(databricks: &Databricks, name: &str) -> Located {
    databricks.clock.advance(1);
    let named = Named::Group {
        system: account(),
        name: name.into(),
    };
    let fresh = lockstep_core::domain::ports::Clock::now(&*databricks.clock);
    databricks.system.locate(&named, fresh).await.unwrap()
}

#[tokio::test]
async fn a_group_is_created_with_its_members_in_one_call() {
    let sim = Sim::start().await;
    let databricks = sim.system();
    sim.seed(json!({"groups": [{"displayName": "leads"}]})).await;
    for (system, name) in [(account(), "team"), (workspace(), "local")] {
        let ada = databricks.who("ADA@example.com").await;
        let members = [ada.clone(), bot(), team("leads")];
        let members = if system == account() {
            &members[..]
        } else {
            &members[..2]
        };
        databricks
            .system
            .directory(&system, Timestamp::MIN)
            .await
            .unwrap();
        sim.forget().await;
        let applied = databricks.apply(&creation(&system, name, members)).await.unwrap();
        let asked = sim.asked().await;
        let posts = asked.iter().filter(|(route, _)| route.starts_with("POST"));
        assert_eq!(posts.map(|(_, times)| times).sum::<u64>(), 1, "{asked:?}");
        let mut rows = databricks.rows(&applied.target).await;
        rows.sort();
        let mut expected = vec!["ada@example.com member", "bot member"];
        expected.extend((system == account()).then_some("leads member"));
        assert_eq!(rows, expected);
        let observed = databricks.see(&applied.target).await;
        assert_eq!(observed.group.as_ref().unwrap().name, name);
        assert!(!observed.external);
    }
}

#[tokio::test]
async fn a_large_group_is_created_with_its_first_members_and_filled_in_further_calls() {
    let sim = Sim::start().await;
    sim.seed(json!({"generate": {"users": 230, "groups": 0, "membersPerGroup": 0}}))
        .await;
    let databricks = sim.system();
    let directory = databricks
        .system
        .directory(&account(), Timestamp::MIN)
        .await
        .unwrap();
    let people = directory.iter().filter(|account| !account.service);
    let members: Vec<_> = people
        .take(230)
        .map(|account| account.principal.clone())
        .collect();
    sim.forget().await;
    let applied = databricks
        .apply(&creation(&account(), "crowd", &members))
        .await
        .unwrap();
    assert_eq!(sim.writes().await, 3, "{:?}", sim.asked().await);
    assert_eq!(databricks.see(&applied.target).await.rows.len(), 230);
}

#[tokio::test]
async fn a_change_is_one_call_and_deleting_twice_is_deleting() {
    let sim = Sim::start().await;
    let ids = sim
        .seed(json!({"groups": [{"displayName": "team", "members": ["bob@example.com", "eve@example.com"]}]}))
        .await;
    let databricks = sim.system();
    let target = group(&account(), &ids["group:team"]);
    let (ada, bob) = (
        databricks.who("ada@example.com").await,
        databricks.who("bob@example.com").await,
    );
    assert_eq!(databricks.rows(&target).await.len(), 2);
    let mut edit = change(&target, &[member(&ada), member(&bot())], &[member(&bob)]);
    edit.describe = Some(GroupProperties {
        name: "renamed".into(),
        ..GroupProperties::default()
    });
    sim.forget().await;
    databricks.apply(&edit).await.unwrap();
    assert_eq!(sim.writes().await, 1);
    let mut rows = databricks.rows(&target).await;
    rows.sort();
    assert_eq!(
        rows,
        ["ada@example.com member", "bot member", "eve@example.com member"]
    );
    assert_eq!(locate(&databricks, "RENAMED").await, Located::At(target.clone()));
    assert_eq!(locate(&databricks, "team").await, Located::Absent);
    let mut deletion = Change::new(target.clone(), "team");
    deletion.delete = true;
    databricks.apply(&deletion).await.unwrap();
    databricks.apply(&deletion).await.unwrap();
    assert!(!databricks.see(&target).await.present);
    assert_eq!(locate(&databricks, "renamed").await, Located::Absent);
}

#[tokio::test]
async fn a_thousand_groups_cost_pages() {
    let sim = Sim::start().await;
    sim.seed(json!({"generate": {"users": 100, "groups": 1000, "membersPerGroup": 5}}))
        .await;
    let databricks = sim.system();
    let system = account();
    databricks
        .system
        .directory(&system, Timestamp::MIN)
        .await
        .unwrap();
    sim.forget().await;
    let fresh = lockstep_core::domain::ports::Clock::now(&*databricks.clock);
    let databricks = &databricks;
    let all = (0..1000).map(|number| {
        let named = Named::Group {
            system: account(),
            name: format!("crowd-group-{number}"),
        };
        async move {
            let Located::At(target) = databricks.system.locate(&named, fresh).await.unwrap() else {
                panic!("{named:?} is missing");
            };
            databricks
                .system
                .observe(&target, fresh)
                .await
                .unwrap()
                .rows
                .len()
        }
    });
    let sizes = futures::future::join_all(all).await;
    assert!(sizes.iter().all(|size| *size == 5));
    let asked = sim.asked().await;
    let list = "GET /api/2.0/accounts/{account}/scim/v2/Groups".to_owned();
    assert_eq!(asked, [(list, 10)]);
}

#[tokio::test]
async fn a_listing_without_members_costs_one_read_for_each_group() {
    let sim = Sim::start().await;
    sim.settings(json!({"groupListMembers": false})).await;
    let world = json!({"generate": {"users": 10, "groups": 150, "membersPerGroup": 2}});
    sim.seed(world).await;
    let databricks = sim.system();
    let mut targets = Vec::new();
    for number in 0..20 {
        match locate(&databricks, &format!("crowd-group-{number}")).await {
            Located::At(target) => targets.push(target),
            other => panic!("{other:?}"),
        }
    }
    for round in 0..2 {
        databricks.clock.advance(1);
        let fresh = lockstep_core::domain::ports::Clock::now(&*databricks.clock);
        sim.forget().await;
        for target in &targets {
            for _ in 0..3 {
                let observed = databricks.system.observe(target, fresh).await.unwrap();
                assert_eq!(observed.rows.len(), 2);
            }
        }
        let asked = sim.asked().await;
        let one = "GET /api/2.0/accounts/{account}/scim/v2/Groups/{id}".to_owned();
        assert!(asked.contains(&(one, 20)), "round {round}: {asked:?}");
        let others: u64 = asked.iter().map(|(_, times)| times).sum::<u64>() - 20;
        // The first round finds out how this account lists, and who everybody is.
        assert!(
            others <= if round == 0 { 6 } else { 0 },
            "round {round}: {asked:?}"
        );
    }
}

#[tokio::test]
async fn an_answer_lost_after_the_effect_makes_no_second_group() {
    let sim = Sim::start().await;
    let databricks = sim.system();
    let ada = databricks.who("ada@example.com").await;
    let route = "/api/2.0/accounts/{account}/scim/v2/Groups";
    for (name, action) in [
        ("dropped", json!("DropAfter")),
        ("failed", json!({"FailAfter": {"status": 503}})),
        ("garbled", json!("Garbage")),
        ("cut", json!("Truncate")),
    ] {
        sim.fault("POST", route, 1, action).await;
        let applied = databricks
            .apply(&creation(&account(), name, std::slice::from_ref(&ada)))
            .await
            .unwrap();
        assert_eq!(
            databricks.rows(&applied.target).await,
            ["ada@example.com member"],
            "{name}"
        );
    }
    let groups = sim.snapshot().await["groups"]["account"].clone();
    assert_eq!(groups.as_object().unwrap().len(), 4);
}

#[tokio::test]
async fn a_create_that_nobody_can_look_up_is_adopted_later() {
    let sim = Sim::start().await;
    let databricks = sim.system();
    let ada = databricks.who("ada@example.com").await;
    let route = "/api/2.0/accounts/{account}/scim/v2/Groups";
    sim.fault("POST", route, 1, json!("DropAfter")).await;
    sim.fault("GET", route, 3, json!({"FailBefore": {"status": 500}}))
        .await;
    let create = creation(&account(), "team", &[ada]);
    let error = databricks.apply(&create).await.unwrap_err();
    assert_eq!(error.kind, SystemErrorKind::OutcomeUnknown, "{error}");
    sim.no_faults().await;
    sim.forget().await;
    let applied = databricks.apply(&create).await.unwrap();
    assert_eq!(sim.writes().await, 0, "it was found, not made again");
    assert_eq!(locate(&databricks, "team").await, Located::At(applied.target));
}

#[tokio::test]
async fn a_strangers_group_of_the_same_name_is_not_taken_over() {
    let sim = Sim::start().await;
    let databricks = sim.system();
    let ada = databricks.who("ada@example.com").await;
    assert_eq!(locate(&databricks, "team").await, Located::Absent);
    sim.seed(json!({"groups": [{"displayName": "Team", "members": ["eve@example.com"]}]}))
        .await;
    let create = creation(&account(), "team", &[ada]);
    let error = databricks.apply(&create).await.unwrap_err();
    assert_eq!(error.kind, SystemErrorKind::Stale, "{error}");
    assert!(
        matches!(locate(&databricks, "team").await, Located::At(_)),
        "and the next reading shows it"
    );
}

#[tokio::test]
async fn a_reading_from_the_past_makes_no_second_group() {
    let sim = Sim::start().await;
    let databricks = sim.system();
    let ada = databricks.who("ada@example.com").await;
    sim.settings(json!({"lag": 600.0})).await;
    let create = creation(&account(), "team", &[ada]);
    let made = databricks.apply(&create).await.unwrap().target;
    for _ in 0..10 {
        assert_eq!(locate(&databricks, "team").await, Located::At(made.clone()));
        let again = databricks.apply(&create).await.unwrap_err();
        assert_eq!(again.kind, SystemErrorKind::Stale);
    }
    sim.settings(json!({"lag": 0.0})).await;
    assert_eq!(
        sim.snapshot().await["groups"]["account"]
            .as_object()
            .unwrap()
            .len(),
        1
    );
}

#[tokio::test]
async fn groups_that_come_from_elsewhere_are_external() {
    let sim = Sim::start().await;
    let home = crate::sim::WORKSPACE.parse::<u64>().unwrap();
    let ids = sim
        .seed(json!({"groups": [
            {"displayName": "provisioned", "externalId": "00u1"},
            {"displayName": "assigned", "workspaces": [home]},
            {"displayName": "local", "workspace": home},
        ]}))
        .await;
    let databricks = sim.system();
    for (system, name, external) in [
        (account(), "provisioned", true),
        (account(), "assigned", false),
        (workspace(), "assigned", true),
        (workspace(), "local", false),
    ] {
        let target = group(&system, &ids[format!("group:{name}")]);
        assert_eq!(databricks.see(&target).await.external, external, "{name}");
        let edited = databricks.apply(&change(&target, &[member(&bot())], &[])).await;
        assert_eq!(
            edited.map_err(|error| error.kind).err(),
            external.then_some(SystemErrorKind::Refused)
        );
    }
}

#[tokio::test]
async fn everybody_is_a_group_that_listings_leave_empty() {
    let sim = Sim::start().await;
    let databricks = sim.system();
    let named = Named::Group {
        system: workspace(),
        name: "users".into(),
    };
    match databricks.system.locate(&named, Timestamp::MIN).await.unwrap() {
        Located::At(target) => assert!(databricks.see(&target).await.rows.len() >= 5),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn hostile_names_are_names() {
    let sim = Sim::start().await;
    let databricks = sim.system();
    for name in ["a/b %2F ..", "quote\" or id ne \"x", "it's \\ back", "ünïcode 組"] {
        sim.fault("POST", "*/scim/v2/Groups", 1, json!("DropAfter")).await;
        let made = databricks.apply(&creation(&account(), name, &[])).await.unwrap();
        assert_eq!(
            locate(&databricks, name).await,
            Located::At(made.target),
            "{name}"
        );
    }
}

#[tokio::test]
async fn another_workspaces_group_is_refused_unsent() {
    let sim = Sim::start().await;
    let databricks = sim.system();
    databricks.who("ada@example.com").await;
    let target = Target::Group {
        system: lockstep_core::domain::access::grant::System::Workspace("99".into()),
        id: "1".into(),
    };
    databricks.system.probe().await.unwrap();
    let error = databricks
        .apply(&change(&target, &[member(&bot())], &[]))
        .await
        .unwrap_err();
    assert_eq!(error.kind, SystemErrorKind::Refused);
    assert_eq!(sim.writes().await, 0);
    assert!(error.message.contains("not databricks://99"), "{error}");
}
