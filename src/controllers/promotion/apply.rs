//! Moves the machine: what it says is to be written down is written, and only then done. A pass ends when it has
//! nothing more to do now; it never waits for the outside.

mod doing;
mod facts;
mod tree;

use jiff::Timestamp;
use kube::ResourceExt as _;
use lockstep_core::api::condition::Reason;
use lockstep_core::api::{FINALIZER, Promotion};
use lockstep_core::domain::ports::{Entry, KeepError};
use lockstep_core::domain::promotion::gate::finding::Verdict;
use lockstep_core::domain::promotion::machine::kept::{self, Kept};
use lockstep_core::domain::promotion::machine::ready::Course;
use lockstep_core::domain::promotion::machine::state::{End, Failure, FailureKind, Phase};
use lockstep_core::domain::promotion::machine::steps::{self, Effect, Seen};

use super::super::Context;
use super::gather::Gathered;
use super::key;
use super::plan::{Going, Planned};
use doing::Doing;

/// Moves of one pass at most: every step of every kind moves a handful of times, so more is a circle.
const MOVES: usize = 500;

/// How a pass ended.
pub struct Outcome {
    /// `None`: nothing could be done, because of `stuck`.
    pub kept: Option<Kept>,
    pub course: Option<Course>,
    pub stuck: Option<(Reason, String)>,
    /// When time alone changes something.
    pub again: Option<Timestamp>,
    /// What must be tried again soon.
    pub error: Option<String>,
}

/// Moves it as far as it goes now.
pub async fn apply(
    promotion: &Promotion,
    gathered: &Gathered,
    planned: Planned,
    context: &Context,
) -> Outcome {
    let Going { kept, course, orders } = match planned {
        Planned::Stuck(reason, message) => {
            return Outcome {
                kept: None,
                course: None,
                stuck: Some((reason, message)),
                again: None,
                error: None,
            };
        }
        Planned::Go(going) => *going,
    };
    let mut doing = Doing::new(context, course.as_ref());
    let mut moving = Moving {
        promotion,
        written: promotion
            .status
            .as_ref()
            .and_then(|status| status.machine.clone()),
        held: promotion.finalizers().iter().any(|held| held == FINALIZER),
        kept,
        verdict: gathered
            .judged
            .as_ref()
            .and_then(|judged| Some(&judged.as_ref().ok()?.verdict)),
        context,
    };
    let (mut effect, mut seen, mut again) = (None, Seen::Pass, None);
    for _ in 0..MOVES {
        let now = context.clock.now();
        let was = moving.kept.promotion.phase.clone();
        let next = steps::next(moving.kept.promotion.clone(), effect, seen, &orders, now);
        moving.kept.promotion = next.promotion;
        moving.stamp(&was, now);
        again = next.again;
        let waits = moving.kept.promotion.phase == Phase::Waiting;
        if !waits && let Err(error) = moving.keep(course.as_ref(), next.effect).await {
            // What is not written down must not happen.
            return Outcome {
                kept: Some(moving.kept),
                course,
                stuck: None,
                again,
                error: Some(error.to_string()),
            };
        }
        let Some(todo) = next.effect else { break };
        effect = Some(todo);
        seen = doing.does(todo, &mut moving.kept).await;
        if kept::size(&moving.kept) > kept::LARGEST {
            let message = format!(
                "what it must remember is longer than {} bytes: make job definitions and endpoint configurations shorter",
                kept::LARGEST
            );
            seen = Seen::Refused(Failure::new(FailureKind::Refused, message));
        }
    }
    let error = doing.error;
    Outcome {
        kept: Some(moving.kept),
        course,
        stuck: None,
        again,
        error,
    }
}

/// The machine, and what of it stands in the status.
struct Moving<'a> {
    promotion: &'a Promotion,
    kept: Kept,
    /// Whether the object cannot go before we let it.
    held: bool,
    written: Option<serde_json::Value>,
    /// What the gate said in this pass.
    verdict: Option<&'a Verdict>,
    context: &'a Context,
}

impl Moving<'_> {
    /// Notes when it began and ended. What brought nothing need not say what it would have brought: a thousand that
    /// step aside at once would each hold all that are older.
    fn stamp(&mut self, was: &Phase, now: Timestamp) {
        if *was == Phase::Waiting && self.kept.promotion.acts() {
            self.kept.started.get_or_insert(now);
        }
        if let Some(end) = self.kept.promotion.ended() {
            if *end != End::Succeeded {
                self.kept.brought = Vec::new();
            }
            self.kept.ended.get_or_insert(now);
        }
    }

    /// Holds the object while something of it may show outside, and writes the state down.
    async fn keep(&mut self, course: Option<&Course>, effect: Option<Effect>) -> Result<(), KeepError> {
        let object = key(self.promotion);
        if self.kept.promotion.acts() && !self.held {
            self.context.cluster.add_finalizer(&object, FINALIZER).await?;
            self.held = true;
        }
        self.write(course, effect).await?;
        if self.kept.promotion.ended().is_some() && self.held {
            self.context.cluster.remove_finalizer(&object, FINALIZER).await?;
            self.held = false;
        }
        Ok(())
    }

    /// Writes the state down, in the record before the status, if it says anything new.
    async fn write(&mut self, course: Option<&Course>, effect: Option<Effect>) -> Result<(), KeepError> {
        let status = kept::write(&self.kept, course);
        let machine = status.get("machine").cloned();
        if machine == self.written {
            return Ok(());
        }
        if let Some((event, note, fact)) =
            facts::entry(self.promotion, &self.kept, course, self.verdict, effect)
        {
            let entry = Entry {
                time: self.context.clock.now(),
                actor: self.context.actor.clone(),
                object: key(self.promotion),
                event,
                changes: Vec::new(),
                digest: None,
                gained: Vec::new(),
                gave_up: Vec::new(),
                note,
                promotion: Some(fact),
                credential: None,
            };
            self.context.record.append(entry).await?;
        }
        self.context.objects.keep(&key(self.promotion), status).await?;
        self.written = machine;
        Ok(())
    }
}
