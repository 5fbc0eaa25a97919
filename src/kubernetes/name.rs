//! Names of objects as the caches key them: one small shared string each, because ten thousand of them are held in
//! several places at once.

use std::fmt;
use std::sync::Arc;

use kube::Resource;

/// Namespace and name of an object as `namespace/name`. Neither part can hold a slash.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(Arc<str>);

impl Name {
    pub fn new(namespace: &str, name: &str) -> Self {
        Self(format!("{namespace}/{name}").into())
    }

    /// The name of an object; the namespace of a cluster-wide one is empty.
    pub fn of<K: Resource>(object: &K) -> Self {
        let meta = object.meta();
        Self::new(
            meta.namespace.as_deref().unwrap_or_default(),
            meta.name.as_deref().unwrap_or_default(),
        )
    }

    pub fn namespace(&self) -> &str {
        self.0.split_once('/').map_or("", |(namespace, _)| namespace)
    }

    pub fn name(&self) -> &str {
        self.0.split_once('/').map_or(&*self.0, |(_, name)| name)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The kinds that are reconciled or looked up, in the order in which they are worth doing: connections first,
/// because the rest depends on them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KindName {
    GerritConnection,
    DatabricksConnection,
    CredentialStore,
    ChangeFreeze,
    PlanApproval,
    AccessBinding,
    PromotionPolicy,
    Promotion,
    ServiceCredential,
}

impl KindName {
    pub const ALL: [Self; 9] = [
        Self::GerritConnection,
        Self::DatabricksConnection,
        Self::CredentialStore,
        Self::ChangeFreeze,
        Self::PlanApproval,
        Self::AccessBinding,
        Self::PromotionPolicy,
        Self::Promotion,
        Self::ServiceCredential,
    ];

    /// As Kubernetes spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::GerritConnection => "GerritConnection",
            Self::DatabricksConnection => "DatabricksConnection",
            Self::CredentialStore => "CredentialStore",
            Self::ChangeFreeze => "ChangeFreeze",
            Self::PlanApproval => "PlanApproval",
            Self::AccessBinding => "AccessBinding",
            Self::PromotionPolicy => "PromotionPolicy",
            Self::Promotion => "Promotion",
            Self::ServiceCredential => "ServiceCredential",
        }
    }

    pub fn parse(kind: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.as_str() == kind)
    }
}

impl fmt::Display for KindName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One object that should be looked at.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Subject {
    pub kind: KindName,
    pub name: Name,
}

impl Subject {
    pub fn new(kind: KindName, name: Name) -> Self {
        Self { kind, name }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, self.name)
    }
}
