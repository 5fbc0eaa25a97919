//! Whether two credentials may mint for one identity, or write to one place. Of those that cannot all be served the
//! oldest are; the others are told by whom.

use std::collections::BTreeSet;

use jiff::Timestamp;
use kube::ResourceExt as _;

use super::ports::issuers::Allowed;
use super::ports::stores::Place;
use crate::api::ServiceCredential;
use crate::api::service_credential::{CredentialIssuer, CredentialTarget};
use crate::domain::defaults;

/// Values of one credential that live at once: the current one and its successor.
const EACH: u32 = 2;

/// Words that a credential shares with those whose claims it may meet: its identity as the spec spells it and as the
/// issuer does, and its places.
pub fn words(credential: &ServiceCredential) -> Vec<String> {
    let namespace = credential.namespace().unwrap_or_default();
    let mut words = places(credential);
    words.push(spelt(&credential.spec.issuer, &namespace));
    words.extend(address(credential).map(identity_word));
    words
}

/// The word of an identity by its canonical address.
pub fn identity_word(address: &str) -> String {
    format!("identity {address}")
}

/// The word of a place, as no other namespace spells it.
pub fn place_word(place: &Place) -> String {
    match place {
        Place::KubernetesSecret { namespace, name, .. } => format!("place secret/{namespace}/{name}"),
        Place::CredentialStore { .. } => format!("place {}", place.store_name().0),
    }
}

fn address(credential: &ServiceCredential) -> Option<&str> {
    credential.status.as_ref()?.issuer.as_deref()
}

fn spelt(issuer: &CredentialIssuer, namespace: &str) -> String {
    let at = |reference: &crate::api::reference::ConnectionRef| {
        let of = reference.namespace.as_deref().unwrap_or(namespace);
        format!("{of}/{}", reference.name)
    };
    match issuer {
        CredentialIssuer::DatabricksServicePrincipal(one) => {
            format!("secrets {} {}", at(&one.connection_ref), one.application_id)
        }
        CredentialIssuer::DatabricksToken(one) => {
            format!("tokens {} {}", at(&one.connection_ref), one.application_id)
        }
        CredentialIssuer::GerritToken(one) => format!("gerrit {} {}", at(&one.connection_ref), one.account),
        CredentialIssuer::AwsAccessKey(one) => format!("aws {namespace} {}", one.user_name),
    }
}

fn places(credential: &ServiceCredential) -> Vec<String> {
    let namespace = credential.namespace().unwrap_or_default();
    let places = credential.spec.stores.iter().map(|target| match target {
        CredentialTarget::KubernetesSecret(secret) => format!("place secret/{namespace}/{}", secret.name),
        CredentialTarget::CredentialStore(store) => {
            let of = store.store_ref.namespace.as_deref().unwrap_or(&namespace);
            format!("place store/{of}/{}/{}", store.store_ref.name, store.path)
        }
    });
    places.collect()
}

/// Who came first. Names decide between those of one second.
fn age(credential: &ServiceCredential) -> (Option<Timestamp>, String, String) {
    let created = credential.metadata.creation_timestamp.as_ref().map(|time| time.0);
    (
        created,
        credential.namespace().unwrap_or_default(),
        credential.name_any(),
    )
}

fn named(credential: &ServiceCredential) -> String {
    format!(
        "ServiceCredential {}/{}",
        credential.namespace().unwrap_or_default(),
        credential.name_any()
    )
}

/// Why this credential must step back, and from whom; `None`: it is served. `others`: whoever shares a word with it.
/// `address`: the identity as its issuer spells it.
pub fn conflict(
    credential: &ServiceCredential,
    address_here: &str,
    allowed: Allowed,
    others: &[impl AsRef<ServiceCredential>],
) -> Option<String> {
    // Whoever shares two words is still one.
    let mut seen = BTreeSet::from([credential.metadata.uid.as_ref()]);
    let others: Vec<&ServiceCredential> = others
        .iter()
        .map(AsRef::as_ref)
        .filter(|other| seen.insert(other.metadata.uid.as_ref()))
        .collect();
    let mine = places(credential);
    let older = |other: &&&ServiceCredential| age(other) < age(credential);
    for other in others.iter().filter(older) {
        let shared = places(other).into_iter().find(|place| mine.contains(place));
        if let Some(place) = shared {
            let place = place.trim_start_matches("place ");
            return Some(format!(
                "{} writes to {place} already: write somewhere else, or delete one of the two",
                named(other)
            ));
        }
    }
    let namespace = credential.namespace().unwrap_or_default();
    let same = |other: &&&ServiceCredential| {
        let theirs = other.namespace().unwrap_or_default();
        spelt(&other.spec.issuer, &theirs) == spelt(&credential.spec.issuer, &namespace)
            || address(other) == Some(address_here)
    };
    let rivals: Vec<&&ServiceCredential> = others.iter().filter(same).filter(older).collect();
    let first = rivals.first()?;
    let exclusive = |one: &ServiceCredential| defaults::exclusive(&one.spec) && !allowed.labelled;
    if exclusive(credential) || rivals.iter().any(|other| exclusive(other)) {
        return Some(format!(
            "{} mints for {address_here} as well, and one of the two says that it is exclusive: set spec.exclusive to \
             false in both, or let one of them serve all",
            named(first)
        ));
    }
    let limit = allowed.limit?;
    let spare = u32::from(limit >= 3);
    let all = u32::try_from(rivals.len()).unwrap_or(u32::MAX).saturating_add(1);
    let needed = all.saturating_mul(EACH).saturating_add(spare);
    (needed > limit).then(|| {
        let names: Vec<String> = rivals.iter().map(|other| named(other)).collect();
        format!(
            "{address_here} may have {limit} credentials, and {all} ServiceCredentials need {needed}, two each{}: {} came \
             first. Let one of them serve all",
            if spare == 1 { " and one spare" } else { "" },
            names.join(", ")
        )
    })
}

#[cfg(test)]
#[path = "claims_tests.rs"]
mod tests;
