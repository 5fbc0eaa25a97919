//! Objects of the permissions API: found by name, granted on, taken from.

use jiff::Timestamp;
use lockstep_core::api::objects::ObjectName;
use lockstep_core::domain::access::catalog::OBJECT_TYPES;
use lockstep_core::domain::access::grant::{Principal, Privilege, Right, Target};
use lockstep_core::domain::access::observed::{Located, Named};
use lockstep_core::domain::ports::{AccessSystem as _, Clock as _, SystemErrorKind};
use serde_json::{Value, json};

use crate::sim::{Databricks, Sim, US, WORKSPACE, bot, change, team};

fn object(kind: &str, id: &str) -> Target {
    Target::Object {
        workspace: WORKSPACE.into(),
        kind: kind.into(),
        id: id.into(),
    }
}

fn level(who: &Principal, level: &str) -> Right {
    (who.clone(), Privilege::Level(level.into()))
}

fn named(kind: &'static str, name: &str) -> Named {
    Named::Object {
        workspace: WORKSPACE.into(),
        kind,
        name: ObjectName::Name(name.into()),
    }
}

async fn job(sim: &Sim, acl: Value) -> Target {
    let ids = sim
        .seed(json!({
            "groups": [{"displayName": "team", "workspaces": [WORKSPACE.parse::<u64>().unwrap()]}],
            "objects": [{"type": "jobs", "name": "train", "owner": "ada@example.com", "acl": acl}],
        }))
        .await;
    object("jobs", ids["jobs:train"].as_str().unwrap())
}

#[tokio::test]
async fn every_type_is_found_by_name_and_granted_on() {
    let sim = Sim::start().await;
    let databricks = sim.system();
    sim.seed(json!({"groups": [{"displayName": "team", "workspaces": [WORKSPACE.parse::<u64>().unwrap()]}]}))
        .await;
    let team = team("team");
    for row in OBJECT_TYPES.iter().filter(|row| row.path != "authorization") {
        let tree = ["directories", "notebooks", "files", "repos", "experiments"].contains(&row.path);
        let name = if tree {
            format!("/Shared/it is {}", row.path)
        } else {
            format!("it-is-{}", row.path.replace('/', "-"))
        };
        let ids = sim
            .seed(json!({"objects": [{"type": row.path, "name": name, "owner": US}]}))
            .await;
        let id = ids[format!("{}:{name}", row.path)].as_str().unwrap().to_owned();
        let found = databricks
            .system
            .locate(&named(row.path, &name), databricks.clock.now())
            .await
            .unwrap();
        assert_eq!(found, Located::At(object(row.path, &id)), "{}", row.path);
        if row.path != "database-projects" {
            databricks.clock.advance(1);
            let other = named(row.path, "/no such thing");
            let absent = databricks
                .system
                .locate(&other, databricks.clock.now())
                .await
                .unwrap();
            assert_eq!(absent, Located::Absent, "{}", row.path);
        }
        let target = object(row.path, &id);
        let least = level(&team, row.levels[0]);
        databricks
            .apply(&change(&target, std::slice::from_ref(&least), &[]))
            .await
            .unwrap();
        assert!(
            databricks.see(&target).await.rows.contains(&least),
            "{}",
            row.path
        );
        databricks
            .apply(&change(&target, &[], std::slice::from_ref(&least)))
            .await
            .unwrap();
        assert!(
            !databricks.see(&target).await.rows.contains(&least),
            "{}",
            row.path
        );
    }
}

/// What the workspace answers for is what bindings may say, in the same order.
#[tokio::test]
async fn the_table_of_levels_is_the_workspaces_own() {
    let sim = Sim::start().await;
    for row in OBJECT_TYPES {
        let ids = if row.path == "authorization" {
            // The list is born with the first token.
            sim.stranger("POST", "/api/2.0/token/create", json!({"comment": "first"}))
                .await;
            vec!["tokens".to_owned(), "passwords".to_owned()]
        } else {
            let tree = ["paths", "experiments"].contains(&row.reach);
            let directory = if tree { "/Shared/" } else { "" };
            let name = format!("{directory}levels-{}", row.path.replace('/', "-"));
            let ids = sim
                .seed(json!({"objects": [{"type": row.path, "name": name}]}))
                .await;
            vec![ids[format!("{}:{name}", row.path)].as_str().unwrap().to_owned()]
        };
        for id in ids {
            let path = format!("/api/2.0/permissions/{}/{id}/permissionLevels", row.path);
            let answer = sim.stranger("GET", &path, Value::Null).await;
            let levels = answer["permission_levels"].as_array().unwrap();
            let levels: Vec<&str> = levels
                .iter()
                .map(|level| level["permission_level"].as_str().unwrap())
                .collect();
            assert_eq!(levels, row.levels, "{}/{id}", row.path);
        }
    }
}

#[tokio::test]
async fn a_level_of_a_wrong_type_is_refused_with_those_there_are() {
    let sim = Sim::start().await;
    let target = job(&sim, json!({})).await;
    let wrong = [level(&team("team"), "CAN_ATTACH_TO")];
    let error = sim
        .system()
        .apply(&change(&target, &wrong, &[]))
        .await
        .unwrap_err();
    assert_eq!(error.kind, SystemErrorKind::Refused, "{error}");
    assert!(
        error.message.contains("CAN_ATTACH_TO") && error.message.contains("its levels are CAN_VIEW"),
        "{error}"
    );
}

#[tokio::test]
async fn two_of_a_name_are_ambiguous_and_a_path_of_another_type_is_refused() {
    let sim = Sim::start().await;
    sim.seed(json!({"objects": [
        {"type": "clusters", "name": "small", "id": "c1"},
        {"type": "notebooks", "name": "/Shared/note"},
    ]}))
    .await;
    sim.stranger(
        "POST",
        "/api/2.1/clusters/create",
        json!({"cluster_name": "small"}),
    )
    .await;
    let databricks = sim.system();
    match databricks
        .system
        .locate(&named("clusters", "small"), Timestamp::MIN)
        .await
        .unwrap()
    {
        Located::Ambiguous(targets) => assert_eq!(targets.len(), 2),
        other => panic!("{other:?}"),
    }
    let error = databricks
        .system
        .locate(&named("directories", "/Shared/note"), Timestamp::MIN)
        .await
        .unwrap_err();
    assert_eq!(error.kind, SystemErrorKind::Refused);
    assert!(error.message.contains("NOTEBOOK"), "{error}");
}

#[tokio::test]
async fn a_level_is_given_raised_lowered_and_taken_beside_others() {
    let sim = Sim::start().await;
    let target = job(&sim, json!({"bob@example.com": "CAN_VIEW"})).await;
    let databricks = sim.system();
    let (team, bob) = (team("team"), databricks.who("bob@example.com").await);
    let observed = databricks.see(&target).await;
    assert_eq!(observed.rows.len(), 2, "bob and the owner; admins inherit theirs");
    let ada = databricks.who("ada@example.com").await;
    assert!(observed.protected.contains(&ada), "the owner");
    let us = databricks.who(US).await;
    assert!(observed.protected.contains(&us), "ourselves");
    let steps: [(&[Right], &[Right], &str); 4] = [
        (&[level(&team, "CAN_VIEW")], &[], "PATCH"),
        (
            &[level(&team, "CAN_MANAGE")],
            &[level(&team, "CAN_VIEW")],
            "PATCH",
        ),
        (
            &[level(&team, "CAN_MANAGE_RUN")],
            &[level(&team, "CAN_MANAGE")],
            "PUT",
        ),
        (&[], &[level(&team, "CAN_MANAGE_RUN")], "PUT"),
    ];
    for (add, remove, method) in steps {
        sim.forget().await;
        databricks.apply(&change(&target, add, remove)).await.unwrap();
        let asked = sim.asked().await;
        assert!(
            asked.contains(&(format!("{method} /api/2.0/permissions/{{type}}/{{id}}"), 1)),
            "{asked:?}"
        );
        let rows = databricks.see(&target).await.rows.clone();
        assert!(add.iter().all(|right| rows.contains(right)), "{rows:?}");
        assert!(remove.iter().all(|right| !rows.contains(right)), "{rows:?}");
        assert!(rows.contains(&level(&bob, "CAN_VIEW")));
        assert!(rows.contains(&level(&ada, "IS_OWNER")));
    }
}

#[tokio::test]
async fn what_a_stranger_gave_since_the_plan_is_kept() {
    let sim = Sim::start().await;
    let target = job(&sim, json!({"group:team": "CAN_VIEW"})).await;
    let Target::Object { id, .. } = &target else {
        unreachable!()
    };
    let databricks = sim.system();
    databricks.see(&target).await;
    let stranger = json!({"access_control_list": [{"user_name": "eve@example.com", "permission_level": "CAN_MANAGE_RUN"}]});
    sim.stranger("PATCH", &format!("/api/2.0/permissions/jobs/{id}"), stranger)
        .await;
    databricks
        .apply(&change(&target, &[], &[level(&team("team"), "CAN_VIEW")]))
        .await
        .unwrap();
    let eve = databricks.who("eve@example.com").await;
    let rows = databricks.see(&target).await.rows.clone();
    assert!(rows.contains(&level(&eve, "CAN_MANAGE_RUN")), "{rows:?}");
    assert_eq!(rows.len(), 2);
}

#[tokio::test]
async fn a_row_that_was_raised_since_the_plan_is_not_ours_to_take() {
    let sim = Sim::start().await;
    let target = job(&sim, json!({"group:team": "CAN_MANAGE"})).await;
    let databricks = sim.system();
    let remove = [level(&team("team"), "CAN_VIEW")];
    databricks.apply(&change(&target, &[], &remove)).await.unwrap();
    assert!(
        databricks
            .see(&target)
            .await
            .rows
            .contains(&level(&team("team"), "CAN_MANAGE"))
    );
}

#[tokio::test]
async fn a_level_that_the_type_lacks_is_refused_in_clear_words() {
    let sim = Sim::start().await;
    let target = job(&sim, json!({})).await;
    let databricks = sim.system();
    let error = databricks
        .apply(&change(&target, &[level(&team("team"), "CAN_EDIT")], &[]))
        .await
        .unwrap_err();
    assert_eq!(error.kind, SystemErrorKind::Refused);
    for word in ["CAN_EDIT", "jobs/", "CAN_MANAGE_RUN", "INVALID_PARAMETER_VALUE"] {
        assert!(error.message.contains(word), "{error}");
    }
}

#[tokio::test]
async fn inherited_rows_are_neither_seen_nor_written() {
    let sim = Sim::start().await;
    let ids = sim
        .seed(json!({"objects": [
            {"type": "directories", "name": "/Shared/ml", "acl": {"bob@example.com": "CAN_EDIT"}},
            {"type": "notebooks", "name": "/Shared/ml/note", "acl": {"eve@example.com": "CAN_READ"}},
        ]}))
        .await;
    let note = object("notebooks", ids["notebooks:/Shared/ml/note"].as_str().unwrap());
    let databricks = sim.system();
    let eve = databricks.who("eve@example.com").await;
    let bob = databricks.who("bob@example.com").await;
    let holds =
        |rows: &std::collections::BTreeSet<Right>, who: &Principal| rows.iter().any(|(held, _)| held == who);
    let rows = databricks.see(&note).await.rows.clone();
    assert!(holds(&rows, &eve) && !holds(&rows, &bob), "{rows:?}");
    databricks
        .apply(&change(&note, &[], &[level(&eve, "CAN_READ")]))
        .await
        .unwrap();
    let rows = databricks.see(&note).await.rows.clone();
    assert!(!holds(&rows, &eve) && !holds(&rows, &bob), "{rows:?}");
}

#[tokio::test]
async fn an_object_that_is_gone_is_absent_and_taking_from_it_is_done() {
    let sim = Sim::start().await;
    let databricks = sim.system();
    let gone = object("jobs", "404");
    assert!(!databricks.see(&gone).await.present);
    databricks
        .apply(&change(&gone, &[], &[level(&bot(), "CAN_VIEW")]))
        .await
        .unwrap();
    let error = databricks
        .apply(&change(&gone, &[level(&bot(), "CAN_VIEW")], &[]))
        .await
        .unwrap_err();
    assert_eq!(error.kind, SystemErrorKind::NotFound, "{error}");
}

#[tokio::test]
async fn the_root_of_all_directories_keeps_its_admins() {
    let sim = Sim::start().await;
    let databricks = sim.system();
    let root = object("directories", "0");
    let ada = databricks.who("ada@example.com").await;
    let give = level(&ada, "CAN_READ");
    databricks
        .apply(&change(&root, std::slice::from_ref(&give), &[]))
        .await
        .unwrap();
    databricks
        .apply(&change(&root, &[], std::slice::from_ref(&give)))
        .await
        .unwrap();
    let rows = databricks.see(&root).await.rows.clone();
    assert!(
        !rows.contains(&give) && rows.contains(&level(&team("admins"), "CAN_MANAGE")),
        "{rows:?}"
    );
}

#[tokio::test]
async fn token_permissions_exist_from_the_first_token_on() {
    let sim = Sim::start().await;
    let databricks = sim.system();
    let target = object("authorization", "tokens");
    let error = databricks
        .system
        .observe(&target, Timestamp::MIN)
        .await
        .unwrap_err();
    assert_eq!(error.kind, SystemErrorKind::NotFound);
    sim.stranger("POST", "/api/2.0/token/create", json!({"comment": "first"}))
        .await;
    let give = level(&bot(), "CAN_USE");
    databricks
        .apply(&change(&target, std::slice::from_ref(&give), &[]))
        .await
        .unwrap();
    assert!(databricks.see(&target).await.rows.contains(&give));
    databricks.apply(&change(&target, &[], &[give])).await.unwrap();
}

#[tokio::test]
async fn a_manager_who_is_no_administrator_keeps_a_row_of_its_own() {
    let sim = Sim::start().await;
    let app = "aaaaaaaa-0000-4000-8000-000000000007";
    let secret = "dose-another";
    sim.seed(json!({"servicePrincipals": [{"applicationId": app, "secrets": [secret], "accountAdmin": true}],
        "groups": [{"displayName": "managers", "members": [app], "workspaces": [WORKSPACE.parse::<u64>().unwrap()]}]}))
        .await;
    let target = job(
        &sim,
        json!({"group:managers": "CAN_MANAGE", "bob@example.com": "CAN_VIEW"}),
    )
    .await;
    let databricks: Databricks = Sim::system_with(sim.settings_with(
        lockstep::clients::databricks::Auth::OauthSecret {
            client_id: app.into(),
            client_secret: secret.to_owned().into(),
        },
    ));
    let bob = databricks.who("bob@example.com").await;
    let managers = team("managers");
    let remove = [level(&bob, "CAN_VIEW"), level(&managers, "CAN_MANAGE")];
    databricks.apply(&change(&target, &[], &remove)).await.unwrap();
    let us = databricks.who(app).await;
    assert!(
        databricks
            .see(&target)
            .await
            .rows
            .contains(&level(&us, "CAN_MANAGE"))
    );
}
