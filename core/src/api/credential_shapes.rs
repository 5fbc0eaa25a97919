//! Shapes and rules of the kinds that rotate secrets: bounds of their lists, patterns of their strings.

use kube::core::Rule;
use schemars::{Schema, SchemaGenerator, json_schema};
use serde_json::{Value, json};

use super::schema::{between, distinct, string, union, with_rules};

/// Stores of one credential.
pub const STORES: u32 = 8;
/// Workloads that one credential starts anew.
pub const RESTARTS: u32 = 32;

/// The longest lifetime that the vendors grant: 730 days (Databricks REST, service principal secrets).
const LONGEST: u32 = 730 * 86_400;

/// Application id, or `self`.
pub fn application_id(_: &mut SchemaGenerator) -> Schema {
    string(
        4,
        36,
        "^(self|[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12})$",
    )
}

/// How long a value is let in.
pub fn lifetime(_: &mut SchemaGenerator) -> Schema {
    between(1, LONGEST, "must lie between 1s and 730d")
}

/// How long the last value lives on.
pub fn overlap(_: &mut SchemaGenerator) -> Schema {
    between(0, LONGEST, "must be at most 730d")
}

/// From one value to the next.
pub fn every(_: &mut SchemaGenerator) -> Schema {
    between(1, LONGEST, "must lie between 1s and 730d")
}

/// A mount or namespace of Vault.
pub fn vault_path(_: &mut SchemaGenerator) -> Schema {
    segments(255)
}

/// Name of a role in Vault.
pub fn vault_role(_: &mut SchemaGenerator) -> Schema {
    string(1, 255, "^[A-Za-z0-9._-]+$")
}

/// A path in a store.
pub fn store_path(_: &mut SchemaGenerator) -> Schema {
    segments(400)
}

/// Words between slashes. What would leave its folder, and what the engines of Vault mean something else by, is refused.
fn segments(most: u32) -> Schema {
    with_rules(
        string(1, most, "^[A-Za-z0-9_.@+=-]+(/[A-Za-z0-9_.@+=-]+)*$"),
        &[(
            "!self.split('/').exists(part, part in ['.', '..'])".into(),
            "must hold no . or .. between slashes",
        )],
    )
}

/// Name of a secret scope of Databricks.
pub fn scope(_: &mut SchemaGenerator) -> Schema {
    string(1, 128, "^[A-Za-z0-9_.@-]+$")
}

/// A region of AWS.
pub fn aws_region(_: &mut SchemaGenerator) -> Schema {
    string(5, 32, "^[a-z]{2}(-[a-z]+)+-[0-9]+$")
}

/// Name of an IAM user.
pub fn aws_user(_: &mut SchemaGenerator) -> Schema {
    string(1, 64, "^[A-Za-z0-9_+=,.@-]+$")
}

/// A key that a part of a credential stands under: `previous.` begins what was there before.
pub fn key(_: &mut SchemaGenerator) -> Schema {
    with_rules(
        string(1, 128, "^[-._a-zA-Z0-9]+$"),
        &[(
            "!self.startsWith('previous.')".into(),
            "must not begin with previous., under which the last value stands",
        )],
    )
}

/// Kind of what is started anew. Bounded, so that a list of them can be compared.
pub fn restarted_kind(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "maxLength": 11, "enum": ["Deployment", "StatefulSet", "DaemonSet"]})
}

/// Ids at an issuer.
pub fn ids(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "array", "maxItems": 1_000, "items": {"type": "string", "maxLength": 256}})
}

/// No two stores are one place.
pub fn distinct_stores() -> Rule {
    distinct(
        "has(o.kubernetesSecret) ? 'secret/' + o.kubernetesSecret.name : \
         (has(o.credentialStore.ref.__namespace__) ? o.credentialStore.ref.__namespace__ : '') + '/' + \
         o.credentialStore.ref.name + '/' + o.credentialStore.path",
        "a place may stand in the list once only",
    )
}

/// No two parts under one key.
pub fn distinct_keys() -> Rule {
    Rule::new(
        "(!has(self.clientId) || self.clientId != self.value) && (!has(self.host) || (self.host != self.value && \
         (!has(self.clientId) || self.host != self.clientId)))",
    )
    .message("value, clientId and host must stand under different keys")
}

/// Access keys of AWS let in nowhere in particular, and each template names where.
pub fn no_host_of_access_keys() -> Rule {
    let named = |place: &str| {
        format!(
            "(has(o.{place}) && (has(o.{place}.template) || (has(o.{place}.keys) && has(o.{place}.keys.host))))"
        )
    };
    Rule::new(format!(
        "!has(self.issuer.awsAccessKey) || !self.stores.exists(o, {} || {})",
        named("kubernetesSecret"),
        named("credentialStore"),
    ))
    .message("access keys of AWS have no host: use keys with value and clientId, and no template")
}

/// One kind of credential, and for whom it is never changes: status knows what lives there.
pub fn issuer_rules() -> Value {
    let kinds = [
        ("databricksServicePrincipal", "applicationId"),
        ("databricksToken", "applicationId"),
        ("gerritToken", "account"),
        ("awsAccessKey", "userName"),
    ];
    let names = kinds.map(|(kind, _)| kind);
    let mut rules = union(&names);
    let same = kinds.map(|(kind, whose)| {
        let connection = if kind == "awsAccessKey" {
            String::new()
        } else {
            format!(" && self.{kind}.connectionRef == oldSelf.{kind}.connectionRef")
        };
        format!(
            "(has(self.{kind}) == has(oldSelf.{kind}) && (!has(self.{kind}) || !has(oldSelf.{kind}) || (self.{kind}.{whose} == \
             oldSelf.{kind}.{whose}{connection})))"
        )
    });
    if let Some(rules) = rules.as_array_mut() {
        rules.push(json!({
            "rule": same.join(" && "),
            "message": "for whom it is minted is immutable: another identity is another ServiceCredential",
        }));
    }
    rules
}
