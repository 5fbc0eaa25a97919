//! What a rollback would change, before anybody asks for it: what the earlier promotion left, against what is in place.
//! The operator decides by the record; this is read from status, and says where that is not enough.

use jiff::Timestamp;
use kube::ResourceExt as _;
use lockstep_core::api::promotion::{PolicyRef, PromotionPhase, Rollback};
use lockstep_core::api::promotion_policy::{CurrentStatus, EnvironmentStatus};
use lockstep_core::api::reference::Mode;
use lockstep_core::api::{Promotion, PromotionPolicy, PromotionSpec};
use lockstep_core::domain::defaults;
use lockstep_core::domain::promotion::machine::rollback::{OnRollback, Recorded, RecordedStep, StepKind};
use lockstep_core::domain::promotion::machine::state::Words;
use lockstep_core::domain::promotion::ports::deployments::words;
use serde::Serialize;
use serde_json::Value;

use super::differences::{Difference, differences};
use super::picture::frozen;
use super::recorded::{beyond, recorded};
use super::{Sight, change, no_environment, phase, row};

/// The way back.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WayBack {
    pub namespace: String,
    pub policy: String,
    pub environment: String,
    pub to: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub change: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// What is in place.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<CurrentStatus>,
    pub steps: Vec<StepBack>,
    /// What else to know before saying yes.
    pub notes: Vec<String>,
}

/// What becomes of one step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StepBack {
    pub name: String,
    pub kind: StepKind,
    /// What it is about, as `alias champion of ml_prod.fraud.scorer`.
    pub what: String,
    /// Whether what is in place could be compared.
    pub known: bool,
    pub changes: Vec<Difference>,
    /// Whether its job is run as well.
    pub runs: bool,
}

/// The name of a promotion that a person makes: `<policy>.<environment>.<what>.<UTC time>`.
pub fn name(policy: &PromotionPolicy, environment: &str, what: &str, now: Timestamp) -> String {
    let time = now.strftime("%Y%m%dt%H%M%Sz");
    format!("{}.{environment}.{what}.{time}", policy.name_any())
}

/// What is asked for.
pub fn spec(policy: &PromotionPolicy, environment: &str, to: &str, reason: &str) -> PromotionSpec {
    PromotionSpec {
        policy_ref: PolicyRef {
            name: policy.name_any(),
        },
        environment: environment.to_owned(),
        deploy: None,
        rollback: Some(Rollback {
            to: to.to_owned(),
            reason: reason.to_owned(),
        }),
        override_: None,
    }
}

/// What going back to a promotion would do; `Err`: it makes no sense, because of this.
pub fn way_back(
    sight: &Sight,
    policy: &PromotionPolicy,
    environment: &str,
    to: &str,
    now: Timestamp,
) -> Result<WayBack, String> {
    if !policy
        .spec
        .environments
        .iter()
        .any(|known| known.name == environment)
    {
        return Err(no_environment(policy, environment));
    }
    let target = sight.of(policy).find(|promotion| promotion.name_any() == to);
    if let Some(target) = target {
        fits(target, environment)?;
    }
    let remembered = row(policy, environment);
    let current = remembered.and_then(|row| row.current.as_ref());
    let there = current.and_then(|current| {
        let found = sight
            .of(policy)
            .find(|promotion| promotion.name_any() == current.promotion);
        recorded(found?)
    });
    let earlier = target.and_then(recorded);
    let mut notes = notes(sight, policy, remembered, target, now);
    let steps = match &earlier {
        Some(earlier) => steps(earlier, there.as_ref()),
        None => {
            notes.push(format!(
                "what {to} left is not in its status here, so what would change cannot be shown: the operator looks it \
                 up in the record, and refuses if it is not there"
            ));
            Vec::new()
        }
    };
    let (change, revision) = target.map(change).unwrap_or_default();
    Ok(WayBack {
        namespace: policy.namespace().unwrap_or_default(),
        policy: policy.name_any(),
        environment: environment.to_owned(),
        to: to.to_owned(),
        change,
        revision,
        from: current.cloned(),
        steps,
        notes,
    })
}

/// Whether this very promotion can be gone back to.
fn fits(target: &Promotion, environment: &str) -> Result<(), String> {
    let name = target.name_any();
    if target.spec.environment != environment {
        return Err(format!(
            "promotion {name} was for environment {}, not {environment}: name one of {environment}",
            target.spec.environment
        ));
    }
    match phase(target) {
        // Status can be lost; the record is not.
        None | Some(PromotionPhase::Succeeded) => Ok(()),
        Some(other) => Err(format!(
            "promotion {name} is {other:?}, and only one that succeeded can be gone back to: choose another from `lockstep \
             promotions list`"
        )),
    }
}

fn notes(
    sight: &Sight,
    policy: &PromotionPolicy,
    remembered: Option<&EnvironmentStatus>,
    target: Option<&Promotion>,
    now: Timestamp,
) -> Vec<String> {
    let mut notes = Vec::new();
    if defaults::policy_suspended(&policy.spec) {
        notes.push("the policy is suspended: nothing is done until it is resumed".to_owned());
    } else if defaults::policy_mode(&policy.spec) != Mode::Enforce {
        notes.push("the policy only observes: nothing is done until mode is Enforce".to_owned());
    }
    for freeze in frozen(policy, &sight.freezes, now) {
        if freeze.rollbacks {
            notes.push(format!(
                "ChangeFreeze {} stops rollbacks too until {}: {}",
                freeze.freeze, freeze.until, freeze.reason
            ));
        }
    }
    if let Some(acting) = remembered.and_then(|row| row.acting.as_ref()) {
        notes.push(format!(
            "promotion {acting} has the turn: the rollback waits for its end"
        ));
    }
    if let Some(held) = remembered.and_then(|row| row.held.as_ref()) {
        notes.push(format!(
            "the environment is held and stays so after it, until a person resumes it: {}",
            held.reason
        ));
    }
    if let Some(target) = target {
        let name = target.name_any();
        if remembered
            .and_then(|row| row.current.as_ref())
            .is_some_and(|current| current.promotion == name)
        {
            notes.push(
                "it is what is in place already: only what other hands have changed is put back".to_owned(),
            );
        }
        if beyond(policy, sight).contains(&name) {
            notes.push(format!(
                "the directory of its code is beyond the {} that are kept: if it is gone, the operator refuses",
                defaults::history(policy.spec.history.as_ref()).directories
            ));
        }
    }
    notes
}

fn steps(earlier: &Recorded, there: Option<&Recorded>) -> Vec<StepBack> {
    let step = |step: &RecordedStep| {
        let same = |other: &&RecordedStep| other.name == step.name && other.kind == step.kind;
        let now = there.and_then(|there| there.steps.iter().find(same));
        StepBack {
            name: step.name.to_string(),
            kind: step.kind,
            what: what(step),
            known: now.is_some(),
            changes: changes(step, now.map(|now| &now.outputs)),
            runs: step.kind == StepKind::Job && step.on_rollback == OnRollback::Run,
        }
    };
    earlier.steps.iter().map(step).collect()
}

fn word<'a>(outputs: &'a Words, word: &str) -> &'a str {
    outputs.get(word).map_or("", String::as_str)
}

fn what(step: &RecordedStep) -> String {
    let left = |name: &str| word(&step.outputs, name).to_owned();
    match step.kind {
        StepKind::Files => format!("directory {}", left(words::DIRECTORY)),
        StepKind::Job => {
            let name = settings(&step.outputs)
                .and_then(|settings| settings.get("name")?.as_str().map(str::to_owned));
            format!("job {}", name.unwrap_or_else(|| left(words::JOB)))
        }
        StepKind::ModelAlias => format!("alias {} of {}", left(words::ALIAS), left(words::MODEL)),
        StepKind::ServingEndpoint => format!("endpoint {}", left(words::ENDPOINT)),
    }
}

fn settings(outputs: &Words) -> Option<Value> {
    serde_json::from_str(outputs.get(words::SETTINGS)?).ok()
}

fn config(outputs: &Words) -> Option<Value> {
    serde_json::from_str(outputs.get(words::CONFIG)?).ok()
}

/// What it would be set to, where that is another thing than what is in place.
fn changes(step: &RecordedStep, now: Option<&Words>) -> Vec<Difference> {
    let read = |outputs: Option<&Words>, read: fn(&Words) -> Option<Value>| outputs.and_then(read);
    match step.kind {
        // Directories are never changed: each revision has its own.
        StepKind::Files => Vec::new(),
        StepKind::Job => whole("definition", read(now, settings), settings(&step.outputs)),
        StepKind::ModelAlias => version(step, now).into_iter().collect(),
        StepKind::ServingEndpoint => {
            let version = version(step, now);
            let config = whole("configuration", read(now, config), config(&step.outputs));
            // The version stands in the configuration as well, under the vendor's name.
            let config = config.into_iter().filter(|_| version.is_none());
            version.clone().into_iter().chain(config).collect()
        }
    }
}

fn version(step: &RecordedStep, now: Option<&Words>) -> Option<Difference> {
    let to = word(&step.outputs, words::VERSION);
    let from = now.map(|outputs| word(outputs, words::VERSION));
    (from != Some(to)).then(|| Difference {
        what: "version".to_owned(),
        from: from.filter(|from| !from.is_empty()).map(str::to_owned),
        to: Some(to.to_owned()),
    })
}

/// Field by field where both are known, else that it is set.
fn whole(what: &str, from: Option<Value>, to: Option<Value>) -> Vec<Difference> {
    match (from, to) {
        (Some(from), Some(to)) => differences(&from, &to),
        (None, Some(_)) => vec![Difference {
            what: what.to_owned(),
            from: None,
            to: Some("as recorded".to_owned()),
        }],
        (_, None) => Vec::new(),
    }
}

#[cfg(test)]
#[path = "way_back_tests.rs"]
mod tests;
