//! Gerrit as rows: groups and their members, refs and their rules. Reads come from shared listings; nothing is
//! written but planned changes, and what was written counts in no older reading.
//!
//! `facts` says which server this is, `people`, `groups` and `rights` read it, `group_write` and `rights_write` change
//! it, `labels` says what may be voted, `history` who else changed a group. `event` says what somebody claims to have
//! happened. `tokens` are what rotations mint, `everything` what anybody holds. `review` is the other half: changes.

mod contract;
mod event;
mod everything;
mod facts;
mod group_write;
mod groups;
#[cfg(test)]
mod hint_tests;
mod history;
mod labels;
mod names;
mod people;
mod rest;
mod review;
mod rights;
mod rights_write;
mod shared;
#[cfg(test)]
mod tests;
mod tokens;
mod wire;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use lockstep_core::domain::access::directory::Directory;
use lockstep_core::domain::access::drift::Deed;
use lockstep_core::domain::access::grant::{Principal, System, Target};
use lockstep_core::domain::access::labels::Labels;
use lockstep_core::domain::access::observed::{Located, Named, Observed};
use lockstep_core::domain::hint::Hint;
use lockstep_core::domain::pace::Lane;
use lockstep_core::domain::plan::Change;
use lockstep_core::domain::ports::{
    AccessSystem, Applied, Clock, Permit, Probe, SystemError, SystemErrorKind,
};
use reqwest::Url;
use secrecy::SecretString;
use tokio::sync::OnceCell;

pub use event::{NotAnEvent, hints};
pub use group_write::Deletion;
pub use people::Alias;
pub use review::{GerritReview, GitCache, Mirror};

use super::http::{BODY_LIMIT, FamilyLimit, Http, HttpMetrics, HttpOptions};
use facts::Facts;
use groups::Listing;
use labels::ByProject;
use rest::Rest;
use rights::Rights;
use shared::{Shared, Touched};

/// Requests a second to a server whose connection names no limit: what one busy person makes of the web page.
const DEFAULT_RATE: u32 = 5;
/// Rows of a listing in one request; Gerrit caps it at the capability `queryLimit`, 500 unless raised.
pub const PAGE: usize = 500;

/// A connection in plain words.
pub struct GerritSettings {
    pub url: Url,
    pub username: String,
    /// HTTP password or auth token.
    pub password: SecretString,
    /// PEM certificates to trust besides the public ones.
    pub ca_pem: Option<Vec<u8>>,
    pub aliases: Vec<Alias>,
    /// Requests a second for reads and for writes each; unset: 5, 0: no limit.
    pub requests_per_second: Option<u32>,
    pub concurrency: usize,
    pub timeout: Duration,
    pub allow_loopback: bool,
    /// Rows of a listing in one request, [`PAGE`] unless something is tried out.
    pub page: usize,
}

/// One Gerrit server.
pub struct GerritSystem {
    rest: Rest,
    clock: Arc<dyn Clock>,
    /// Reads a second, at most; 0: no limit.
    rate: u32,
    aliases: Vec<Alias>,
    page: usize,
    facts: OnceCell<Facts>,
    directory: Shared<Arc<Directory>>,
    groups: Shared<Listing>,
    touched_groups: Touched,
    rights: Rights,
    touched_projects: Touched,
    labels: ByProject,
    logs: review::Logs,
    /// Groups that a server said it had deleted, at our word.
    deleted: Mutex<BTreeSet<String>>,
    /// Numbers of accounts whose tokens are minted, by user name: neither ever changes.
    numbers: Mutex<BTreeMap<String, i64>>,
    creating: tokio::sync::Mutex<()>,
}

impl GerritSystem {
    /// Builds the client; nothing is sent.
    pub fn new(
        settings: GerritSettings,
        permit: Arc<dyn Permit>,
        clock: Arc<dyn Clock>,
        metrics: Option<Arc<HttpMetrics>>,
    ) -> Result<Self, SystemError> {
        let GerritSettings {
            url,
            username,
            password,
            ca_pem,
            aliases,
            requests_per_second,
            concurrency,
            timeout,
            allow_loopback,
            page,
        } = settings;
        let rate = requests_per_second.unwrap_or(DEFAULT_RATE);
        let limit = |family| match rate {
            0 => FamilyLimit::lifted(family),
            rate => FamilyLimit::per_second(family, rate),
        };
        let options = HttpOptions {
            base: url,
            ca_pem,
            timeout,
            concurrency,
            limits: vec![limit(rest::READ), limit(rest::WRITE)],
            allow_loopback,
            user_agent: concat!("lockstep/", env!("CARGO_PKG_VERSION")).to_owned(),
            kind: "gerrit",
            body_limit: BODY_LIMIT,
        };
        let http = Arc::new(Http::new(options, permit, Arc::clone(&clock), metrics)?);
        Ok(Self {
            rest: Rest::new(http, &username, &password)?,
            rate,
            aliases,
            page: page.max(1),
            facts: OnceCell::new(),
            directory: Shared::new(Arc::clone(&clock)),
            groups: Shared::new(Arc::clone(&clock)),
            touched_groups: Touched::default(),
            rights: Rights::default(),
            touched_projects: Touched::default(),
            labels: ByProject::default(),
            logs: review::Logs::default(),
            deleted: Mutex::default(),
            numbers: Mutex::default(),
            creating: tokio::sync::Mutex::new(()),
            clock,
        })
    }

    /// The server's name in canonical addresses.
    pub async fn server(&self) -> Result<&str, SystemError> {
        Ok(&self.facts().await?.server)
    }

    /// Reads anew who the server is, whom we are there, and what we lack.
    pub async fn probe(&self) -> Result<Probe, SystemError> {
        let now = Facts::read(&self.rest).await?;
        let known = self.facts.get_or_init(|| async { now.clone() }).await;
        if known.server != now.server {
            // Everything held in memory belongs to the other server.
            let message = format!("the server was {} and is {} now", known.server, now.server);
            return Err(self.rest.http.error(SystemErrorKind::Stale, message));
        }
        let mut probe = now.probe(self.rest.http.clock_is_off());
        if self.rate > 0 {
            let a_minute = u64::from(self.rate) * 60;
            probe.allowance.lanes.insert(Lane::Gerrit, a_minute);
        }
        Ok(probe)
    }

    async fn facts(&self) -> Result<&Facts, SystemError> {
        self.facts.get_or_try_init(|| Facts::read(&self.rest)).await
    }

    /// Whether nothing is invisible to us, so that what is not shown does not exist. Asked anew each time: an operator
    /// that has lost the capability would take everything for deleted.
    async fn sees_everything(&self) -> Result<bool, SystemError> {
        let granted = facts::capabilities(&self.rest).await?;
        Ok(granted.contains_key(facts::ALL_SEEING))
    }

    /// Addresses of another server, or of another kind of system, are not ours to answer for.
    async fn demand_ours(&self, system: &System) -> Result<(), SystemError> {
        let ours = System::Gerrit(self.facts().await?.server.clone());
        if *system == ours {
            return Ok(());
        }
        let message = format!("{system} is asked for, but this is {ours}");
        Err(self.rest.http.error(SystemErrorKind::Refused, message))
    }
}

#[async_trait]
impl AccessSystem for GerritSystem {
    async fn directory(&self, system: &System, fresh: Timestamp) -> Result<Arc<Directory>, SystemError> {
        self.demand_ours(system).await?;
        let reading = self
            .directory
            .at_least(fresh, |begun| async move {
                self.read_directory(begun).await.map(Arc::new)
            })
            .await?;
        Ok(Arc::clone(&reading.value))
    }

    async fn locate(&self, named: &Named, fresh: Timestamp) -> Result<Located, SystemError> {
        match named {
            Named::Group { system, name } => {
                self.demand_ours(system).await?;
                self.locate_group(name, fresh).await
            }
            Named::Plain(target) => {
                self.demand_ours(&target.system()).await?;
                Ok(Located::At(target.clone()))
            }
            Named::Object { .. } => {
                let message = "objects of Databricks are not in Gerrit";
                Err(self.rest.http.error(SystemErrorKind::Refused, message))
            }
        }
    }

    async fn observe(&self, target: &Target, fresh: Timestamp) -> Result<Arc<Observed>, SystemError> {
        self.demand_ours(&target.system()).await?;
        match target {
            Target::GerritGroup { uuid, .. } => self.observe_group(target, uuid, fresh).await,
            Target::GerritRef {
                project, ref_name, ..
            } => self.observe_ref(target, project, ref_name, fresh).await,
            _ => Err(self.not_ours(target)),
        }
    }

    async fn apply(&self, changes: &[&Change]) -> Result<Vec<Applied>, SystemError> {
        for change in changes {
            self.demand_ours(&change.target.system()).await?;
        }
        match changes.first().map(|change| &change.target) {
            None => {}
            Some(Target::GerritRef { project, .. }) => {
                let _mark = self.touched_projects.mark_after(project, &*self.clock);
                self.write_rights(project, changes).await?;
            }
            Some(Target::GerritGroup { .. }) => {
                for change in changes {
                    let Target::GerritGroup { uuid, .. } = &change.target else {
                        return Err(self.not_ours(&change.target));
                    };
                    let _mark = self.touched_groups.mark_after(uuid, &*self.clock);
                    self.write_group(uuid, change).await?;
                }
            }
            Some(other) => return Err(self.not_ours(other)),
        }
        let applied = |change: &&Change| Applied {
            planned: change.target.clone(),
            target: change.target.clone(),
        };
        Ok(changes.iter().map(applied).collect())
    }

    async fn labels(&self, on: &Target, fresh: Timestamp) -> Result<Option<Arc<Labels>>, SystemError> {
        self.demand_ours(&on.system()).await?;
        match on {
            Target::GerritRef { project, .. } => self.labels_of(project, fresh).await,
            _ => Err(self.not_ours(on)),
        }
    }

    async fn who(
        &self,
        group: &Target,
        members: &[(Principal, Deed)],
    ) -> Result<BTreeMap<Principal, String>, SystemError> {
        self.demand_ours(&group.system()).await?;
        match group {
            Target::GerritGroup { uuid, .. } => self.read_history(uuid, members).await,
            _ => Err(self.not_ours(group)),
        }
    }

    fn distrust(&self, hint: &Hint) {
        let now = self.clock.now();
        match hint {
            // All of them are read at once, so there is nothing less to forget.
            Hint::Group { uuid: _ } => self.groups.distrust(now),
            Hint::Config { project } => {
                // Of what was never read nothing is remembered: a stranger may name any number of projects.
                if self.rights.knows(project) {
                    self.touched_projects.mark(project, now);
                }
                self.labels.distrust(project, now);
            }
            Hint::Branch { .. } => {}
        }
    }
}

impl GerritSystem {
    fn not_ours(&self, target: &Target) -> SystemError {
        let message = format!("{target} is no group and no ref of Gerrit");
        self.rest.http.error(SystemErrorKind::Refused, message)
    }
}
