//! What explains an occurrence. Names and tags can be copied; what counts is what the record said before it happened,
//! and who the server says did it.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::completeness::{Act, Occurrence, Run};
use crate::domain::promotion::machine::attempt::{IdempotencyToken, PromotionName};
use crate::domain::promotion::machine::rollback::{Recorded, RecordedStep, StepKind};
use crate::domain::promotion::ports::deployments::words;

/// A promotion that was at work, as the record has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acted {
    pub promotion: PromotionName,
    /// When its first step was announced.
    pub since: Timestamp,
    /// When it ended; `None`: it has not.
    pub until: Option<Timestamp>,
}

/// What the record knows.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// Tries that were announced, of whichever policy.
    pub tried: BTreeMap<IdempotencyToken, PromotionName>,
    /// Our own names, as the server writes them.
    pub ourselves: BTreeSet<String>,
    /// Ids of jobs that promotions have set, of whichever policy that has the identity.
    pub jobs: BTreeSet<String>,
    pub acted: Vec<Acted>,
    /// What ended promotions of the environment left behind, the last one first.
    pub left: Vec<Recorded>,
}

impl Known {
    /// A run that we started under a key that was announced before, or one that the trigger of a job started that a
    /// promotion has set.
    pub fn explains_run(&self, run: &Run) -> bool {
        let by_us = run
            .occurrence
            .by
            .as_ref()
            .is_some_and(|by| self.ourselves.contains(by));
        let announced = run
            .token
            .as_ref()
            .is_some_and(|token| self.tried.contains_key(token));
        let set = run.job.as_ref().is_some_and(|job| self.jobs.contains(job));
        (by_us && announced) || (run.triggered && set)
    }

    /// A version that the environment's identity made while a promotion was at work.
    pub fn explains_version(&self, version: &Occurrence, run_as: &str) -> bool {
        let within = |at: Timestamp| {
            self.acted
                .iter()
                .any(|acted| acted.since <= at && acted.until.is_none_or(|until| at <= until))
        };
        version.by.as_deref() == Some(run_as) && version.at.is_some_and(within)
    }

    /// Something that stands as the last promotion that moved it left it. `stood`: when it was last looked at.
    pub fn explains_standing(&self, found: &Occurrence, stood: Option<Timestamp>) -> bool {
        let address = |step: &RecordedStep| step.outputs.get(words::ADDRESS).cloned();
        let steps = || self.left.iter().flat_map(|left| &left.steps);
        if found.act == Act::Files {
            // Files may lie deeper than the entry of the governed folder.
            let inside = format!("{}%2F", found.address);
            return steps()
                .filter_map(address)
                .any(|left| left == found.address || left.starts_with(&inside));
        }
        let of_it = |left: &String| {
            let left = Occurrence {
                address: left.clone(),
                ..found.clone()
            };
            left.thing() == found.thing()
        };
        if steps()
            .filter_map(address)
            .find(of_it)
            .is_some_and(|left| left == found.address)
        {
            return true;
        }
        // An endpoint that was put back has another configuration than ever, which no step has named.
        let since = |left: &&Recorded| stood.is_none_or(|stood| left.ended >= stood);
        let put_back = |left: &Recorded| {
            left.steps
                .iter()
                .any(|step| step.kind == StepKind::ServingEndpoint && step.outputs.is_empty())
        };
        let by_us = found.by.as_ref().is_some_and(|by| self.ourselves.contains(by));
        found.act == Act::Endpoint && by_us && self.left.iter().filter(since).any(put_back)
    }
}
