//! A credential as the entry of a store, and back: under keys of its own, or as a file that tools read.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value as Json, json};

use super::ports::issuers::Credential;
use super::value::{Fields, Value};
use crate::api::service_credential::{CredentialKeys, CredentialTemplate};

/// How it stands there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shape {
    Keys(CredentialKeys),
    Template(CredentialTemplate),
}

const DATABRICKSCFG: &str = ".databrickscfg";
const NETRC: &str = ".netrc";
const DOCKER_CONFIG: &str = ".dockerconfigjson";
const ENV_HOST: &str = "DATABRICKS_HOST";
const ENV_CLIENT: &str = "DATABRICKS_CLIENT_ID";
const ENV_SECRET: &str = "DATABRICKS_CLIENT_SECRET";
const ENV_TOKEN: &str = "DATABRICKS_TOKEN";

/// The entry of a credential.
pub fn render(shape: &Shape, credential: &Credential) -> Fields {
    let Credential { client, value, host } = credential;
    let text = |text: String| Value::new(text);
    match shape {
        Shape::Keys(keys) => {
            let mut fields = Fields::from([(keys.value.clone(), value.clone())]);
            if let Some(key) = &keys.client_id {
                fields.insert(key.clone(), text(client.clone()));
            }
            if let Some(key) = &keys.host {
                fields.insert(key.clone(), text(host.clone()));
            }
            fields
        }
        Shape::Template(CredentialTemplate::Databrickscfg) => {
            let login = if client.is_empty() {
                format!("token = {}\n", value.expose())
            } else {
                format!("client_id = {client}\nclient_secret = {}\n", value.expose())
            };
            Fields::from([(
                DATABRICKSCFG.into(),
                text(format!("[DEFAULT]\nhost = {host}\n{login}")),
            )])
        }
        Shape::Template(CredentialTemplate::Netrc) => {
            let line = format!(
                "machine {} login {} password {}\n",
                machine(host),
                login(client),
                value.expose()
            );
            Fields::from([(NETRC.into(), text(line))])
        }
        Shape::Template(CredentialTemplate::DockerConfig) => {
            let user = login(client);
            let auth = STANDARD.encode(format!("{user}:{}", value.expose()));
            let auths = BTreeMap::from([(
                machine(host),
                json!({"username": user, "password": value.expose(), "auth": auth}),
            )]);
            Fields::from([(DOCKER_CONFIG.into(), text(json!({"auths": auths}).to_string()))])
        }
        Shape::Template(CredentialTemplate::DatabricksEnv) => {
            let mut fields = Fields::from([(ENV_HOST.into(), text(host.clone()))]);
            if client.is_empty() {
                fields.insert(ENV_TOKEN.into(), value.clone());
            } else {
                fields.insert(ENV_CLIENT.into(), text(client.clone()));
                fields.insert(ENV_SECRET.into(), value.clone());
            }
            fields
        }
    }
}

/// Every text of an entry that may be the value of a credential, whatever shape it was written in: shapes change, and
/// what was written in the last one must still be found.
pub fn candidates(fields: &Fields) -> Vec<Value> {
    let mut found: Vec<Value> = fields.values().cloned().collect();
    for field in fields.values() {
        let text = field.expose();
        if text.starts_with("machine ") {
            let word = text
                .split_ascii_whitespace()
                .skip_while(|word| *word != "password")
                .nth(1);
            found.extend(word.map(|word| Value::new(word.to_owned())));
        }
        let lines = text.lines().filter_map(|line| {
            let value = line
                .strip_prefix("token = ")
                .or_else(|| line.strip_prefix("client_secret = "));
            value.map(|value| Value::new(value.to_owned()))
        });
        found.extend(lines);
        if text.starts_with('{')
            && let Ok(whole) = serde_json::from_str::<Json>(text)
        {
            let auths = whole["auths"].as_object();
            let passwords = auths
                .into_iter()
                .flat_map(|auths| auths.values())
                .filter_map(|one| one["password"].as_str());
            found.extend(passwords.map(|password| Value::new(password.to_owned())));
        }
    }
    found
}

/// Whether two entries are the same.
pub fn same(one: &Fields, other: &Fields) -> bool {
    one.len() == other.len()
        && one
            .iter()
            .all(|(key, value)| other.get(key).is_some_and(|other| value.is(other)))
}

/// The host of a base URL, with its port where that is not the usual one.
fn machine(host: &str) -> String {
    let rest = host.split_once("://").map_or(host, |(_, rest)| rest);
    rest.split('/').next().unwrap_or_default().to_owned()
}

/// Databricks takes a personal access token with the user name `token`.
fn login(client: &str) -> &str {
    if client.is_empty() { "token" } else { client }
}

#[cfg(test)]
#[path = "rendering_tests.rs"]
mod tests;
