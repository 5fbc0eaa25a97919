//! A yes counts when somebody else says it, in their own name, to exactly this plan, in time, and once.

use lockstep_core::api::{AccessBinding, PlanApproval};
use serde_json::json;

use crate::support::approvals::{Yes, protect};
use crate::support::team::Team;
use crate::support::waiting::digest;
use crate::support::world::manager;
use crate::support::{becomes, eventually};

#[tokio::test(flavor = "multi_thread")]
async fn only_a_fresh_yes_of_somebody_else_to_exactly_this_plan_counts() {
    let Some(team) = Team::new("approvals").await else {
        return;
    };
    protect(&team).await;
    let numbers = team.people(&["ada", "ben", "cy", "dee", "eve"]).await;
    let group = team.name("crew");
    team.bind_gerrit("crew", &["ada", "ben", "cy", "dee"], json!({}), json!({}))
        .await;
    team.until("crew", "Ready", "True").await;

    // The author takes out two, and asks for what will not be asked any more later.
    let author = "author@example.com";
    let write = |people: &'static [&'static str]| {
        let spec = team.gerrit_spec("crew", people, json!({}));
        let body = json!({
            "apiVersion": "lockstep.dev/v1alpha1", "kind": "AccessBinding", "metadata": {"name": "crew"}, "spec": spec,
        });
        let (stack, prefix) = (team.stack, team.prefix.clone());
        async move {
            let client = stack.kube_as(Some(author)).await;
            let api: kube::Api<AccessBinding> = kube::Api::namespaced(client, &prefix);
            api.patch("crew", &manager(), &kube::api::Patch::Apply(&body))
                .await
                .unwrap()
        }
    };
    write(&["ada", "ben"]).await;
    let older = digest(&team.until("crew", "Blocked", "True").await);
    // And then one comes as well: another plan.
    write(&["ada", "ben", "eve"]).await;
    let binding = eventually("the plan is another one", crate::support::PATIENCE, || async {
        let binding = team.until("crew", "Blocked", "True").await;
        (digest(&binding) != older)
            .then_some(binding)
            .ok_or_else(|| older.clone())
    })
    .await;
    let now = digest(&binding);

    let forged = Yes {
        name: "forged",
        user: "mallory@example.com",
        approver: "lead@example.com",
        digest: &now,
        expires: None,
    };
    let refused = team.say(&binding, forged).await.unwrap_err().to_string();
    assert!(refused.contains("you are mallory@example.com"), "{refused}");

    let eve = team.email("eve");
    for (name, user, digest, expires) in [
        ("by-the-author", author, &now, None),
        ("by-who-gains", eve.as_str(), &now, None),
        ("of-an-older-plan", "lead@example.com", &older, None),
        ("too-late", "lead@example.com", &now, Some("2020-01-01T00:00:00Z")),
    ] {
        let yes = Yes {
            name,
            user,
            approver: user,
            digest,
            expires,
        };
        team.say(&binding, yes).await.unwrap();
    }
    team.until_message(
        "crew",
        "Blocked",
        &[
            "by-the-author: author@example.com changed the spec",
            "by-who-gains",
            "would gain",
            "of-an-older-plan: it names",
            "too-late: it expired",
        ],
    )
    .await;
    let before = Some(numbers[..4].to_vec());
    assert_eq!(team.gerrit.members(&group).await, before);

    let yes = team.approve(&binding).await;
    let wanted = Some(vec![numbers[0], numbers[1], numbers[4]]);
    becomes("the lead's yes counts", wanted.clone(), || {
        team.gerrit.members(&group)
    })
    .await;
    team.until("crew", "Ready", "True").await;
    let used = team
        .all::<PlanApproval>()
        .get(yes.metadata.name.as_deref().unwrap())
        .await
        .unwrap();
    let used = used.status.unwrap();
    assert!(used.used_at.is_some() && used.used_by.is_some(), "{used:?}");

    // The same plan once more needs another yes.
    team.bind_gerrit(
        "crew",
        &["ada", "ben", "cy", "dee"],
        json!({}),
        json!({"safety": {"maxRemovals": "100%"}}),
    )
    .await;
    becomes("it is as it was", before.clone(), || team.gerrit.members(&group)).await;
    team.until("crew", "Ready", "True").await;
    write(&["ada", "ben", "eve"]).await;
    team.until_message("crew", "Blocked", &["it was used already"])
        .await;
    assert_eq!(team.gerrit.members(&group).await, before);
}
