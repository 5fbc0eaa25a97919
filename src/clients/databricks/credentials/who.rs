//! Whose credentials are minted: a service principal by its application id, or whom the connection logs in as.

use std::collections::BTreeMap;
use std::sync::{Arc, MutexGuard, PoisonError};

use lockstep_core::domain::access::grant::PrincipalKind;
use lockstep_core::domain::ports::{SystemError, SystemErrorKind};
use reqwest::Method;

use super::super::pages::Page;
use super::super::scim::{Collection, WirePrincipal, equals};
use super::super::side::Side;
use super::super::system::Inner;
use crate::clients::http::Effect;

/// Somebody who holds credentials.
#[derive(Clone, Debug)]
pub(super) struct Who {
    /// Application id of a service principal, else the user's name.
    pub name: String,
    /// The id that the calls know them by.
    pub number: String,
    /// Whether it is whom the connection logs in as.
    pub own: bool,
    /// Whether it is a service principal and no user.
    pub service_principal: bool,
    /// Whether the workspace knows them; else only the account does.
    pub in_workspace: bool,
}

pub(super) async fn find(inner: &Inner, application_id: Option<&str>) -> Result<Who, SystemError> {
    let facts = inner.facts().await?;
    match application_id {
        Some(id) if !id.eq_ignore_ascii_case(&facts.name) => other(inner, id).await,
        _ => Ok(Who {
            name: facts.name.clone(),
            number: facts.number.clone(),
            own: true,
            service_principal: facts.me.kind == PrincipalKind::ServicePrincipal,
            in_workspace: true,
        }),
    }
}

/// The workspace is asked first: an identity that administers the workspace alone may see nothing of the account.
async fn other(inner: &Inner, application_id: &str) -> Result<Who, SystemError> {
    let name = application_id.to_lowercase();
    let who = |number: String, in_workspace| Who {
        name: name.clone(),
        number,
        own: false,
        service_principal: true,
        in_workspace,
    };
    let known = numbers(inner).get(&name).cloned();
    if let Some(number) = known {
        return Ok(who(number, true));
    }
    let sides = std::iter::once(&inner.workspace).chain(inner.account_side());
    let mut refusal = None;
    for side in sides {
        match number(side, application_id).await {
            Ok(Some(number)) => {
                let in_workspace = Arc::ptr_eq(side, &inner.workspace);
                // Whom the account alone knows may come into the workspace any time.
                if in_workspace {
                    numbers(inner).insert(name.clone(), number.clone());
                }
                return Ok(who(number, in_workspace));
            }
            Ok(None) => {}
            Err(error) => refusal = refusal.or(Some(error)),
        }
    }
    Err(refusal.unwrap_or_else(|| {
        let message = format!("there is no service principal with application id {application_id}");
        inner.workspace.plane.error(SystemErrorKind::NotFound, message)
    }))
}

fn numbers(inner: &Inner) -> MutexGuard<'_, BTreeMap<String, String>> {
    inner.numbers.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn number(side: &Side, application_id: &str) -> Result<Option<String>, SystemError> {
    let call = side
        .scope
        .all(Collection::ServicePrincipals, Method::GET, Effect::Read)
        .query("filter", equals("applicationId", application_id))
        .query("attributes", "id,applicationId");
    let page: Page<WirePrincipal> = side.plane.read(call).await?;
    let same = |found: &WirePrincipal| found.application_id.eq_ignore_ascii_case(application_id);
    Ok(page.resources.into_iter().find(same).map(|found| found.id))
}
