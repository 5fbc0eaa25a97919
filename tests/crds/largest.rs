//! Rules are also stopped while they run, when they cost too much on a real object. The largest objects that the
//! bounds allow must pass, or the bounds promise what the rules forbid.

use lockstep_core::api::schema;
use serde_json::{Value, json};

use super::cluster;
use super::server::{Scratch, install};

/// A name of that length which ends in the number.
fn long(prefix: &str, n: usize, length: usize) -> String {
    format!("{prefix}{n:a>width$}", width = length - prefix.len())
}

fn rows(count: usize, row: impl Fn(usize) -> Value) -> Vec<Value> {
    (0..count).map(row).collect()
}

/// A binding with everything in it, `count` objects and grants in each list, with names of `length` characters.
fn binding(count: usize, length: usize) -> Value {
    let access = rows(
        schema::ACCESS_ROWS as usize,
        |n| json!({"project": long("p", n, 255), "ref": long("refs/", n, 255), "permission": "push"}),
    );
    let objects = rows(
        count,
        |n| json!({"experiment": {"path": long("/", n, length)}, "level": "CAN_EDIT"}),
    );
    json!({
        "members": rows(schema::MEMBERS as usize, |n| json!({"person": {"email": long("a@", n, 254)}})),
        "gerrit": rows(schema::GERRITS as usize, |n| json!({
            "connectionRef": {"name": long("g", n, 253), "namespace": long("n", n, 63)},
            "group": {"name": long("g", n, 255)},
            "access": access,
        })),
        "databricks": {
            "account": {
                "connectionRef": {"name": "w"},
                "group": {"name": "t"},
                "servicePrincipalRoles": rows(64, |n| json!({
                    "applicationId": format!("01234567-89ab-cdef-0123-{n:012x}"),
                    "role": "roles/servicePrincipal.manager",
                })),
            },
            "catalog": {
                "connectionRef": {"name": "w"},
                "grants": rows(count, |n| json!({"stagingTable": long("t", n, length * 2), "privileges": ["SELECT"]})),
            },
            "workspaces": rows(schema::WORKSPACES as usize, |n| json!({
                "connectionRef": {"name": long("w", n, 253)},
                "objects": objects,
            })),
        },
    })
}

/// A policy with as many environments, steps, windows and patterns as there may be.
fn policy() -> Value {
    let steps = rows(16, |n| match n {
        0 => {
            json!({"name": long("s", n, 40), "job": {"name": long("j", n, 256), "definition": long("d", n, 256)}})
        }
        _ => json!({"name": long("s", n, 40), "servingEndpoint": {
            "name": long("e", n, 256), "servedEntityName": long("e", n, 256), "entityName": long("e", n, 767),
            "entityVersion": {"fromStep": long("s", 0, 40)}, "trafficPercentage": 1, "timeout": "1d1h1m1s",
        }}),
    });
    let windows = rows(
        16,
        |_| json!({"start": "0 9 * * MON-THU", "duration": "1d1h1m1s", "timeZone": "Europe/Berlin"}),
    );
    let paths = rows(64, |n| json!(long("p", n, 256)));
    json!({
        "gerrit": {"connectionRef": {"name": "g"}, "project": long("p", 0, 255), "paths": paths},
        "gate": {
            "approval": {"label": long("l", 0, 128), "group": long("g", 0, 255)},
            "verification": {"label": long("l", 0, 128), "group": long("g", 0, 255)},
            "trustedAutomation": rows(16, |n| json!({"account": long("a", n, 254), "paths": paths, "reason": long("r", n, 1024)})),
        },
        "steps": steps,
        "environments": rows(16, |n| json!({
            "name": long("e", n, 40),
            "branch": long("b", n, 200),
            "databricks": {"connectionRef": {"name": long("w", n, 253), "namespace": long("n", n, 63)}},
            "runAs": {"applicationId": format!("01234567-89ab-cdef-0123-{n:012x}")},
            "requires": rows(8, |m| json!({"environment": long("e", (n + m + 1) % 16, 40), "soak": "1d1h1m1s"})),
            "windows": {"allow": windows, "deny": windows},
            "steps": steps,
        })),
    })
}

/// A credential in as many places, and with as many workloads to start anew, as there may be.
fn credential() -> Value {
    let windows = rows(
        16,
        |_| json!({"start": "0 9 * * MON-THU", "duration": "1d1h1m1s", "timeZone": "Europe/Berlin"}),
    );
    json!({
        "issuer": {"databricksServicePrincipal": {
            "connectionRef": {"name": long("w", 0, 253), "namespace": long("n", 0, 63)},
            "applicationId": "01234567-89ab-cdef-0123-456789abcdef", "lifetime": "100d1h1m1s",
        }},
        "schedule": {"cron": "0 3 * * MON", "timeZone": "Europe/Berlin"},
        "stores": rows(8, |n| json!({"credentialStore": {
            "ref": {"name": long("s", n, 253), "namespace": long("n", n, 63)},
            "path": long("p", n, 400),
            "keys": {"value": long("v", n, 128), "clientId": long("c", n, 128), "host": long("h", n, 128)},
        }})),
        "restart": rows(32, |n| json!({"kind": "Deployment", "name": long("d", n, 253)})),
        "windows": {"allow": windows, "deny": windows},
    })
}

/// A store with as many tenants and patterns as there may be.
fn credential_store() -> Value {
    json!({
        "tenants": rows(schema::TENANTS as usize, |n| json!({
            "namespaces": {"names": rows(16, |m| json!(long("n", n * 16 + m, 63)))},
            "reach": {"paths": rows(schema::PATTERNS as usize, |m| json!(long("p", m, 64)))},
        })),
        "vault": {
            "address": "https://vault.example.com", "namespace": long("n", 0, 255), "mount": long("m", 0, 255),
            "auth": {"appRole": {"secretRef": {"name": long("s", 0, 253)}, "mount": long("m", 0, 255)}},
        },
    })
}

#[tokio::test]
async fn the_largest_objects_are_admitted() {
    let Some(client) = cluster::client().await else {
        return;
    };
    install(&client).await;
    let scratch = Scratch::new(&client).await;
    let mut refused = Vec::new();
    // Where rows are compared with each other: few long names, many short ones, and what lies between.
    for (count, length) in [(256, 8), (256, 40), (256, 256), (200, 100), (128, 256)] {
        let answer = scratch
            .apply("AccessBinding", "large", &binding(count, length), false)
            .await;
        refused.extend(answer.err().map(|message| (count, length, message)));
        let connection = json!({
            "url": "https://gerrit.example.com",
            "auth": {"basic": {"secretRef": {"name": "a"}}},
            "aliases": rows(count * 2, |n| json!({"email": long("a@", n, length.min(254)), "accounts": ["a"]})),
        });
        let answer = scratch
            .apply("GerritConnection", "large", &connection, false)
            .await;
        refused.extend(answer.err().map(|message| (count, length, message)));
    }
    let answer = scratch.apply("PromotionPolicy", "large", &policy(), false).await;
    refused.extend(answer.err().map(|message| (16, 256, message)));
    for (kind, spec) in [
        ("ServiceCredential", credential()),
        ("CredentialStore", credential_store()),
    ] {
        let answer = scratch.apply(kind, "large", &spec, false).await;
        refused.extend(answer.err().map(|message| (8, 400, format!("{kind}: {message}"))));
    }
    scratch.remove().await;
    let shortened: Vec<String> = refused
        .iter()
        .map(|(count, length, message)| format!("{count} rows of {length}: {message:.800}"))
        .collect();
    assert!(refused.is_empty(), "{shortened:#?}");
}
