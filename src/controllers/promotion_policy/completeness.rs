//! When it is counted what ran and was written in an environment: at the policy's interval, after each promotion that was
//! at work, and when somebody asks; and how the count is shown. What is counted goes into the record before it is relied on, so
//! that whoever comes after a crash reads again what was not.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt as _;
use lockstep_core::api::promotion_policy::{OccurrenceRow, RunsStatus, UnseenRow};
use lockstep_core::api::{PromotionPolicy, REQUESTED_AT};
use lockstep_core::domain::defaults;
use lockstep_core::domain::ports::KeepError;
use lockstep_core::domain::promotion::machine::state::Phase;
use lockstep_core::domain::promotion::proof::completeness::Occurrence;
use lockstep_core::domain::promotion::proof::ledger::{Completeness, Ledger};

use super::super::Context;
use super::aside;
use super::count::{Asked, Taken, take};
use super::gather::Environment;
use super::witnessed::Witnessed;

/// After this time a ledger is recorded although it says nothing new, so that after a crash little is read again.
const RECORDED: SignedDuration = SignedDuration::from_hours(6);
/// How often it is said that a count found nothing new.
const SAID: SignedDuration = SignedDuration::from_hours(1);

/// The count of an environment as it stands.
#[derive(Clone, Debug)]
pub struct Counted {
    pub ledger: Ledger,
    pub told: Completeness,
    /// The ledger says more than the record.
    pub news: bool,
    /// As it was last recorded, and when.
    recorded: Option<(Ledger, Timestamp)>,
    /// When it was counted.
    pub at: Timestamp,
    /// There is more to be counted at once.
    pub more: bool,
    /// Directories that were seen and that nobody needs any more.
    pub old: BTreeSet<String>,
}

impl Counted {
    /// A person has accepted what nobody explains.
    pub fn acknowledge(&mut self) {
        self.ledger.acknowledge();
        self.told.acknowledged += std::mem::take(&mut self.told.unexplained);
        self.told.strangers.clear();
        self.news = true;
    }
}

/// The counts of all environments.
#[derive(Default)]
pub struct Counting {
    /// By policy uid and environment. Losing it costs a count.
    held: Mutex<BTreeMap<(String, String), Counted>>,
    witnessed: Witnessed,
}

impl Counting {
    /// The count, taken anew where it is due. `None`: there is nothing yet that it could begin with.
    pub async fn look(
        &self,
        object: &PromotionPolicy,
        environment: &Environment,
        context: &Context,
    ) -> Result<Option<Counted>, KeepError> {
        let known = environment.baseline.is_some() || environment.remembered.baseline.is_some();
        let Ok(declared) = environment
            .declared
            .as_ref()
            .map(|declared| &declared.environment.recipe)
        else {
            return Ok(None);
        };
        if !known {
            return Ok(None);
        }
        let now = context.clock.now();
        let held = self.held(object, &environment.name);
        let (mut ledger, recorded) = match &held {
            Some(held) if !is_due(object, environment, held, now) => return Ok(Some(held.clone())),
            Some(held) => (held.ledger.clone(), held.recorded.clone()),
            None => {
                self.forget_those_that_are_gone(context);
                let (namespace, name) = (object.namespace().unwrap_or_default(), object.name_any());
                let found = context
                    .record
                    .ledger_of(&namespace, &name, &environment.name)
                    .await?;
                let recorded = found.clone().map(|found| (found, now));
                (found.unwrap_or_else(|| Ledger::begin(now)), recorded)
            }
        };
        ledger.turn_to(format!("{} {}", declared.databricks, declared.run_as), now);
        let fresh = if is_asked(object) || has_just_ended(environment) {
            now
        } else {
            now.checked_sub(aside::interval(object) / 10 * 9).unwrap_or(now)
        };
        let asked = Asked {
            environment,
            recipe: declared,
            uid: object.uid().unwrap_or_default(),
            fresh,
            now,
            context,
            keep: defaults::history(object.spec.history.as_ref()).directories,
        };
        let Taken {
            ledger,
            told,
            more,
            old,
        } = take(asked, ledger, &self.witnessed).await?;
        let news = recorded.as_ref().is_none_or(|(recorded, at)| {
            ledger.says_more_than(recorded) || (ledger != *recorded && now.duration_since(*at) >= RECORDED)
        });
        Ok(Some(Counted {
            ledger,
            told,
            news,
            recorded,
            at: now,
            more,
            old,
        }))
    }

    fn held(&self, object: &PromotionPolicy, environment: &str) -> Option<Counted> {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (object.uid().unwrap_or_default(), environment.to_owned());
        held.get(&key).cloned()
    }

    /// A count was relied on, and stands in the record if it had news.
    pub fn keep(&self, object: &PromotionPolicy, environment: &str, mut counted: Counted) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (object.uid().unwrap_or_default(), environment.to_owned());
        if std::mem::take(&mut counted.news) {
            counted.recorded = Some((counted.ledger.clone(), counted.at));
        }
        counted.old.clear();
        held.insert(key, counted);
    }

    /// What policies counted that are no more stands in the record.
    fn forget_those_that_are_gone(&self, context: &Context) {
        let policies = context.objects.policies();
        let there: BTreeSet<String> = policies.iter().filter_map(|policy| policy.uid()).collect();
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.retain(|(uid, _), _| there.contains(uid));
    }
}

/// Whether a person wants it looked at now.
fn is_asked(object: &PromotionPolicy) -> bool {
    let handled = object
        .status
        .as_ref()
        .and_then(|status| status.last_handled_request.as_ref());
    let asked = object.annotations().get(REQUESTED_AT);
    asked.is_some() && asked != handled
}

/// Whether the promotion that had the turn has ended, and nobody else has it yet.
fn has_just_ended(environment: &Environment) -> bool {
    let acting = environment.remembered.environment.acting.as_ref();
    let contender = acting.and_then(|acting| environment.contenders.get(acting));
    contender.is_some_and(|contender| matches!(contender.phase, Phase::Ended(_)))
}

fn is_due(object: &PromotionPolicy, environment: &Environment, held: &Counted, now: Timestamp) -> bool {
    let age = now.duration_since(held.at);
    held.more || age >= aside::interval(object) || is_asked(object) || has_just_ended(environment)
}

/// The count as a status shows it. `before`: as it shows it now; a count that found nothing else says so once an hour.
pub fn row(counted: &Counted, before: Option<&RunsStatus>) -> RunsStatus {
    let row = shown(counted);
    match before {
        Some(before) => {
            let same = RunsStatus {
                counted: before.counted,
                ..row.clone()
            };
            let old = before
                .counted
                .is_none_or(|at| counted.at.duration_since(at) >= SAID);
            if same == *before && !old { same } else { row }
        }
        None => row,
    }
}

fn shown(counted: &Counted) -> RunsStatus {
    let number = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    let cut = |text: &str, length: usize| text.chars().take(length).collect::<String>();
    let told = &counted.told;
    RunsStatus {
        total: number(told.total()),
        explained: number(told.explained),
        acknowledged: number(told.acknowledged),
        unexplained: number(told.unexplained),
        strangers: told.strangers.iter().map(stranger).collect(),
        unseen: told
            .unseen
            .iter()
            .take(16)
            .map(|unseen| UnseenRow {
                what: cut(&unseen.what, 256),
                why: cut(&unseen.why, 1_024),
            })
            .collect(),
        since: Some(counted.ledger.since),
        counted: Some(counted.at),
    }
}

fn stranger(occurrence: &Occurrence) -> OccurrenceRow {
    let Occurrence { act, address, by, at } = occurrence;
    OccurrenceRow {
        act: format!("{act:?}"),
        address: address.chars().take(1_024).collect(),
        by: by.as_ref().map(|by| by.chars().take(512).collect()),
        at: *at,
    }
}
