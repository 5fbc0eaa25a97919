//! What the gate's names mean in Gerrit: groups by uuid, accounts by number, labels as they are defined, and the
//! submit requirements that must have been checked, as they are now. What of it counts is decided elsewhere: whoever
//! redefines a label has not changed the gate in force.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use lockstep_core::api::condition::Reason;
use lockstep_core::api::promotion_policy::Gate;
use lockstep_core::domain::access::grant::{System, Target};
use lockstep_core::domain::access::observed::{Located, Named};
use lockstep_core::domain::defaults;
use lockstep_core::domain::ports::{AccessSystem, SystemError, SystemErrorKind};
use lockstep_core::domain::promotion::gate::evidence::LabelDefinition;
use lockstep_core::domain::promotion::gate::people::{AccountId, GroupUuid};
use lockstep_core::domain::promotion::gate::rules::{
    AgentIdentity, Agents, Approval, GovernedLabel, Rules, TrustedAutomation, Verification,
};
use lockstep_core::domain::promotion::policy::Policy;
use lockstep_core::domain::promotion::ports::reviews::{Requirements, Review};

use super::super::Context;

/// One thing in two versions of Gerrit.
const NO_FUNCTION: [&str; 2] = ["NoBlock", "NoOp"];

/// What the names mean.
pub(super) enum Meaning {
    /// By environment.
    Rules(BTreeMap<String, Rules>),
    /// Nothing yet: the project does not have these labels.
    NoLabels(BTreeSet<String>),
}

/// Looks the names up.
pub(super) async fn read(
    policy: &Policy,
    gate: &Gate,
    review: &dyn Review,
    context: &Context,
) -> Result<Meaning, SystemError> {
    let key = &policy.gerrit;
    let connection = context.cluster.gerrit_connection(&key.namespace, &key.name);
    let server = connection.and_then(|connection| connection.status.as_ref()?.server.clone());
    let server = server.ok_or_else(|| {
        let kind = SystemErrorKind::Connection(Reason::DependencyNotReady);
        SystemError::new(key.to_string(), kind, "the connection has not been Ready yet")
    })?;
    let access = context.systems.open(key).await?;
    let names = Names {
        access: &*access,
        server,
        fresh: context.clock.now(),
    };
    let labels = review.system().labels(&policy.project).await?;
    let asked = [&gate.approval.label, &gate.verification.label];
    let missing = asked.into_iter().filter(|label| !labels.contains_key(*label));
    let missing: BTreeSet<String> = missing.cloned().collect();
    if !missing.is_empty() {
        return Ok(Meaning::NoLabels(missing));
    }
    let requirements = review.system().requirements(&policy.project).await?;
    let shared = names.rules(gate, policy, &labels, &requirements).await?;
    let of = |environment: &lockstep_core::domain::promotion::policy::Environment| {
        let name = environment.name().to_owned();
        let rules = Rules {
            branch: environment.branch.clone(),
            environment: name.clone(),
            requires: environment.requires.clone(),
            ..shared.clone()
        };
        (name, rules)
    };
    Ok(Meaning::Rules(policy.environments.iter().map(of).collect()))
}

struct Names<'a> {
    access: &'a dyn AccessSystem,
    server: String,
    fresh: Timestamp,
}

impl Names<'_> {
    fn refuse<T>(&self, message: String) -> Result<T, SystemError> {
        let kind = SystemErrorKind::Connection(Reason::Unresolved);
        Err(SystemError::new(
            format!("gerrit://{}", self.server),
            kind,
            message,
        ))
    }

    async fn group(&self, field: &str, name: &str) -> Result<GroupUuid, SystemError> {
        let named = Named::Group {
            system: System::Gerrit(self.server.clone()),
            name: name.to_owned(),
        };
        match self.access.locate(&named, self.fresh).await? {
            Located::At(Target::GerritGroup { uuid, .. }) => Ok(GroupUuid(uuid)),
            Located::Ambiguous(_) => self.refuse(format!("{field}: several groups are called {name:?}")),
            Located::At(_) | Located::Absent => {
                self.refuse(format!("{field}: there is no group {name:?} that we can see"))
            }
        }
    }

    async fn account(&self, field: &str, name: &str) -> Result<AccountId, SystemError> {
        let system = System::Gerrit(self.server.clone());
        let directory = self.access.directory(&system, self.fresh).await?;
        let found = directory.by_username(name);
        let number = found.and_then(|account| account.principal.subject.parse().ok());
        match number {
            Some(number) => Ok(AccountId(number)),
            None => self.refuse(format!("{field}: there is no account {name:?} that we can see")),
        }
    }

    async fn rules(
        &self,
        gate: &Gate,
        policy: &Policy,
        labels: &BTreeMap<String, LabelDefinition>,
        requirements: &Requirements,
    ) -> Result<Rules, SystemError> {
        let approval = Approval {
            label: gate.approval.label.clone(),
            count: defaults::approvals(&gate.approval),
            group: self
                .group("spec.gate.approval.group", &gate.approval.group)
                .await?,
            group_name: gate.approval.group.clone(),
        };
        let verification = Verification {
            label: gate.verification.label.clone(),
            group: self
                .group("spec.gate.verification.group", &gate.verification.group)
                .await?,
            group_name: gate.verification.group.clone(),
        };
        let mut governed = BTreeMap::new();
        for label in [&gate.approval.label, &gate.verification.label] {
            if let Some(definition) = labels.get(label) {
                governed.insert(label.clone(), governed_as(definition));
            }
        }
        let mut trusted = Vec::new();
        for automation in gate.trusted_automation.iter().flatten() {
            trusted.push(TrustedAutomation {
                account: self
                    .account("spec.gate.trustedAutomation", &automation.account)
                    .await?,
                paths: automation.paths.clone(),
            });
        }
        Ok(Rules {
            project: policy.project.clone(),
            branch: String::new(),
            environment: String::new(),
            required: required(requirements, &approval.label, &verification.label),
            approval,
            verification: Some(verification),
            labels: governed,
            allow_overridden: gate.allow_overridden.iter().flatten().cloned().collect(),
            agents: self.agents(gate).await?,
            trusted_automation: trusted,
            requires: Vec::new(),
        })
    }

    async fn agents(&self, gate: &Gate) -> Result<Agents, SystemError> {
        let declared = gate.agents.clone().unwrap_or_default();
        let mut identities = Vec::new();
        for identity in declared.identities.iter().flatten() {
            let sponsors = match &identity.sponsors {
                Some(name) => Some(self.group("spec.gate.agents.identities.sponsors", name).await?),
                None => None,
            };
            identities.push(AgentIdentity {
                group: self
                    .group("spec.gate.agents.identities.group", &identity.group)
                    .await?,
                sponsors,
            });
        }
        Ok(Agents {
            identities,
            footers: declared.footers.unwrap_or_default(),
            requester_footer: declared.requester_footer,
            count: defaults::agent_approvals(gate.agents.as_ref()),
        })
    }
}

fn governed_as(definition: &LabelDefinition) -> GovernedLabel {
    let function = definition.function.clone();
    let functions: BTreeSet<String> = if NO_FUNCTION.contains(&function.as_str()) {
        NO_FUNCTION.iter().map(|name| (*name).to_owned()).collect()
    } else {
        [function].into()
    };
    GovernedLabel {
        min: definition.min,
        max: definition.max,
        functions,
    }
}

/// The requirements that ask for a governed label: what a direct push leaves unchecked.
fn required(requirements: &Requirements, approval: &str, verification: &str) -> BTreeSet<String> {
    let asks = |text: &str| {
        let text = text.to_lowercase();
        [approval, verification]
            .iter()
            .any(|label| text.contains(&format!("label:{}", label.to_lowercase())))
    };
    requirements
        .all
        .iter()
        .filter(|(_, requirement)| requirement.applicable_if.is_none() && asks(&requirement.submittable_if))
        .map(|(name, _)| name.clone())
        .collect()
}
