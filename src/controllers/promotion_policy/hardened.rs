//! Which ways around the gate are open: read once an interval and whenever somebody says that the project's
//! configuration changed: in Gerrit here, in Databricks by [`databricks`]. It is only said; nothing is judged or held up by it, and nothing is written.

mod databricks;

use jiff::{SignedDuration, Timestamp};
use lockstep_core::api::PromotionPolicy;
use lockstep_core::api::condition::ConditionType;
use lockstep_core::api::promotion_policy::{HardeningStatus, HoleRow, UnseenRow};
use lockstep_core::domain::outcome::Saying;
use lockstep_core::domain::ports::SystemError;
use lockstep_core::domain::promotion::policy::Policy;
use lockstep_core::domain::promotion::proof::hardening::gerrit::{Branch, open};
use lockstep_core::domain::promotion::proof::hardening::{Hardening, Hole};
use serde_json::json;

use super::super::Context;
use super::aside::{self, Aside, Pass, Told};
use super::requirements::admitted;

/// Rights that were read this long ago serve all policies of a project.
const SHARED: SignedDuration = SignedDuration::from_secs(60);
/// Rows that a status shows.
const HOLES: usize = 64;
const UNSEEN: usize = 32;
/// Under which name the report has it.
const FIELD: &str = "hardening";

/// Looks, where that is due, and says what is open.
pub async fn follow(memory: &Aside, pass: Pass<'_>, configured_anew: impl Fn(Timestamp) -> bool) -> Told {
    let Pass {
        policy,
        gathered,
        planned,
        context,
    } = pass;
    let now = context.clock.now();
    if let Some(told) = memory.told(policy, now, configured_anew) {
        return told;
    }
    let rules = admitted(gathered, planned);
    let Ok(read) = gathered.policy.as_ref().map_err(drop).and_then(|read| {
        // Nobody may be asked yet, or nobody knows what the gate's names mean.
        (!rules.is_empty()).then_some(read).ok_or(())
    }) else {
        return shown_before(policy);
    };
    let interval = aside::interval(policy);
    let (told, again) = match look(read, &rules, now, context).await {
        Ok((mut hardening, ancestors)) => {
            let fresh = now.checked_sub(SHARED).unwrap_or(now);
            let mut soonest = now.checked_add(interval).unwrap_or(now);
            for declared in gathered
                .environments
                .iter()
                .filter_map(|environment| environment.declared.as_ref().ok())
            {
                let (open, errors) = databricks::look(&declared.environment.recipe, fresh, context).await;
                hardening.add(open);
                let again = errors.iter().map(|error| aside::again(error, now, interval));
                soonest = again.fold(soonest, std::cmp::min);
            }
            let mut told = Told::default();
            told.sayings.push(hardening.saying());
            told.fields
                .insert(FIELD.into(), json!(status(&hardening, ancestors)));
            (told, soonest)
        }
        Err(error) => {
            let mut told = shown_before(policy);
            told.sayings.push(Saying {
                kind: ConditionType::Hardened,
                status: None,
                reason: error.reason(),
                message: error.to_string(),
            });
            (told, aside::again(&error, now, interval))
        }
    };
    memory.put(policy, now, again, told.clone());
    told
}

type Rules = std::collections::BTreeMap<String, lockstep_core::domain::promotion::gate::rules::Rules>;

async fn look(
    read: &Policy,
    rules: &Rules,
    now: Timestamp,
    context: &Context,
) -> Result<(Hardening, Vec<String>), SystemError> {
    let review = context.reviews.open(&read.gerrit).await?;
    let fresh = now.checked_sub(SHARED).unwrap_or(now);
    let ground = review.system().ground(&read.project, fresh).await?;
    let requirements = review.system().requirements(&read.project).await?;
    let mut hardening = Hardening::default();
    for rules in rules.values() {
        hardening.add(open(&Branch {
            ground: &ground,
            requirements: &requirements,
            rules,
        }));
    }
    let ancestors = ground.rights.iter().skip(1).map(|rights| rights.project.clone());
    Ok((hardening, ancestors.collect()))
}

/// What the status shows already.
fn shown_before(policy: &PromotionPolicy) -> Told {
    let mut told = Told::default();
    let status = policy
        .status
        .as_ref()
        .and_then(|status| status.hardening.as_ref());
    if let Some(status) = status {
        told.fields.insert(FIELD.into(), json!(status));
    }
    told
}

fn status(hardening: &Hardening, ancestors: Vec<String>) -> HardeningStatus {
    let short = |text: &str| text.chars().take(1_000).collect::<String>();
    let hole = |hole: &Hole| HoleRow {
        kind: format!("{:?}", hole.kind),
        place: short(&hole.place),
        who: hole.who.iter().map(|who| short(who)).collect(),
        fix: short(&hole.fix),
    };
    let unseen = hardening.unseen.iter().take(UNSEEN).map(|unseen| UnseenRow {
        what: unseen.what.chars().take(250).collect(),
        why: short(&unseen.why),
    });
    HardeningStatus {
        holes: hardening.holes.iter().take(HOLES).map(hole).collect(),
        unseen: unseen.collect(),
        ancestors,
    }
}
