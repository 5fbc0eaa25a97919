//! Reads: the policy, what the environment remembers, what others want, and, as long as nothing has begun, everything
//! that the gate asks about.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use kube::ResourceExt as _;
use lockstep_core::api::condition::Reason;
use lockstep_core::api::promotion::Deploy;
use lockstep_core::api::{Promotion, PromotionPolicy};
use lockstep_core::domain::ports::SystemError;
use lockstep_core::domain::promotion::gate::evidence::{ChangeNumber, CommitId};
use lockstep_core::domain::promotion::gate::freeze::Freeze;
use lockstep_core::domain::promotion::gate::rules::Rules;
use lockstep_core::domain::promotion::gate::{Moment, Success, Surroundings};
use lockstep_core::domain::promotion::machine::attempt::PromotionName;
use lockstep_core::domain::promotion::machine::kept::{self, Found};
use lockstep_core::domain::promotion::machine::queue::{self, Contenders, Place};
use lockstep_core::domain::promotion::machine::state::{End, Phase};

use super::super::Context;
use super::super::branches::Branches;
use super::super::promotion_policy::reading::{self, Declared, Remembered};
use super::judge::{self, Judged};
use super::way_back::{self, NoWay, WayBack};

/// Everything that a pass knows.
pub struct Gathered {
    pub policy: Option<Arc<PromotionPolicy>>,
    pub kept: Found,
    /// What the policy says of the environment; `None`: there is no policy, or no such environment, any more.
    pub declared: Option<Declared>,
    pub environment: queue::Environment,
    pub contenders: Contenders,
    pub freezes: Vec<Freeze>,
    /// Only as long as it waits.
    pub judged: Option<Result<Judged, SystemError>>,
    /// Only of a rollback that waits.
    pub way_back: Option<WayBack>,
    /// Why it cannot be judged or go on.
    pub problem: Option<(Reason, String)>,
}

/// Reads.
pub async fn gather(branches: &Branches, promotion: &Promotion, context: &Context) -> Gathered {
    let namespace = promotion.namespace().unwrap_or_default();
    let spec = &promotion.spec;
    let policy = context.objects.policy(&namespace, &spec.policy_ref.name);
    let kept = kept::read(promotion.status.as_ref());
    let status = policy
        .as_deref()
        .map(|policy| reading::remembered(policy, &spec.environment));
    let siblings = context.objects.promotions_of(&namespace, &spec.policy_ref.name);
    let contenders = contenders(&siblings, &spec.environment);
    let mut gathered = Gathered {
        declared: None,
        environment: status
            .as_ref()
            .map(|status| status.environment.clone())
            .unwrap_or_default(),
        contenders,
        freezes: context.objects.freezes(),
        judged: None,
        way_back: None,
        problem: None,
        policy,
        kept,
    };
    let Some(policy) = gathered.policy.clone() else {
        let message = format!("PromotionPolicy {} does not exist", spec.policy_ref.name);
        gathered.problem = Some((Reason::DependencyNotReady, message));
        return gathered;
    };
    match reading::declared(&policy, &spec.environment, &*context.cluster) {
        Ok(declared) => gathered.declared = Some(declared),
        Err(problem) => {
            gathered.problem = Some(problem);
            return gathered;
        }
    }
    let waits = match &gathered.kept {
        Found::Nothing => true,
        Found::Kept(kept) => kept.0.promotion.phase == Phase::Waiting,
        Found::Unreadable(_) => false,
    };
    if let (true, Some(wish), Some(declared)) = (waits, &spec.rollback, &gathered.declared) {
        let uid = policy.uid().unwrap_or_default();
        match way_back::find(wish, &uid, declared, context).await {
            Ok(found) => gathered.way_back = Some(found),
            Err(NoWay::Error(error)) => gathered.problem = Some((error.reason(), error.to_string())),
            Err(NoWay::Refused(reason, message)) => gathered.problem = Some((reason, message)),
        }
        return gathered;
    }
    let (Some(deploy), Some(declared), Some(status)) = (&spec.deploy, &gathered.declared, status) else {
        return gathered;
    };
    if waits {
        let asked = Asked {
            policy: &policy,
            declared,
            status: &status,
            siblings: &siblings,
            freezes: &gathered.freezes,
        };
        match asked.judge(branches, deploy, context).await {
            Ok(judged) => gathered.judged = Some(Ok(judged)),
            Err(Unjudged::Error(error)) => gathered.judged = Some(Err(error)),
            Err(Unjudged::NotYet(message)) => gathered.problem = Some((Reason::Progressing, message)),
        }
    }
    gathered
}

/// Why there is no verdict.
enum Unjudged {
    Error(SystemError),
    /// The policy has not come to it yet.
    NotYet(String),
}

impl From<SystemError> for Unjudged {
    fn from(error: SystemError) -> Self {
        Self::Error(error)
    }
}

struct Asked<'a> {
    policy: &'a PromotionPolicy,
    declared: &'a Declared,
    status: &'a Remembered,
    siblings: &'a [Arc<Promotion>],
    freezes: &'a [Freeze],
}

impl Asked<'_> {
    async fn judge(
        &self,
        branches: &Branches,
        deploy: &Deploy,
        context: &Context,
    ) -> Result<Judged, Unjudged> {
        let now = context.clock.now();
        let not_yet = |what: &str| Unjudged::NotYet(format!("the policy has not come to {what} yet"));
        let rules = self
            .status
            .rules
            .as_ref()
            .ok_or_else(|| not_yet("the rules of its gate"))?;
        let baseline = self
            .status
            .baseline
            .as_ref()
            .ok_or_else(|| not_yet("a baseline"))?;
        let Declared {
            gerrit,
            on,
            environment,
            floor,
        } = self.declared;
        let windows = &environment.windows;
        let review = context.reviews.open(gerrit).await?;
        let watched = reading::watched(&*context.objects, &*context.cluster, gerrit);
        let fresh = reading::fresh(&*context.cluster, gerrit, now);
        let tips = branches.tips(gerrit, &*review, &watched, now, fresh, now).await?;
        let known = BTreeSet::from([baseline.clone()]);
        let history = branches.history(gerrit, &*review, on, &tips, &known).await?;
        let (own, deployed) = (
            CommitId(deploy.revision.clone()),
            CommitId(deploy.deployed().to_owned()),
        );
        let surroundings = Surroundings {
            gerrit: review.system().version().await?,
            floor: floor.clone(),
            upstream: upstream(self.siblings, rules, self.policy),
        };
        let labels: BTreeMap<String, String> = self.policy.labels().clone();
        let stopped = judge::stopped(self.policy, &labels, false);
        let subject = judge::Subject {
            policy: self.policy,
            rules,
            surroundings: &surroundings,
            connection: gerrit,
            on,
            own: &own,
            deployed: &deployed,
            change: ChangeNumber(u64::try_from(deploy.change).unwrap_or_default()),
            current: self.status.current.as_ref(),
            baseline,
            accepted: &BTreeMap::new(),
            moment: Moment {
                windows,
                freezes: self.freezes,
                stopped: &stopped,
                now,
            },
        };
        Ok(judge::judge(branches, &*review, &subject, &history, context).await?)
    }
}

/// Promotions of one environment as the queue sees them.
pub fn contenders(siblings: &[Arc<Promotion>], environment: &str) -> Contenders {
    siblings
        .iter()
        .filter(|promotion| promotion.spec.environment == environment)
        .filter_map(|promotion| Some((PromotionName(promotion.name_any()), kept::contender(promotion)?)))
        .collect()
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
