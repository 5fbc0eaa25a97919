//! Names that try to be something else.

use lockstep_core::api::AccessBinding;
use serde_json::json;

use crate::support::approvals::protect;
use crate::support::team::Team;

#[tokio::test(flavor = "multi_thread")]
async fn names_with_slashes_percents_quotes_and_umlauts_are_just_names() {
    let Some(team) = Team::new("names").await else {
        return;
    };
    // Gerrit's user names are tamer than addresses.
    let email = team.email("o'hara+ada");
    let user = json!({"userName": email, "displayName": email});
    team.sim.seed(json!({"users": [user]})).await;
    let ada = team.gerrit.account(&team.name("ohara"), &email).await;
    let project = format!("{}/deep/er", team.name("project"));
    team.gerrit.project(&project).await;
    let words = [
        "a/b",
        "100%2Fsure",
        "../../etc",
        "say \"hi\" o'clock",
        "größe 🦀",
        "a;b&c=d?e#f",
        "back\\slash",
    ];
    for (at, word) in words.iter().enumerate() {
        let group = team.name(word);
        let mut spec = team.gerrit_spec("x", &["o'hara+ada"], json!({"name": group, "description": word}));
        spec["gerrit"][0]["access"] =
            json!([{"project": project, "ref": "refs/heads/*", "permission": "read"}]);
        spec["databricks"] = json!({
            "account": {"connectionRef": {"name": "prod"}, "group": {"name": group}},
            "workspaces": [{"connectionRef": {"name": "prod"}, "permission": "USER"}],
        });
        let _: AccessBinding = team.apply("AccessBinding", &format!("binding-{at}"), &spec).await;
    }
    for (at, word) in words.iter().enumerate() {
        team.until(&format!("binding-{at}"), "Ready", "True").await;
        let group = team.name(word);
        assert_eq!(team.gerrit.members(&group).await, Some(vec![ada]), "{word}");
        assert_eq!(
            team.sim.account_group(&group).await,
            Some(vec![email.clone()]),
            "{word}"
        );
    }
    let access = team.gerrit.access(&project).await;
    let rules = access["refs/heads/*"]["permissions"]["read"]["rules"].as_object();
    assert_eq!(rules.map(serde_json::Map::len), Some(words.len()), "{access}");

    // More than five, be it one after another, are taken for an accident until a person says otherwise.
    protect(&team).await;
    let names: Vec<String> = (0..words.len()).map(|at| format!("binding-{at}")).collect();
    let (some, others) = names.split_at(5);
    for name in some {
        team.go(name).await;
    }
    for name in some {
        team.gone(name).await;
    }
    for name in others {
        team.go(name).await;
        team.until_message(name, "Blocked", &["MassDeletion"]).await;
        let binding = team.bindings().get(name).await.unwrap();
        team.approve(&binding).await;
        team.gone(name).await;
    }
    let left = team.sim.snapshot().await.to_string();
    for word in words {
        assert_eq!(team.gerrit.members(&team.name(word)).await, None, "{word}");
        assert!(!left.contains(&team.name(word)), "{word}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn names_that_no_system_can_hold_are_refused_at_admission() {
    let Some(team) = Team::new("refused").await else {
        return;
    };
    let spec = |group: &str, project: &str| {
        let mut spec = team.gerrit_spec("x", &["ada"], json!({"name": group}));
        spec["gerrit"][0]["access"] =
            json!([{"project": project, "ref": "refs/heads/*", "permission": "read"}]);
        spec
    };
    let good = team.name("fine");
    let newline = format!("{good}\nX-Evil: 1");
    let escape = format!("{good}/../../All-Projects");
    for (group, project) in [
        (newline.as_str(), good.as_str()),
        (good.as_str(), newline.as_str()),
        (good.as_str(), escape.as_str()),
        (" blank ", good.as_str()),
        ("", good.as_str()),
    ] {
        let applied = team
            .try_apply::<AccessBinding>("AccessBinding", "bad", &spec(group, project))
            .await;
        match applied {
            Err(kube::Error::Api(status)) => {
                assert_eq!(status.code, 422, "{group:?} {project:?}: {status:?}")
            }
            other => panic!("{group:?} {project:?}: {other:?}"),
        }
    }
    let fine = team
        .try_apply::<AccessBinding>("AccessBinding", "good", &spec(&good, &good))
        .await;
    assert!(fine.is_ok(), "{fine:?}");
}
