//! What the record says of a credential: every generation as it stood when the entry was written. Never a value.

use serde::{Deserialize, Serialize};

use crate::api::service_credential_status::GenerationRow;

/// What an entry says of one credential.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CredentialFact {
    pub generations: Vec<GenerationRow>,
}
