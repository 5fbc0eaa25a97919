//! One environment of a policy, asked about one change: everything around the change is read, and [`judge`] puts it
//! before the gate. The same for what merged and for what somebody asks about before the merge.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use kube::ResourceExt as _;
use lockstep_core::api::promotion::Deploy;
use lockstep_core::api::{Promotion, PromotionPolicy};
use lockstep_core::domain::ports::SystemError;
use lockstep_core::domain::promotion::arrivals::arrivals;
use lockstep_core::domain::promotion::gate::evidence::{ChangeNumber, ChangeStatus, CommitId};
use lockstep_core::domain::promotion::gate::freeze::Freeze;
use lockstep_core::domain::promotion::gate::range::Commit;
use lockstep_core::domain::promotion::gate::rules::Rules;
use lockstep_core::domain::promotion::gate::{Moment, Success, Surroundings};
use lockstep_core::domain::promotion::machine::kept::{self, Found};
use lockstep_core::domain::promotion::machine::queue::Place;
use lockstep_core::domain::promotion::machine::state::{End, Phase};
use lockstep_core::domain::promotion::ports::reviews::{Listed, Review, Watched};

use super::super::Context;
use super::super::branches::{Branches, History};
use super::super::promotion_policy::reading::{self, Declared, Remembered};
use super::judge::{self, Judged};

/// Why there is no verdict.
pub enum Unjudged {
    Error(SystemError),
    /// The policy has not come to it yet.
    NotYet(String),
}

impl From<SystemError> for Unjudged {
    fn from(error: SystemError) -> Self {
        Self::Error(error)
    }
}

/// Which environment is asked, and what stands around it.
pub struct Question<'a> {
    pub policy: &'a PromotionPolicy,
    pub declared: &'a Declared,
    pub status: &'a Remembered,
    pub siblings: &'a [Arc<Promotion>],
    pub freezes: &'a [Freeze],
}

/// What is known before any change is looked at.
struct Ground<'a> {
    rules: &'a Rules,
    baseline: &'a CommitId,
    review: Arc<dyn Review>,
    history: Arc<History>,
    surroundings: Surroundings,
    now: Timestamp,
}

/// One change of one branch, and what would be deployed of it.
struct Brought<'a> {
    change: ChangeNumber,
    /// Its revision.
    own: &'a CommitId,
    deployed: &'a CommitId,
    /// Of everything up to what would be deployed.
    history: &'a History,
    open: bool,
}

/// What a change would come to that somebody asks about.
pub struct Ahead {
    pub judged: Judged,
    /// Commits below it that are not in the branch either: of other open changes.
    pub stands_on: BTreeSet<CommitId>,
}

impl Question<'_> {
    /// What merged.
    pub async fn judge(
        &self,
        branches: &Branches,
        deploy: &Deploy,
        context: &Context,
    ) -> Result<Judged, Unjudged> {
        let gerrit = &self.declared.gerrit;
        let watched = reading::watched(&*context.objects, &*context.cluster, gerrit);
        let ground = self.ground(branches, &watched, context).await?;
        let brought = Brought {
            change: ChangeNumber(u64::try_from(deploy.change).unwrap_or_default()),
            own: &CommitId(deploy.revision.clone()),
            deployed: &CommitId(deploy.deployed().to_owned()),
            history: &ground.history,
            open: false,
        };
        Ok(self.put(branches, &ground, &brought, context).await?)
    }

    /// What may not have merged yet: as if it were submitted now, on top of what the branch holds.
    pub async fn ahead(
        &self,
        branches: &Branches,
        change: &Listed,
        context: &Context,
    ) -> Result<Ahead, Unjudged> {
        let watched = BTreeSet::from([self.declared.on.clone()]);
        let ground = self.ground(branches, &watched, context).await?;
        let mut stands_on = BTreeSet::new();
        let judged = if change.status == Some(ChangeStatus::Merged) {
            let deployed = deployed(&ground, change).ok_or_else(|| {
                let baseline = ground.baseline.short();
                let message = format!(
                    "{} merged before the baseline {baseline}, or is not in the branch: nothing runs of it",
                    change.number
                );
                Unjudged::NotYet(message)
            })?;
            let brought = Brought {
                change: change.number,
                own: &change.revision,
                deployed: &deployed,
                history: &ground.history,
                open: false,
            };
            self.put(branches, &ground, &brought, context).await?
        } else {
            let (node, below) = self.on_top(&ground, &change.revision).await?;
            stands_on = below;
            let history = ground.history.with(change.revision.clone(), node, change.number);
            let brought = Brought {
                change: change.number,
                own: &change.revision,
                deployed: &change.revision,
                history: &history,
                open: true,
            };
            self.put(branches, &ground, &brought, context).await?
        };
        Ok(Ahead { judged, stands_on })
    }

    async fn ground(
        &self,
        branches: &Branches,
        watched: &BTreeSet<Watched>,
        context: &Context,
    ) -> Result<Ground<'_>, Unjudged> {
        let now = context.clock.now();
        let not_yet = |what: &str| Unjudged::NotYet(format!("the policy has not come to {what} yet"));
        let rules = self
            .status
            .rules()
            .ok_or_else(|| not_yet("the rules of its gate"))?;
        let baseline = self
            .status
            .baseline
            .as_ref()
            .ok_or_else(|| not_yet("a baseline"))?;
        let Declared {
            gerrit, on, floor, ..
        } = self.declared;
        let review = context.reviews.open(gerrit).await?;
        let fresh = reading::fresh(&*context.cluster, gerrit, now);
        let tips = branches.tips(gerrit, &*review, watched, now, fresh, now).await?;
        let known = BTreeSet::from([baseline.clone()]);
        let history = branches.history(gerrit, &*review, on, &tips, &known).await?;
        let surroundings = Surroundings {
            gerrit: review.system().version().await?,
            floor: floor.clone(),
            upstream: upstream(self.siblings, rules, self.policy),
        };
        Ok(Ground {
            rules,
            baseline,
            review,
            history,
            surroundings,
            now,
        })
    }

    async fn put(
        &self,
        branches: &Branches,
        ground: &Ground<'_>,
        brought: &Brought<'_>,
        context: &Context,
    ) -> Result<Judged, SystemError> {
        let labels: BTreeMap<String, String> = self.policy.labels().clone();
        let stopped = judge::stopped(self.policy, &labels, false);
        let Declared {
            gerrit,
            on,
            environment,
            ..
        } = self.declared;
        let subject = judge::Subject {
            policy: self.policy,
            rules: ground.rules,
            surroundings: &ground.surroundings,
            connection: gerrit,
            on,
            own: brought.own,
            deployed: brought.deployed,
            change: brought.change,
            open: brought.open,
            current: self.status.current.as_ref(),
            baseline: ground.baseline,
            accepted: &self.status.accepted,
            moment: Moment {
                windows: &environment.windows,
                freezes: self.freezes,
                stopped: &stopped,
                now: ground.now,
            },
        };
        judge::judge(branches, &*ground.review, &subject, brought.history, context).await
    }

    /// An open change as the next commit of the branch, and the commits between the two.
    async fn on_top(
        &self,
        ground: &Ground<'_>,
        revision: &CommitId,
    ) -> Result<(Commit, BTreeSet<CommitId>), SystemError> {
        let tip = &ground.history.tip;
        let repository = ground.review.repository(&self.declared.on);
        repository.fetch(revision).await?;
        let mut graph = repository
            .history(revision, &BTreeSet::from([tip.clone()]))
            .await?;
        let unread = || super::super::unread(&self.declared.gerrit, &revision.to_string());
        let node = graph.get(revision).cloned().ok_or_else(unread)?;
        graph.extend(ground.history.graph.clone());
        let held = BTreeSet::from([tip]);
        let above = judge::reach(&graph, revision, &held);
        let below = above.into_iter().filter(|commit| *commit != revision).cloned();
        let node = Commit {
            parents: vec![tip.clone()],
            automatic_merge: None,
            ..node
        };
        Ok((node, below.collect()))
    }
}

/// The commit by which a merged change reached the branch.
fn deployed(ground: &Ground<'_>, change: &Listed) -> Option<CommitId> {
    let History {
        tip, graph, merged, ..
    } = &*ground.history;
    let all = arrivals(graph, tip, ground.baseline, merged);
    let arrival = all.into_iter().find(|arrival| arrival.own == change.revision);
    arrival.map(|arrival| arrival.deployed)
}

/// The place of what a promotion has put in place: of a rollback that of where it went back to.
fn place_of(siblings: &[Arc<Promotion>], promotion: &Promotion) -> Option<Place> {
    let Some(wish) = &promotion.spec.rollback else {
        return kept::place(&promotion.spec);
    };
    let target = siblings.iter().find(|other| other.name_any() == wish.to)?;
    kept::place(&target.spec)
}

/// What the environments before this one have run.
fn upstream(
    siblings: &[Arc<Promotion>],
    rules: &Rules,
    policy: &PromotionPolicy,
) -> BTreeMap<String, Vec<Success>> {
    let of = |environment: &String| {
        let current = reading::remembered(policy, environment).environment.current;
        let current = current.and_then(|name| siblings.iter().find(|other| other.name_any() == name.0));
        let place = current.and_then(|current| place_of(siblings, current));
        let successes = siblings
            .iter()
            .filter(|other| other.spec.environment == *environment)
            .filter_map(|other| match kept::read(other.status.as_ref()) {
                Found::Kept(kept) => Some((kept::place(&other.spec), kept.0)),
                Found::Nothing | Found::Unreadable(_) => None,
            })
            .filter(|(_, kept)| kept.promotion.phase == Phase::Ended(End::Succeeded))
            .flat_map(|(own, kept)| {
                // What runs is older: this one was rolled back since.
                let taken_back = own > place;
                let at = kept.ended;
                kept.brought.into_iter().map(move |success| Success {
                    at: at.unwrap_or(success.at),
                    taken_back,
                    ..success
                })
            });
        (environment.clone(), successes.collect())
    };
    rules
        .requires
        .iter()
        .map(|upstream| of(&upstream.environment))
        .collect()
}
