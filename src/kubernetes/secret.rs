//! Credentials and certificates from Secrets: read when they are needed, one at a time, never watched as a whole and
//! never held in a cache of ours. A credential goes to the hosts that its Secret names and to no other, so that
//! nobody who may write a connection can send it elsewhere.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use k8s_openapi::api::core::v1::Secret;
use kube::{Api, Client};
use lockstep_core::api::HOST;
use lockstep_core::api::condition::Reason;
use lockstep_core::domain::ports::{SystemError, SystemErrorKind};
use secrecy::SecretString;
use tokio::time::timeout;

const DEADLINE: Duration = Duration::from_secs(10);

/// Reads Secrets by name.
#[derive(Clone)]
pub struct Secrets {
    client: Client,
}

/// The values of a Secret, and which version of it they are.
#[derive(Debug)]
pub struct Credential {
    values: BTreeMap<String, SecretString>,
    pub version: String,
}

impl Credential {
    /// The value of a key that must be there.
    pub fn take(&mut self, key: &str, secret: &str, host: &str) -> Result<SecretString, SystemError> {
        self.values.remove(key).ok_or_else(|| {
            missing(
                host,
                format!("Secret {secret} has no key {key}: add it, or name another key"),
            )
        })
    }
}

fn missing(host: &str, message: String) -> SystemError {
    SystemError::new(host, SystemErrorKind::Connection(Reason::SecretMissing), message)
}

impl Secrets {
    pub fn new(client: Client) -> Self {
        Self { client }
    }

    /// Reads a credential for these hosts, each as `host` or `host:port`. `keys` are what it should have.
    pub async fn credential(
        &self,
        namespace: &str,
        name: &str,
        hosts: &[String],
        keys: &[&str],
    ) -> Result<Credential, SystemError> {
        let host = hosts.first().map(String::as_str).unwrap_or_default();
        let wanted = hosts.join(",");
        let secret = self.get(namespace, name, host).await?.ok_or_else(|| {
            missing(
                host,
                format!(
                    "Secret {namespace}/{name} does not exist: create it with the keys {} and the annotation {HOST}: {wanted}",
                    keys.join(", ")
                ),
            )
        })?;
        demand_bound(&secret, namespace, name, hosts)?;
        values(secret, name, host)
    }

    /// Reads one key that is no credential, such as a certificate. Its Secret is bound to the hosts all the same: else
    /// any value of the namespace could be tried as a bundle, and an authority meant for one host be trusted at
    /// another.
    pub async fn public(
        &self,
        namespace: &str,
        name: &str,
        key: &str,
        hosts: &[String],
    ) -> Result<(Vec<u8>, String), SystemError> {
        let host = hosts.first().map(String::as_str).unwrap_or_default();
        let secret = self.get(namespace, name, host).await?.ok_or_else(|| {
            missing(
                host,
                format!(
                    "Secret {namespace}/{name} does not exist: create it with the key {key} and the annotation {HOST}: {}",
                    hosts.join(",")
                ),
            )
        })?;
        demand_bound(&secret, namespace, name, hosts)?;
        let version = secret.metadata.resource_version.unwrap_or_default();
        let value = secret.data.and_then(|mut data| data.remove(key));
        let value = value.ok_or_else(|| {
            missing(
                host,
                format!("Secret {namespace}/{name} has no key {key}: add it"),
            )
        })?;
        Ok((value.0, version))
    }

    async fn get(&self, namespace: &str, name: &str, host: &str) -> Result<Option<Secret>, SystemError> {
        let api: Api<Secret> = Api::namespaced(self.client.clone(), namespace);
        let unreachable = |why: String| {
            let message = format!("Secret {namespace}/{name} cannot be read: {why}");
            SystemError::new(host, SystemErrorKind::Unreachable, message)
        };
        match timeout(DEADLINE, api.get_opt(name)).await {
            Ok(Ok(secret)) => Ok(secret),
            Ok(Err(kube::Error::Api(status))) if status.is_forbidden() => Err(missing(
                host,
                format!(
                    "Secret {namespace}/{name} may not be read by Lockstep: let its ServiceAccount get Secrets there"
                ),
            )),
            Ok(Err(error)) => Err(unreachable(error.to_string())),
            Err(_) => Err(unreachable("the API server did not answer in time".into())),
        }
    }
}

/// Refuses a Secret that is not meant for all of these hosts.
fn demand_bound(secret: &Secret, namespace: &str, name: &str, hosts: &[String]) -> Result<(), SystemError> {
    let bound = secret.metadata.annotations.as_ref().and_then(|all| all.get(HOST));
    check_hosts(bound.map(String::as_str), hosts).map_err(|why| {
        SystemError::new(
            hosts.first().map(String::as_str).unwrap_or_default(),
            SystemErrorKind::Connection(Reason::SecretHostMismatch),
            format!(
                "Secret {namespace}/{name} {why}: nothing is sent until its annotation {HOST} says {}",
                hosts.join(",")
            ),
        )
    })
}

/// Whether a Secret bound to `bound` may go to all of `hosts`.
pub(super) fn check_hosts(bound: Option<&str>, hosts: &[String]) -> Result<(), String> {
    let normal = |host: &str| host.trim().trim_end_matches('.').to_lowercase();
    let Some(bound) = bound else {
        return Err(format!("has no annotation {HOST}"));
    };
    let named: BTreeSet<String> = bound.split(',').map(normal).collect();
    match hosts.iter().find(|host| !named.contains(&normal(host))) {
        // What the annotation names is not repeated: it may be another tenant's.
        Some(host) => Err(format!("is not meant for {host}")),
        None => Ok(()),
    }
}

fn values(secret: Secret, name: &str, host: &str) -> Result<Credential, SystemError> {
    let version = secret.metadata.resource_version.unwrap_or_default();
    let mut values = BTreeMap::new();
    for (key, value) in secret.data.unwrap_or_default() {
        let text = String::from_utf8(value.0)
            .map_err(|_| missing(host, format!("Secret {name}: the value of {key} is not text")))?;
        // A newline at the end comes from how files are made into Secrets, and is part of no credential.
        values.insert(key, SecretString::from(text.trim_end_matches(['\r', '\n'])));
    }
    Ok(Credential { values, version })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_goes_to_the_hosts_it_names_and_to_no_other() {
        let hosts = |hosts: &[&str]| hosts.iter().map(|&host| host.to_owned()).collect::<Vec<_>>();
        for (bound, wanted, fits) in [
            (Some("gerrit.example.com"), vec!["gerrit.example.com"], true),
            (Some(" Gerrit.Example.Com. "), vec!["gerrit.example.com"], true),
            (Some("gerrit.example.com"), vec!["gerrit.example.com:8443"], false),
            (Some("example.com"), vec!["gerrit.example.com"], false),
            (Some("*"), vec!["gerrit.example.com"], false),
            (Some("a.com, b.com"), vec!["a.com", "b.com"], true),
            (Some("a.com"), vec!["a.com", "b.com"], false),
            (Some(""), vec!["a.com"], false),
            (None, vec!["a.com"], false),
        ] {
            assert_eq!(
                check_hosts(bound, &hosts(&wanted)).is_ok(),
                fits,
                "{bound:?} {wanted:?}"
            );
        }
    }
}
