//! Listings with the caller's own rights, page by page, and what to say of what they do not reach.

use std::collections::BTreeSet;

use k8s_openapi::NamespaceResourceScope;
use kube::api::ListParams;
use kube::{Api, Client};

use super::super::arrival::{Arrived, Body, Kind};

/// Objects in one page of a listing.
const PAGE: u32 = 500;

/// Why the cluster could not be read. The message says what to change.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unreadable(pub String);

/// A listing, as far as it went.
pub(super) struct Listed<K> {
    pub(super) objects: Vec<K>,
    /// What could not be seen.
    pub(super) notes: Vec<String>,
}

/// Every object of a kind, or those of these namespaces where the caller may not see more.
pub(super) async fn list<K>(client: &Client, namespaces: &BTreeSet<String>) -> Result<Listed<K>, Unreadable>
where
    K: Kind<Scope = NamespaceResourceScope>,
{
    let kind = K::kind(&());
    let unseen = "so claims made elsewhere are not seen";
    let listed = try_list(client, namespaces, unseen).await;
    listed.map_err(|error| failed(&kind, &error))
}

/// The same of a kind that this cluster may not have.
pub(super) async fn list_if_known<K>(
    client: &Client,
    namespaces: &BTreeSet<String>,
) -> Result<Listed<K>, Unreadable>
where
    K: Kind<Scope = NamespaceResourceScope>,
{
    match try_list(client, namespaces, "those elsewhere are not seen").await {
        Ok(listed) => Ok(listed),
        Err(kube::Error::Api(status)) if status.is_not_found() => Ok(Listed {
            objects: Vec::new(),
            notes: Vec::new(),
        }),
        Err(error) => Err(failed(&K::kind(&()), &error)),
    }
}

async fn try_list<K>(client: &Client, namespaces: &BTreeSet<String>, unseen: &str) -> kube::Result<Listed<K>>
where
    K: Kind<Scope = NamespaceResourceScope>,
{
    let kind = K::kind(&()).into_owned();
    match pages(&Api::<Arrived<K>>::all(client.clone())).await {
        Ok(found) => return Ok(decoded(&kind, found)),
        Err(error) if is_forbidden(&error) => {}
        Err(error) => return Err(error),
    }
    let mut found = Vec::new();
    let mut notes = vec![format!(
        "{kind} objects of all namespaces may not be listed: only {} looked at, {unseen}",
        names(namespaces)
    )];
    for namespace in namespaces {
        match pages(&Api::<Arrived<K>>::namespaced(client.clone(), namespace)).await {
            Ok(more) => found.extend(more),
            Err(error) if is_forbidden(&error) => {
                notes.push(format!(
                    "{kind} objects of namespace {namespace} may not be listed"
                ));
            }
            Err(error) => return Err(error),
        }
    }
    let mut listed = decoded(&kind, found);
    notes.append(&mut listed.notes);
    Ok(Listed {
        objects: listed.objects,
        notes,
    })
}

fn names(namespaces: &BTreeSet<String>) -> String {
    let all: Vec<&str> = namespaces.iter().map(String::as_str).collect();
    match all.as_slice() {
        [one] => format!("{one} is"),
        several => format!("{} are", several.join(", ")),
    }
}

/// What does not decode is named, not dropped in silence.
pub(super) fn decoded<K: Kind>(kind: &str, found: Vec<Arrived<K>>) -> Listed<K> {
    let (mut objects, mut notes) = (Vec::new(), Vec::new());
    for arrived in found {
        match arrived.body {
            Body::Decoded(object) => objects.push(*object),
            Body::Undecodable(broken) => notes.push(format!(
                "{kind} {}/{} is not understood: {}",
                broken.metadata.namespace.unwrap_or_default(),
                broken.metadata.name.unwrap_or_default(),
                broken.message
            )),
        }
    }
    Listed { objects, notes }
}

pub(super) async fn pages<K: Kind>(api: &Api<Arrived<K>>) -> kube::Result<Vec<Arrived<K>>> {
    let mut found = Vec::new();
    let mut params = ListParams::default().limit(PAGE);
    loop {
        let page = api.list(&params).await?;
        found.extend(page.items);
        match page.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => params = params.continue_token(&token),
            None => return Ok(found),
        }
    }
}

pub(super) fn is_forbidden(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.is_forbidden())
}

pub(super) fn failed(kind: &str, error: &kube::Error) -> Unreadable {
    Unreadable(match error {
        kube::Error::Api(status) if status.is_not_found() => format!(
            "this cluster does not know {kind}: install the CRDs with `lockstep crds | kubectl apply --server-side -f -`"
        ),
        error => format!("{kind} objects cannot be read: {error}"),
    })
}
