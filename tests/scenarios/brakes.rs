//! Brakes: what is more likely an accident than a wish waits for a person. What is a wish does not.

use lockstep_core::api::AccessBinding;
use serde_json::{Value, json};

use crate::support::approvals::protect;
use crate::support::sim::Apart;
use crate::support::team::{Team, host};
use crate::support::{PATIENCE, becomes, eventually, world};

const TWELVE: [&str; 12] = [
    "p00", "p01", "p02", "p03", "p04", "p05", "p06", "p07", "p08", "p09", "p10", "p11",
];

#[tokio::test(flavor = "multi_thread")]
async fn five_strangers_in_a_group_of_twelve_go_and_four_of_the_twelve_do_not() {
    let Some(team) = Team::new("twelve").await else {
        return;
    };
    let twelve = team.people(&TWELVE).await;
    let strangers = team.people(&["s0", "s1", "s2", "s3", "s4"]).await;
    let group = team.name("crew");
    team.bind_gerrit("crew", &TWELVE, json!({}), json!({})).await;
    team.until("crew", "Ready", "True").await;
    for stranger in strangers {
        team.gerrit.add_member(&group, stranger).await;
    }
    becomes("all strangers are gone", Some(twelve.clone()), || {
        team.gerrit.members(&group)
    })
    .await;
    let binding = team.pass("crew").await;
    let blocked = binding
        .status
        .unwrap()
        .conditions
        .iter()
        .any(|c| c.type_ == "Blocked");
    assert!(!blocked);

    team.bind_gerrit("crew", &TWELVE[..8], json!({}), json!({})).await;
    team.until_message(
        "crew",
        "Blocked",
        &["MaxRemovals", "4 of 12 declared people would go", "sha256:"],
    )
    .await;
    assert_eq!(team.gerrit.members(&group).await, Some(twelve.clone()));
    // A quarter may go.
    team.bind_gerrit("crew", &TWELVE[..9], json!({}), json!({})).await;
    becomes("three go", Some(twelve[..9].to_vec()), || {
        team.gerrit.members(&group)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_brake_holds_its_target_and_no_other() {
    let Some(team) = Team::new("brakes").await else {
        return;
    };
    let numbers = team.people(&TWELVE[..8]).await;
    let two = |name: &str, people: &[&str], safety: Value| {
        let mut spec = team.gerrit_spec(name, people, json!({}));
        let mut other = spec["gerrit"][0].clone();
        other["group"] = json!({"name": team.name(&format!("{name}-extra")), "membership": "Additive"});
        spec["gerrit"].as_array_mut().unwrap().push(other);
        spec["safety"] = safety;
        spec
    };
    let min = json!({"minMembers": 3, "maxRemovals": "100%"});
    let _: AccessBinding = team
        .apply(
            "AccessBinding",
            "many",
            &team.gerrit_spec("many", &TWELVE[..2], json!({})),
        )
        .await;
    let _: AccessBinding = team
        .apply("AccessBinding", "few", &two("few", &TWELVE[..4], min.clone()))
        .await;
    for name in ["many", "few"] {
        team.until(name, "Ready", "True").await;
    }
    let mut many = two("many", &TWELVE[..8], Value::Null);
    many.as_object_mut().unwrap().remove("safety");
    let _: AccessBinding = team.apply("AccessBinding", "many", &many).await;
    let _: AccessBinding = team
        .apply("AccessBinding", "few", &two("few", &TWELVE[..2], min))
        .await;
    team.until_message("many", "Blocked", &["MaxAdditions", "6 people would come to 2"])
        .await;
    team.until_message("few", "Blocked", &["MinMembers", "safety.minMembers 3"])
        .await;
    assert_eq!(
        team.gerrit.members(&team.name("many")).await,
        Some(numbers[..2].to_vec())
    );
    assert_eq!(
        team.gerrit.members(&team.name("few")).await,
        Some(numbers[..4].to_vec())
    );
    // The other target of the same binding is new, and its first fill is free.
    let extra = team.name("many-extra");
    becomes("the other group is filled all the same", Some(numbers), || {
        team.gerrit.members(&extra)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_deletions_waits_for_a_person() {
    let Some(team) = Team::new("flood").await else {
        return;
    };
    protect(&team).await;
    let ada = team.person("ada").await;
    let names: Vec<String> = (0..12).map(|at| format!("crew-{at}")).collect();
    for name in &names {
        team.bind_gerrit(name, &["ada"], json!({}), json!({})).await;
    }
    for name in &names {
        team.until(name, "Ready", "True").await;
    }
    for name in &names {
        team.go(name).await;
    }
    // Some may be gone before anybody could see a flood; the rest waits.
    let held = eventually("those that are left are held", PATIENCE, || async {
        let left = team
            .bindings()
            .list(&kube::api::ListParams::default())
            .await
            .unwrap()
            .items;
        let held: Vec<_> = left
            .iter()
            .filter(|binding| {
                let status = binding.status.clone().unwrap_or_default();
                status.plan.is_some() && format!("{:?}", status.conditions).contains("MassDeletion")
            })
            .cloned()
            .collect();
        if held.len() == left.len() && held.len() > 5 {
            Ok(held)
        } else {
            Err(format!("{} of {} held", held.len(), left.len()))
        }
    })
    .await;
    println!("{} of {} held", held.len(), names.len());
    for binding in &held {
        let name = team.name(binding.metadata.name.as_deref().unwrap());
        assert_eq!(team.gerrit.members(&name).await, Some(vec![ada]), "{name}");
    }
    // Also the last few: what went just before counts on.
    for binding in &held {
        team.approve(binding).await;
    }
    for name in &names {
        team.gone(name).await;
        assert_eq!(team.gerrit.members(&team.name(name)).await, None, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn taking_the_right_to_use_tokens_asks_first() {
    let Some(team) = Team::new("tokens").await else {
        return;
    };
    protect(&team).await;
    team.person("ada").await;
    // Before the first token there is no such object.
    let path = "/api/2.0/token/create";
    let (status, answer) = team.sim.call(reqwest::Method::POST, path, Some(json!({}))).await;
    assert_eq!(status, 200, "{answer}");
    let objects = |objects: Value| {
        json!({"gerrit": null, "databricks": {"workspaces": [{
            "connectionRef": {"name": "prod"}, "permission": "USER", "objects": objects,
        }]}})
    };
    let tokens = json!([{"authorization": "tokens", "level": "CAN_USE"}]);
    team.bind("crew", &["ada"], objects(tokens)).await;
    team.until("crew", "Ready", "True").await;
    team.bind("crew", &["ada"], objects(json!([]))).await;
    team.until_message("crew", "Blocked", &["TokensDeleted"]).await;
    let binding = team.bindings().get("crew").await.unwrap();
    team.approve(&binding).await;
    team.until("crew", "Ready", "True").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operator_does_not_take_itself_out_unasked() {
    let Some(team) = Team::new("oneself").await else {
        return;
    };
    let ada = team.person("ada").await;
    let (_, account) = team
        .gerrit
        .get(&format!("/accounts/{}", world::GERRIT_USER))
        .await;
    let mut both = vec![ada, account["_account_id"].as_i64().unwrap()];
    both.sort_unstable();
    let group = team.name("crew");
    let members = json!({"members": [
        {"person": {"email": team.email("ada")}}, {"serviceUser": {"username": world::GERRIT_USER}},
    ]});
    team.bind_gerrit("crew", &[], json!({}), members).await;
    team.until("crew", "Ready", "True").await;
    assert_eq!(team.gerrit.members(&group).await, Some(both.clone()));

    team.bind_gerrit("crew", &["ada"], json!({}), json!({})).await;
    team.until_message("crew", "Blocked", &["OperatorLosesAccess", world::GERRIT_USER])
        .await;
    assert_eq!(team.gerrit.members(&group).await, Some(both.clone()));
    // Nor with the whole group.
    team.go("crew").await;
    team.until_message("crew", "Blocked", &["OperatorLosesAccess"])
        .await;
    assert_eq!(team.gerrit.members(&group).await, Some(both));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_administrator_does_not_go_with_a_binding() {
    let Some(team) = Team::new("lastadmin").await else {
        return;
    };
    // A workspace that nobody else needs: it comes close to having no administrator.
    let apart = Apart::start(team.stack).await;
    let (ada, ben) = (team.email("ada"), team.email("ben"));
    apart
        .sim
        .seed(json!({
            "users": [{"userName": ada}, {"userName": ben}],
            "servicePrincipals": [{
                "applicationId": world::APPLICATION, "displayName": "lockstep", "accountAdmin": true, "admin": true,
                "secrets": [world::CLIENT_SECRET],
            }],
        }))
        .await;
    let data = json!({"clientId": world::APPLICATION, "clientSecret": world::CLIENT_SECRET});
    team.secret("apart", &host(&apart.url), &data).await;
    let connection = json!({
        "host": apart.url, "account": null, "auth": {"oauthSecret": {"secretRef": {"name": "apart"}}},
        "tenants": [{
            "namespaces": {"names": [team.prefix]}, "uses": ["Access"], "reach": {"groups": ["admins"]},
            "administrative": true,
        }],
    });
    team.connect_databricks("apart", connection).await;
    let spec = json!({
        "mode": "Enforce", "interval": "10s", "members": [{"person": {"email": ada}}],
        "databricks": {"workspaces": [
            {"connectionRef": {"name": "apart"}, "group": {"name": "admins", "membership": "Additive"}},
        ]},
    });
    let _: AccessBinding = team.apply("AccessBinding", "crew", &spec).await;
    team.until("crew", "Ready", "True").await;
    let administers = async || {
        let snapshot = apart.sim.snapshot().await;
        let workspaces = snapshot["users"][&ada]["workspaces"].as_object().cloned();
        workspaces
            .into_iter()
            .flatten()
            .any(|(_, row)| row["permission"] == "ADMIN")
    };
    assert!(administers().await);

    // The one who was there before steps down, by hand; the operator itself is nobody to turn to.
    let before = json!({"users": [{"userName": "admin@example.com"}]});
    apart.sim.seed(before).await;
    team.pass("crew").await;
    team.go("crew").await;
    team.until_message("crew", "Blocked", &["LastAdministrator", "sha256:"])
        .await;
    assert!(administers().await);

    let another = json!({"users": [{"userName": ben, "admin": true}]});
    apart.sim.seed(another).await;
    team.gone("crew").await;
    assert!(!administers().await);
}
