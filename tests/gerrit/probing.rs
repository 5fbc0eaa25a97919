//! Who we are to the server, what we cannot see, and the suite that `lockstep doctor --probe` runs.

use std::future::pending;
use std::sync::Arc;

use jiff::Timestamp;
use lockstep::clients::gerrit::GerritSystem;
use lockstep::runtime::CameOut;
use lockstep_core::domain::access::grant::Target;
use lockstep_core::domain::access::observed::GroupProperties;
use lockstep_core::domain::plan::Change;
use lockstep_core::domain::ports::{AccessSystem as _, SystemErrorKind};
use reqwest::Method;
use serde_json::{Value, json};

use super::corner::corner_or_skip;
use super::server::{Granted, Now, plain};
use super::yard::yard;

#[tokio::test]
async fn a_probe_says_who_and_where_we_are() {
    let c = corner_or_skip!();
    let probe = c.system.probe().await.unwrap();
    assert_eq!(probe.lacks, Vec::<String>::new());
    assert_eq!(probe.status["account"]["username"], c.admin.0.as_str());
    assert_eq!(probe.status["capabilities"]["administrateServer"], true);
    assert_eq!(probe.status["server"], c.server.as_str());
    assert!(probe.status["version"].as_str().unwrap().starts_with("3."));
    // Under another name of its host it is the same server.
    let other = c.url.replace("127.0.0.1", "localhost");
    let settings = plain(&other, &c.admin.0, &c.admin.1);
    let system = GerritSystem::new(settings, Arc::new(Granted), Arc::new(Now), None).unwrap();
    assert_eq!(system.server().await.unwrap(), c.server);
}

#[tokio::test]
async fn a_wrong_password_is_named_and_not_repeated() {
    let c = corner_or_skip!();
    let settings = plain(&c.url, &c.admin.0, "planted-s3cr3t");
    let system = GerritSystem::new(settings, Arc::new(Granted), Arc::new(Now), None).unwrap();
    let error = system.probe().await.unwrap_err();
    assert_eq!(error.kind, SystemErrorKind::Unauthorized);
    assert!(!format!("{error:?}").contains("planted"), "{error:?}");
}

#[tokio::test]
async fn whoever_does_not_see_everything_takes_nothing_for_gone() {
    let c = corner_or_skip!();
    let project = c.project("app").await;
    let (team, uuid) = c.create("team", &[]).await;
    let mut hide = Change::new(team.clone(), "team");
    hide.describe = Some(GroupProperties {
        visible_to_all: Some(false),
        ..GroupProperties::default()
    });
    c.apply(&hide).await.unwrap();
    let prod = c.on(&project, "refs/heads/prod");
    c.change_rights(&prod, &[(&uuid, "read")], &[]).await.unwrap();
    let eve = c.account("eve").await;
    c.put("groups/Administrators/options", json!({"visible_to_all": false}))
        .await;
    c.put(
        &format!("accounts/{}/tokens/test", eve.subject),
        json!({"token": "eves-own-token"}),
    )
    .await;
    let settings = plain(&c.url, &eve.name, "eves-own-token");
    let system = GerritSystem::new(settings, Arc::new(Granted), Arc::new(Now), None).unwrap();
    let lacks = system.probe().await.unwrap().lacks.join("\n");
    assert!(
        lacks.contains("administrateServer") && lacks.contains("createGroup"),
        "{lacks}"
    );
    // To her the server has another name, since the group that names it is invisible; she asks under that.
    let server = system.server().await.unwrap().to_owned();
    let error = system.observe(&team, Timestamp::now()).await.unwrap_err();
    assert_eq!(error.kind, SystemErrorKind::Refused, "{error}");
    let hers = Target::GerritGroup {
        server: server.clone(),
        uuid: uuid.clone(),
    };
    let error = system.observe(&hers, Timestamp::now()).await.unwrap_err();
    assert_eq!(error.kind, SystemErrorKind::NotFound, "{error}");
    let hers = Target::GerritRef {
        server,
        project: project.clone(),
        ref_name: "refs/heads/prod".into(),
    };
    let error = system.observe(&hers, Timestamp::now()).await.unwrap_err();
    assert_eq!(error.kind, SystemErrorKind::Forbidden, "{error}");
    c.change_rights(&prod, &[], &[(&uuid, "read")]).await.unwrap();
    c.delete(&team).await.unwrap();
    c.deactivate(&eve).await;
}

#[tokio::test]
async fn every_assumption_holds_and_the_scratch_branch_goes_again() {
    let Some(y) = yard("MERGE_IF_NECESSARY").await else {
        return;
    };
    // So that a merged change is in sight.
    let change = y.propose("a", "1\n");
    y.bring_in(&change).await;
    let prefix = format!("lockstep-probe-{:x}", Timestamp::now().as_microsecond());
    let findings = y.system.contract(&prefix, &|_| {}, pending()).await.unwrap();
    let not_held: Vec<_> = findings
        .iter()
        .filter(|finding| !matches!(finding.came_out, CameOut::Holds { .. }))
        .collect();
    assert!(not_held.is_empty(), "{not_held:#?}");
    let branches = "projects/lockstep-probe/branches/";
    let left = y.admin(Method::GET, branches, Value::Null).await;
    assert!(!left.to_string().contains(&prefix), "{left}");
}
