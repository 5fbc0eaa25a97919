use lockstep_core::domain::rotation::machine::state::CredentialId;
use lockstep_core::domain::rotation::ports::issuers::Listed;
use serde_json::json;

use super::*;

fn held(address: &str, id: &str, used: Option<&str>) -> Held {
    Held {
        kind: HeldKind::DatabricksToken,
        address: address.into(),
        owner: "ci".into(),
        person: false,
        listed: Listed {
            id: CredentialId(id.into()),
            label: None,
            comment: String::new(),
            made: None,
            expires: None,
            last_used: used.map(|used| used.parse().unwrap()),
        },
    }
}

#[test]
fn the_forgotten_token_stands_first_and_what_is_seen_twice_once() {
    let credential: ServiceCredential = serde_json::from_value(json!({
        "apiVersion": "lockstep.dev/v1alpha1", "kind": "ServiceCredential",
        "metadata": {"name": "dbx", "namespace": "ml"},
        "spec": {
            "issuer": {"databricksToken": {"connectionRef": {"name": "prod"}, "applicationId": "self", "lifetime": "30d"}},
            "schedule": {"every": "7d"},
            "stores": [{"kubernetesSecret": {"name": "dbx", "keys": {"value": "token"}}}],
        },
        "status": {"issuer": "here", "generations": [{"number": 1, "state": "Current", "id": "ours"}]},
    }))
    .unwrap();
    let inventory = Inventory {
        held: vec![
            held("here", "ours", Some("2025-01-01T00:00:00Z")),
            held("here", "fresh", Some("2026-11-01T00:00:00Z")),
            held("here", "forgotten", Some("2024-01-01T00:00:00Z")),
            held("elsewhere", "ours", None),
        ],
        unseen: vec!["tokens of account 1".into()],
    };
    let all = everything(&[inventory.clone(), inventory], &[Arc::new(credential)]);
    let ids: Vec<_> = all
        .credentials
        .iter()
        .map(|line| (line.address.as_str(), line.id.as_str()))
        .collect();
    assert_eq!(
        ids,
        [
            ("elsewhere", "ours"),
            ("here", "forgotten"),
            ("here", "fresh"),
            ("here", "ours")
        ]
    );
    assert_eq!(all.ungoverned(), 3);
    assert_eq!(all.credentials[3].governed_by.as_deref(), Some("ml/dbx"));
    assert!(all.credentials[1].advice.contains("federation"));
}

#[test]
fn an_account_is_asked_once_however_many_of_its_users_rotate() {
    let credential = |name: &str, secret: &str| {
        let keys = json!({"value": "secret", "clientId": "id"});
        let credential: ServiceCredential = serde_json::from_value(json!({
            "apiVersion": "lockstep.dev/v1alpha1", "kind": "ServiceCredential",
            "metadata": {"name": name, "namespace": "ml"},
            "spec": {
                "issuer": {"awsAccessKey": {"userName": name, "auth": {"secretRef": {"name": secret}}}},
                "schedule": {"every": "7d"},
                "stores": [{"kubernetesSecret": {"name": name, "keys": keys}}],
            },
        }))
        .unwrap();
        Arc::new(credential)
    };
    let ways = ways_to_aws(&[
        credential("a", "admin"),
        credential("b", "admin"),
        credential("c", "other"),
    ]);
    let users: Vec<_> = ways.into_values().collect();
    assert_eq!(
        users,
        [vec!["a".to_owned(), "b".to_owned()], vec!["c".to_owned()]]
    );
}
