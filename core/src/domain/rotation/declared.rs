//! What one ServiceCredential asks for, with every default resolved. What cannot be kept is refused with its numbers.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::machine::state::StoreName;
use super::machine::{Ending, Slots};
use super::ports::issuers::{Allowed, Aws, Identity, Principal};
use super::ports::stores::Place;
use super::rendering::Shape;
use super::schedule::{BadSchedule, Cron, Pace, Schedule, Slack};
use crate::api::ServiceCredentialSpec;
use crate::api::credential_store::AwsAuth;
use crate::api::reference::{ConnectionRef, OnDelete};
use crate::api::service_credential::{
    CredentialIssuer, CredentialKeys, CredentialTarget, CredentialTemplate, Restarted,
};
use crate::api::text::Duration;
use crate::domain::defaults;
use crate::domain::ports::{ConnectionKey, ConnectionKind};
use crate::domain::windows::{BadWindow, Windows};

/// The Secret type that Kubernetes demands of a DockerConfig.
const DOCKER_TYPE: &str = "kubernetes.io/dockerconfigjson";

/// Why a spec cannot be followed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadCredential {
    #[error("spec.{field}: {why}")]
    Duration { field: &'static str, why: String },
    #[error("spec.schedule: set exactly one of every and cron")]
    NoSchedule,
    #[error("spec.windows: {0}")]
    Windows(BadWindow),
    #[error(transparent)]
    Schedule(#[from] BadSchedule),
    #[error("spec.stores[{at}]: set exactly one of keys and template")]
    Shape { at: usize },
    #[error("spec.stores[{at}]: {place} stands in the list before")]
    Twice { at: usize, place: String },
    #[error(
        "spec.stores[{at}]: access keys of AWS have no host, which {what} would need: use keys with value and clientId"
    )]
    NoHost { at: usize, what: &'static str },
}

/// One place where the value lies, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lies {
    pub name: StoreName,
    pub place: Place,
    pub shape: Shape,
}

/// One credential as it is declared.
#[derive(Clone, Debug)]
pub struct Declared {
    pub identity: Identity,
    /// Seconds; `None`: values of this issuer do not expire.
    pub lifetime: Option<u64>,
    pub exclusive: bool,
    pub schedule: Schedule,
    /// Seconds.
    pub overlap: u64,
    pub stores: Vec<Lies>,
    pub restarts: Vec<Restarted>,
    pub on_delete: OnDelete,
}

impl Declared {
    /// Reads a spec of this namespace. A cron line is judged by its starts of the year after `now`.
    pub fn read(
        spec: &ServiceCredentialSpec,
        namespace: &str,
        now: Timestamp,
    ) -> Result<Self, BadCredential> {
        let (identity, lifetime) = (identity(&spec.issuer, namespace), lifetime(&spec.issuer)?);
        let overlap = match &spec.overlap {
            Some(text) => seconds(text, "overlap")?,
            None => defaults::OVERLAP,
        };
        let slack = if identity.is_own() {
            Slack::MissesTwo
        } else {
            Slack::MissesOne
        };
        let texts = spec.windows.clone().unwrap_or_default();
        let windows = Windows::parse(&texts.allow.unwrap_or_default(), &texts.deny.unwrap_or_default())
            .map_err(BadCredential::Windows)?;
        Ok(Self {
            schedule: Schedule::new(pace(spec)?, windows, overlap, lifetime, slack, now)?,
            identity,
            lifetime,
            exclusive: defaults::exclusive(spec),
            overlap,
            stores: stores(spec, namespace)?,
            restarts: spec.restart.clone().unwrap_or_default(),
            on_delete: defaults::credential_on_delete(spec),
        })
    }

    pub fn slots(&self, allowed: Allowed) -> Slots {
        Slots {
            limit: allowed.limit,
            labelled: allowed.labelled,
            exclusive: self.exclusive,
        }
    }

    pub fn ending(&self) -> Ending {
        match self.on_delete {
            OnDelete::Revoke => Ending::Revoke,
            OnDelete::Orphan => Ending::Orphan,
        }
    }
}

impl Identity {
    /// The connection that leads to it, if it is not AWS.
    pub fn connection(&self) -> Option<&ConnectionKey> {
        match self {
            Self::DatabricksServicePrincipal { connection, .. }
            | Self::DatabricksToken { connection, .. }
            | Self::GerritToken { connection, .. } => Some(connection),
            Self::AwsAccessKey { .. } => None,
        }
    }

    /// Whether it is that of the connection itself, by its word.
    pub fn is_own(&self) -> bool {
        match self {
            Self::DatabricksServicePrincipal { whose, .. } | Self::DatabricksToken { whose, .. } => {
                *whose == Principal::Own
            }
            Self::GerritToken { .. } | Self::AwsAccessKey { .. } => false,
        }
    }
}

fn seconds(text: &Duration, field: &'static str) -> Result<u64, BadCredential> {
    text.seconds()
        .map_err(|why| BadCredential::Duration { field, why })
}

/// For whom it is minted. Whatever else is wrong with a spec, this can be read.
pub fn identity(issuer: &CredentialIssuer, namespace: &str) -> Identity {
    let databricks =
        |reference: &ConnectionRef| defaults::connection(ConnectionKind::Databricks, reference, namespace);
    let whose = |id: &str| match id {
        "self" => Principal::Own,
        id => Principal::Of(id.to_owned()),
    };
    match issuer {
        CredentialIssuer::DatabricksServicePrincipal(issuer) => Identity::DatabricksServicePrincipal {
            connection: databricks(&issuer.connection_ref),
            whose: whose(&issuer.application_id),
        },
        CredentialIssuer::DatabricksToken(issuer) => Identity::DatabricksToken {
            connection: databricks(&issuer.connection_ref),
            whose: whose(&issuer.application_id),
        },
        CredentialIssuer::GerritToken(issuer) => Identity::GerritToken {
            connection: defaults::connection(ConnectionKind::Gerrit, &issuer.connection_ref, namespace),
            account: issuer.account.clone(),
        },
        CredentialIssuer::AwsAccessKey(issuer) => Identity::AwsAccessKey {
            aws: Aws {
                namespace: namespace.to_owned(),
                secret: match &issuer.auth {
                    AwsAuth::Default(_) => None,
                    AwsAuth::SecretRef(secret) => Some(secret.name.clone()),
                },
                region: issuer
                    .region
                    .clone()
                    .unwrap_or_else(|| defaults::AWS_REGION.to_owned()),
                endpoint: issuer.endpoint.clone(),
            },
            user: issuer.user_name.clone(),
        },
    }
}

/// Seconds; `None`: values of this issuer do not expire.
fn lifetime(issuer: &CredentialIssuer) -> Result<Option<u64>, BadCredential> {
    let (text, field) = match issuer {
        CredentialIssuer::DatabricksServicePrincipal(issuer) => {
            (&issuer.lifetime, "issuer.databricksServicePrincipal.lifetime")
        }
        CredentialIssuer::DatabricksToken(issuer) => (&issuer.lifetime, "issuer.databricksToken.lifetime"),
        CredentialIssuer::GerritToken(issuer) => (&issuer.lifetime, "issuer.gerritToken.lifetime"),
        CredentialIssuer::AwsAccessKey(_) => return Ok(None),
    };
    seconds(text, field).map(Some)
}

fn pace(spec: &ServiceCredentialSpec) -> Result<Pace, BadCredential> {
    let schedule = &spec.schedule;
    match (&schedule.every, &schedule.cron) {
        (Some(every), None) => Ok(Pace::Every(seconds(every, "schedule.every")?)),
        (None, Some(line)) => {
            let cron = Cron::parse(line, schedule.time_zone.as_deref());
            Ok(Pace::Cron(cron.map_err(BadSchedule::Cron)?))
        }
        _ => Err(BadCredential::NoSchedule),
    }
}

fn shape(
    keys: Option<&CredentialKeys>,
    template: Option<CredentialTemplate>,
    at: usize,
) -> Result<Shape, BadCredential> {
    match (keys, template) {
        (Some(keys), None) => Ok(Shape::Keys(keys.clone())),
        (None, Some(template)) => Ok(Shape::Template(template)),
        _ => Err(BadCredential::Shape { at }),
    }
}

/// Where a target lies. Whatever else is wrong with a spec, this can be read.
pub fn place(target: &CredentialTarget, namespace: &str) -> Place {
    match target {
        CredentialTarget::KubernetesSecret(secret) => {
            let usual = match secret.template {
                Some(CredentialTemplate::DockerConfig) => DOCKER_TYPE,
                _ => "Opaque",
            };
            Place::KubernetesSecret {
                namespace: namespace.to_owned(),
                name: secret.name.clone(),
                kind: secret.type_.clone().unwrap_or_else(|| usual.to_owned()),
            }
        }
        CredentialTarget::CredentialStore(store) => Place::CredentialStore {
            namespace: store
                .store_ref
                .namespace
                .clone()
                .unwrap_or_else(|| namespace.to_owned()),
            name: store.store_ref.name.clone(),
            path: store.path.clone(),
        },
    }
}

fn stores(spec: &ServiceCredentialSpec, namespace: &str) -> Result<Vec<Lies>, BadCredential> {
    let mut seen = BTreeSet::new();
    let mut stores = Vec::new();
    for (at, target) in spec.stores.iter().enumerate() {
        let (keys, template) = match target {
            CredentialTarget::KubernetesSecret(secret) => (secret.keys.as_ref(), secret.template),
            CredentialTarget::CredentialStore(store) => (store.keys.as_ref(), store.template),
        };
        if matches!(spec.issuer, CredentialIssuer::AwsAccessKey(_)) {
            let what = match (template, keys) {
                (Some(_), _) => Some("a template"),
                (None, Some(keys)) if keys.host.is_some() => Some("keys.host"),
                (None, _) => None,
            };
            if let Some(what) = what {
                return Err(BadCredential::NoHost { at, what });
            }
        }
        let (place, shape) = (place(target, namespace), shape(keys, template, at)?);
        let name = place.store_name();
        if !seen.insert(name.clone()) {
            return Err(BadCredential::Twice { at, place: name.0 });
        }
        stores.push(Lies { name, place, shape });
    }
    Ok(stores)
}

impl Place {
    /// How a status names it: `secret/<name>`, or `store/<namespace>/<store>/<path>`.
    pub fn store_name(&self) -> StoreName {
        StoreName(match self {
            Self::KubernetesSecret { name, .. } => format!("secret/{name}"),
            Self::CredentialStore {
                namespace,
                name,
                path,
            } => format!("store/{namespace}/{name}/{path}"),
        })
    }

    /// The place that a status of this namespace names so.
    pub fn parse(name: &StoreName, own: &str) -> Option<Self> {
        if let Some(name) = name.0.strip_prefix("secret/") {
            return Some(Self::KubernetesSecret {
                namespace: own.to_owned(),
                name: name.to_owned(),
                kind: "Opaque".to_owned(),
            });
        }
        let mut parts = name.0.strip_prefix("store/")?.splitn(3, '/');
        let mut part = || parts.next().map(str::to_owned);
        Some(Self::CredentialStore {
            namespace: part()?,
            name: part()?,
            path: part()?,
        })
    }
}

#[cfg(test)]
#[path = "declared_tests.rs"]
mod tests;
