//! Anybody may make a connection of their own to a system that others use. What it lets them do there is what their
//! own account may do, and never what another connection's may.

use kube::api::DeleteParams;
use lockstep_core::api::{AccessBinding, GerritConnection};
use serde_json::{Value, json};

use crate::support::becomes;
use crate::support::gerrit::encode;
use crate::support::team::{Team, host};
use crate::support::world::{PLANTED, strip};

/// A connection with an account that may do nothing, whose owner lets themselves do everything.
async fn own_connection(intruder: &Team) {
    // Without an instance id a server is known by this group, where it can be seen: then both are one server.
    show_to_all(intruder, "Administrators").await;
    let user = intruder.name("nobody");
    let password = format!("{PLANTED}-of-nobody");
    let path = format!("/accounts/{}", encode(&user));
    let body = json!({"name": user, "http_password": password});
    let (status, answer) = intruder
        .gerrit
        .call(reqwest::Method::PUT, &path, Some(body))
        .await;
    assert_eq!(status, 201, "{answer}");
    let data = json!({"username": user, "password": password});
    intruder.secret("mine", &host(&intruder.gerrit_url), &data).await;
    let spec = json!({
        "auth": {"basic": {"secretRef": {"name": "mine"}}},
        "tenants": [{"namespaces": {"names": [intruder.prefix]}, "uses": ["Access"], "administrative": true, "reach": {
            "projects": ["*"], "refs": ["*"], "groups": ["*"],
        }}],
    });
    intruder.connect_gerrit("mine", spec).await;
    intruder
        .until_object::<GerritConnection>("mine", "Succeeded")
        .await;
}

async fn show_to_all(team: &Team, group: &str) {
    let path = format!("/groups/{}/options", encode(group));
    let visible = json!({"visible_to_all": true});
    let (status, answer) = team.gerrit.call(reqwest::Method::PUT, &path, Some(visible)).await;
    assert_eq!(status, 200, "{answer}");
}

fn through_mine(intruder: &Team, group: Value, people: &[Value], access: Value) -> Value {
    let mut spec = intruder.gerrit_spec("x", &[], json!({}));
    spec["members"] = json!(people);
    spec["gerrit"][0]["connectionRef"]["name"] = json!("mine");
    spec["gerrit"][0]["group"] = group;
    spec["gerrit"][0]["access"] = access;
    spec
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_writes_with_the_rights_of_another_connection() {
    let Some(owner) = Team::new("owner").await else {
        return;
    };
    let intruder = Team::new("intruder").await.unwrap();
    let ada = owner.person("ada").await;
    intruder.person("mallory").await;
    own_connection(&intruder).await;
    let (project, crew) = (owner.name("project"), owner.name("crew"));
    let label = |max: i32| json!([{"project": project, "ref": "refs/heads/*", "label": {"name": "Code-Review", "min": -max, "max": max}}]);
    owner
        .bind_gerrit("crew", &["ada"], json!({"visibleToAll": true}), json!({}))
        .await;
    let mut spec = owner.gerrit_spec("crew", &["ada"], json!({"visibleToAll": true}));
    spec["gerrit"][0]["access"] = label(1);
    let _: AccessBinding = owner.apply("AccessBinding", "crew", &spec).await;
    owner.until("crew", "Ready", "True").await;
    let before = owner.gerrit.access(&project).await;

    // One binding that names both connections: what one lets it ask for, the other would write.
    let owner_of_all = json!([{"project": project, "ref": "refs/*", "permission": "owner"}]);
    let mut both = through_mine(&intruder, json!({"name": intruder.name("a")}), &[], owner_of_all);
    let strong = json!({"connectionRef": {"name": "gerrit"}, "group": {"name": intruder.name("b")}});
    both["gerrit"].as_array_mut().unwrap().insert(0, strong);
    let _: AccessBinding = intruder.apply("AccessBinding", "both", &both).await;
    intruder
        .until_message("both", "Stalled", &["both reach gerrit://"])
        .await;

    // A wider claim for another's group, which its owner's pass would join with its own.
    let mallory = json!({"person": {"email": intruder.email("mallory")}});
    let group = json!({"name": crew, "membership": "Additive"});
    let wide = through_mine(&intruder, group, &[mallory], label(2));
    let _: AccessBinding = intruder.apply("AccessBinding", "wide", &wide).await;
    intruder.pass("wide").await;
    owner.pass("crew").await;
    owner.until("crew", "Ready", "True").await;
    assert_eq!(owner.gerrit.members(&crew).await, Some(vec![ada]));
    assert_eq!(owner.gerrit.access(&project).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_takes_away_with_the_rights_of_another_connection() {
    let Some(intruder) = Team::new("taker").await else {
        return;
    };
    let owner = Team::new("giver").await.unwrap();
    let ada = owner.person("ada").await;
    own_connection(&intruder).await;
    let group = owner.name("by-hand");
    owner.gerrit.make_group(&group, &[ada]).await;
    show_to_all(&owner, &group).await;

    // Declaring what is there already makes it held, without a write.
    let person = json!({"person": {"email": owner.email("ada")}});
    let declared = json!({"name": group, "membership": "Additive"});
    let spec = through_mine(&intruder, declared, &[person], json!([]));
    let _: AccessBinding = intruder.apply("AccessBinding", "adopt", &spec).await;
    becomes("ada's membership is held", true, || async {
        let binding = intruder.bindings().get("adopt").await.unwrap();
        let rows = binding.status.unwrap_or_default().inventory.unwrap_or_default();
        rows.iter()
            .any(|row| row.principals.contains(&format!("account:{ada}")))
    })
    .await;

    // Taking the line away takes her out, by whichever connection still leads there: not by one that may not.
    let all = intruder.all::<GerritConnection>();
    all.delete("mine", &DeleteParams::default()).await.unwrap();
    let _ = strip(&all, "mine").await;
    becomes("the connection is gone", true, || async {
        all.get_opt("mine").await.unwrap().is_none()
    })
    .await;
    let nothing = json!({"mode": "Enforce", "interval": "10s", "members": []});
    let _: AccessBinding = intruder.apply("AccessBinding", "adopt", &nothing).await;
    intruder.until_reason("adopt", "Stalled", "OutOfReach").await;
    intruder.pass("adopt").await;
    assert_eq!(owner.gerrit.members(&group).await, Some(vec![ada]));
    intruder.delete("adopt").await;
    assert_eq!(owner.gerrit.members(&group).await, Some(vec![ada]));
}
