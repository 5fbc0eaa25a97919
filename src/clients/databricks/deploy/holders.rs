//! Who holds what on the things that steps move, inherited rights and owners included, and by what one can log in as an
//! identity. Whatever a binding reads too comes from the same reading.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use lockstep_core::api::objects::ObjectName;
use lockstep_core::domain::access::grant::{Principal, PrincipalKind, Privilege, System, Target};
use lockstep_core::domain::access::observed::{Located, Named};
use lockstep_core::domain::ports::{AccessSystem as _, SystemError, SystemErrorKind};
use lockstep_core::domain::promotion::ports::holders::Holders;
use lockstep_core::domain::promotion::proof::hardening::databricks::{CREDENTIAL, Held, OWNER, Thing};
use serde::Deserialize;
use serde_json::Value;

use super::super::limits::Family;
use super::super::names::ADMINS;
use super::super::plane::Plane;
use super::super::segment;
use super::super::system::{DatabricksSystem, Inner};
use super::super::workspace;
use super::pages;
use crate::clients::http::Call;

pub(super) struct WorkspaceHolders(Arc<Inner>);

/// One securable, as far as it says whose it is.
#[derive(Deserialize)]
struct Owned {
    #[serde(default)]
    owner: String,
}

/// What is seen of a thing.
type Seen = Option<BTreeSet<Held>>;

impl WorkspaceHolders {
    pub fn new(inner: Arc<Inner>) -> Self {
        Self(inner)
    }

    fn plane(&self) -> &Plane {
        &self.0.workspace.plane
    }

    async fn workspace(&self) -> Result<System, SystemError> {
        Ok(System::Workspace(self.0.facts().await?.workspace.clone()))
    }

    /// Everybody who is assigned as an administrator or belongs to the group of them.
    async fn administrators(&self, fresh: Timestamp) -> Result<Seen, SystemError> {
        let inner = &self.0;
        let assignments = inner.assignments(fresh).await?.value;
        let groups = inner.workspace.groups(fresh).await?.value;
        let people = inner
            .workspace
            .people(&self.workspace().await?, fresh)
            .await?
            .value;
        let assigned = workspace::rows(&assignments, &groups, &people)
            .into_iter()
            .filter(|(_, what)| *what == Privilege::Permission("ADMIN".into()))
            .map(|(who, _)| who);
        let admins = groups.named(ADMINS);
        if admins.is_empty() {
            let message = format!("the group {ADMINS} is not shown");
            return Err(self.plane().error(SystemErrorKind::BadAnswer, message));
        }
        let members = admins.into_iter().flat_map(|group| group.rows(&people, &groups));
        let all = assigned.chain(members.map(|(who, _)| who));
        Ok(Some(all.map(|who| held(who, "ADMIN", None)).collect()))
    }

    /// Rights of the permissions API; a folder that is not there yet is the nearest one above.
    async fn object(&self, kind: &'static str, name: &str, fresh: Timestamp) -> Result<Seen, SystemError> {
        let system = self.workspace().await?;
        let System::Workspace(workspace) = &system else {
            return Ok(None);
        };
        let named = Named::Object {
            workspace: workspace.clone(),
            kind,
            name: ObjectName::Name(name.to_owned()),
        };
        let target = match DatabricksSystem(Arc::clone(&self.0))
            .locate(&named, fresh)
            .await?
        {
            Located::At(target) => target,
            Located::Absent => return Ok(None),
            Located::Ambiguous(several) => {
                let message = format!("{} {kind} are called {name}", several.len());
                return Err(self.plane().error(SystemErrorKind::Refused, message));
            }
        };
        let Target::Object { id, .. } = &target else {
            return Ok(None);
        };
        let acl = self.0.acl(&target, kind, id, fresh).await?.value;
        let people = self.0.workspace.names(&system).await?;
        Ok(acl.as_ref().as_ref().map(|acl| acl.held(kind, &people)))
    }

    async fn folder(&self, path: &str, fresh: Timestamp) -> Result<Seen, SystemError> {
        let mut at = path;
        loop {
            let found = self.object("directories", at, fresh).await?;
            let above = match at.rsplit_once('/') {
                Some((above, own)) if !own.is_empty() => above,
                _ => return Ok(found),
            };
            if found.is_some() {
                return Ok(found);
            }
            at = if above.is_empty() { "/" } else { above };
        }
    }

    async fn roles(&self, application_id: &str, fresh: Timestamp) -> Result<Seen, SystemError> {
        let account = self.account()?.to_owned();
        let target = Target::Roles {
            account,
            application_id: application_id.to_owned(),
        };
        let observed = self.0.observe_roles(&target, application_id, fresh).await?;
        let rows = observed.rows.into_iter().filter_map(|(who, what)| match what {
            Privilege::Role(role) => Some(held(who, &role, None)),
            _ => None,
        });
        Ok(observed.present.then(|| rows.collect()))
    }

    fn account(&self) -> Result<&str, SystemError> {
        let account = self.0.account.as_ref().map(|(id, _)| id.as_str());
        account.ok_or_else(|| {
            let message = "only the account says so, and spec.account is unset";
            self.plane().error(SystemErrorKind::Refused, message)
        })
    }

    /// Secrets and federation policies, which the account keeps.
    async fn logins(inner: &Inner, application_id: &str) -> Result<Seen, SystemError> {
        let Some((account, side)) = &inner.account else {
            return Ok(None);
        };
        let people = side.names(&System::Account(account.clone())).await?;
        let who = Principal::new(PrincipalKind::ServicePrincipal, application_id, application_id);
        let Some(number) = people.number(&who) else {
            return Ok(None);
        };
        let (account, number) = (segment(account), segment(number));
        let family = Family::Other.name();
        let route = "/api/2.0/accounts/{account}/servicePrincipals/{id}/credentials/secrets";
        let path = format!("/api/2.0/accounts/{account}/servicePrincipals/{number}/credentials/secrets");
        let call = Call::get(route, path, family);
        let secrets = pages::rows(&side.plane, &call, "secrets", |_| false).await?;
        let route = "/api/2.0/accounts/{account}/servicePrincipals/{id}/federationPolicies";
        let path = format!("/api/2.0/accounts/{account}/servicePrincipals/{number}/federationPolicies");
        let call = Call::get(route, path, family);
        let policies = pages::rows(&side.plane, &call, "policies", |_| false).await?;
        let text = |row: &Value, at: &str| row.pointer(at).and_then(Value::as_str).map(ToOwned::to_owned);
        let word = |row: &Value, at: &str| text(row, at).unwrap_or_default();
        let secrets = secrets
            .iter()
            .filter(|row| text(row, "/status").is_none_or(|status| status == "ACTIVE"))
            .map(|row| {
                format!(
                    "OAuth secret {}, to {}",
                    word(row, "/id"),
                    word(row, "/expire_time")
                )
            });
        let policies = policies.iter().map(|row| {
            format!(
                "a token of {} for {}",
                word(row, "/oidc_policy/issuer"),
                word(row, "/oidc_policy/subject")
            )
        });
        Ok(Some(secrets.chain(policies).map(credential).collect()))
    }

    /// Personal access tokens: one listing of the workspace for all identities.
    async fn tokens(&self, application_id: &str, fresh: Timestamp) -> Result<Seen, SystemError> {
        let inner = Arc::clone(&self.0);
        let read = |_| async move {
            let path = "/api/2.0/token-management/tokens";
            let call = Call::get(path, path, Family::Other.name());
            let rows = pages::rows(&inner.workspace.plane, &call, "token_infos", |_| false).await?;
            Ok(Some(rows.iter().filter_map(token).collect()))
        };
        let all = self.0.holders.of("tokens").get(fresh, &[], read).await?.value;
        let people = self.0.workspace.names(&self.workspace().await?).await?;
        let who = Principal::new(PrincipalKind::ServicePrincipal, application_id, application_id);
        let number = people.number(&who);
        let own = |held: &&Held| held.what == application_id || Some(held.what.as_str()) == number;
        let of_whom = all.iter().flatten().filter(own);
        let tokens = of_whom.map(|held| credential(held.from.clone().unwrap_or_default()));
        Ok(number.is_some().then(|| tokens.collect()))
    }

    /// What is granted on a model and above it, and who owns any of it.
    async fn model(inner: &Arc<Inner>, name: &str) -> Result<Seen, SystemError> {
        let plane = &inner.workspace.plane;
        let family = Family::Other.name();
        let people = inner
            .principals()
            .names(&System::Metastore(inner.metastore().await?.clone()))
            .await?;
        let mut owners: Vec<(Owned, Option<String>)> = Vec::new();
        let route = "/api/2.1/unity-catalog/models/{full_name}";
        let call = Call::get(
            route,
            format!("/api/2.1/unity-catalog/models/{}", segment(name)),
            family,
        );
        let Some(model) = plane.find::<Owned>(call).await? else {
            return Ok(None);
        };
        owners.push((model, None));
        let parts: Vec<&str> = name.split('.').collect();
        for (route, depth) in [
            ("/api/2.1/unity-catalog/schemas/{full_name}", 2),
            ("/api/2.1/unity-catalog/catalogs/{name}", 1),
        ] {
            let above = parts.get(..depth).unwrap_or_default().join(".");
            let base = route.rsplit_once('/').map_or(route, |(base, _)| base);
            let call = Call::get(route, format!("{base}/{}", segment(&above)), family);
            owners.push((plane.read(call).await?, Some(above)));
        }
        let path = "/api/2.1/unity-catalog/metastore_summary";
        let metastore: Owned = plane.read(Call::get(path, path, family)).await?;
        owners.push((metastore, Some("the metastore".into())));
        let owners = owners.into_iter().filter(|(owned, _)| !owned.owner.is_empty());
        let mut all: BTreeSet<Held> = owners
            .map(|(owned, from)| held(people.guessed(&owned.owner), OWNER, from))
            .collect();
        let route = "/api/2.1/unity-catalog/effective-permissions/{type}/{full_name}";
        let path = format!(
            "/api/2.1/unity-catalog/effective-permissions/function/{}",
            segment(name)
        );
        let call = Call::get(route, path, family);
        for row in pages::rows(plane, &call, "privilege_assignments", |_| false).await? {
            let who = row.get("principal").and_then(Value::as_str).unwrap_or_default();
            let privileges = row.get("privileges").and_then(Value::as_array);
            for one in privileges.into_iter().flatten() {
                let text = |at: &str| one.get(at).and_then(Value::as_str);
                let from = text("inherited_from_name").map(ToOwned::to_owned);
                if let Some(what) = text("privilege") {
                    all.insert(held(people.guessed(who), what, from));
                }
            }
        }
        Ok(Some(all))
    }
}

/// A token: whose it is instead of what, as the listing names them by number or by name; and which.
fn token(row: &Value) -> Option<Held> {
    let text = |at: &str| match row.get(at)? {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    };
    Some(Held {
        who: None,
        what: text("owner_id")
            .or_else(|| text("created_by_id"))
            .or_else(|| text("created_by_username"))?,
        from: Some(format!(
            "personal access token {}",
            text("token_id").unwrap_or_default()
        )),
    })
}

fn held(who: Principal, what: &str, from: Option<String>) -> Held {
    Held {
        who: Some(who),
        what: what.to_owned(),
        from,
    }
}

fn credential(which: String) -> Held {
    Held {
        who: None,
        what: CREDENTIAL.into(),
        from: Some(which),
    }
}

#[async_trait]
impl Holders for WorkspaceHolders {
    async fn ourselves(&self) -> Result<Principal, SystemError> {
        self.0.me().await
    }

    async fn of(&self, thing: &Thing, fresh: Timestamp) -> Result<Option<BTreeSet<Held>>, SystemError> {
        let kept = |key: String| self.0.holders.of(&key);
        match thing {
            Thing::Workspace => self.administrators(fresh).await,
            Thing::Identity(app) => self.roles(app, fresh).await,
            Thing::Login(app) => {
                self.account()?;
                let (inner, owned) = (Arc::clone(&self.0), app.clone());
                let read = |_| async move { Self::logins(&inner, &owned).await };
                let reading = kept(format!("login {app}")).get(fresh, &[], read).await?;
                Ok(reading.value.as_ref().clone())
            }
            Thing::Tokens(app) => self.tokens(app, fresh).await,
            Thing::Folder(path) => self.folder(path, fresh).await,
            Thing::Job(name) => self.object("jobs", name, fresh).await,
            Thing::Endpoint(name) => self.object("serving-endpoints", name, fresh).await,
            Thing::Model(name) => {
                let (inner, owned) = (Arc::clone(&self.0), name.clone());
                let read = |_| async move { Self::model(&inner, &owned).await };
                let reading = kept(format!("model {name}")).get(fresh, &[], read).await?;
                Ok(reading.value.as_ref().clone())
            }
        }
    }
}
