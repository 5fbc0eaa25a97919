//! Reads: where the governed branches stand, what merged into them, and what the gate's names mean in Gerrit. While
//! nothing merges that is two requests for all policies of a connection.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use kube::ResourceExt as _;
use lockstep_core::api::{PlanApproval, Promotion, PromotionPolicy};
use lockstep_core::domain::ports::{KeepError, SystemError, SystemErrorKind};
use lockstep_core::domain::promotion::arrivals::{Arrival, arrivals};
use lockstep_core::domain::promotion::gate::evidence::CommitId;
use lockstep_core::domain::promotion::gate::range::{self, BaselineKey};
use lockstep_core::domain::promotion::gate::rules::Rules;
use lockstep_core::domain::promotion::machine::attempt::PromotionName;
use lockstep_core::domain::promotion::machine::kept;
use lockstep_core::domain::promotion::machine::queue::Contenders;
use lockstep_core::domain::promotion::policy::Policy;
use lockstep_core::domain::promotion::ports::reviews::{ChangeRef, Inquiry, Review};

use super::super::Context;
use super::super::branches::{Branches, History, Tips};
use super::super::promotion;
use super::reading::{self, Declared, Problem, Remembered};
use super::rules;

/// Under which name evidence is remembered that was read for its paths alone.
const PATHS: &str = "paths";

/// Everything that a pass knows.
pub struct Gathered {
    pub policy: Result<Policy, Problem>,
    /// By name, in the policy's order.
    pub environments: Vec<Environment>,
    /// The gate's rules by environment, where they were looked up in this pass.
    pub rules: Option<BTreeMap<String, Rules>>,
    /// What people said of this policy's plans.
    pub approvals: Vec<Arc<PlanApproval>>,
    pub protected_since: Option<Timestamp>,
    /// The record could not be asked, so nothing is decided.
    pub unkept: Option<KeepError>,
    /// What could not be read, of whichever environment.
    pub errors: Vec<SystemError>,
}

/// One environment as it stands.
pub struct Environment {
    pub name: String,
    pub declared: Result<Declared, Problem>,
    pub remembered: Remembered,
    pub tip: Option<CommitId>,
    pub baseline: Option<range::Baseline>,
    /// Under what the record knows the baseline.
    pub baseline_key: Option<BaselineKey>,
    /// Changes that have no promotion yet, oldest first.
    pub arrived: Vec<Arrival>,
    pub contenders: Contenders,
    pub siblings: Vec<Arc<Promotion>>,
}

/// Reads; the names of the gate as well where they are due.
pub async fn gather(
    branches: &Branches,
    object: &PromotionPolicy,
    looks_up: bool,
    context: &Context,
) -> Gathered {
    let mut gathered = Gathered {
        policy: reading::whole(object),
        environments: Vec::new(),
        rules: None,
        approvals: context.cluster.approvals(&super::key(object)),
        protected_since: context.cluster.approvals_protected_since(),
        unkept: None,
        errors: Vec::new(),
    };
    let Ok(policy) = gathered.policy.clone() else {
        return gathered;
    };
    let namespace = object.namespace().unwrap_or_default();
    let all = context.objects.promotions_of(&namespace, &object.name_any());
    gathered.environments = policy
        .environments
        .iter()
        .map(|environment| {
            let name = environment.name().to_owned();
            let of_here = |promotion: &&Arc<Promotion>| promotion.spec.environment == name;
            let siblings: Vec<Arc<Promotion>> = all.iter().filter(of_here).cloned().collect();
            Environment {
                declared: reading::declared(object, &name, &*context.cluster),
                remembered: reading::remembered(object, &name),
                tip: None,
                baseline: None,
                baseline_key: None,
                arrived: Vec::new(),
                contenders: promotion::contenders(&siblings, &name),
                siblings,
                name,
            }
        })
        .collect();
    if gathered
        .environments
        .iter()
        .all(|environment| environment.declared.is_err())
    {
        return gathered;
    }
    let review = match context.reviews.open(&policy.gerrit).await {
        Ok(review) => review,
        Err(error) => {
            gathered.errors.push(error);
            return gathered;
        }
    };
    if let Err(error) = remember(object, &mut gathered, context).await {
        gathered.unkept = Some(error);
        return gathered;
    }
    let looking = Looking {
        branches,
        object,
        policy: &policy,
        review: &*review,
        context,
    };
    if let Err(error) = look(&looking, looks_up, &mut gathered).await {
        gathered.errors.push(error);
    }
    gathered
}

/// What the status does not say any more, or never did, is asked of the record: re-creating a policy launders nothing.
async fn remember(
    object: &PromotionPolicy,
    gathered: &mut Gathered,
    context: &Context,
) -> Result<(), KeepError> {
    let uid = object.uid().unwrap_or_default();
    for environment in &mut gathered.environments {
        let Ok(declared) = &environment.declared else {
            continue;
        };
        environment.baseline_key = baseline_key(declared, context);
        if reading::row(object, &environment.name).is_none()
            && let Some(known) = context.record.environment_of(&uid, &environment.name).await?
        {
            environment.remembered.environment = known;
        }
        if environment.remembered.baseline.is_none()
            && let Some(key) = &environment.baseline_key
        {
            environment.remembered.baseline = context.record.baseline_of(key).await?;
        }
    }
    Ok(())
}

fn baseline_key(declared: &Declared, context: &Context) -> Option<BaselineKey> {
    let (gerrit, databricks) = (&declared.gerrit, &declared.environment.recipe.databricks);
    let server = context
        .cluster
        .gerrit_connection(&gerrit.namespace, &gerrit.name)?;
    let workspace = context
        .cluster
        .databricks_connection(&databricks.namespace, &databricks.name)?;
    Some(BaselineKey {
        server: server.status.as_ref()?.server.clone()?,
        project: declared.on.project.clone(),
        branch: declared.on.branch.clone(),
        workspace: workspace.status.as_ref()?.workspace_id.clone()?,
    })
}

/// One policy, and what its branches are read by.
struct Looking<'a> {
    branches: &'a Branches,
    object: &'a PromotionPolicy,
    policy: &'a Policy,
    review: &'a dyn Review,
    context: &'a Context,
}

async fn look(looking: &Looking<'_>, looks_up: bool, gathered: &mut Gathered) -> Result<(), SystemError> {
    let Looking {
        branches,
        object,
        policy,
        review,
        context,
    } = *looking;
    let now = context.clock.now();
    if looks_up {
        gathered.rules = Some(rules::read(object, policy, review, context).await?);
    }
    let watched = reading::watched(&*context.objects, &*context.cluster, &policy.gerrit);
    let fresh = reading::fresh(&*context.cluster, &policy.gerrit, now);
    let tips = branches
        .tips(&policy.gerrit, review, &watched, now, fresh, now)
        .await?;
    let rules = gathered.rules.clone().unwrap_or_else(|| reading::rules(object));
    let mut errors = Vec::new();
    for environment in &mut gathered.environments {
        if environment.declared.is_err() {
            continue;
        }
        let rules = rules.get(&environment.name);
        let looked = look_at(looking, &tips, rules, environment).await;
        errors.extend(looked.err());
    }
    gathered.errors.extend(errors);
    Ok(())
}

async fn look_at(
    looking: &Looking<'_>,
    tips: &Tips,
    rules: Option<&Rules>,
    environment: &mut Environment,
) -> Result<(), SystemError> {
    let Looking {
        branches,
        object,
        policy,
        review,
        ..
    } = *looking;
    let Ok(declared) = environment.declared.clone() else {
        return Ok(());
    };
    let Some(tip) = tips.tips.get(&declared.on).cloned() else {
        let on = &declared.on;
        return Err(SystemError::new(
            policy.gerrit.to_string(),
            SystemErrorKind::NotFound,
            format!(
                "project {} has no branch {} that we can see",
                on.project, on.branch
            ),
        ));
    };
    if environment.baseline_key.is_none() {
        // Without the systems' own names nobody could find the baseline again.
        return Ok(());
    }
    let stated = declared.environment.baseline.as_ref();
    let baseline = range::baseline(environment.remembered.baseline.as_ref(), stated, &tip);
    environment.tip = Some(tip.clone());
    let known = BTreeSet::from([baseline.commit().clone()]);
    let at = baseline.commit().clone();
    environment.baseline = Some(baseline);
    if at == tip {
        return Ok(());
    }
    let history = branches
        .history(&policy.gerrit, review, &declared.on, tips, &known)
        .await?;
    for arrival in arrivals(&history.graph, &tip, &at, &history.merged) {
        let newest = newest(environment);
        let name = name(object, environment, &arrival);
        let there = environment
            .siblings
            .iter()
            .any(|promotion| promotion.name_any() == name);
        if arrival.position < newest || there {
            continue;
        }
        if policy.paths.is_none() || touches(looking, &declared, &history, rules, &arrival).await? {
            environment.arrived.push(arrival);
        }
    }
    Ok(())
}

/// The position of the newest change that was ever taken up.
fn newest(environment: &Environment) -> u64 {
    let places = environment
        .siblings
        .iter()
        .filter_map(|promotion| kept::place(&promotion.spec));
    let reached = environment.remembered.environment.reached.as_ref();
    places
        .map(|place| place.position)
        .chain(reached.map(|reached| reached.place.position))
        .max()
        .unwrap_or_default()
}

/// The name of an arrival's promotion.
pub fn name(object: &PromotionPolicy, environment: &Environment, arrival: &Arrival) -> String {
    let name = PromotionName::of_deploy(
        &object.name_any(),
        &environment.name,
        arrival.change,
        &arrival.own,
        1,
    );
    name.0
}

/// Whether a change touches what starts a promotion. What a merged revision touches never changes, so any reading of
/// it will do.
async fn touches(
    looking: &Looking<'_>,
    declared: &Declared,
    history: &History,
    rules: Option<&Rules>,
    arrival: &Arrival,
) -> Result<bool, SystemError> {
    let Looking {
        branches,
        policy,
        review,
        context,
        ..
    } = *looking;
    let epoch = Timestamp::UNIX_EPOCH;
    let digest = rules.map(Rules::digest).unwrap_or_default();
    let known = branches
        .remembered(&policy.gerrit, arrival.change, &digest, epoch)
        .or_else(|| branches.remembered(&policy.gerrit, arrival.change, PATHS, epoch));
    let evidence = match known.filter(|known| known.revision == arrival.own) {
        Some(known) => known,
        None => {
            let change = ChangeRef {
                project: declared.on.project.clone(),
                number: arrival.change,
            };
            let now = context.clock.now();
            let inquiry = Inquiry {
                groups: BTreeSet::new(),
                service_users: None,
                since: now,
                fresh: epoch,
            };
            let mut found = review.system().evidence(&change, &inquiry).await?;
            found.tree = history
                .graph
                .get(&found.revision)
                .map(|commit| commit.tree.clone());
            let found = Arc::new(found);
            branches.remember(&policy.gerrit, arrival.change, PATHS, now, found.clone());
            found
        }
    };
    // What cannot be read is taken up, and judged by what is known.
    Ok(evidence
        .paths
        .as_ref()
        .is_none_or(|paths| policy.is_started_by(paths)))
}
