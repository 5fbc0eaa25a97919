//! A credential as a row of a list, and one of them whole.

use jiff::Timestamp;
use kube::ResourceExt as _;
use lockstep_core::api::ServiceCredential;
use lockstep_core::api::condition::ConditionType;
use lockstep_core::api::reference::Mode;
use lockstep_core::api::service_credential::{CredentialIssuer, CredentialTarget};
use lockstep_core::domain::defaults;
use serde::Serialize;

/// One credential.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Row {
    pub namespace: String,
    pub name: String,
    pub enforces: bool,
    pub ready: bool,
    pub reason: String,
    /// What kind of credential, and for whom.
    pub issuer: String,
    pub current: Option<u64>,
    pub minted: Option<Timestamp>,
    pub next: Option<Timestamp>,
    pub expires: Option<Timestamp>,
    /// Credentials of the same identity that are none of ours.
    pub strangers: usize,
}

/// One value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct GenerationLine {
    pub number: u64,
    pub state: String,
    pub id: Option<String>,
    pub fingerprint: Option<String>,
    pub minted: Option<Timestamp>,
    pub expires: Option<Timestamp>,
    /// When it is, or was, revoked.
    pub ends: Option<Timestamp>,
    pub why: Option<String>,
}

/// One credential whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Detail {
    #[serde(flatten)]
    pub row: Row,
    pub message: String,
    /// Canonical address of the identity.
    pub address: Option<String>,
    pub generations: Vec<GenerationLine>,
    /// Where its value lies, and which.
    pub stores: Vec<(String, Option<u64>)>,
    /// What is started anew, as far as is known who uses it.
    pub used_by: Vec<String>,
    /// Ids at the issuer that are none of ours.
    pub strangers_there: Vec<String>,
    pub blocked: Option<String>,
}

/// The row of a credential.
pub fn row(credential: &ServiceCredential) -> Row {
    let status = credential.status.clone().unwrap_or_default();
    let ready = status
        .conditions
        .iter()
        .find(|condition| ConditionType::Ready.is(&condition.type_));
    Row {
        namespace: credential.namespace().unwrap_or_default(),
        name: credential.name_any(),
        enforces: defaults::credential_mode(&credential.spec) == Mode::Enforce,
        ready: ready.is_some_and(|ready| ready.status == "True"),
        reason: ready.map(|ready| ready.reason.clone()).unwrap_or_default(),
        issuer: issuer(&credential.spec.issuer),
        current: status.current,
        minted: status.minted_at,
        next: status.next_rotation,
        expires: status.expires_at,
        strangers: status.strangers.len(),
    }
}

fn issuer(issuer: &CredentialIssuer) -> String {
    match issuer {
        CredentialIssuer::DatabricksServicePrincipal(one) => {
            format!("OAuth secret of service principal {}", one.application_id)
        }
        CredentialIssuer::DatabricksToken(one) => {
            format!("token of service principal {}", one.application_id)
        }
        CredentialIssuer::GerritToken(one) => format!("token of Gerrit account {}", one.account),
        CredentialIssuer::AwsAccessKey(one) => format!("access key of IAM user {}", one.user_name),
    }
}

/// The whole credential.
pub fn detail(credential: &ServiceCredential) -> Detail {
    let status = credential.status.clone().unwrap_or_default();
    let ready = status
        .conditions
        .iter()
        .find(|condition| ConditionType::Ready.is(&condition.type_));
    let blocked = status
        .conditions
        .iter()
        .find(|condition| ConditionType::Blocked.is(&condition.type_));
    let generations = status.generations.iter().flatten().map(|one| GenerationLine {
        number: one.number,
        state: one.state.clone(),
        id: one.id.clone(),
        fingerprint: one.fingerprint.clone(),
        minted: one.minted,
        expires: one.expires,
        ends: one.revoked.or(one.until),
        why: one.why.clone(),
    });
    let held = |name: &str| {
        let mut rows = status.stores.iter().flatten();
        rows.find(|row| row.name == name).and_then(|row| row.holds)
    };
    let namespace = credential.namespace().unwrap_or_default();
    let declared = credential.spec.stores.iter().map(|target| match target {
        CredentialTarget::KubernetesSecret(secret) => format!("secret/{}", secret.name),
        CredentialTarget::CredentialStore(store) => {
            let of = store.store_ref.namespace.as_deref().unwrap_or(&namespace);
            format!("store/{of}/{}/{}", store.store_ref.name, store.path)
        }
    });
    let restarts = credential.spec.restart.iter().flatten();
    Detail {
        row: row(credential),
        message: ready.map(|ready| ready.message.clone()).unwrap_or_default(),
        address: status.issuer.clone(),
        generations: generations.collect(),
        stores: declared
            .map(|name| {
                let held = held(&name);
                (name, held)
            })
            .collect(),
        used_by: restarts
            .map(|what| format!("{} {}", what.kind.as_str(), what.name))
            .collect(),
        strangers_there: status.strangers.clone(),
        blocked: blocked.map(|blocked| blocked.message.clone()),
    }
}
