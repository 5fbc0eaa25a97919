//! The webhook of a policy's project: with `events.webhook` of its connection the project tells us what happens there. One
//! remote for each project and connection, whichever policy put it there; it goes with the last of them, or when the
//! connection wants no webhook any more.

use jiff::Timestamp;
use kube::ResourceExt as _;
use lockstep_core::api::promotion_policy::RemoteRow;
use lockstep_core::api::reference::Mode;
use lockstep_core::api::{GerritConnection, PromotionPolicy};
use lockstep_core::domain::defaults;
use lockstep_core::domain::ports::{ConnectionKey, Event, KeepError, SystemError};
use lockstep_core::domain::promotion::ports::reviews::Remote;

use super::super::Context;
use super::apply::{Kept, keep};
use super::aside::{self, Aside, Pass, Told};
use super::plan::Planned;
use super::requirements::{address, admitted, entry};
use super::{key, reading};

/// What Lockstep can do something with.
const EVENTS: [&str; 3] = ["change-merged", "ref-updated", "batch-ref-updated"];

/// Name of a connection's remotes.
pub fn name(connection: &ConnectionKey) -> String {
    format!("lockstep-{}-{}", connection.namespace, connection.name)
}

/// Where events are to be posted; `None`: nowhere.
fn wanted(connection: &GerritConnection) -> Option<Remote> {
    let webhook = connection.spec.events.as_ref()?.webhook.as_ref()?;
    let path = connection.status.as_ref()?.webhook_path.as_deref()?;
    Some(Remote {
        url: format!("{}{path}", webhook.public_url.trim_end_matches('/')),
        events: EVENTS.map(str::to_owned).into(),
        verifies: true,
    })
}

/// Whether another policy still lets the project tell this connection.
pub fn is_shared(policy: &PromotionPolicy, connection: &ConnectionKey, context: &Context) -> bool {
    let project = &policy.spec.gerrit.project;
    context.objects.policies().iter().any(|other| {
        other.uid() != policy.uid()
            && other.metadata.deletion_timestamp.is_none()
            && defaults::policy_mode(&other.spec) == Mode::Enforce
            && other.spec.gerrit.project == *project
            && reading::whole(other).is_ok_and(|read| read.gerrit == *connection)
            && other
                .status
                .as_ref()
                .is_some_and(|status| status.webhook.is_some())
    })
}

/// Makes the remote so, where that is due.
pub async fn follow(memory: &Aside, pass: Pass<'_>, configured_anew: impl Fn(Timestamp) -> bool) -> Told {
    let Pass {
        policy,
        gathered,
        planned,
        context,
    } = pass;
    let now = context.clock.now();
    let Ok(read) = &gathered.policy else {
        return Told::default();
    };
    let (namespace, name) = (&read.gerrit.namespace, &read.gerrit.name);
    let Some(connection) = context.cluster.gerrit_connection(namespace, name) else {
        return memory.last(policy);
    };
    let wanted = wanted(&connection);
    // The connection may be edited without the policy: what was last brought about must still be what is wanted.
    let known = memory.told(policy, now, configured_anew);
    if let Some(told) = known.filter(|told| told.remote == wanted.as_ref().map(|remote| remote.url.clone())) {
        return told;
    }
    let server = connection
        .status
        .as_ref()
        .and_then(|status| status.server.clone());
    let enforces = defaults::policy_mode(&policy.spec) == Mode::Enforce;
    let (Some(server), true) = (server, enforces && !admitted(gathered, planned).is_empty()) else {
        return Told::default();
    };
    let interval = aside::interval(policy);
    let told = Told {
        remote: wanted.as_ref().map(|remote| remote.url.clone()),
        ..Told::default()
    };
    let target = address(&server, &read.project);
    let here = Here {
        policy,
        connection: &read.gerrit,
        target: &target,
        project: &read.project,
        planned,
        context,
    };
    let again = match here.bring_about(wanted.as_ref()).await {
        Ok(None) => now.checked_add(interval).unwrap_or(now),
        Ok(Some(error)) => aside::again(&error, now, interval),
        Err(error) => {
            tracing::warn!(%error, "the webhook waits: what is meant could not be kept");
            now
        }
    };
    memory.put(policy, now, again, told.clone());
    told
}

struct Here<'a> {
    policy: &'a PromotionPolicy,
    connection: &'a ConnectionKey,
    target: &'a str,
    project: &'a str,
    planned: &'a Planned,
    context: &'a Context,
}

impl Here<'_> {
    /// Answers what keeps it from being so. Polling sees everything by itself, so the row tells it and no condition does.
    async fn bring_about(&self, wanted: Option<&Remote>) -> Result<Option<SystemError>, KeepError> {
        let Self {
            policy,
            connection,
            target,
            project,
            ..
        } = *self;
        let kept = Kept::of(policy, self.context);
        let name = name(connection);
        if wanted.is_none() && kept.webhook.is_none() {
            return Ok(None);
        }
        let row = RemoteRow {
            target: target.to_owned(),
            name: name.clone(),
            since: kept
                .webhook
                .as_ref()
                .filter(|row| row.target == target && row.name == name)
                .map_or_else(|| self.context.clock.now(), |row| row.since),
            problem: None,
        };
        let review = match self.context.reviews.open(connection).await {
            Ok(review) => review,
            Err(error) => return Ok(Some(error)),
        };
        if let Some(old) = kept.webhook.as_ref().filter(|old| old.target != row.target) {
            // The policy was pointed at another project. What another server has stays there with its path, which nobody
            // hears any more.
            if let Some(project) = super::requirements::project_there(&old.target, target) {
                let gone = review.system().write_remote(&project, &old.name, None).await;
                self.record(
                    Event::Succeeded,
                    &format!("remove webhook {} from {project}", old.name),
                )
                .await?;
                if let Err(error) = gone {
                    return Ok(Some(error));
                }
            }
        }
        let seen = match review.system().remote(project, &name).await {
            Ok(seen) => seen,
            Err(error) => return self.stuck(row, error).await,
        };
        if seen.as_ref() == wanted {
            self.keep(wanted.map(|_| row)).await?;
            return Ok(None);
        }
        if wanted.is_none() && is_shared(policy, connection, self.context) {
            self.keep(None).await?;
            return Ok(None);
        }
        let line = match wanted {
            Some(_) => format!("set webhook {name}"),
            None => format!("remove webhook {name}"),
        };
        self.record(Event::Intent, &line).await?;
        self.keep(Some(row.clone())).await?;
        match review.system().write_remote(project, &name, wanted).await {
            Ok(_) => {
                self.record(Event::Succeeded, &line).await?;
                self.keep(wanted.map(|_| row)).await?;
                Ok(None)
            }
            Err(error) => {
                self.record(Event::Failed, &error.to_string()).await?;
                self.stuck(row, error).await
            }
        }
    }

    async fn stuck(&self, row: RemoteRow, error: SystemError) -> Result<Option<SystemError>, KeepError> {
        let problem = error.to_string().chars().take(1_000).collect();
        self.keep(Some(RemoteRow {
            problem: Some(problem),
            ..row
        }))
        .await?;
        Ok(Some(error))
    }

    async fn record(&self, event: Event, note: &str) -> Result<(), KeepError> {
        let note = format!("{}: {note}", self.target);
        let entry = entry(&key(self.policy), event, &note, self.context);
        self.context.record.append(entry).await.map(drop)
    }

    async fn keep(&self, webhook: Option<RemoteRow>) -> Result<(), KeepError> {
        let kept = Kept {
            webhook,
            ..Kept::of(self.policy, self.context)
        };
        keep(self.policy, self.planned, &kept, self.context).await
    }
}
