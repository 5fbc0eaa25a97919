//! Groups with their members, as one listing shows them. Kept small: a large account holds tens of thousands of
//! memberships.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use lockstep_core::domain::access::grant::{Principal, PrincipalKind, Privilege, Right};
use lockstep_core::domain::ports::SystemError;
use reqwest::Method;

use super::pages;
use super::people::People;
use super::plane::Plane;
use super::scim::{self, Collection, GROUP_ATTRIBUTES, Scope, WireGroup, WireMember};
use crate::clients::http::Effect;

/// What a member is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum MemberKind {
    User,
    ServicePrincipal,
    Group,
    /// The vendor did not say.
    Unsaid,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Member {
    id: Box<str>,
    kind: MemberKind,
    /// Only where nothing else would name the member.
    display: Option<Box<str>>,
}

/// One group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Group {
    pub id: Box<str>,
    pub name: Box<str>,
    /// Whether the group is provisioned from an identity provider.
    provisioned: bool,
    /// Whether the account owns it, where a workspace shows it.
    of_account: bool,
    members: Box<[Member]>,
    pub entitlements: Box<[Box<str>]>,
}

impl Group {
    fn new(wire: WireGroup) -> Self {
        let WireGroup {
            id,
            display_name,
            external_id,
            members,
            entitlements,
            meta,
        } = wire;
        let of_account = meta.and_then(|meta| meta.resource_type).as_deref() == Some("Group");
        Self {
            id: id.into(),
            name: display_name.into(),
            // Nothing else sets an external id: provisioning from an identity provider does, automatic identity
            // management does, and both would undo or mistake what we edit.
            provisioned: external_id.is_some_and(|id| !id.is_empty()),
            of_account,
            members: members.into_iter().map(Member::new).collect(),
            entitlements: entitlements.into_iter().map(|one| one.value.into()).collect(),
        }
    }

    /// Whether its members are edited elsewhere: at the identity provider, or in the account.
    pub fn is_external(&self, scope: &Scope) -> bool {
        self.provisioned || (*scope == Scope::Workspace && self.of_account)
    }

    /// Whether it comes from an identity provider.
    pub fn is_provisioned(&self) -> bool {
        self.provisioned
    }

    fn members(&self) -> impl Iterator<Item = &Member> {
        self.members.iter()
    }

    /// Numeric ids of the members.
    pub fn member_ids(&self) -> BTreeSet<&str> {
        self.members().map(|member| member.id.as_ref()).collect()
    }

    /// Members as rows. `groups` names nested groups.
    pub fn rows(&self, people: &People, groups: &Groups) -> BTreeSet<Right> {
        self.members()
            .map(|member| (member.principal(people, groups), Privilege::Member))
            .collect()
    }

    /// Whether a member is a bot that these people do not hold, so that a newer listing of them is worth its pages.
    pub fn has_strangers(&self, people: &People) -> bool {
        self.members()
            .any(|member| member.kind != MemberKind::Group && people.by_id(&member.id).is_none())
    }
}

impl Member {
    fn new(wire: WireMember) -> Self {
        let WireMember {
            value,
            display,
            reference,
            kind,
        } = wire;
        let said = reference.as_deref().or(kind.as_deref()).unwrap_or_default();
        let kind = [
            ("ServicePrincipal", MemberKind::ServicePrincipal),
            ("User", MemberKind::User),
            ("Group", MemberKind::Group),
        ]
        .into_iter()
        .find(|(word, _)| said.contains(word))
        .map_or(MemberKind::Unsaid, |(_, kind)| kind);
        let named_elsewhere = matches!(kind, MemberKind::User | MemberKind::ServicePrincipal);
        Self {
            id: value.into(),
            kind,
            display: display.filter(|_| !named_elsewhere).map(Into::into),
        }
    }

    fn principal(&self, people: &People, groups: &Groups) -> Principal {
        let person = || people.by_id(&self.id).cloned();
        let group = || {
            let name = groups.by_id(&self.id).map(|group| group.name.as_ref());
            name.or(self.display.as_deref())
                .map(|name| Principal::group(name, name))
        };
        let (found, kind) = match self.kind {
            MemberKind::User => (person(), PrincipalKind::User),
            MemberKind::ServicePrincipal => (person(), PrincipalKind::ServicePrincipal),
            MemberKind::Group => (group(), PrincipalKind::Group),
            MemberKind::Unsaid => (person().or_else(group), PrincipalKind::User),
        };
        // Somebody whom no listing shows keeps the number: it is what removing them takes.
        found.unwrap_or_else(|| Principal::new(kind, self.id.as_ref(), self.id.as_ref()))
    }
}

/// All groups of a plane.
#[derive(Debug, Default)]
pub(super) struct Groups {
    by_id: BTreeMap<Box<str>, Arc<Group>>,
    by_name: BTreeMap<String, Vec<Box<str>>>,
    /// Whether the listing carried members at all; account listings of accounts made since 2025-08-22 do not.
    pub with_members: bool,
}

impl Groups {
    pub async fn read(plane: &Plane, scope: &Scope) -> Result<Self, SystemError> {
        let wire: Vec<WireGroup> = pages::list(plane, scope, Collection::Groups, GROUP_ATTRIBUTES).await?;
        Ok(Self::new(wire))
    }

    fn new(wire: Vec<WireGroup>) -> Self {
        let mut groups = Self::default();
        for one in wire {
            let group = Arc::new(Group::new(one));
            groups.with_members |= !group.members.is_empty();
            let same = groups.by_name.entry(group.name.to_lowercase()).or_default();
            same.push(group.id.clone());
            groups.by_id.insert(group.id.clone(), group);
        }
        groups
    }

    pub fn by_id(&self, id: &str) -> Option<&Arc<Group>> {
        self.by_id.get(id)
    }

    /// Groups of this name, compared without case as the vendor does; the plane's own before those that a
    /// workspace merely shows.
    pub fn named(&self, name: &str) -> Vec<&Arc<Group>> {
        let ids = self.by_name.get(&name.to_lowercase()).into_iter().flatten();
        let all: Vec<&Arc<Group>> = ids.filter_map(|id| self.by_id(id)).collect();
        let own: Vec<_> = all.iter().copied().filter(|group| !group.of_account).collect();
        if own.is_empty() { all } else { own }
    }

    pub fn iter(&self) -> impl Iterator<Item = &Arc<Group>> {
        self.by_id.values()
    }
}

/// One group by id; `None`: there is none.
pub(super) async fn read_one(plane: &Plane, scope: &Scope, id: &str) -> Result<Option<Group>, SystemError> {
    let call = scope
        .one(Collection::Groups, id, Method::GET, Effect::Read)
        .query("attributes", GROUP_ATTRIBUTES);
    Ok(plane.find::<WireGroup>(call).await?.map(Group::new))
}

/// Groups of exactly this name, asked for by name.
pub(super) async fn read_named(plane: &Plane, scope: &Scope, name: &str) -> Result<Vec<Group>, SystemError> {
    let found = scim::groups_named(plane, scope, name).await?;
    let all = found.into_iter().map(Group::new);
    Ok(match scope {
        Scope::Workspace => all.filter(|group| !group.of_account).collect(),
        Scope::Account(_) => all.collect(),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::json;

    use super::*;

    fn groups(value: serde_json::Value) -> Groups {
        Groups::new(serde_json::from_value(value).unwrap())
    }

    #[test]
    fn a_local_group_comes_before_an_account_group_of_the_same_name() {
        let groups = groups(json!([
            {"id": "1", "displayName": "Team", "meta": {"resourceType": "Group"}},
            {"id": "2", "displayName": "team", "meta": {"resourceType": "WorkspaceGroup"}},
            {"id": "3", "displayName": "shown", "meta": {"resourceType": "Group"}},
        ]));
        let ids = |name: &str| -> Vec<String> {
            groups
                .named(name)
                .iter()
                .map(|group| group.id.to_string())
                .collect()
        };
        assert_eq!(ids("TEAM"), ["2"]);
        assert_eq!(ids("shown"), ["3"]);
        assert!(groups.by_id("3").unwrap().is_external(&Scope::Workspace));
        assert!(!groups.by_id("2").unwrap().is_external(&Scope::Workspace));
        assert!(
            !groups
                .by_id("3")
                .unwrap()
                .is_external(&Scope::Account("a".into()))
        );
    }

    #[test]
    fn a_group_with_an_external_id_is_edited_elsewhere() {
        let groups = groups(json!([
            {"id": "1", "displayName": "a", "externalId": "00u1"},
            {"id": "2", "displayName": "b", "externalId": ""},
        ]));
        let account = Scope::Account("a".into());
        assert!(groups.by_id("1").unwrap().is_external(&account));
        assert!(!groups.by_id("2").unwrap().is_external(&account));
        assert!(!groups.with_members);
    }
}
