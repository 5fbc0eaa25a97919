//! Who is woken by what, and who is left to sleep.

use k8s_openapi::api::admissionregistration::v1::{
    ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding,
};
use k8s_openapi::api::core::v1::{Namespace, Secret};
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use lockstep_core::api::{AccessBinding, PlanApproval};
use lockstep_core::domain::access::declared::claim_words;
use lockstep_core::domain::ports::{Cluster as _, Journal as _, JournalState};
use serde_json::json;

use crate::support::{World, claims, eventually};

#[tokio::test]
async fn each_change_wakes_whom_it_concerns() {
    let Some(world) = World::new().await else { return };
    let mut followed = world.follow().await;
    let bindings = world.api::<AccessBinding>();
    let (mine, other, gerrit) = (world.name("mine"), world.name("other"), world.name("gerrit"));
    let merge = PatchParams::default();
    let group = format!("team-{}", world.namespace);

    world.bind("mine", claims(&group)).await;
    followed.woken(&mine).await;
    world.bind("other", claims(&group)).await;
    followed.woken(&mine).await;

    // A connection is created, its Secret appears, it becomes ready.
    let connections = world.connect().await;
    followed.woken(&gerrit).await;
    followed.woken(&mine).await;
    let secret: Secret =
        serde_json::from_value(json!({"metadata": {"name": "gerrit"}, "stringData": {"a": "1"}})).unwrap();
    let secrets = world.api::<Secret>();
    secrets.create(&PostParams::default(), &secret).await.unwrap();
    followed.woken(&gerrit).await;
    secrets
        .patch("gerrit", &merge, &Patch::Merge(json!({"stringData": {"a": "2"}})))
        .await
        .unwrap();
    followed.woken(&gerrit).await;
    let ready = json!({"status": {"server": "s", "conditions": [{
        "type": "Ready", "status": "True", "reason": "Succeeded", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z",
    }]}});
    connections
        .patch_status("gerrit", &merge, &Patch::Merge(ready))
        .await
        .unwrap();
    followed.woken(&mine).await;

    // Somebody asks; labels of the namespace change; an approval comes.
    let asked = json!({"metadata": {"annotations": {"lockstep.dev/requested-at": "now"}}});
    bindings
        .patch("mine", &merge, &Patch::Merge(asked))
        .await
        .unwrap();
    followed.woken(&mine).await;
    let namespaces: Api<Namespace> = Api::all(world.client.clone());
    let labelled = json!({"metadata": {"labels": {"team": "fraud"}}});
    namespaces
        .patch(&world.namespace, &merge, &Patch::Merge(labelled))
        .await
        .unwrap();
    eventually("its labels are seen", || {
        let labels = followed.cluster.namespace_labels(&world.namespace)?;
        (labels.get("team")? == "fraud").then_some(())
    })
    .await;
    followed.woken(&other).await;
    let uid = bindings.get("mine").await.unwrap().metadata.uid.unwrap();
    let approval: PlanApproval = serde_json::from_value(json!({
        "apiVersion": "lockstep.dev/v1alpha1", "kind": "PlanApproval", "metadata": {"name": "yes"},
        "spec": {"planRef": {"kind": "AccessBinding", "namespace": world.namespace, "name": "mine", "uid": uid},
                 "digest": format!("sha256:{}", "a".repeat(64)), "approver": world.me().await, "reason": "seen"},
    }))
    .unwrap();
    world
        .api()
        .create(&PostParams::default(), &approval)
        .await
        .unwrap();
    followed.woken(&mine).await;

    // Another claimant goes elsewhere, then away.
    bindings
        .patch(
            "other",
            &merge,
            &Patch::Merge(json!({"spec": claims("elsewhere")})),
        )
        .await
        .unwrap();
    followed.woken(&mine).await;
    bindings
        .patch("other", &merge, &Patch::Merge(json!({"spec": claims(&group)})))
        .await
        .unwrap();
    followed.woken(&mine).await;
    bindings.delete("other", &DeleteParams::default()).await.unwrap();
    followed.woken(&mine).await;
    world.clean().await;
}

#[tokio::test]
async fn what_we_write_ourselves_wakes_nobody_and_a_wiped_status_does() {
    let Some(world) = World::new().await else { return };
    let mut followed = world.follow().await;
    let key = world.bind("quiet", claims("quiet")).await;
    let name = world.name("quiet");
    followed.woken(&name).await;
    followed
        .journal
        .write(&key, &JournalState::default())
        .await
        .unwrap();
    let status = json!({"observedGeneration": 1, "conditions": [{
        "type": "Ready", "status": "True", "reason": "Succeeded", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z",
    }]});
    followed.cluster.write_status(&key, status).await.unwrap();
    followed
        .cluster
        .add_finalizer(&key, "lockstep.dev/test")
        .await
        .unwrap();
    followed
        .cluster
        .remove_finalizer(&key, "lockstep.dev/test")
        .await
        .unwrap();
    world.bind("marker", json!({})).await;
    let before = followed.woken_before(&world.name("marker")).await;
    assert!(!before.contains(&name), "{before:?}");

    let wiped = json!([{"op": "remove", "path": "/status"}]);
    let patch: Patch<()> = Patch::Json(serde_json::from_value(wiped).unwrap());
    world
        .api::<AccessBinding>()
        .patch_status("quiet", &PatchParams::default(), &patch)
        .await
        .unwrap();
    followed.woken(&name).await;
    world.clean().await;
}

#[tokio::test]
async fn claimants_are_found_by_the_words_they_share() {
    let Some(world) = World::new().await else { return };
    let followed = world.follow().await;
    let group = format!("Team-{}", world.namespace);
    for (name, spec) in [
        ("a", claims(&group)),
        ("b", claims(&group)),
        ("c", claims("else")),
    ] {
        world.bind(name, spec).await;
        followed.see(&world.name(name)).await;
    }
    let words = claim_words(&followed.store.bindings.get(&world.name("a")).unwrap().spec);
    let mut found: Vec<_> = followed
        .cluster
        .claimants(&words)
        .iter()
        .map(|binding| binding.metadata.name.clone().unwrap())
        .collect();
    found.sort();
    assert_eq!(found, ["a", "b"]);
    world.clean().await;
}

#[tokio::test]
async fn approvals_are_protected_while_policy_and_binding_deny() {
    let Some(world) = World::new().await else { return };
    let followed = world.follow().await;
    let policies: Api<ValidatingAdmissionPolicy> = Api::all(world.client.clone());
    let bindings: Api<ValidatingAdmissionPolicyBinding> = Api::all(world.client.clone());
    let name = lockstep::kubernetes::POLICY;
    if policies.get_opt(name).await.unwrap().is_some() {
        // A chart is installed here: its own policy is in force and is left alone.
        eventually("its policy is seen", || {
            followed.cluster.approvals_protected().then_some(())
        })
        .await;
        return world.clean().await;
    }
    assert!(!followed.cluster.approvals_protected());
    let policy: ValidatingAdmissionPolicy = serde_json::from_value(json!({
        "metadata": {"name": name},
        "spec": {
            "failurePolicy": "Fail",
            "matchConstraints": {"resourceRules": [{
                "apiGroups": ["lockstep.dev"], "apiVersions": ["*"], "operations": ["CREATE", "UPDATE"],
                "resources": ["planapprovals"],
            }]},
            "validations": [{"expression": lockstep::kubernetes::RULE}],
        },
    }))
    .unwrap();
    let binding = |action: &str| -> ValidatingAdmissionPolicyBinding {
        serde_json::from_value(json!({
            "metadata": {"name": name}, "spec": {"policyName": name, "validationActions": [action]},
        }))
        .unwrap()
    };
    policies.create(&PostParams::default(), &policy).await.unwrap();
    bindings
        .create(&PostParams::default(), &binding("Deny"))
        .await
        .unwrap();
    eventually("protected", || {
        followed.cluster.approvals_protected().then_some(())
    })
    .await;
    let warn = json!({"spec": {"validationActions": ["Warn"]}});
    bindings
        .patch(name, &PatchParams::default(), &Patch::Merge(warn))
        .await
        .unwrap();
    eventually("a warning protects nothing", || {
        (!followed.cluster.approvals_protected()).then_some(())
    })
    .await;
    bindings.delete(name, &DeleteParams::default()).await.unwrap();
    policies.delete(name, &DeleteParams::default()).await.unwrap();
    world.clean().await;
}
