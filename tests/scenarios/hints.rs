//! Hints: what Gerrit posts is believed by nobody, and makes those whom it concerns look at once.

use lockstep_core::api::GerritConnection;
use serde_json::{Value, json};

use crate::support::gerrit::encode;
use crate::support::operator::SHARED;
use crate::support::team::Team;
use crate::support::{becomes, eventually, stays};

/// A team whose binding looks by itself once an hour, and whose connection wants to be told.
async fn hinted(word: &str) -> Option<(Team, String)> {
    let team = Team::new(word).await?;
    let events = json!({"poll": "5m", "webhook": {"publicUrl": "https://lockstep.example.com"}});
    team.connect_gerrit("gerrit", json!({"events": events})).await;
    let path = eventually("the connection shows a path", 30, || async {
        let connection = team.all::<GerritConnection>().get("gerrit").await.unwrap();
        let status = connection.status.unwrap_or_default();
        status.webhook_path.clone().ok_or_else(|| format!("{status:?}"))
    })
    .await;
    Some((team, path))
}

/// Posts an event as Gerrit's plugin does; the status of the answer.
async fn post(path: &str, event: &Value) -> u16 {
    let address = SHARED.read().await.as_ref().unwrap().webhooks();
    let answer = reqwest::Client::new()
        .post(format!("http://{address}{path}"))
        .header("content-type", "application/json; charset=utf-8")
        .header("x-origin-url", "http://gerrit.example.com/")
        .body(event.to_string())
        .send()
        .await
        .unwrap();
    answer.status().as_u16()
}

/// The event of a ref that moved, as Gerrit 3.13.5 posts it.
fn moved(project: &str, ref_name: &str) -> Value {
    json!({
        "submitter": {"name": "Administrator", "email": "admin@example.com", "username": "admin"},
        "refUpdate": {
            "oldRev": "08ca2b31c3e1d2a4b5f60718293a4b5c6d7e8f90",
            "newRev": "454d22c2a6ee0ff04ee5bd4a1ab8b0e0c5bdd6b5", "refName": ref_name, "project": project,
        },
        "type": "ref-updated", "eventCreatedOn": 1_795_377_767,
    })
}

/// The event of an edit of a group.
async fn edited(team: &Team, group: &str) -> Value {
    let (status, found) = team.gerrit.get(&format!("/groups/{}", encode(group))).await;
    assert_eq!(status, 200, "{found}");
    let uuid = found["id"].as_str().unwrap();
    moved("All-Users", &format!("refs/groups/{}/{uuid}", &uuid[..2]))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_of_a_group_by_hand_is_repaired_as_soon_as_gerrit_tells_of_it() {
    let Some((team, path)) = hinted("told").await else {
        return;
    };
    let (ada, mallory) = (team.person("ada").await, team.person("mallory").await);
    let group = team.name("crew");
    team.bind_gerrit("crew", &["ada"], json!({}), json!({"interval": "1h"}))
        .await;
    team.until("crew", "Ready", "True").await;

    team.gerrit.add_member(&group, mallory).await;
    let event = edited(&team, &group).await;
    let lie = edited(&team, "Administrators").await;
    // Who guesses a path is heard by nobody.
    let guessed = format!("/webhooks/gerrit/{}", "0".repeat(64));
    assert_eq!(post(&guessed, &event).await, 404);
    // Nor does it matter to this team what moves elsewhere.
    assert_eq!(
        post(&path, &moved("All-Users", "refs/meta/group-names")).await,
        202
    );
    assert_eq!(post(&path, &lie).await, 202);
    let both = Some([ada, mallory].into_iter().collect::<Vec<_>>());
    stays("nobody looks without being told", 6, both, || {
        team.gerrit.members(&group)
    })
    .await;

    assert_eq!(post(&path, &event).await, 202);
    becomes("the stranger is gone", Some(vec![ada]), || {
        team.gerrit.members(&group)
    })
    .await;
    let said = team.until_event("Repaired").await;
    assert!(said.contains(&team.email("mallory")), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_of_rights_by_hand_is_repaired_as_soon_as_gerrit_tells_of_it() {
    let Some((team, path)) = hinted("rights").await else {
        return;
    };
    team.person("ada").await;
    let project = team.name("project");
    let mut spec = team.gerrit_spec("crew", &["ada"], json!({}));
    spec["interval"] = json!("1h");
    spec["gerrit"][0]["access"] = json!([{"project": project, "ref": "refs/heads/*", "permission": "read"}]);
    let _: lockstep_core::api::AccessBinding = team.apply("AccessBinding", "crew", &spec).await;
    team.until("crew", "Ready", "True").await;
    let given = team.gerrit.access(&project).await;
    assert!(
        given["refs/heads/*"]["permissions"]["read"].is_object(),
        "{given}"
    );

    let body = json!({"remove": {"refs/heads/*": {"permissions": {"read": {"rules": {}}}}}});
    let access = format!("/projects/{}/access", encode(&project));
    let (status, answer) = team.gerrit.call(reqwest::Method::POST, &access, Some(body)).await;
    assert_eq!(status, 200, "{answer}");
    let taken = team.gerrit.access(&project).await;
    assert_eq!(taken["refs/heads/*"], Value::Null, "{taken}");
    assert_eq!(
        post(&path, &moved(&team.name("other"), "refs/meta/config")).await,
        202
    );
    stays("nobody looks without being told", 6, taken, || {
        team.gerrit.access(&project)
    })
    .await;

    assert_eq!(post(&path, &moved(&project, "refs/meta/config")).await, 202);
    becomes("what was given is there again", given, || {
        team.gerrit.access(&project)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_path_lasts_until_the_connection_wants_no_hints_and_another_is_drawn_then() {
    let Some((team, path)) = hinted("path").await else {
        return;
    };
    let event = moved("nobodys-project", "refs/heads/main");
    assert_eq!(post(&path, &event).await, 202);
    team.connect_gerrit("gerrit", json!({})).await;
    eventually("the path leads nowhere", 30, || async {
        let status = post(&path, &event).await;
        (status == 404).then_some(()).ok_or_else(|| status.to_string())
    })
    .await;
    let shown = || async {
        let connection = team.all::<GerritConnection>().get("gerrit").await.unwrap();
        connection.status.unwrap_or_default().webhook_path
    };
    becomes("no path is shown", None, shown).await;
    let events = json!({"webhook": {"publicUrl": "https://lockstep.example.com"}});
    team.connect_gerrit("gerrit", json!({"events": events})).await;
    let new = eventually("another path is shown", 30, || async {
        shown().await.ok_or("none".to_owned())
    })
    .await;
    assert_ne!(new, path);
    assert_eq!((post(&new, &event).await, post(&path, &event).await), (202, 404));
}
