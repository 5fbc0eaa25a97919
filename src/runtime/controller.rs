//! The wrapper around all controllers: who is due gets a pass, a bounded number at once, each within its deadline.
//! A pass that hangs or panics is one object's misfortune and nobody else's.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::{Id, JoinSet};
use tokio::time::{Instant, sleep_until, timeout};
use tracing::Instrument as _;

use super::metrics::Metrics;
use super::passes::Passes;
use super::schedule::{Ended, Schedule};
use crate::controllers::Next;
use crate::kubernetes::{KindName, Subject};

/// Longest time of one pass: a write that hangs ends earlier by itself.
const PASS: Duration = Duration::from_mins(2);
/// See [`Controllers`]; shorter than the time a pod is given to end.
const GRACE: Duration = Duration::from_secs(25);
/// A year: nothing is due before something happens.
const LONG: Duration = Duration::from_hours(24 * 365);

/// All controllers together.
pub struct Controllers {
    passes: HashMap<KindName, Arc<dyn Passes>>,
    concurrency: usize,
    /// Longest time of one pass.
    deadline: Duration,
    /// How long passes under way may take to end when the operator is asked to stop.
    grace: Duration,
    metrics: Arc<Metrics>,
}

/// How the passes under way ended when the operator was asked to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stopped {
    /// Each by itself: nothing is under way any more.
    AtRest,
    /// Some in the middle: what they had sent may still have its effect, until the deadline of the call.
    InTheMiddle,
}

/// Passes under way, and whose they are.
#[derive(Default)]
struct UnderWay {
    tasks: JoinSet<Ended>,
    whose: HashMap<Id, (Subject, Instant)>,
}

impl Controllers {
    pub fn new(passes: Vec<Box<dyn Passes>>, concurrency: usize, metrics: Arc<Metrics>) -> Self {
        let passes = passes
            .into_iter()
            .map(|passes| (passes.kind(), Arc::from(passes)));
        metrics.max_concurrent(concurrency);
        Self {
            passes: passes.collect(),
            concurrency: concurrency.max(1),
            deadline: PASS,
            grace: GRACE,
            metrics,
        }
    }

    /// Runs until `stop` is done, then lets passes under way end. Dropped, it ends them where they are.
    pub async fn run(
        &self,
        all: Vec<Subject>,
        woken: &mut UnboundedReceiver<Subject>,
        stop: impl Future<Output = ()>,
    ) -> Stopped {
        let mut schedule = Schedule::default();
        let mut under_way = UnderWay::default();
        let mut stop = std::pin::pin!(stop.fuse());
        for subject in all {
            if self.passes.contains_key(&subject.kind) {
                schedule.begin(subject.clone(), Instant::now());
                self.wake(&mut schedule, subject);
            }
        }
        loop {
            while schedule.running() < self.concurrency
                && let Some(subject) = schedule.take(Instant::now())
            {
                self.begin(&mut under_way, subject);
            }
            self.metrics.schedule(&schedule);
            let full = schedule.running() >= self.concurrency;
            let due = schedule.next_due().unwrap_or_else(|| Instant::now() + LONG);
            tokio::select! {
                biased;
                () = &mut stop => break,
                Some(ended) = under_way.tasks.join_next_with_id() => self.end(&mut schedule, &mut under_way, ended),
                Some(subject) = woken.recv() => {
                    self.wake(&mut schedule, subject);
                    // Changes come in crowds: take them all before looking who is first.
                    while let Ok(subject) = woken.try_recv() {
                        self.wake(&mut schedule, subject);
                    }
                }
                () = sleep_until(due), if !full => {}
            }
        }
        let unfinished = under_way.whose.len();
        let ending = async { while under_way.tasks.join_next().await.is_some() {} };
        if unfinished == 0 || timeout(self.grace, ending).await.is_ok() {
            return Stopped::AtRest;
        }
        tracing::warn!(
            passes = under_way.tasks.len(),
            "ended in the middle: the next pass continues"
        );
        // Ended and waited for, so that none of them sends anything more.
        under_way.tasks.shutdown().await;
        Stopped::InTheMiddle
    }

    fn wake(&self, schedule: &mut Schedule, subject: Subject) {
        match self.passes.get(&subject.kind) {
            Some(passes) if passes.is_urgent(&subject.name) => schedule.wake_first(subject, Instant::now()),
            Some(_) => schedule.wake(subject, Instant::now()),
            None => {}
        }
    }

    fn begin(&self, under_way: &mut UnderWay, subject: Subject) {
        let Some(passes) = self.passes.get(&subject.kind).cloned() else {
            return;
        };
        let name = subject.name.clone();
        let span = tracing::info_span!("pass", kind = %subject.kind, namespace = name.namespace(), name = name.name());
        let deadline = self.deadline;
        let pass = async move {
            match timeout(deadline, passes.pass(&name)).await {
                Ok(ended) => ended,
                Err(_) => {
                    tracing::warn!(?deadline, "a pass took too long and was ended");
                    Ended::Broke
                }
            }
        };
        let task = under_way.tasks.spawn(pass.instrument(span));
        under_way.whose.insert(task.id(), (subject, Instant::now()));
    }

    fn end(
        &self,
        schedule: &mut Schedule,
        under_way: &mut UnderWay,
        ended: Result<(Id, Ended), tokio::task::JoinError>,
    ) {
        let (id, ended) = match ended {
            Ok((id, ended)) => (id, Some(ended)),
            Err(error) => (error.id(), None),
        };
        let Some((subject, begun)) = under_way.whose.remove(&id) else {
            return;
        };
        let kind = subject.kind.as_str();
        if ended.is_none() {
            tracing::error!(%subject, "a pass panicked; it is tried again with backoff");
            self.metrics.panicked(kind);
        }
        let ended = ended.unwrap_or(Ended::Broke);
        self.metrics.passed(kind, result_of(&ended), begun.elapsed());
        schedule.finish(&subject, ended, Instant::now());
    }
}

fn result_of(ended: &Ended) -> &'static str {
    match ended {
        Ended::Said(Next::After(_)) => "requeue_after",
        Ended::Said(Next::AwaitChange) | Ended::Gone => "success",
        Ended::Said(Next::Backoff) | Ended::Broke => "error",
    }
}

#[cfg(test)]
#[path = "controller_tests.rs"]
mod tests;
