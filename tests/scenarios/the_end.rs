//! After everything else: what was planted as a secret is nowhere to be found.

use base64::Engine as _;
use kube::api::{Api, DynamicObject, ListParams};
use kube::core::GroupVersionKind;
use kube::discovery;

use crate::support::operator::SHARED;
use crate::support::secrets::{planted, search};
use crate::support::stack::{Stack, aside_if_used, place, stack};
use crate::support::world::{CLIENT_SECRET, GERRIT_PASSWORD, GERRIT_USER};
use crate::support::{eventually, operator};

/// Everything of a kind, whatever it is.
async fn everything(stack: &Stack, group: &str, version: &str, kind: &str) -> String {
    let client = stack.kube().await;
    let kind = GroupVersionKind::gvk(group, version, kind);
    let (resource, _) = discovery::pinned_kind(&client, &kind).await.unwrap();
    let api: Api<DynamicObject> = Api::all_with(client, &resource);
    let list = api.list(&ListParams::default()).await.unwrap();
    serde_json::to_string(&list.items).unwrap()
}

#[test]
fn the_search_finds_what_it_looks_for() {
    let encode = |text: &str| base64::engine::general_purpose::STANDARD.encode(text);
    for text in [
        CLIENT_SECRET.to_owned(),
        encode(&format!("{GERRIT_USER}:{GERRIT_PASSWORD}")),
        encode(&format!("{GERRIT_USER}1:{GERRIT_PASSWORD}")),
        encode(&format!("{GERRIT_USER}12:{GERRIT_PASSWORD}")),
    ] {
        assert!(
            std::panic::catch_unwind(|| search("a test", &text)).is_err(),
            "{text}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_planted_secret_was_written_anywhere() {
    let Some(stack) = stack() else { return };
    drop(operator::shared().await);
    // The last scenario to end: everybody else holds the shared operator, or the cluster beside it, while at work.
    let _alone = operator::nobody_alone().await;
    let operator = eventually("all others are done", 900, || async {
        SHARED.try_write().map_err(|_| "somebody is at work".to_owned())
    })
    .await;
    let operator = operator.as_ref().unwrap();
    search("the metrics", &operator.metrics().await);
    for stack in [Some(stack), aside_if_used()].into_iter().flatten() {
        for (group, version, kind) in [
            ("lockstep.dev", "v1alpha1", "AccessBinding"),
            ("lockstep.dev", "v1alpha1", "GerritConnection"),
            ("lockstep.dev", "v1alpha1", "DatabricksConnection"),
            ("lockstep.dev", "v1alpha1", "PlanApproval"),
            ("lockstep.dev", "v1alpha1", "PromotionPolicy"),
            ("lockstep.dev", "v1alpha1", "Promotion"),
            ("lockstep.dev", "v1alpha1", "ChangeFreeze"),
            ("lockstep.dev", "v1alpha1", "CredentialStore"),
            ("lockstep.dev", "v1alpha1", "ServiceCredential"),
            ("events.k8s.io", "v1", "Event"),
        ] {
            search(kind, &everything(stack, group, version, kind).await);
        }
    }
    let mut searched = 0;
    for name in ["shared", "alone"] {
        let mut folders = vec![place().join(name)];
        while let Some(folder) = folders.pop() {
            for file in std::fs::read_dir(folder).unwrap() {
                let file = file.unwrap().path();
                if file.is_dir() {
                    folders.push(file);
                } else {
                    let text = String::from_utf8_lossy(&std::fs::read(&file).unwrap()).into_owned();
                    searched += text.len();
                    search(&file.display().to_string(), &text);
                }
            }
        }
    }
    println!(
        "searched {searched} bytes of logs and records, {} minted values among what was looked for",
        planted()
    );
    assert!(searched > 0);
}
