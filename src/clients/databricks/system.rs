//! The adapter as others see it, and which plane answers for which system.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use governor::{Quota, RateLimiter};
use jiff::{SignedDuration, Timestamp};
use lockstep_core::api::objects::ObjectName;
use lockstep_core::domain::access::directory::Directory;
use lockstep_core::domain::access::grant::{Principal, PrincipalKind, System, Target};
use lockstep_core::domain::access::observed::{Located, Named, Observed};
use lockstep_core::domain::plan::Change;
use lockstep_core::domain::ports::{AccessSystem, Applied, Clock, Permit, SystemError, SystemErrorKind};
use lockstep_core::domain::promotion::proof::hardening::databricks::Held;

use super::acl::Acl;
use super::catalog::Grants;
use super::limits::Budget;
use super::login::Realm;
use super::lookup;
use super::plane::{Outfit, Plane};
use super::probe::Facts;
use super::roles::RuleSet;
use super::scim::Scope;
use super::settings::{Auth, DatabricksSettings};
use super::side::Side;
use super::snapshot::{Reading, Readings, Snapshot};
use super::workspace::{Assignments, Door};
use crate::clients::http::HttpMetrics;

/// Most targets that are read one by one and kept, of each kind: ten thousand bindings with one object each.
const KEPT: usize = 10_000;
/// Who we are, and whether we administer the workspace, is asked again after this long.
const FACTS: SignedDuration = SignedDuration::from_mins(10);

/// One connection's Databricks.
pub struct DatabricksSystem(pub(super) Arc<Inner>);

/// The rows of a workspace, with the readings they were made of.
type WorkspaceRows = Mutex<Option<([u64; 3], Arc<Observed>)>>;

pub(super) struct Inner {
    pub workspace: Arc<Side>,
    /// The account, where the connection names one.
    pub account: Option<(String, Arc<Side>)>,
    pub auth: Auth,
    pub budget: Budget,
    pub clock: Arc<dyn Clock>,
    pub facts: Arc<Snapshot<Facts>>,
    pub metastore: tokio::sync::OnceCell<String>,
    pub assignments: Arc<Snapshot<Assignments>>,
    pub workspace_rows: WorkspaceRows,
    pub objects: Readings<Option<Acl>>,
    pub securables: Readings<Option<Grants>>,
    pub rules: Readings<Option<RuleSet>>,
    names: Readings<lookup::Names>,
    /// Numeric ids of service principals that the workspace knows, by application id: neither ever changes.
    pub numbers: Mutex<BTreeMap<String, String>>,
    /// What nobody but promotions asks about.
    pub holders: Readings<Option<BTreeSet<Held>>>,
}

impl DatabricksSystem {
    /// Builds the clients; nothing is sent. Refuses hosts that must not be called.
    pub fn new(
        settings: DatabricksSettings,
        permit: Arc<dyn Permit>,
        clock: Arc<dyn Clock>,
        metrics: Option<Arc<HttpMetrics>>,
    ) -> Result<Self, SystemError> {
        let cap = match settings.budget {
            Budget::PerSecond(number) => Some(Arc::new(RateLimiter::direct(Quota::per_second(number)))),
            Budget::Published | Budget::Lifted => None,
        };
        let outfit = Outfit {
            permit,
            clock: Arc::clone(&clock),
            metrics,
            cap,
        };
        let workspace = Plane::new(&settings, &settings.host, Realm::Workspace, &outfit)?;
        let account = match &settings.account {
            None => None,
            Some(account) => {
                let realm = Realm::Account(account.id.clone());
                let plane = Plane::new(&settings, &account.host, realm, &outfit)?;
                plane.name_system(System::Account(account.id.clone()).to_string());
                let side = Side::new(plane, Scope::Account(account.id.clone()), &clock);
                Some((account.id.clone(), Arc::new(side)))
            }
        };
        Ok(Self(Arc::new(Inner {
            workspace: Arc::new(Side::new(workspace, Scope::Workspace, &clock)),
            account,
            auth: settings.auth,
            budget: settings.budget,
            facts: Arc::new(Snapshot::new(Arc::clone(&clock))),
            metastore: tokio::sync::OnceCell::new(),
            assignments: Arc::new(Snapshot::new(Arc::clone(&clock))),
            workspace_rows: Mutex::new(None),
            objects: Readings::new(Arc::clone(&clock), KEPT),
            securables: Readings::new(Arc::clone(&clock), KEPT),
            rules: Readings::new(Arc::clone(&clock), KEPT),
            names: Readings::new(Arc::clone(&clock), KEPT),
            numbers: Mutex::default(),
            holders: Readings::new(Arc::clone(&clock), KEPT),
            clock,
        })))
    }
}

impl Inner {
    /// Which plane answers for a system, if this connection reaches it at all. Ids are compared, so that a target
    /// of one workspace is never written in another.
    pub async fn side(&self, system: &System) -> Result<&Arc<Side>, SystemError> {
        let plane = &self.workspace.plane;
        let refuse = |here: String| {
            let message = format!("this connection reaches {here}, not {system}");
            Err(plane.error(SystemErrorKind::Refused, message))
        };
        match system {
            System::Workspace(id) => {
                let facts = self.facts().await?;
                if facts.workspace == *id {
                    Ok(&self.workspace)
                } else {
                    refuse(System::Workspace(facts.workspace.clone()).to_string())
                }
            }
            System::Account(id) => match &self.account {
                Some((here, side)) if here == id => Ok(side),
                Some((here, _)) => refuse(System::Account(here.clone()).to_string()),
                None => refuse("no account (spec.account is unset)".to_owned()),
            },
            System::Metastore(id) => {
                let here = self.metastore().await?;
                if here == id {
                    Ok(self.principals())
                } else {
                    refuse(System::Metastore(here.clone()).to_string())
                }
            }
            System::Gerrit(_) => refuse("Databricks".to_owned()),
        }
    }

    /// The side whose people Unity Catalog speaks of: the account's, where it can be reached.
    pub fn principals(&self) -> &Arc<Side> {
        self.account_side().unwrap_or(&self.workspace)
    }

    /// The account, where the connection names one and its credential can reach it.
    pub fn account_side(&self) -> Option<&Arc<Side>> {
        match (&self.account, &self.auth) {
            (Some((_, side)), Auth::WorkloadIdentity { .. } | Auth::OauthSecret { .. }) => Some(side),
            _ => None,
        }
    }

    /// Whom we are: the settings say it for a service principal, else the workspace does.
    pub async fn me(&self) -> Result<Principal, SystemError> {
        match self.auth.client_id() {
            Some(id) => Ok(Principal::new(PrincipalKind::ServicePrincipal, id, id)),
            None => Ok(self.facts().await?.me.clone()),
        }
    }

    pub async fn facts(&self) -> Result<Arc<Facts>, SystemError> {
        let fresh = self.clock.now().checked_sub(FACTS).unwrap_or(Timestamp::MIN);
        let side = Arc::clone(&self.workspace);
        let read = |_| async move { Facts::read(&side.plane).await };
        Ok(self.facts.get(fresh, &[], read).await?.value)
    }

    pub async fn assignments(
        self: &Arc<Self>,
        fresh: Timestamp,
    ) -> Result<Reading<Assignments>, SystemError> {
        let (inner, workspace) = (Arc::clone(self), self.facts().await?.workspace.clone());
        let read = |_| async move {
            if let Some((account, side)) = &inner.account
                && !matches!(inner.auth, Auth::PersonalAccessToken(_))
            {
                let door = Door::Account {
                    account: account.clone(),
                    workspace,
                };
                match Assignments::read(&side.plane, door).await {
                    // Not an account admin: the workspace has a door of its own.
                    Err(error) if error.kind == SystemErrorKind::Forbidden => {}
                    outcome => return outcome,
                }
            }
            Assignments::read(&inner.workspace.plane, Door::Workspace).await
        };
        self.assignments.get(fresh, &[""], read).await
    }
}

#[async_trait]
impl AccessSystem for DatabricksSystem {
    async fn directory(&self, system: &System, fresh: Timestamp) -> Result<Arc<Directory>, SystemError> {
        let side = self.0.side(system).await?;
        let people = side.people(system, fresh).await?;
        Ok(Arc::clone(&people.value.directory))
    }

    async fn locate(&self, named: &Named, fresh: Timestamp) -> Result<Located, SystemError> {
        match named {
            Named::Plain(target) => Ok(Located::At(target.clone())),
            Named::Group { system, name } => self.0.side(system).await?.locate(system, name, fresh).await,
            Named::Object {
                workspace,
                kind,
                name,
            } => {
                let side = Arc::clone(self.0.side(&System::Workspace(workspace.clone())).await?);
                let at = |id: String| Target::Object {
                    workspace: workspace.clone(),
                    kind: (*kind).to_owned(),
                    id,
                };
                let name = match name {
                    ObjectName::Id(id) => return Ok(Located::At(at(id.clone()))),
                    ObjectName::Name(name) => name.clone(),
                };
                let (asked, kind) = (name.clone(), *kind);
                let read = |_| async move { lookup::read(&side.plane, kind, &asked).await };
                let reading = self
                    .0
                    .names
                    .of(&lookup::key(kind, &name))
                    .get(fresh, &[], read)
                    .await?;
                Ok(match reading.value.get(&name).map(Vec::as_slice) {
                    None | Some([]) => Located::Absent,
                    Some([id]) => Located::At(at(id.clone())),
                    Some(several) => Located::Ambiguous(several.iter().cloned().map(at).collect()),
                })
            }
        }
    }

    async fn observe(&self, target: &Target, fresh: Timestamp) -> Result<Arc<Observed>, SystemError> {
        let system = target.system();
        let side = self.0.side(&system).await?;
        let observed = match target {
            Target::Group { id, .. } => side.observe(&system, id, fresh, self.0.me().await?).await?,
            Target::NewGroup { name, .. } => {
                return match side.locate(&system, name, fresh).await? {
                    Located::At(target) => self.observe(&target, fresh).await,
                    _ => Ok(Arc::new(Observed::absent(target.clone(), fresh))),
                };
            }
            Target::Workspace { .. } => return self.0.observe_workspace(target, fresh).await,
            Target::Object { kind, id, .. } => self.0.observe_object(target, kind, id, fresh).await?,
            Target::Securable { kind, name, .. } => {
                self.0.observe_securable(target, kind, name, fresh).await?
            }
            Target::Roles { application_id, .. } => {
                self.0.observe_roles(target, application_id, fresh).await?
            }
            Target::GerritGroup { .. } | Target::GerritRef { .. } => Observed::absent(target.clone(), fresh),
        };
        Ok(Arc::new(observed))
    }

    async fn apply(&self, changes: &[&Change]) -> Result<Vec<Applied>, SystemError> {
        let mut applied = Vec::with_capacity(changes.len());
        for change in changes {
            applied.push(Applied {
                planned: change.target.clone(),
                target: self.0.apply_one(change).await?,
            });
        }
        Ok(applied)
    }
}
