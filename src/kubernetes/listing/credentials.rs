//! Credentials and stores as one look found them.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use kube::Client;
use lockstep_core::api::service_credential::Restarted;
use lockstep_core::api::{CredentialStore, ServiceCredential};
use lockstep_core::domain::ports::{SystemError, SystemErrorKind};
use lockstep_core::domain::rotation::claims;
use lockstep_core::domain::rotation::ports::objects::Credentials;

use super::super::name::Name;
use super::Listing;
use super::pages::{Unreadable, list_if_known};

/// What was found.
pub(super) struct Found {
    credentials: Vec<ServiceCredential>,
    stores: Vec<CredentialStore>,
    notes: Vec<String>,
}

pub(super) async fn read(client: &Client, namespaces: &BTreeSet<String>) -> Result<Found, Unreadable> {
    let (credentials, stores) = futures::join!(
        list_if_known::<ServiceCredential>(client, namespaces),
        list_if_known::<CredentialStore>(client, namespaces),
    );
    let (credentials, stores) = (credentials?, stores?);
    let mut notes = credentials.notes;
    notes.extend(stores.notes);
    Ok(Found {
        credentials: credentials.objects,
        stores: stores.objects,
        notes,
    })
}

impl Listing {
    pub(super) fn put_credentials(&mut self, found: Found) {
        for credential in found.credentials {
            self.credentials
                .insert(Name::of(&credential), Arc::new(credential));
        }
        for store in found.stores {
            self.credential_stores.insert(Name::of(&store), Arc::new(store));
        }
        self.credential_notes.extend(found.notes);
    }

    pub fn operator_namespace(&self) -> &str {
        &self.operator_namespace
    }
}

#[async_trait]
impl Credentials for Listing {
    fn credential(&self, namespace: &str, name: &str) -> Option<Arc<ServiceCredential>> {
        self.credentials.get(&Name::new(namespace, name)).cloned()
    }

    fn credentials(&self) -> Vec<Arc<ServiceCredential>> {
        self.credentials.values().cloned().collect()
    }

    fn credential_store(&self, namespace: &str, name: &str) -> Option<Arc<CredentialStore>> {
        self.credential_stores.get(&Name::new(namespace, name)).cloned()
    }

    fn credential_stores(&self) -> Vec<Arc<CredentialStore>> {
        self.credential_stores.values().cloned().collect()
    }

    fn sharing(&self, words: &[String]) -> Vec<Arc<ServiceCredential>> {
        let shares = |credential: &&Arc<ServiceCredential>| {
            claims::words(credential).iter().any(|word| words.contains(word))
        };
        self.credentials.values().filter(shares).cloned().collect()
    }

    async fn restart(&self, namespace: &str, what: &Restarted, _mark: &str) -> Result<(), SystemError> {
        let message = format!(
            "{namespace}/{} is not started anew: this command only reads",
            what.name
        );
        Err(SystemError::new("Kubernetes", SystemErrorKind::NoPermit, message))
    }
}
