use serde_json::{Value, json};

use super::*;

fn read(changes: &Value) -> Result<Declared, BadCredential> {
    let mut spec = json!({
        "issuer": {"databricksServicePrincipal": {
            "connectionRef": {"name": "prod"}, "applicationId": "0f8f2d2c-0a6c-4d7e-9f40-7d0c2f3f8a11", "lifetime": "30d",
        }},
        "schedule": {"every": "7d"},
        "stores": [{"kubernetesSecret": {"name": "dbx", "keys": {"value": "secret"}}}],
    });
    for (key, value) in changes.as_object().unwrap() {
        spec[key] = value.clone();
    }
    let now = "2026-11-02T00:00:00Z".parse().unwrap();
    Declared::read(&serde_json::from_value(spec).unwrap(), "ml-fraud", now)
}

fn told(changes: &Value) -> String {
    read(changes).unwrap_err().to_string()
}

#[test]
fn what_is_unset_has_its_default() {
    let declared = read(&json!({})).unwrap();
    assert_eq!(declared.overlap, 7_200);
    assert!(!declared.exclusive);
    assert_eq!(declared.on_delete, OnDelete::Revoke);
    assert_eq!(declared.ending(), Ending::Revoke);
    assert_eq!(declared.lifetime, Some(30 * 86_400));
    let connection = declared.identity.connection().unwrap();
    assert_eq!(
        (connection.namespace.as_str(), connection.name.as_str()),
        ("ml-fraud", "prod")
    );
    let place = Place::KubernetesSecret {
        namespace: "ml-fraud".into(),
        name: "dbx".into(),
        kind: "Opaque".into(),
    };
    assert_eq!(declared.stores[0].place, place);
}

#[test]
fn a_place_is_named_so_that_it_is_found_again() {
    let stores = json!([
        {"kubernetesSecret": {"name": "dbx", "template": "DockerConfig"}},
        {"credentialStore": {"ref": {"name": "vault"}, "path": "ml/fraud/dbx", "keys": {"value": "v"}}},
        {"credentialStore": {"ref": {"name": "vault", "namespace": "platform"}, "path": "a", "keys": {"value": "v"}}},
    ]);
    let declared = read(&json!({"stores": stores})).unwrap();
    let names: Vec<_> = declared
        .stores
        .iter()
        .map(|store| store.name.0.as_str())
        .collect();
    assert_eq!(
        names,
        [
            "secret/dbx",
            "store/ml-fraud/vault/ml/fraud/dbx",
            "store/platform/vault/a"
        ]
    );
    for store in &declared.stores[1..] {
        assert_eq!(Place::parse(&store.name, "ml-fraud").as_ref(), Some(&store.place));
    }
    assert!(matches!(&declared.stores[0].place, Place::KubernetesSecret { kind, .. } if kind == DOCKER_TYPE));
    assert_eq!(Place::parse(&StoreName("elsewhere".into()), "ml-fraud"), None);
}

#[test]
fn what_cannot_be_kept_is_refused_with_its_numbers() {
    let short = told(&json!({"schedule": {"every": "20d"}}));
    assert!(
        short.contains("2592000 s") && short.contains("2 x 1728000 s + 7200 s"),
        "{short}"
    );
    let overlapping = told(&json!({"schedule": {"every": "1h"}}));
    assert!(
        overlapping.contains("spec.overlap: 7200 s") && overlapping.contains("3600 s"),
        "{overlapping}"
    );
    let twice = json!({"kubernetesSecret": {"name": "dbx", "keys": {"value": "v"}}});
    let twice = told(&json!({"stores": [twice, twice]}));
    assert_eq!(twice, "spec.stores[1]: secret/dbx stands in the list before");
    let neither = told(&json!({"stores": [{"kubernetesSecret": {"name": "dbx"}}]}));
    assert!(neither.contains("spec.stores[0]: set exactly one"), "{neither}");
    assert_eq!(
        read(&json!({"schedule": {}})).unwrap_err(),
        BadCredential::NoSchedule
    );
}

#[test]
fn the_connections_own_credential_outlives_two_missed_rotations() {
    let own = |lifetime: &str| {
        json!({"issuer": {"databricksServicePrincipal": {
            "connectionRef": {"name": "prod"}, "applicationId": "self", "lifetime": lifetime,
        }}})
    };
    assert!(read(&own("22d")).unwrap().identity.is_own());
    let slack = told(&own("21d"));
    assert!(
        slack.contains("1814400 s") && slack.contains("3 x 604800 s + 7200 s"),
        "{slack}"
    );
    // By the clock as well: a week is the longest time between two Mondays, but for the hour that the clocks go back.
    let by_clock = |lifetime: &str| {
        let mut changes = own(lifetime);
        changes["schedule"] = json!({"cron": "0 3 * * MON", "timeZone": "Europe/Berlin"});
        changes
    };
    assert!(read(&by_clock("22d")).is_ok());
    let slack = told(&by_clock("21d"));
    assert!(
        slack.contains("3 x ") && slack.contains("must outlive two rotations"),
        "{slack}"
    );
}

#[test]
fn what_needs_a_host_is_refused_where_there_is_none() {
    let aws = json!({"awsAccessKey": {"auth": {"secretRef": {"name": "aws"}}, "userName": "ci"}});
    for (place, what) in [
        (json!({"template": "Netrc"}), "a template"),
        (json!({"keys": {"value": "secret", "host": "host"}}), "keys.host"),
    ] {
        let mut secret = json!({"name": "aws-key"});
        secret
            .as_object_mut()
            .unwrap()
            .extend(place.as_object().unwrap().clone());
        let stores = json!([{"kubernetesSecret": secret}]);
        let told = told(&json!({"issuer": aws, "schedule": {"every": "300d"}, "stores": stores}));
        assert!(
            told.contains("spec.stores[0]") && told.contains(what) && told.contains("no host"),
            "{told}"
        );
    }
}

#[test]
fn access_keys_do_not_expire() {
    let aws = json!({"awsAccessKey": {"auth": {"secretRef": {"name": "aws"}}, "userName": "ci"}});
    let declared = read(&json!({"issuer": aws, "schedule": {"every": "300d"}})).unwrap();
    assert_eq!(declared.lifetime, None);
    let Identity::AwsAccessKey { aws, .. } = &declared.identity else {
        panic!("{:?}", declared.identity);
    };
    assert_eq!(
        (aws.secret.as_deref(), aws.region.as_str()),
        (Some("aws"), "us-east-1")
    );
}
