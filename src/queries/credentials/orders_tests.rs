use serde_json::{Value, json};

use super::*;

fn credential(more: &Value, status: &Value) -> ServiceCredential {
    let mut object = json!({
        "apiVersion": "lockstep.dev/v1alpha1", "kind": "ServiceCredential",
        "metadata": {"name": "dbx", "namespace": "ml", "annotations": {COMPROMISED: "1,2"}},
        "spec": {
            "mode": "Enforce", "overlap": "1h",
            "issuer": {"gerritToken": {"connectionRef": {"name": "gerrit"}, "account": "ci", "lifetime": "30d"}},
            "schedule": {"every": "7d"},
            "stores": [{"kubernetesSecret": {"name": "ci", "keys": {"value": "token"}}}],
            "restart": [{"kind": "Deployment", "name": "api"}],
        },
        "status": status,
    });
    for (key, value) in more.as_object().unwrap() {
        object["spec"][key] = value.clone();
    }
    serde_json::from_value(object).unwrap()
}

fn rotated() -> Value {
    json!({"current": 3, "generations": [
        {"number": 1, "state": "Revoked", "why": "Replaced"},
        {"number": 2, "state": "Draining", "until": "2026-11-02T00:00:00Z", "id": "t2"},
        {"number": 3, "state": "Current", "id": "t3"},
    ]})
}

#[test]
fn whoever_rotates_is_told_what_stays_and_what_starts_anew() {
    let told = rotating(&credential(&json!({}), &rotated())).unwrap().join("\n");
    for wanted in [
        "generation 3 lives on for 1h",
        "Deployment api is started anew",
        "1 stores",
    ] {
        assert!(told.contains(wanted), "{told}");
    }
    let observing = rotating(&credential(&json!({"mode": "Observe"}), &rotated())).unwrap_err();
    assert!(observing.contains("spec.mode"), "{observing}");
    let suspended = rotating(&credential(&json!({"suspend": true}), &rotated())).unwrap_err();
    assert!(suspended.contains("spec.suspend"), "{suspended}");
}

#[test]
fn whoever_revokes_the_current_one_is_warned_of_the_gap() {
    let (annotation, told) = revoking(&credential(&json!({}), &rotated()), None).unwrap();
    assert_eq!(annotation, "2,3", "1 lives no more, 2 was asked for before");
    assert!(
        told[0].contains("generation 3 (t3)") && told[1].contains("NOTHING"),
        "{told:?}"
    );
    let (annotation, told) = revoking(&credential(&json!({}), &rotated()), Some(2)).unwrap();
    assert_eq!((annotation.as_str(), told.len()), ("2", 1));
}

#[test]
fn what_does_not_live_is_not_revoked_again() {
    let told = revoking(&credential(&json!({}), &rotated()), Some(1)).unwrap_err();
    assert!(told.contains("those that may are 2, 3"), "{told}");
    let none = revoking(&credential(&json!({}), &json!({})), None).unwrap_err();
    assert!(none.contains("no current generation"), "{none}");
}
