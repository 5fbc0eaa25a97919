//! Access rights of projects: what a write changes, what it leaves, and what Gerrit refuses.

use lockstep_core::domain::access::grant::Principal;
use lockstep_core::domain::plan::Change;
use lockstep_core::domain::ports::{AccessSystem as _, SystemErrorKind};
use reqwest::Method;
use serde_json::json;

use super::corner::corner_or_skip;

#[tokio::test]
async fn rights_change_without_a_trace_of_the_traps() {
    let c = corner_or_skip!();
    let project = c.project("app").await;
    let (team, team_uuid) = c.create("team", &[]).await;
    let (other, other_uuid) = c.create("other", &[]).await;
    let prod = c.on(&project, "refs/heads/prod");
    let path = format!("projects/{}/access", project.replace('/', "%2F"));
    let rules = json!({&team_uuid: {"action": "ALLOW"}});
    let both = json!({&team_uuid: {"action": "ALLOW", "min": -1, "max": 1}, &other_uuid: {"action": "ALLOW", "min": -2, "max": 2}});
    let body = json!({"add": {"refs/heads/prod": {"permissions": {
        "push": {"exclusive": true, "rules": rules}, "label-Code-Review": {"rules": both}}}}});
    let (status, text) = c.by_hand(Method::POST, &path, body).await;
    assert_eq!(status, 200, "{text}");
    assert_eq!(
        c.rights(&prod).await,
        [
            "other label-Code-Review -2..+2",
            "team label-Code-Review -1..+1",
            "team push"
        ]
    );

    // A range that grows, a rule that becomes another, a right on another ref: one call.
    let main = c.on(&project, "refs/heads/m/*");
    let mut on_prod = Change::new(prod.clone(), "prod");
    let group = Principal::group(&team_uuid, "team");
    let right = |text: &str| (group.clone(), text.parse().unwrap());
    on_prod.add = [right("label-Code-Review -2..+2"), right("push force")].into();
    on_prod.remove = [right("label-Code-Review -1..+1"), right("push")].into();
    let mut on_main = Change::new(main.clone(), "main");
    on_main.add = [right("create"), right("read BLOCK")].into();
    c.system.apply(&[&on_prod, &on_main]).await.unwrap();
    assert_eq!(
        c.rights(&prod).await,
        [
            "other label-Code-Review -2..+2",
            "team label-Code-Review -2..+2",
            "team push force"
        ]
    );
    assert_eq!(c.rights(&main).await, ["team create", "team read BLOCK"]);
    let config = c.project_config(&project).await;
    assert_eq!(config.matches("label-Code-Review = ").count(), 2, "{config}");
    assert!(config.contains("exclusiveGroupPermissions = push"), "{config}");

    // One rule goes, the others and the section stay.
    c.change_rights(&prod, &[], &[(&team_uuid, "label-Code-Review -2..+2")])
        .await
        .unwrap();
    assert_eq!(
        c.rights(&prod).await,
        ["other label-Code-Review -2..+2", "team push force"]
    );
    // What is gone already, or is another rule by now, is left alone.
    c.change_rights(&prod, &[], &[(&team_uuid, "read"), (&team_uuid, "push")])
        .await
        .unwrap();
    assert_eq!(c.rights(&prod).await.len(), 2);
    c.change_rights(
        &prod,
        &[],
        &[
            (&team_uuid, "push force"),
            (&other_uuid, "label-Code-Review -2..+2"),
        ],
    )
    .await
    .unwrap();
    assert_eq!(c.rights(&prod).await, Vec::<String>::new());
    assert!(c.see(&prod).await.present, "the project is there");
    c.change_rights(&main, &[], &[(&team_uuid, "create"), (&team_uuid, "read BLOCK")])
        .await
        .unwrap();
    for target in [&team, &other] {
        c.delete(target).await.unwrap();
        assert!(!c.see(target).await.present);
    }
}

#[tokio::test]
async fn what_an_exclusive_permission_shuts_out_stays_out_when_its_last_rule_goes() {
    let c = corner_or_skip!();
    let project = c.project("app").await;
    let (team, uuid) = c.create("team", &[]).await;
    let prod = c.on(&project, "refs/heads/prod");
    let path = format!("projects/{}/access", project.replace('/', "%2F"));
    // As people write it: in another case, and exclusive.
    let rules = json!({&uuid: {"action": "ALLOW"}});
    let by_hand =
        json!({"add": {"refs/heads/prod": {"permissions": {"Push": {"exclusive": true, "rules": rules}}}}});
    let (status, text) = c.by_hand(Method::POST, &path, by_hand).await;
    assert_eq!(status, 200, "{text}");
    assert_eq!(c.rights(&prod).await, ["team push"]);
    c.change_rights(&prod, &[], &[(&uuid, "push")]).await.unwrap();
    assert_eq!(c.rights(&prod).await, Vec::<String>::new());
    let config = c.project_config(&project).await;
    assert!(
        config.to_lowercase().contains("exclusivegrouppermissions = push"),
        "{config}"
    );
    c.delete(&team).await.unwrap();
}

#[tokio::test]
async fn rights_that_gerrit_refuses_are_refusals() {
    let c = corner_or_skip!();
    let project = c.project("app").await;
    let (team, uuid) = c.create("team", &[]).await;
    let unknown = "0000000000000000000000000000000000000000";
    for (ref_name, group, right) in [
        ("refs/heads/x", unknown, "push"),
        ("refs/heads/x", uuid.as_str(), "noSuchPermission"),
        ("heads/x", uuid.as_str(), "push"),
        ("^refs/heads/[x", uuid.as_str(), "push"),
        ("refs/heads/x", uuid.as_str(), "label-Code-Review +1..-1"),
    ] {
        let on = c.on(&project, ref_name);
        let error = c.change_rights(&on, &[(group, right)], &[]).await.unwrap_err();
        assert_eq!(
            error.kind,
            SystemErrorKind::Refused,
            "{ref_name} {right}: {error}"
        );
    }
    let nowhere = c.on("no/such project", "refs/heads/x");
    assert!(!c.see(&nowhere).await.present);
    let error = c
        .change_rights(&nowhere, &[(&uuid, "push")], &[])
        .await
        .unwrap_err();
    assert_eq!(error.kind, SystemErrorKind::NotFound);
    c.change_rights(&nowhere, &[], &[(&uuid, "push")]).await.unwrap();
    // A missing project does not spoil the reading of others.
    let on = c.on(&project, "refs/heads/x");
    let both = futures::future::join(c.see_now(&nowhere), c.see_now(&on)).await;
    assert!(!both.0.present && both.1.present);
    c.delete(&team).await.unwrap();
}
