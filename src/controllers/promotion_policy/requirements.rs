//! `gate.submitRequirements: Managed`: the gate stands in Gerrit too, so that reviewers see it. Looked at once an interval
//! and whenever somebody says that the project's configuration changed; written when it differs, in one commit, after
//! record and status say so. What is not ours waits for a person.

use std::collections::BTreeMap;

use jiff::Timestamp;
use kube::ResourceExt as _;
use lockstep_core::api::condition::{ConditionType, Reason};
use lockstep_core::api::promotion_policy::{ConfiguredRow, PendingPlan, PlanSubject, SubmitRequirements};
use lockstep_core::api::reference::Mode;
use lockstep_core::api::{CHANGED_BY, PlanApproval, PromotionPolicy};
use lockstep_core::domain::access::grant::Target;
use lockstep_core::domain::approval::{Asked, Refused, find};
use lockstep_core::domain::defaults;
use lockstep_core::domain::outcome::Saying;
use lockstep_core::domain::plan::{EffectDigest, Risk};
use lockstep_core::domain::ports::{Entry, Event, KeepError, Note, ObjectKey, SystemError};
use lockstep_core::domain::promotion::gate::managed::{self, Decision, Owner};
use lockstep_core::domain::promotion::gate::rules::Rules;
use lockstep_core::domain::promotion::policy::Policy;
use lockstep_core::domain::promotion::ports::reviews::{Requirement, RequirementChanges};
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::super::Context;
use super::apply::{Kept, keep};
use super::aside::{self, Aside, Pass, Told};
use super::gather::Gathered;
use super::key;
use super::plan::Planned;

/// What a pass is about.
struct Here<'a> {
    policy: &'a PromotionPolicy,
    read: &'a Policy,
    planned: &'a Planned,
    context: &'a Context,
    object: ObjectKey,
    /// The project's address.
    target: String,
    /// The last look ended with a write.
    wrote: bool,
    now: Timestamp,
}

/// The address under which a project's requirements are held.
pub fn address(server: &str, project: &str) -> String {
    let target = Target::GerritRef {
        server: server.to_owned(),
        project: project.to_owned(),
        ref_name: "refs/meta/config".into(),
    };
    target.to_string()
}

/// The project of an address, if it is on this server.
pub fn project_of(address: &str, server: &str) -> Option<String> {
    match address.parse() {
        Ok(Target::GerritRef {
            server: there,
            project,
            ..
        }) if there == server => Some(project),
        _ => None,
    }
}

/// The project of an address, if it is on the same server as another address.
pub fn project_there(address: &str, other: &str) -> Option<String> {
    match (address.parse(), other.parse()) {
        (Ok(Target::GerritRef { server, project, .. }), Ok(Target::GerritRef { server: here, .. }))
            if server == here =>
        {
            Some(project)
        }
        _ => None,
    }
}

/// What is held of a policy's requirements.
pub fn held(policy: &PromotionPolicy) -> Vec<ConfiguredRow> {
    let status = policy.status.as_ref();
    status
        .and_then(|status| status.requirements.clone())
        .unwrap_or_default()
}

/// Makes the requirements so, where that is due, and says how they stand.
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
    if let Some(told) = memory.told(policy, now, configured_anew)
        && !is_answered(&told, policy, context)
    {
        return told;
    }
    let connection = context
        .cluster
        .gerrit_connection(&read.gerrit.namespace, &read.gerrit.name);
    let server = connection.and_then(|connection| connection.status.as_ref()?.server.clone());
    // Nobody may be asked yet, or nobody knows what the gate's names mean.
    let rules = admitted(gathered, planned);
    let (Some(server), false) = (server, rules.is_empty()) else {
        return memory.last(policy);
    };
    let here = Here {
        policy,
        read,
        planned,
        context,
        object: key(policy),
        target: address(&server, &read.project),
        wrote: memory.wrote(policy),
        now,
    };
    let interval = aside::interval(policy);
    let soon = now.checked_add(interval).unwrap_or(now);
    let mut told = Told::default();
    let wanted = match defaults::submit_requirements(&policy.spec.gate) {
        SubmitRequirements::Existing => Ok(BTreeMap::new()),
        SubmitRequirements::Managed => {
            let owner = Owner {
                namespace: &here.object.namespace,
                policy: &here.object.name,
            };
            managed::wanted(owner, &rules)
        }
    };
    let again = match wanted {
        Ok(wanted) if wanted.is_empty() && held(policy).is_empty() => soon,
        Ok(wanted) => match here.bring_about(&wanted, &server, &mut told).await {
            Ok(()) if told.wrote => now,
            Ok(()) => soon,
            Err(Trouble::System(error)) => {
                told.trouble(error.reason(), error.to_string());
                aside::again(&error, now, interval)
            }
            Err(Trouble::Keep(error)) => {
                tracing::warn!(%error, "submit requirements wait: what is meant could not be kept");
                now
            }
        },
        Err(error) => {
            told.trouble(Reason::InvalidSpec, error.to_string());
            soon
        }
    };
    memory.put(policy, now, again, told.clone());
    told
}

/// Rules of the environments that the connections' owners let this policy promote.
pub fn admitted(gathered: &Gathered, planned: &Planned) -> BTreeMap<String, Rules> {
    let allowed = |name: &str| {
        let environment = gathered
            .environments
            .iter()
            .find(|environment| environment.name == name);
        environment.is_some_and(|environment| environment.declared.is_ok())
    };
    let rules = planned.rules.iter().filter(|(name, _)| allowed(name));
    rules.map(|(name, rules)| (name.clone(), rules.clone())).collect()
}

/// Whether somebody has said something to a plan that waits.
fn is_answered(told: &Told, policy: &PromotionPolicy, context: &Context) -> bool {
    let approvals = context.cluster.approvals(&key(policy));
    told.plans.iter().any(|plan| {
        approvals.iter().any(|approval| {
            let used = approval
                .status
                .as_ref()
                .is_some_and(|status| status.used_at.is_some());
            approval.spec.digest == plan.digest && !used
        })
    })
}

/// What keeps a write from being made.
pub enum Trouble {
    System(SystemError),
    Keep(KeepError),
}

impl From<SystemError> for Trouble {
    fn from(error: SystemError) -> Self {
        Self::System(error)
    }
}

impl From<KeepError> for Trouble {
    fn from(error: KeepError) -> Self {
        Self::Keep(error)
    }
}

impl Here<'_> {
    /// What is written is looked at again in the next pass.
    async fn bring_about(
        &self,
        wanted: &BTreeMap<String, Requirement>,
        server: &str,
        told: &mut Told,
    ) -> Result<(), Trouble> {
        let review = self.context.reviews.open(&self.read.gerrit).await?;
        let seen = review.system().requirements(&self.read.project).await?;
        let (here, elsewhere): (Vec<_>, Vec<_>) = held(self.policy)
            .into_iter()
            .partition(|row| row.target == self.target);
        let mut decision = managed::decide(wanted, &seen, &here, &self.target, self.now);
        if defaults::policy_mode(&self.policy.spec) == Mode::Observe {
            told.sayings.push(difference(&decision));
            return Ok(());
        }
        if self.wrote && !decision.write.0.is_empty() {
            // Whoever fights over them would be fought at every pass.
            let message = format!(
                "written, and not so a moment later: {}",
                decision.lines.join("; ")
            );
            told.trouble(Reason::NotConfirmed, message);
            return Ok(());
        }
        let mut approval = None;
        if !decision.ask.0.is_empty() {
            let digest = digest(&self.object, &self.target, &decision.ask);
            match self.find(&digest) {
                Ok(found) => {
                    decision
                        .rows
                        .extend(managed::released(&decision.ask, &self.target, self.now));
                    let ask = std::mem::take(&mut decision.ask);
                    decision.write.0.extend(ask.0);
                    approval = Some((found, digest));
                }
                Err(refused) => wait_for(&decision, &digest, &refused, told),
            }
        }
        told.sayings.push(repaired(&decision));
        if let Some((approval, digest)) = &approval {
            self.use_up(approval, digest).await?;
        }
        let mut rows = decision.rows.clone();
        rows.extend(elsewhere.iter().cloned());
        let writes = !decision.write.0.is_empty();
        if writes {
            self.record(Event::Intent, &decision.lines.join("; ")).await?;
        }

        self.keep(&rows).await?;
        if writes {
            self.note_drift(&decision).await;
            let written = review
                .system()
                .write_requirements(&self.read.project, &decision.write)
                .await;
            let said = written
                .as_ref()
                .map_or_else(ToString::to_string, |_| decision.lines.join("; "));
            let event = if written.is_ok() {
                Event::Succeeded
            } else {
                Event::Failed
            };
            self.record(event, &said).await?;
            written?;
            told.wrote = true;
        }
        // The policy was pointed at another project.
        for row in &elsewhere {
            let Some(project) = project_of(&row.target, server) else {
                let message = format!(
                    "submit requirement {} stands at {}, which {} does not reach: point the policy there once more, or remove it by hand",
                    row.name, row.target, self.read.gerrit
                );
                told.trouble(Reason::RevokeWaiting, message);
                continue;
            };
            let gone = RequirementChanges(BTreeMap::from([(row.name.clone(), None)]));
            let line = format!("remove submit requirement {} from {project}", row.name);
            self.record(Event::Intent, &line).await?;
            review.system().write_requirements(&project, &gone).await?;
            self.record(Event::Succeeded, &line).await?;
            rows.retain(|held| held != row);
            self.keep(&rows).await?;
        }

        Ok(())
    }

    fn find(&self, digest: &EffectDigest) -> Result<PlanApproval, Vec<Refused>> {
        let cluster = &*self.context.cluster;
        let asked = Asked {
            object: &self.object,
            digest,
            // Nobody gains a right by it.
            risk: &Risk::default(),
            changed_by: self.policy.annotations().get(CHANGED_BY).map(String::as_str),
            protected_since: cluster.approvals_protected_since(),
            now: self.now,
        };
        find(cluster.approvals(&self.object).iter().map(AsRef::as_ref), asked).cloned()
    }

    /// Used before anything rests on it, so that it is used once.
    async fn use_up(&self, approval: &PlanApproval, digest: &EffectDigest) -> Result<(), KeepError> {
        let entry = Entry {
            actor: approval.spec.approver.clone(),
            digest: Some(digest.clone()),
            ..entry(
                &self.object,
                Event::Approved,
                &format!("PlanApproval {}: {}", approval.name_any(), approval.spec.reason),
                self.context,
            )
        };
        let id = self.context.record.append(entry).await?;
        self.context
            .cluster
            .use_approval(approval, &id, self.context.clock.now())
            .await
    }

    async fn record(&self, event: Event, note: &str) -> Result<(), KeepError> {
        let note = format!("{}: {note}", self.target);
        let entry = entry(&self.object, event, &note, self.context);
        self.context.record.append(entry).await.map(drop)
    }

    async fn keep(&self, rows: &[ConfiguredRow]) -> Result<(), KeepError> {
        let held = Kept {
            requirements: rows.to_vec(),
            ..Kept::of(self.policy, self.context)
        };
        keep(self.policy, self.planned, &held, self.context).await
    }

    async fn note_drift(&self, decision: &Decision) {
        if decision.drift.is_empty() {
            return;
        }
        let note = Note {
            reason: Reason::Repaired,
            message: decision.drift.join("; "),
            warning: true,
        };
        self.context.cluster.note(&self.object, note).await;
    }
}

/// An entry that says what is done to a project's requirements.
pub fn entry(object: &ObjectKey, event: Event, note: &str, context: &Context) -> Entry {
    Entry {
        time: context.clock.now(),
        actor: context.actor.clone(),
        object: object.clone(),
        event,
        changes: Vec::new(),
        digest: None,
        gained: Vec::new(),
        gave_up: Vec::new(),
        note: note.to_owned(),
        promotion: None,
        credential: None,
    }
}

/// Names exactly what would be replaced by what, and for whom.
fn digest(object: &ObjectKey, target: &str, ask: &RequirementChanges) -> EffectDigest {
    let text = json!({"requirements": {"policy": object.uid, "target": target, "changes": ask}});
    let mut hash = Sha256::new();
    hash.update(b"lockstep-requirements-plan-v1\n");
    hash.update(text.to_string());
    EffectDigest(format!("sha256:{}", hex::encode(hash.finalize())))
}

fn difference(decision: &Decision) -> Saying {
    if decision.is_done() {
        return Saying::new(ConditionType::Drifted, false, Reason::InStep, "");
    }
    let message = format!("Enforce would {}", decision.lines.join("; "));
    Saying::new(ConditionType::Drifted, true, Reason::Drifted, message)
}

fn repaired(decision: &Decision) -> Saying {
    if decision.drift.is_empty() {
        return Saying::new(ConditionType::Drifted, false, Reason::InStep, "");
    }
    let message = decision.drift.join("; ");
    Saying::new(ConditionType::Drifted, true, Reason::Repaired, message)
}

/// Says what waits for a person, and shows what it would do.
fn wait_for(decision: &Decision, digest: &EffectDigest, refused: &[Refused], told: &mut Told) {
    let mut summary = Vec::new();
    for (name, wanted) in &decision.ask.0 {
        let expression = wanted.as_ref().map(|wanted| wanted.submittable_if.as_str());
        let line = format!(
            "replace submit requirement {name}, which another hand wrote, by: {}",
            expression.unwrap_or_default()
        );
        summary.push(line.chars().take(1_000).collect());
    }
    let mut message = format!("approve {digest}: {}", summary.join("; "));
    for refused in refused {
        message = format!("{message}; not released: {}", refused.message);
    }
    let reason = if refused
        .iter()
        .any(|refused| refused.reason == Reason::ApprovalsUnprotected)
    {
        Reason::ApprovalsUnprotected
    } else {
        Reason::AwaitingApproval
    };
    told.sayings
        .push(Saying::new(ConditionType::Blocked, true, reason, message.clone()));
    told.trouble(Reason::AwaitingApproval, message);
    summary.truncate(10);
    told.plans.push(PendingPlan {
        subject: PlanSubject::Requirements,
        environment: None,
        digest: digest.0.clone(),
        approvers: Some(1),
        summary,
    });
}
