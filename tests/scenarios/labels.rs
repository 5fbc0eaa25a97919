//! Rights on labels: Gerrit takes a label that it does not have, and votes that the label does not know, without a
//! word. Lockstep does not.

use serde_json::{Value, json};

use crate::support::gerrit::encode;
use crate::support::team::Team;
use crate::support::{becomes, eventually};

/// What the team's binding gives on all branches of its project: read, and a right on a label.
async fn bind(team: &Team, name: &str, min: i32, max: i32) {
    let project = team.name("project");
    let mut spec = team.gerrit_spec("crew", &["ada"], json!({}));
    spec["gerrit"][0]["access"] = json!([
        {"project": project, "ref": "refs/heads/*", "permission": "read"},
        {"project": project, "ref": "refs/tags/*", "label": {"name": name, "min": min, "max": max}},
    ]);
    let _: lockstep_core::api::AccessBinding = team.apply("AccessBinding", "crew", &spec).await;
}

/// The one rule on tags, by permission.
async fn on_tags(team: &Team) -> Value {
    let access = team.gerrit.access(&team.name("project")).await;
    let permissions = access["refs/tags/*"]["permissions"].as_object();
    let rule = |(name, permission): (&String, &Value)| {
        let rule = permission["rules"].as_object().unwrap().values().next().unwrap();
        (name.clone(), json!([rule["min"], rule["max"]]))
    };
    Value::Object(permissions.into_iter().flatten().map(rule).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_label_that_the_project_does_not_have_is_named_with_those_it_has() {
    let Some(team) = Team::new("labels").await else {
        return;
    };
    let ada = team.person("ada").await;
    bind(&team, "Code-Revue", -1, 1).await;
    let said = team.until_reason("crew", "Ready", "LevelNotSupported").await;
    assert!(
        said.contains("no label Code-Revue") && said.contains("Code-Review (-2, -1, 0, +1, +2)"),
        "{said}"
    );
    // The rest goes on.
    let (group, project) = (team.name("crew"), team.name("project"));
    becomes("the group is there", Some(vec![ada]), || {
        team.gerrit.members(&group)
    })
    .await;
    eventually("the other right is given", 30, || async {
        let access = team.gerrit.access(&project).await;
        let given = access["refs/heads/*"]["permissions"]["read"].is_object();
        given.then_some(()).ok_or_else(|| access.to_string())
    })
    .await;
    assert_eq!(on_tags(&team).await, json!({}));

    // Somebody makes the label: found at the interval, without an edit.
    let path = format!("/projects/{}/labels/Code-Revue", encode(&project));
    let label = json!({"values": {" 0": "none", "-1": "no", "+1": "yes"}});
    let (status, answer) = team.gerrit.call(reqwest::Method::PUT, &path, Some(label)).await;
    assert_eq!(status, 201, "{answer}");
    team.until("crew", "Ready", "True").await;
    assert_eq!(on_tags(&team).await, json!({"label-Code-Revue": [-1, 1]}));
}

#[tokio::test(flavor = "multi_thread")]
async fn votes_beyond_a_labels_values_are_refused_and_what_is_held_stays() {
    let Some(team) = Team::new("range").await else {
        return;
    };
    team.person("ada").await;
    bind(&team, "Code-Review", -1, 1).await;
    team.until("crew", "Ready", "True").await;
    bind(&team, "Code-Review", -3, 2).await;
    let said = team.until_reason("crew", "Ready", "LevelNotSupported").await;
    assert!(
        said.contains("-3..+2") && said.contains("-2, -1, 0, +1, +2"),
        "{said}"
    );
    team.pass("crew").await;
    assert_eq!(on_tags(&team).await, json!({"label-Code-Review": [-1, 1]}));
    bind(&team, "Code-Review", -2, 2).await;
    team.until("crew", "Ready", "True").await;
    assert_eq!(on_tags(&team).await, json!({"label-Code-Review": [-2, 2]}));
}
