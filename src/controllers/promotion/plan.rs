//! Decides, purely: what the gate, the queue, people and freezes want of the promotion now.

use std::collections::BTreeMap;

use jiff::Timestamp;
use kube::ResourceExt;
use lockstep_core::api::condition::Reason;
use lockstep_core::api::reference::Mode;
use lockstep_core::api::{CANCEL, Promotion};
use lockstep_core::domain::defaults;
use lockstep_core::domain::promotion::gate::finding::{Finding, Verdict};
use lockstep_core::domain::promotion::gate::findings::moment;
use lockstep_core::domain::promotion::machine::attempt::PromotionName;
use lockstep_core::domain::promotion::machine::kept::{self, Found, Kept};
use lockstep_core::domain::promotion::machine::ready::Course;
use lockstep_core::domain::promotion::machine::state::Phase;
use lockstep_core::domain::promotion::machine::steps::{Gate, Orders};

use super::gather::Gathered;
use super::judge::stopped;

/// What is to be done with the machine.
pub enum Planned {
    /// Nothing is touched, because of this.
    Stuck(Reason, String),
    Go(Box<Going>),
}

/// A machine that can move.
pub struct Going {
    pub kept: Kept,
    /// `None` only while it waits and was not judged.
    pub course: Option<Course>,
    pub orders: Orders,
}

/// Decides.
pub fn plan(promotion: &Promotion, gathered: &Gathered, now: Timestamp) -> Planned {
    let (mut kept, mut course) = match &gathered.kept {
        Found::Kept(kept) => (**kept).clone(),
        Found::Unreadable(why) => {
            let message = format!(
                "status.machine cannot be read ({why}): nothing is touched until a version that understands it runs, or \
                 a person deletes the promotion"
            );
            return Planned::Stuck(Reason::InvalidSpec, message);
        }
        Found::Nothing => match begin(promotion, gathered) {
            Ok(kept) => (kept, None),
            Err((reason, message)) => return Planned::Stuck(reason, message),
        },
    };
    let name = kept.promotion.name.clone();
    if let (Some(way), Some(declared)) = (&gathered.way_back, &gathered.declared) {
        course = Some(way.course(declared));
    }
    if let Some(Ok(judged)) = &gathered.judged {
        kept.brought.clone_from(&judged.brought);
        kept.lifted.clone_from(&gathered.lifted);
        course = gathered.declared.as_ref().map(|declared| Course {
            recipe: declared.environment.recipe.clone(),
            gerrit: declared.gerrit.clone(),
            on: declared.on.clone(),
            tree: judged.tree.clone(),
            back: None,
        });
    }
    if kept.promotion.acts()
        && let Some((reason, message)) = &gathered.problem
        && matches!(
            reason,
            Reason::NotAllowed | Reason::OutOfReach | Reason::NeedsAdministrative
        )
    {
        // Whoever owns the connection has the last word, whatever has begun.
        return Planned::Stuck(*reason, message.clone());
    }
    let orders = orders(promotion, gathered, &name, kept.passes_freezes(), now);
    Planned::Go(Box::new(Going { kept, course, orders }))
}

/// A promotion that nobody has begun.
fn begin(promotion: &Promotion, gathered: &Gathered) -> Result<Kept, (Reason, String)> {
    let policy = gathered.policy.as_deref();
    let uid = policy.and_then(ResourceExt::uid).unwrap_or_default();
    let recipe = gathered
        .declared
        .as_ref()
        .map(|declared| &declared.environment.recipe);
    let Some(recipe) = recipe else {
        let unknown = || {
            (
                Reason::DependencyNotReady,
                "its environment is unknown".to_owned(),
            )
        };
        return Err(gathered.problem.clone().unwrap_or_else(unknown));
    };
    let name = PromotionName(promotion.name_any());
    if promotion.spec.rollback.is_some() {
        let unknown = || (Reason::Progressing, "the way back is not known yet".to_owned());
        let way = gathered.way_back.as_ref();
        let way = way.ok_or_else(|| gathered.problem.clone().unwrap_or_else(unknown))?;
        return Ok(way.begin(name, promotion.uid().unwrap_or_default(), recipe));
    }
    let subject = kept::subject(&promotion.spec, &uid).ok_or_else(|| {
        let message =
            "it neither deploys nor rolls back: exactly one of deploy, rollback and override must be set";
        (Reason::InvalidSpec, message.to_owned())
    })?;
    Ok(kept::begun_from(name, subject, recipe.on_failure, recipe.begin()))
}

fn orders(
    promotion: &Promotion,
    gathered: &Gathered,
    name: &PromotionName,
    passes_freezes: bool,
    now: Timestamp,
) -> Orders {
    let gate = match &gathered.judged {
        // A person asked for it, and the record answers for where it leads.
        None if gathered.way_back.is_some() && !stands_still(gathered, true, now) => Gate::Passes,
        None if gathered.way_back.is_some() => Gate::Waits,
        Some(Ok(judged)) if judged.verdict.passes() => Gate::Passes,
        Some(Ok(judged)) if judged.verdict.refuses() => Gate::Refuses,
        Some(Ok(_)) => Gate::Waits,
        Some(Err(_)) | None => Gate::Unknown,
    };
    let mut contenders = gathered.contenders.clone();
    if let Some(contender) = contenders.get_mut(name) {
        contender.gate = gate;
    }
    let policy = gathered.policy.as_deref();
    let enforces = policy.is_some_and(|policy| {
        defaults::policy_mode(&policy.spec) == Mode::Enforce && !defaults::policy_suspended(&policy.spec)
    });
    let rolls_back = promotion.spec.rollback.is_some();
    Orders {
        gate,
        turn: enforces && gathered.environment.has_turn(name),
        // Who has no verdict yet is judged first, so that the reason stands beside its end.
        superseded_by: (gate != Gate::Unknown)
            .then(|| gathered.environment.superseded_by(name, &contenders))
            .flatten(),
        // Whoever deletes it wants it to stop; it goes when nothing of it acts any more.
        cancel: promotion.annotations().contains_key(CANCEL)
            || promotion.metadata.deletion_timestamp.is_some(),
        // What people let pass a freeze passes it on its way back as well.
        frozen: !passes_freezes && stands_still(gathered, rolls_back, now),
        undo_frozen: !passes_freezes && stands_still(gathered, true, now),
    }
}

/// Whether a freeze stops it now.
fn stands_still(gathered: &Gathered, rollback: bool, now: Timestamp) -> bool {
    frozen(gathered, rollback, now).is_some()
}

/// What stops it now, if a freeze does.
fn frozen(gathered: &Gathered, rollback: bool, now: Timestamp) -> Option<Finding> {
    let policy = gathered.policy.as_deref()?;
    let none = BTreeMap::new();
    let labels = policy.metadata.labels.as_ref().unwrap_or(&none);
    moment::frozen_by(&gathered.freezes, &stopped(policy, labels, rollback), now)
}

/// Whether it is a rollback that has not begun, and for now cannot.
pub fn has_no_way(promotion: &Promotion, gathered: &Gathered) -> bool {
    let waits = match &gathered.kept {
        Found::Nothing => true,
        Found::Kept(kept) => kept.0.promotion.phase == Phase::Waiting,
        Found::Unreadable(_) => false,
    };
    promotion.spec.rollback.is_some() && waits && gathered.way_back.is_none()
}

/// What is said of a way back, which no gate judges: it may be gone unless a freeze stops it. `None`: it was begun, or
/// is not known.
pub fn verdict_on_way_back(gathered: &Gathered, now: Timestamp) -> Option<Verdict> {
    gathered.way_back.as_ref()?;
    Some(Verdict {
        findings: frozen(gathered, true, now).into_iter().collect(),
        ..Verdict::default()
    })
}
