//! Mints whose answer is lost, lists that lag, and words that must not be repeated.

use lockstep_core::domain::ports::SystemErrorKind;
use lockstep_core::domain::rotation::value::Value as Secret;
use serde_json::{Value, json};

use crate::credentials::{ids, issuers, label, refusal};
use crate::sim::{BOT, Sim};
use crate::waiting::eventually;

async fn sent(sim: &Sim, call: &str) -> u64 {
    let asked = sim.asked().await;
    let call = format!("POST {call}");
    asked
        .iter()
        .find(|(route, _)| *route == call)
        .map_or(0, |(_, times)| *times)
}

#[tokio::test]
async fn an_answer_that_is_lost_leaves_open_what_exists_and_is_not_asked_for_again() {
    for (action, made) in [
        (json!({"FailAfter": {"status": 500}}), 1),
        (json!({"FailAfter": {"status": 503}}), 1),
        (json!({"FailBefore": {"status": 502}}), 0),
        (json!("DropAfter"), 1),
        (json!("DropBefore"), 0),
        (json!("Garbage"), 1),
        (json!("Truncate"), 1),
        (json!({"BigBody": {"mb": 10}}), 1),
        (json!("Html"), 0),
    ] {
        let sim = Sim::start().await;
        for (call, issuer) in issuers(&sim).await {
            let before = ids(&issuer.list().await.unwrap());
            sim.fault("POST", call, 1, action.clone()).await;
            sim.forget().await;
            let error = refusal(issuer.mint(&label(7), None).await);
            assert_eq!(
                error.kind,
                SystemErrorKind::OutcomeUnknown,
                "{call} {action}: {error}"
            );
            assert_eq!(sent(&sim, call).await, 1, "{call} {action}");
            let listed = issuer.list().await.unwrap();
            let strays: Vec<_> = listed.iter().filter(|one| !before.contains(&one.id.0)).collect();
            assert_eq!(strays.len(), made, "{call} {action}");
            // Where the vendor keeps a comment the stray says itself whose it is.
            for stray in strays {
                let known = stray.label == Some(label(7));
                assert_eq!(known, issuer.allowed().labelled, "{call} {action}");
                issuer.revoke(&stray.id).await.unwrap();
            }
            assert_eq!(ids(&issuer.list().await.unwrap()), before);
        }
    }
}

#[tokio::test]
async fn a_revocation_may_be_asked_for_until_it_is_answered() {
    let sim = Sim::start().await;
    for (_, issuer) in issuers(&sim).await {
        let minted = issuer.mint(&label(1), None).await.unwrap();
        // The answer is lost, and the call is sent again: what is gone is revoked.
        for verb in ["DELETE", "POST"] {
            sim.fault(verb, "*/secrets/{secret}", 1, json!("DropAfter")).await;
            sim.fault(
                verb,
                "/api/2.0/token-management/tokens/{id}",
                1,
                json!("DropAfter"),
            )
            .await;
            sim.fault(verb, "/api/2.0/token/delete", 1, json!("DropAfter"))
                .await;
        }
        issuer.revoke(&minted.id).await.unwrap();
        assert!(!issuer.prove(&minted.credential).await.unwrap());
        sim.no_faults().await;
    }
}

#[tokio::test]
async fn a_gateways_word_that_nothing_is_there_revokes_nothing() {
    let sim = Sim::start().await;
    for (_, issuer) in issuers(&sim).await {
        let minted = issuer.mint(&label(1), None).await.unwrap();
        for route in [
            "*/secrets/{secret}",
            "/api/2.0/token-management/tokens/{id}",
            "/api/2.0/token/delete",
        ] {
            for verb in ["DELETE", "POST"] {
                let page = json!({"FailBefore": {"status": 404}});
                sim.fault(verb, route, 1, page).await;
            }
        }
        let error = issuer.revoke(&minted.id).await.unwrap_err();
        assert_eq!(error.kind, SystemErrorKind::NotFound, "{error}");
        assert!(issuer.prove(&minted.credential).await.unwrap());
        sim.no_faults().await;
    }
}

#[tokio::test]
async fn a_list_that_lags_shows_what_was_minted_in_the_end() {
    let sim = Sim::start().await;
    let all = issuers(&sim).await;
    sim.settings(json!({"lag": 0.5})).await;
    for (call, issuer) in all {
        let minted = issuer.mint(&label(1), None).await.unwrap();
        // The door does not lag: what was just made is let in before it is listed.
        assert!(issuer.prove(&minted.credential).await.unwrap(), "{call}");
        eventually("the new one is listed", || async {
            let listed = ids(&issuer.list().await.unwrap());
            if listed.contains(&minted.id.0) {
                Ok(())
            } else {
                Err(format!("{call}: {listed:?}"))
            }
        })
        .await;
    }
}

#[tokio::test]
async fn an_error_repeats_no_value() {
    let sim = Sim::start().await;
    let system = sim.system().system;
    let planted = "planted-value-0123456789";
    let echo = |status: u16| {
        let said = format!("cannot take {planted}");
        json!({"Refuse": {"status": status, "error_code": "INTERNAL_ERROR", "message": said}})
    };
    let secrets = system.principal_secrets(Some(BOT)).await.unwrap();
    let tokens = system.personal_tokens(None).await.unwrap();
    for issuer in [secrets, tokens] {
        let minted = issuer.mint(&label(1), None).await.unwrap();
        let planted = issuer.credential(&minted.id, Secret::new(planted.to_owned()));
        for status in [400, 403, 500] {
            for route in ["/oidc/v1/token", "/api/2.0/preview/scim/v2/Me"] {
                let faults: Value = json!([
                    {"method": "POST", "route": route, "times": 9, "action": echo(status)},
                    {"method": "GET", "route": route, "times": 9, "action": echo(status)},
                ]);
                sim.control("POST", "faults", Some(faults)).await;
            }
            let error = issuer.prove(&planted).await.unwrap_err();
            assert!(!format!("{error} {error:?}").contains("planted"), "{error}");
            sim.no_faults().await;
        }
        assert!(!issuer.prove(&planted).await.unwrap());
    }
}
