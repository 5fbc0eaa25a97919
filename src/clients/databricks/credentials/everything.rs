//! What anybody holds: the OAuth secrets of every service principal that can be seen, one call each, and every personal
//! access token of the workspace with the day of its last use. What is out of reach is said and hides nothing else.

use futures::StreamExt as _;
use lockstep_core::domain::access::grant::{Principal, PrincipalKind, System};
use lockstep_core::domain::ports::{SystemError, SystemErrorKind};
use lockstep_core::domain::rotation::ports::inventory::{Held, HeldKind, Inventory};
use lockstep_core::domain::rotation::ports::issuers::Listed;

use super::super::people::People;
use super::super::side::Side;
use super::super::system::{DatabricksSystem, Inner};
use super::secrets::{self, Door, listing};
use super::tokens::{self, TokenInfo, everybodys};

/// Service principals asked about at once; the budget of the connection holds as well.
const AT_ONCE: usize = 8;

impl DatabricksSystem {
    /// What anybody holds in the account, where the connection reaches it, and in the workspace.
    pub async fn everything(&self) -> Result<Inventory, SystemError> {
        let inner = &self.0;
        let mut inventory = Inventory::default();
        let workspace = System::Workspace(inner.facts().await?.workspace.clone());
        let people = inner.workspace.names(&workspace).await?;
        match principals_secrets(inner, &workspace, &people).await {
            Ok(found) => {
                inventory.held.extend(found.held);
                inventory.unseen.extend(found.unseen);
            }
            Err(error) => unseen(&mut inventory, "secrets of service principals", error)?,
        }
        match everybodys(&inner.workspace.plane).await {
            Ok(found) => {
                let held = found.into_iter().map(|token| held(token, &workspace, &people));
                inventory.held.extend(held);
            }
            Err(error) => unseen(&mut inventory, "personal access tokens", error)?,
        }
        Ok(inventory)
    }
}

/// Notes what we may not see; whatever else went wrong ends the listing.
fn unseen(inventory: &mut Inventory, what: &str, error: SystemError) -> Result<(), SystemError> {
    match error.kind {
        SystemErrorKind::Forbidden | SystemErrorKind::NotFound => {
            inventory.unseen.push(format!("{what}: {error}"));
            Ok(())
        }
        _ => Err(error),
    }
}

fn held(token: TokenInfo, workspace: &System, people: &People) -> Held {
    let number = token.owner();
    let owner = people.by_id(&number).map_or_else(
        // Whom the workspace does not list any more is named by who made the token, else by number.
        || {
            let name = if token.maker().is_empty() {
                &number
            } else {
                token.maker()
            };
            Principal::new(PrincipalKind::User, &number, name)
        },
        Principal::clone,
    );
    let service = owner.kind == PrincipalKind::ServicePrincipal;
    let name = if service { &owner.subject } else { &owner.name };
    Held {
        kind: HeldKind::DatabricksToken,
        address: tokens::address(workspace, name),
        person: !service,
        owner: owner.name,
        listed: token.listed(),
    }
}

/// Through the account, where it lets us, since it knows all of them; else those that the workspace knows.
async fn principals_secrets(
    inner: &Inner,
    workspace: &System,
    people: &People,
) -> Result<Inventory, SystemError> {
    if let (Some((id, _)), Some(side)) = (&inner.account, inner.account_side()) {
        let people = side.names(&System::Account(id.clone())).await;
        match people {
            Ok(people) => return secrets_of(side, &Door::Account(id.clone()), &people).await,
            Err(error) if error.kind == SystemErrorKind::Forbidden => {}
            Err(error) => return Err(error),
        }
    }
    let mut found = secrets_of(&inner.workspace, &Door::Workspace, people).await?;
    found.unseen.push(format!(
        "secrets of service principals that {workspace} does not know: the account is not reached by its administrator"
    ));
    Ok(found)
}

async fn secrets_of(side: &Side, door: &Door, people: &People) -> Result<Inventory, SystemError> {
    let ask = |(principal, number): (Principal, String)| async move {
        let listed = listing(&side.plane, door, &number).await;
        (principal, listed)
    };
    let principals: Vec<(Principal, String)> = people
        .service_principals()
        .map(|(principal, number)| (principal.clone(), number.to_owned()))
        .collect();
    let mut asked = futures::stream::iter(principals).map(ask).buffered(AT_ONCE);
    let mut inventory = Inventory::default();
    while let Some((principal, listed)) = asked.next().await {
        let listed: Vec<Listed> = match listed {
            Ok(listed) => listed,
            Err(error) => {
                unseen(&mut inventory, &format!("secrets of {}", principal.name), error)?;
                continue;
            }
        };
        inventory.held.extend(listed.into_iter().map(|listed| Held {
            kind: HeldKind::DatabricksSecret,
            address: secrets::address(&principal.subject),
            owner: principal.name.clone(),
            person: false,
            listed,
        }));
    }
    Ok(inventory)
}
