//! Whose a group is: two that claim it, strangers, what was there before, and what was moved by hand.

use serde_json::json;

use crate::support::team::Team;
use crate::support::{becomes, cli};

#[tokio::test(flavor = "multi_thread")]
async fn of_two_that_claim_one_group_the_first_keeps_it_and_the_second_follows() {
    let Some(team) = Team::new("claims").await else {
        return;
    };
    let (ada, ben) = (team.person("ada").await, team.person("ben").await);
    // Another connection to the same server is the same server.
    team.connect_gerrit("again", json!({})).await;
    team.bind_gerrit("first", &["ada"], json!({"name": team.name("crew")}), json!({}))
        .await;
    team.until("first", "Ready", "True").await;
    let mut rival = team.gerrit_spec("second", &["ben"], json!({"name": team.name("crew")}));
    rival["gerrit"][0]["connectionRef"]["name"] = json!("again");
    let _: lockstep_core::api::AccessBinding = team.apply("AccessBinding", "second", &rival).await;
    team.until_message("second", "Conflict", &["first", "touches nothing"])
        .await;
    team.until_message("first", "Conflict", &["second", "goes on"])
        .await;
    let group = team.name("crew");
    assert_eq!(team.gerrit.members(&group).await, Some(vec![ada]));

    team.delete("first").await;
    becomes("the second takes over", Some(vec![ben]), || {
        team.gerrit.members(&group)
    })
    .await;
    team.until("second", "Ready", "True").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_stay_in_an_additive_group_and_a_takeover_asks_first() {
    let Some(team) = Team::new("strangers").await else {
        return;
    };
    let (ada, mallory) = (team.person("ada").await, team.person("mallory").await);
    let group = team.name("crew");
    team.bind_gerrit("crew", &["ada"], json!({"membership": "Additive"}), json!({}))
        .await;
    team.until("crew", "Ready", "True").await;
    team.gerrit.add_member(&group, mallory).await;
    team.pass("crew").await;
    assert_eq!(team.gerrit.members(&group).await, Some(vec![ada, mallory]));

    team.bind_gerrit(
        "crew",
        &["ada"],
        json!({"membership": "Authoritative"}),
        json!({}),
    )
    .await;
    team.until_message("crew", "Blocked", &["FirstAuthoritative", "1 of its members"])
        .await;
    assert_eq!(team.gerrit.members(&group).await, Some(vec![ada, mallory]));
    team.gerrit.remove_member(&group, mallory).await;
    team.until("crew", "Ready", "True").await;
    // From now on it is Lockstep's, and strangers go unasked.
    team.gerrit.add_member(&group, mallory).await;
    becomes("the stranger is taken away", Some(vec![ada]), || {
        team.gerrit.members(&group)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_databricks_strangers_go_from_an_authoritative_group_and_stay_in_an_additive_one() {
    let Some(team) = Team::new("guests").await else {
        return;
    };
    team.people(&["ada", "mallory"]).await;
    let bind = async |name: &str, membership: &str| {
        let group = json!({"name": team.name(name), "membership": membership});
        let account = json!({"gerrit": null, "databricks": {
            "account": {"group": group}, "workspaces": null,
        }});
        team.bind(name, &["ada"], account).await;
        team.until(name, "Ready", "True").await;
    };
    bind("closed", "Authoritative").await;
    bind("open", "Additive").await;
    let (ada, mallory) = (team.email("ada"), team.email("mallory"));
    for group in ["closed", "open"] {
        team.sim.add_to_account_group(&team.name(group), &mallory).await;
    }
    let closed = team.name("closed");
    becomes("the stranger is taken away", Some(vec![ada.clone()]), || {
        team.sim.account_group(&closed)
    })
    .await;
    team.pass("open").await;
    let both = Some(vec![ada, mallory.clone()]);
    assert_eq!(team.sim.account_group(&team.name("open")).await, both);
    let plan = cli::lockstep(team.stack, &["plan", "open", "-n", &team.prefix], "");
    let said = String::from_utf8(plan.stdout).unwrap();
    assert!(
        said.lines()
            .any(|line| line.contains("foreign, stays:") && line.contains(&mallory)),
        "{said}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_there_before_goes_with_its_line_and_stays_without_the_object() {
    let Some(team) = Team::new("adopted").await else {
        return;
    };
    let (ada, ben) = (team.person("ada").await, team.person("ben").await);
    for group in ["old", "kept"] {
        team.gerrit.make_group(&team.name(group), &[ada]).await;
        team.bind_gerrit(group, &["ada", "ben"], json!({}), json!({}))
            .await;
    }
    for group in ["old", "kept"] {
        let ready = team.until(group, "Ready", "True").await;
        let inventory = serde_json::to_string(&ready.status.unwrap().inventory).unwrap();
        assert!(
            inventory.contains("Adopted") && inventory.contains("Created"),
            "{inventory}"
        );
    }
    team.bind_gerrit("old", &["ben"], json!({}), json!({})).await;
    team.until("old", "Ready", "True").await;
    assert_eq!(team.gerrit.members(&team.name("old")).await, Some(vec![ben]));

    team.delete("kept").await;
    assert_eq!(team.gerrit.members(&team.name("kept")).await, Some(vec![ada]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_that_was_renamed_by_hand_in_one_system_and_deleted_in_the_other_is_put_right() {
    let Some(team) = Team::new("moved").await else {
        return;
    };
    let ada = team.person("ada").await;
    let group = team.name("crew");
    // One that Lockstep made a moment ago could be missing from a reading that is older, and would be waited for.
    team.sim.seed(json!({"groups": [{"displayName": group}]})).await;
    team.bind("crew", &["ada"], json!({})).await;
    team.until("crew", "Ready", "True").await;

    team.gerrit.rename_group(&group, &team.name("taken-away")).await;
    becomes("the name is back", Some(vec![ada]), || {
        team.gerrit.members(&group)
    })
    .await;
    assert_eq!(team.gerrit.members(&team.name("taken-away")).await, None);

    team.sim.delete_account_group(&group).await;
    let wanted = Some(vec![team.email("ada")]);
    becomes("the group is back", wanted, || team.sim.account_group(&group)).await;
    team.until("crew", "Ready", "True").await;
    team.pass("crew").await;
    let access = team.gerrit.access(&team.name("project")).await;
    let rules = &access["refs/heads/*"]["permissions"]["read"]["rules"];
    assert_eq!(rules.as_object().map(serde_json::Map::len), Some(1), "{access}");

    team.delete("crew").await;
    assert!(!team.sim.snapshot().await.to_string().contains(&group));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_other_way_round_it_is_put_right_as_well() {
    let Some(team) = Team::new("undone").await else {
        return;
    };
    let numbers = team.people(&["ada", "ben"]).await;
    let group = team.name("crew");
    // Gerrit deletes no group that a project's rights still name.
    let bare = json!({"gerrit": [{"connectionRef": {"name": "gerrit"}, "group": {"name": group}}]});
    team.bind("crew", &["ada", "ben"], bare).await;
    team.until("crew", "Ready", "True").await;
    let both = Some(vec![team.email("ada"), team.email("ben")]);

    let away = team.name("taken-away");
    team.sim.rename_account_group(&group, &away).await;
    becomes("the name is back", both, || team.sim.account_group(&group)).await;
    assert_eq!(team.sim.account_group(&away).await, None);

    team.gerrit.delete_group(&group).await;
    becomes("the group is back", Some(numbers), || team.gerrit.members(&group)).await;
    team.until("crew", "Ready", "True").await;
    team.delete("crew").await;
    assert_eq!(team.gerrit.members(&group).await, None);
    assert_eq!(team.sim.account_group(&group).await, None);
}
