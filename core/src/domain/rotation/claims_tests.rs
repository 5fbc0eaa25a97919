use serde_json::{Value, json};
use std::sync::Arc;

use super::*;

const ADDRESS: &str = "databricks://account/1/servicePrincipals/app";

fn credential(name: &str, second: u8, more: &Value) -> Arc<ServiceCredential> {
    let mut object = json!({
        "apiVersion": "lockstep.dev/v1alpha1", "kind": "ServiceCredential",
        "metadata": {
            "name": name, "namespace": "ml", "uid": name,
            "creationTimestamp": format!("2026-11-02T00:00:{second:02}Z"),
        },
        "spec": {
            "issuer": {"databricksServicePrincipal": {
                "connectionRef": {"name": "prod"}, "applicationId": "self", "lifetime": "30d",
            }},
            "schedule": {"every": "7d"},
            "stores": [{"kubernetesSecret": {"name": name, "keys": {"value": "v"}}}],
        },
    });
    for (key, value) in more.as_object().unwrap() {
        object["spec"][key] = value.clone();
    }
    Arc::new(serde_json::from_value(object).unwrap())
}

fn allowed(limit: Option<u32>, labelled: bool) -> Allowed {
    Allowed {
        limit,
        labelled,
        longest_lifetime: None,
    }
}

#[test]
fn the_oldest_that_fit_are_served() {
    let all: Vec<_> = (0..3)
        .map(|at| credential(&format!("c{at}"), at, &json!({})))
        .collect();
    let five = allowed(Some(5), false);
    assert_eq!(conflict(&all[0], ADDRESS, five, &all), None);
    assert_eq!(conflict(&all[1], ADDRESS, five, &all), None);
    let told = conflict(&all[2], ADDRESS, five, &all).unwrap();
    assert!(
        told.contains("may have 5") && told.contains("need 7") && told.contains("ml/c0"),
        "{told}"
    );
    let two = conflict(&all[1], ADDRESS, allowed(Some(2), false), &all).unwrap();
    assert!(two.contains("need 4, two each: "), "{two}");
    assert_eq!(conflict(&all[2], ADDRESS, allowed(None, true), &all), None);
}

#[test]
fn who_shares_more_than_one_word_is_counted_once() {
    let (first, second) = (credential("c0", 0, &json!({})), credential("c1", 1, &json!({})));
    // Found by how the specs spell the identity, and by how its issuer does.
    let all = [first.clone(), first, second.clone()];
    assert_eq!(conflict(&second, ADDRESS, allowed(Some(5), false), &all), None);
}

#[test]
fn exclusive_means_what_it_says_where_nothing_is_labelled() {
    let first = credential("first", 0, &json!({"exclusive": true}));
    let second = credential("second", 1, &json!({}));
    let all = [first.clone(), second.clone()];
    assert_eq!(conflict(&first, ADDRESS, allowed(Some(5), false), &all), None);
    let told = conflict(&second, ADDRESS, allowed(Some(5), false), &all).unwrap();
    assert!(told.contains("ml/first") && told.contains("exclusive"), "{told}");
    assert_eq!(conflict(&second, ADDRESS, allowed(None, true), &all), None);
}

#[test]
fn one_place_has_one_writer() {
    let stores = json!({"stores": [{"kubernetesSecret": {"name": "shared", "keys": {"value": "v"}}}]});
    let (first, second) = (credential("a", 5, &stores), credential("b", 5, &stores));
    let all = [second.clone(), first.clone()];
    assert_eq!(conflict(&first, ADDRESS, allowed(None, true), &all), None);
    let told = conflict(&second, ADDRESS, allowed(None, true), &all).unwrap();
    assert!(told.contains("ml/a writes to secret/ml/shared"), "{told}");
    let shared = |one: &ServiceCredential| words(one).contains(&"place secret/ml/shared".to_owned());
    assert!(shared(&first) && shared(&second));
}

#[test]
fn two_connections_to_one_identity_are_one() {
    let other = json!({"issuer": {"databricksServicePrincipal": {
        "connectionRef": {"name": "second"}, "applicationId": "self", "lifetime": "30d",
    }}});
    let first = credential("first", 0, &json!({}));
    let mut second = (*credential("second", 1, &other)).clone();
    let status = json!({"issuer": ADDRESS});
    second.status = Some(serde_json::from_value(status.clone()).unwrap());
    let mut known = (*first).clone();
    known.status = Some(serde_json::from_value(status).unwrap());
    let (known, second) = (Arc::new(known), Arc::new(second));
    assert!(words(&known).iter().any(|word| words(&second).contains(word)));
    let told = conflict(&second, ADDRESS, allowed(Some(2), false), &[known]);
    assert!(told.is_some());
    assert_eq!(
        conflict(&second, ADDRESS, allowed(Some(2), false), &[first]),
        None
    );
}
