//! The key of fingerprints: a Secret in the operator's namespace, made at first start. Fingerprints in statuses tell
//! values apart only for whoever has it.

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::PostParams;
use kube::{Api, Client};
use lockstep_core::domain::ports::{KeepError, Permit};
use lockstep_core::domain::rotation::value::FingerprintKey;
use secrecy::SecretString;
use tokio::time::timeout;

const NAME: &str = "lockstep-fingerprint-key";
const KEY: &str = "key";
/// Longest time a request may take. Well below what is left of a lease at its worst.
const DEADLINE: Duration = Duration::from_secs(6);

fn fail(namespace: &str, why: &str) -> KeepError {
    KeepError {
        what: "fingerprint key",
        message: format!(
            "Secret {namespace}/{NAME} {why}: let the operator's ServiceAccount get and create Secrets in its own namespace"
        ),
    }
}

/// Reads the key, or makes it. One that is there and holds none is never replaced: somebody must say what became of it.
pub async fn fingerprint_key(
    client: &Client,
    permit: &impl Permit,
    namespace: &str,
) -> Result<FingerprintKey, KeepError> {
    let api: Api<Secret> = Api::namespaced(client.clone(), namespace);
    if let Some(found) = read(&api, namespace).await? {
        return Ok(found);
    }
    permit
        .check(DEADLINE)
        .map_err(|why| fail(namespace, &format!("cannot be made ({})", why.0)))?;
    let mut random = [0; 32];
    rustls::crypto::ring::default_provider()
        .secure_random
        .fill(&mut random)
        .map_err(|_| fail(namespace, "cannot be made: the machine gives no random numbers"))?;
    let secret = Secret {
        metadata: ObjectMeta {
            name: Some(NAME.into()),
            namespace: Some(namespace.to_owned()),
            ..ObjectMeta::default()
        },
        immutable: Some(true),
        data: Some(BTreeMap::from([(
            KEY.to_owned(),
            ByteString(hex::encode(random).into_bytes()),
        )])),
        ..Secret::default()
    };
    match timeout(DEADLINE, api.create(&PostParams::default(), &secret)).await {
        // Made by another replica a moment ago, or by us: what stands there counts.
        Ok(Ok(_)) => {}
        Ok(Err(kube::Error::Api(status))) if status.code == 409 => {}
        Ok(Err(error)) => return Err(fail(namespace, &format!("cannot be made ({error})"))),
        Err(_) => return Err(fail(namespace, "was not made in time")),
    }
    read(&api, namespace)
        .await?
        .ok_or_else(|| fail(namespace, "is not there after it was made"))
}

async fn read(api: &Api<Secret>, namespace: &str) -> Result<Option<FingerprintKey>, KeepError> {
    let found = match timeout(DEADLINE, api.get_opt(NAME)).await {
        Ok(Ok(found)) => found,
        Ok(Err(error)) => return Err(fail(namespace, &format!("cannot be read ({error})"))),
        Err(_) => return Err(fail(namespace, "was not read in time")),
    };
    let Some(secret) = found else { return Ok(None) };
    let bytes = secret.data.and_then(|mut data| data.remove(KEY));
    let text = bytes.and_then(|bytes| String::from_utf8(bytes.0).ok());
    match text.filter(|text| !text.is_empty()) {
        Some(text) => Ok(Some(FingerprintKey::new(SecretString::from(text)))),
        None => Err(KeepError {
            what: "fingerprint key",
            message: format!(
                "Secret {namespace}/{NAME} has no key {KEY}: put back what stood there, or delete it and every value is \
                 minted anew"
            ),
        }),
    }
}
