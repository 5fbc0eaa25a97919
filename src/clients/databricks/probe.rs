//! Who the workspace is, whom we are there, and what we lack.

use lockstep_core::api::databricks_connection::{DatabricksIdentity, IdentityManagement};
use lockstep_core::domain::access::grant::{Principal, PrincipalKind, System};
use lockstep_core::domain::ports::{Probe, SystemError, SystemErrorKind};
use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use super::limits::Family;
use super::names::ADMINS;
use super::people::is_uuid;
use super::plane::Plane;
use super::scim::{Collection, Scope};
use super::side::Side;
use super::system::{DatabricksSystem, Inner};
use super::{segment, settings::Auth};
use crate::clients::http::{Call, Effect};

/// The answer to "who am I".
#[derive(Debug)]
pub(super) struct Facts {
    /// Numeric id of the workspace, from its own answer.
    pub workspace: String,
    pub me: Principal,
    /// Numeric id of ourselves.
    pub number: String,
    /// User name or application id.
    pub name: String,
    /// Whether we administer the workspace.
    pub admin: bool,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Me {
    id: String,
    #[serde(default)]
    user_name: String,
    #[serde(default)]
    groups: Vec<Parent>,
}

#[derive(Debug, Deserialize)]
struct Parent {
    #[serde(default)]
    display: String,
}

#[derive(Debug, Deserialize)]
struct Metastore {
    #[serde(default)]
    metastore_id: Option<String>,
    #[serde(default)]
    cloud: Option<String>,
}

/// What names the workspace in its answers.
const ORG: &str = "x-databricks-org-id";

impl Facts {
    pub async fn read(plane: &Plane) -> Result<Self, SystemError> {
        let path = "/api/2.0/preview/scim/v2/Me";
        // The rest of it is costly to make and of no use here (TF#5725).
        let call = Call::get(path, path, Family::Other.name()).query("attributes", "id,userName,groups");
        let response = plane.send(call).await?.success()?;
        let workspace = response
            .answer
            .headers
            .get(ORG)
            .and_then(|value| value.to_str().ok())
            .map(ToOwned::to_owned)
            .filter(|id| !id.is_empty())
            .ok_or_else(|| {
                plane.error(
                    SystemErrorKind::BadAnswer,
                    "the host does not say which workspace it is: spec.host must be a workspace's own URL",
                )
            })?;
        let Me {
            id,
            user_name,
            groups,
        } = response.answer.json()?;
        // A service principal sees itself as a user whose name is its application id.
        let me = if is_uuid(&user_name) {
            Principal::new(PrincipalKind::ServicePrincipal, &user_name, &user_name)
        } else {
            Principal::new(PrincipalKind::User, &id, &user_name)
        };
        plane.name_system(System::Workspace(workspace.clone()).to_string());
        Ok(Self {
            workspace,
            me,
            number: id,
            name: user_name,
            admin: groups.iter().any(|group| group.display == ADMINS),
        })
    }
}

async fn read_metastore(plane: &Plane) -> Result<Option<Metastore>, SystemError> {
    let path = "/api/2.1/unity-catalog/metastore_summary";
    let found: Option<Metastore> = plane.find(Call::get(path, path, Family::Other.name())).await?;
    Ok(found.filter(|metastore| metastore.metastore_id.is_some()))
}

impl Inner {
    /// Id of the metastore that the workspace uses.
    pub async fn metastore(&self) -> Result<&String, SystemError> {
        let plane = &self.workspace.plane;
        self.metastore
            .get_or_try_init(|| async {
                let found = read_metastore(plane).await?;
                found.and_then(|metastore| metastore.metastore_id).ok_or_else(|| {
                    plane.error(
                        SystemErrorKind::NotFound,
                        "the workspace has no Unity Catalog metastore",
                    )
                })
            })
            .await
    }
}

impl DatabricksSystem {
    /// Asks who the workspace is, whom we are there and what we may do. Reads only.
    pub async fn probe(&self) -> Result<Probe, SystemError> {
        let inner = &self.0;
        let mut lacks = Vec::new();
        let facts = Facts::read(&inner.workspace.plane).await?;
        if !facts.admin {
            lacks.push(format!(
                "{} does not administer workspace {}: groups, permissions and entitlements cannot be written there",
                facts.name, facts.workspace
            ));
        }
        let metastore = match read_metastore(&inner.workspace.plane).await {
            Ok(metastore) => metastore,
            Err(error) if error.kind == SystemErrorKind::Forbidden => {
                lacks.push(format!("the metastore cannot be seen: {}", error.message));
                None
            }
            Err(error) => return Err(error),
        };
        let account_admin = match &inner.account {
            Some((_, side)) => is_account_admin(side, &facts, &inner.auth, &mut lacks).await?,
            None => None,
        };
        let management = match (&inner.account, account_admin) {
            (Some((id, side)), Some(true)) => identity_management(id, side, inner).await?,
            _ => None,
        };
        let account_clock = || {
            inner
                .account
                .as_ref()
                .and_then(|(_, side)| side.plane.clock_is_off())
        };
        lacks.extend(inner.workspace.plane.clock_is_off().or_else(account_clock));
        let (metastore_id, cloud) = metastore.map_or((None, None), |found| (found.metastore_id, found.cloud));
        let status = json!({
            "workspaceId": facts.workspace,
            "accountId": inner.account.as_ref().map(|(id, _)| id),
            "metastoreId": metastore_id,
            "cloud": cloud,
            "identity": DatabricksIdentity {
                id: facts.number,
                name: facts.name,
                workspace_admin: facts.admin,
                account_admin,
            },
            "identityManagement": management,
        });
        Ok(Probe {
            status: filled(status),
            lacks,
            allowance: inner.budget.allowance(),
        })
    }
}

/// Without the fields of which nothing is known.
fn filled(mut status: Value) -> Value {
    if let Value::Object(fields) = &mut status {
        fields.retain(|_, value| !value.is_null());
    }
    status
}

/// Whether the account lets us in as its administrator; `None`: it cannot be told.
async fn is_account_admin(
    side: &Side,
    facts: &Facts,
    auth: &Auth,
    lacks: &mut Vec<String>,
) -> Result<Option<bool>, SystemError> {
    if let Auth::PersonalAccessToken(_) = auth {
        lacks.push(
            "a personal access token reaches its own workspace only: account groups and roles on service principals are out of its reach".to_owned(),
        );
        return Ok(None);
    }
    let call = side
        .scope
        .all(Collection::Groups, Method::GET, Effect::Read)
        .query("attributes", "id")
        .query("count", "1");
    let response = side.plane.send(call).await?;
    match response.success() {
        Ok(_) => Ok(Some(true)),
        Err(error) if error.kind == SystemErrorKind::Forbidden => {
            lacks.push(format!(
                "{} does not administer the account: account groups and roles on service principals cannot be written",
                facts.name
            ));
            Ok(Some(false))
        }
        Err(error) => Err(error),
    }
}

/// Whether an identity provider fills groups by itself. Told by the newer API from a group that is provisioned at
/// all; where that API is missing, an account with provisioned groups is left undecided.
async fn identity_management(
    account: &str,
    side: &std::sync::Arc<Side>,
    inner: &Inner,
) -> Result<Option<IdentityManagement>, SystemError> {
    let Scope::Account(_) = side.scope else {
        return Ok(None);
    };
    let hour = jiff::SignedDuration::from_hours(1);
    let fresh = inner
        .clock
        .now()
        .checked_sub(hour)
        .unwrap_or(jiff::Timestamp::MIN);
    let groups = side.groups(fresh).await?;
    let Some(group) = groups.value.iter().find(|group| group.is_provisioned()) else {
        return Ok(Some(IdentityManagement::Manual));
    };
    let path = format!(
        "/api/2.0/identity/accounts/{}/groups/{}/direct-members",
        segment(account),
        segment(&group.id)
    );
    let route = "/api/2.0/identity/accounts/{account}/groups/{group}/direct-members";
    let call = Call::get(route, path, Family::AccountScimRead.name()).query("page_size", "10");
    let response = side.plane.send(call).await?;
    if !response.answer.status.is_success() {
        return Ok(None);
    }
    let members: Value = response.answer.json()?;
    let provided = members
        .get("direct_group_members")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .any(|member| member.get("membership_source").and_then(Value::as_str) == Some("IDENTITY_PROVIDER"));
    Ok(Some(if provided {
        IdentityManagement::Automatic
    } else {
        IdentityManagement::Manual
    }))
}
