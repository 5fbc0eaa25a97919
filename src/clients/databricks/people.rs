//! Everybody a plane knows, as one listing shows them, with the numeric ids that SCIM wants and the names that
//! access lists want.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use lockstep_core::domain::access::directory::{Account, Directory};
use lockstep_core::domain::access::grant::{Principal, PrincipalKind, System};
use lockstep_core::domain::ports::SystemError;

use super::pages;
use super::plane::Plane;
use super::scim::{
    Collection, PRINCIPAL_ATTRIBUTES, Scope, USER_ATTRIBUTES, WirePrincipal, WireUser, WireValue,
};

/// One listing of users and service principals.
#[derive(Debug)]
pub(super) struct People {
    pub directory: Arc<Directory>,
    by_id: BTreeMap<Box<str>, Principal>,
    /// Numeric ids of service principals by application id.
    numbers: BTreeMap<Box<str>, Box<str>>,
    /// Direct entitlements in the workspace.
    pub entitlements: Vec<(Principal, Vec<String>)>,
}

impl People {
    pub async fn read(
        plane: &Plane,
        scope: &Scope,
        system: System,
        taken: Timestamp,
    ) -> Result<Self, SystemError> {
        let users: Vec<WireUser> = pages::list(plane, scope, Collection::Users, USER_ATTRIBUTES).await?;
        let principals: Vec<WirePrincipal> =
            pages::list(plane, scope, Collection::ServicePrincipals, PRINCIPAL_ATTRIBUTES).await?;
        Ok(Self::new(system, taken, users, principals))
    }

    /// For changes that speak of no person.
    pub fn nobody(system: System) -> Self {
        Self::new(system, Timestamp::MIN, Vec::new(), Vec::new())
    }

    fn new(system: System, taken: Timestamp, users: Vec<WireUser>, principals: Vec<WirePrincipal>) -> Self {
        let mut accounts = Vec::with_capacity(users.len() + principals.len());
        let (mut by_id, mut numbers, mut entitlements) = (BTreeMap::new(), BTreeMap::new(), Vec::new());
        let mut entitled = |who: &Principal, values: Vec<WireValue>| {
            if !values.is_empty() {
                let values = values.into_iter().map(|entitlement| entitlement.value).collect();
                entitlements.push((who.clone(), values));
            }
        };
        for user in users {
            let WireUser {
                id,
                user_name,
                active,
                emails,
                entitlements,
            } = user;
            let principal = Principal::new(PrincipalKind::User, &id, &user_name);
            by_id.insert(id.into(), principal.clone());
            entitled(&principal, entitlements);
            accounts.push(Account {
                principal,
                emails: addresses(&user_name, emails),
                aliases: Vec::new(),
                username: Some(user_name),
                active: active.unwrap_or(true),
                service: false,
            });
        }
        for principal in principals {
            let WirePrincipal {
                id,
                application_id,
                display_name,
                active,
                entitlements,
            } = principal;
            let name = if display_name.is_empty() {
                &application_id
            } else {
                &display_name
            };
            let principal = Principal::new(PrincipalKind::ServicePrincipal, &application_id, name);
            by_id.insert(id.as_str().into(), principal.clone());
            numbers.insert(application_id.as_str().into(), id.into());
            entitled(&principal, entitlements);
            accounts.push(Account {
                principal,
                emails: Vec::new(),
                aliases: Vec::new(),
                username: Some(application_id),
                active: active.unwrap_or(true),
                service: true,
            });
        }
        Self {
            directory: Arc::new(Directory::new(system, taken, accounts)),
            by_id,
            numbers,
            entitlements,
        }
    }

    /// Everybody who is a service principal, with the numeric id that the calls know them by.
    pub fn service_principals(&self) -> impl Iterator<Item = (&Principal, &str)> {
        self.by_id
            .iter()
            .filter(|(_, who)| who.kind == PrincipalKind::ServicePrincipal)
            .map(|(id, who)| (who, id.as_ref()))
    }

    /// Whose numeric id this is.
    pub fn by_id(&self, id: &str) -> Option<&Principal> {
        self.by_id.get(id)
    }

    /// The numeric id that SCIM knows a person or bot by.
    pub fn number<'a>(&'a self, principal: &'a Principal) -> Option<&'a str> {
        match principal.kind {
            PrincipalKind::User => Some(&principal.subject),
            PrincipalKind::ServicePrincipal => self.numbers.get(principal.subject.as_str()).map(Box::as_ref),
            PrincipalKind::Group | PrincipalKind::Account => None,
        }
    }

    /// Who is meant by a name as access lists and grants spell it.
    pub fn named(&self, kind: PrincipalKind, name: &str) -> Principal {
        let known = self.directory.by_username(name).map(|account| &account.principal);
        match known.filter(|principal| principal.kind == kind) {
            Some(principal) => principal.clone(),
            // Somebody whom this plane does not list is still somebody; the name identifies as far as it can.
            None => Principal::new(kind, name, name),
        }
    }

    /// Who is meant by a name of which the kind is not said: an e-mail is a user's, an application id a service
    /// principal's, everything else is a group.
    pub fn guessed(&self, name: &str) -> Principal {
        if let Some(account) = self.directory.by_username(name) {
            return account.principal.clone();
        }
        let kind = if name.contains('@') {
            PrincipalKind::User
        } else if is_uuid(name) {
            PrincipalKind::ServicePrincipal
        } else {
            PrincipalKind::Group
        };
        Principal::new(kind, name, name)
    }

    /// The name that access lists and grants know somebody by; `None`: a user whom this plane does not list.
    pub fn name_of(&self, principal: &Principal) -> Option<String> {
        match principal.kind {
            PrincipalKind::Group | PrincipalKind::ServicePrincipal => Some(principal.subject.clone()),
            PrincipalKind::User => match self.by_id(&principal.subject) {
                Some(known) => Some(known.name.clone()),
                None => principal.subject.contains('@').then(|| principal.subject.clone()),
            },
            PrincipalKind::Account => None,
        }
    }
}

/// The user name first, if it is an address; then the primary one, then the others.
fn addresses(user_name: &str, emails: Vec<WireValue>) -> Vec<String> {
    let mut emails = emails;
    emails.sort_by_key(|email| !email.primary);
    let all = std::iter::once(user_name.to_owned()).chain(emails.into_iter().map(|email| email.value));
    let mut kept: Vec<String> = Vec::new();
    for address in all.filter(|address| address.contains('@')) {
        if !kept.iter().any(|known| known.eq_ignore_ascii_case(&address)) {
            kept.push(address);
        }
    }
    kept
}

/// 8-4-4-4-12 hexadecimal digits.
pub(super) fn is_uuid(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    parts.len() == 5
        && parts
            .iter()
            .zip([8, 4, 4, 4, 12])
            .all(|(part, digits)| part.len() == digits && part.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const APP: &str = "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee";

    fn people() -> People {
        let email = |value: &str, primary| WireValue {
            value: value.into(),
            primary,
        };
        let ada = WireUser {
            id: "7".into(),
            user_name: "ada@example.com".into(),
            active: None,
            emails: vec![email("second@example.com", false), email("ADA@example.com", true)],
            entitlements: Vec::new(),
        };
        let bot = WirePrincipal {
            id: "8".into(),
            application_id: APP.into(),
            display_name: "bot".into(),
            active: Some(false),
            entitlements: Vec::new(),
        };
        People::new(
            System::Workspace("1".into()),
            Timestamp::UNIX_EPOCH,
            vec![ada],
            vec![bot],
        )
    }

    #[test]
    fn names_and_numbers_lead_to_the_same_principal() {
        let people = people();
        let ada = people.named(PrincipalKind::User, "Ada@Example.com");
        assert_eq!(ada.to_string(), "user:7");
        assert_eq!(people.number(&ada), Some("7"));
        assert_eq!(people.name_of(&ada).as_deref(), Some("ada@example.com"));
        let bot = people.guessed(APP);
        assert_eq!(
            (bot.to_string(), people.number(&bot)),
            (format!("servicePrincipal:{APP}"), Some("8"))
        );
        assert_eq!(people.by_id("8"), Some(&bot));
    }

    #[test]
    fn strangers_keep_the_name_they_were_found_under() {
        let people = people();
        let rows = [
            ("eve@example.com", "user:eve@example.com"),
            ("account users", "group:account users"),
            (
                "11111111-bbbb-4ccc-8ddd-eeeeeeeeeeee",
                "servicePrincipal:11111111-bbbb-4ccc-8ddd-eeeeeeeeeeee",
            ),
        ];
        for (name, principal) in rows {
            assert_eq!(people.guessed(name).to_string(), principal);
        }
    }

    #[test]
    fn addresses_are_the_user_name_then_the_primary_one() {
        let people = people();
        let ada = people.directory.by_username("ada@example.com");
        assert_eq!(
            ada.map(|account| account.emails.clone()),
            Some(vec!["ada@example.com".into(), "second@example.com".into()])
        );
    }
}
