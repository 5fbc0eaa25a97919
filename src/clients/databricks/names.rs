//! Names in access lists: which field names whom, and back.

use lockstep_core::domain::access::grant::{Principal, PrincipalKind};
use lockstep_core::domain::ports::{SystemError, SystemErrorKind};
use serde::{Deserialize, Serialize};

use super::people::People;
use super::plane::Plane;

/// Exactly one of the three fields, as access lists and assignments have it.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Named {
    #[serde(default, rename = "user_name", skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    #[serde(default, rename = "group_name", skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    #[serde(
        default,
        rename = "service_principal_name",
        skip_serializing_if = "Option::is_none"
    )]
    pub service_principal: Option<String>,
}

impl Named {
    /// Who is meant; `None`: nobody any more (deleted principals leave empty names behind).
    pub fn principal(&self, people: &People) -> Option<Principal> {
        let Self {
            user,
            group,
            service_principal,
        } = self;
        let filled = |name: &Option<String>| name.clone().filter(|name| !name.is_empty());
        if let Some(name) = filled(group) {
            return Some(Principal::group(&name, &name));
        }
        if let Some(name) = filled(service_principal) {
            return Some(people.named(PrincipalKind::ServicePrincipal, &name));
        }
        filled(user).map(|name| people.named(PrincipalKind::User, &name))
    }

    /// How an access list names somebody.
    pub fn of(principal: &Principal, people: &People, plane: &Plane) -> Result<Self, SystemError> {
        let name = Some(name_of(principal, people, plane)?);
        let mut named = Self::default();
        *match principal.kind {
            PrincipalKind::Group => &mut named.group,
            PrincipalKind::ServicePrincipal => &mut named.service_principal,
            PrincipalKind::User | PrincipalKind::Account => &mut named.user,
        } = name;
        Ok(named)
    }
}

/// The one name that access lists, grants and rules know somebody by.
pub(super) fn name_of(principal: &Principal, people: &People, plane: &Plane) -> Result<String, SystemError> {
    people.name_of(principal).ok_or_else(|| {
        let message = format!(
            "{} ({principal}) is not known here, so that no access list can name them",
            principal.name
        );
        plane.error(SystemErrorKind::Refused, message)
    })
}

/// The workspace's administrators: their rows are never ours.
pub(super) const ADMINS: &str = "admins";
