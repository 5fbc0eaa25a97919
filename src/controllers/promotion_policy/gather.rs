//! Reads: where the governed branches stand, what merged into them, and what the gate's names mean in Gerrit. While
//! nothing merges that is two requests for all policies of a connection.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use kube::ResourceExt as _;
use lockstep_core::api::{PlanApproval, Promotion, PromotionPolicy};
use lockstep_core::domain::ports::{KeepError, SystemError, SystemErrorKind};
use lockstep_core::domain::promotion::arrivals::{Arrival, arrivals, distance, is_on_line};
use lockstep_core::domain::promotion::gate::evidence::CommitId;
use lockstep_core::domain::promotion::gate::people::Email;
use lockstep_core::domain::promotion::gate::range::{self, Baseline, BaselineKey};
use lockstep_core::domain::promotion::gate::rules::Rules;
use lockstep_core::domain::promotion::machine::attempt::PromotionName;
use lockstep_core::domain::promotion::machine::kept;
use lockstep_core::domain::promotion::machine::queue::{Contenders, Counted};
use lockstep_core::domain::promotion::policy::Policy;
use lockstep_core::domain::promotion::ports::reviews::{ChangeRef, Inquiry, Review};

use super::super::Context;
use super::super::branches::{Branches, History, Tips};
use super::super::promotion;
use super::claims::{self, Claims};
use super::completeness::{self, Counting};
use super::labels;
use super::reading::{self, Declared, Problem, Remembered};
use super::rules::{self, Meaning};

/// Under which name evidence is remembered that was read for its paths alone.
const PATHS: &str = "paths";

/// Everything that a pass knows.
pub struct Gathered {
    /// When the pass began.
    pub begun: Timestamp,
    pub policy: Result<Policy, Problem>,
    /// By name, in the policy's order.
    pub environments: Vec<Environment>,
    /// What the spec's gate means now, by environment; `None`: its names could not be looked up.
    pub rules: Option<Arc<BTreeMap<String, Rules>>>,
    /// Labels of the gate that the project does not have, and that are to be made.
    pub lacks: BTreeSet<String>,
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
    /// With the gate in force.
    pub declared: Result<Declared, Problem>,
    /// As the spec says.
    pub written: Result<Declared, Problem>,
    pub remembered: Remembered,
    pub tip: Option<CommitId>,
    pub baseline: Option<range::Baseline>,
    /// Under what the record knows the baseline.
    pub baseline_key: Option<BaselineKey>,
    /// From where places would be counted, were the baseline moved to where the spec says.
    pub moved: Option<Counted>,
    /// Everything it moves.
    pub claims: Option<Claims>,
    /// Changes that have no promotion yet, oldest first.
    pub arrived: Vec<Arrival>,
    pub contenders: Contenders,
    pub siblings: Vec<Arc<Promotion>>,
    /// Who wrote and who committed what lies between the baseline and the tip.
    pub hands: BTreeMap<CommitId, BTreeSet<Email>>,
    /// What ran and was written there.
    pub counted: Option<completeness::Counted>,
}

/// Reads; the names of the gate as well where it is not known what they mean.
pub async fn gather(
    branches: &Branches,
    counting: &Counting,
    object: &PromotionPolicy,
    rules: Option<Arc<BTreeMap<String, Rules>>>,
    context: &Context,
) -> Gathered {
    let mut gathered = Gathered {
        begun: context.clock.now(),
        policy: reading::whole(object),
        environments: Vec::new(),
        rules,
        lacks: BTreeSet::new(),
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
            let remembered = reading::remembered(object, &name);
            let written = reading::written(object, &name, &*context.cluster);
            let gate = remembered.gate.as_ref();
            Environment {
                declared: written
                    .clone()
                    .and_then(|written| reading::held_to(&written, gate, &*context.cluster)),
                baseline_key: written
                    .as_ref()
                    .ok()
                    .and_then(|written| reading::place(written, &*context.cluster)),
                written,
                remembered,
                tip: None,
                baseline: None,
                moved: None,
                claims: None,
                arrived: Vec::new(),
                contenders: promotion::contenders(&siblings, &name),
                siblings,
                hands: BTreeMap::new(),
                counted: None,
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
    if let Err(error) = remember(object, &mut gathered, context).await {
        gathered.unkept = Some(error);
        return gathered;
    }
    // Before Gerrit is asked: whoever goes back needs a turn without it.
    claims::read(object, &policy, &mut gathered.environments, context);
    match context.reviews.open(&policy.gerrit).await {
        Err(error) => gathered.errors.push(error),
        Ok(review) => {
            let looking = Looking {
                branches,
                object,
                policy: &policy,
                review: &*review,
                context,
            };
            if let Err(error) = look(&looking, &mut gathered).await {
                gathered.errors.push(error);
            }
        }
    }
    // What runs is asked of another system, which may be there when Gerrit is not.
    if let Err(error) = count(counting, object, &mut gathered, context).await {
        gathered.unkept = Some(error);
    }
    gathered
}

async fn count(
    counting: &Counting,
    object: &PromotionPolicy,
    gathered: &mut Gathered,
    context: &Context,
) -> Result<(), KeepError> {
    for environment in &mut gathered.environments {
        environment.counted = counting.look(object, environment, context).await?;
    }
    Ok(())
}

/// What the status does not say any more, or never did, is asked of the record: re-creating a policy launders nothing.
async fn remember(
    object: &PromotionPolicy,
    gathered: &mut Gathered,
    context: &Context,
) -> Result<(), KeepError> {
    let uid = object.uid().unwrap_or_default();
    let namespace = object.namespace().unwrap_or_default();
    for environment in &mut gathered.environments {
        let Ok(written) = &environment.written else {
            continue;
        };
        if let Some(key) = &environment.baseline_key
            && let Some(told) = context
                .record
                .gate_of(&uid, &environment.name, &namespace, key)
                .await?
        {
            let gate = Ok(told.gate);
            environment.declared = reading::held_to(written, Some(&gate), &*context.cluster);
            environment.remembered.gate = Some(gate);
            environment.remembered.gate_since = Some(told.since);
        }
        if reading::row(object, &environment.name).is_none()
            && let Some(known) = context.record.environment_of(&uid, &environment.name).await?
        {
            environment.remembered.environment = known;
        }
        // It is told before the status is, so what a crash came between stands there.
        let accepted = context.record.accepted_in(&uid, &environment.name).await?;
        environment.remembered.accepted.extend(accepted);
        if environment.remembered.baseline.is_none()
            && let Some(key) = &environment.baseline_key
        {
            environment.remembered.baseline = context.record.baseline_of(key).await?;
        }
    }
    Ok(())
}

/// One policy, and what its branches are read by.
struct Looking<'a> {
    branches: &'a Branches,
    object: &'a PromotionPolicy,
    policy: &'a Policy,
    review: &'a dyn Review,
    context: &'a Context,
}

async fn look(looking: &Looking<'_>, gathered: &mut Gathered) -> Result<(), SystemError> {
    let Looking {
        branches,
        object,
        policy,
        review,
        context,
    } = *looking;
    // However long it took to come here, the next pass finds this reading as old as a poll.
    let now = gathered.begun;
    if gathered.rules.is_none() {
        match rules::read(policy, &object.spec.gate, review, context).await? {
            Meaning::Rules(rules) => gathered.rules = Some(Arc::new(rules)),
            Meaning::NoLabels(names) if labels::are_made(object) => gathered.lacks = names,
            Meaning::NoLabels(names) => return Err(labels::missing(object, &names)),
        }
    }
    let watched = reading::watched(&*context.objects, &*context.cluster, &policy.gerrit);
    let fresh = reading::fresh(&*context.cluster, &policy.gerrit, now);
    let tips = branches
        .tips(&policy.gerrit, review, &watched, now, fresh, now)
        .await?;
    let rules = gathered.rules.clone().unwrap_or_default();
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
    let counted = environment.remembered.environment.counted.clone();
    let counted = counted.unwrap_or_else(|| Counted {
        from: at.clone(),
        position: 0,
    });
    let moved = match &baseline {
        Baseline::Moved { declared, .. } => Some(declared.clone()),
        _ => None,
    };
    environment.baseline = Some(baseline);
    if at == tip {
        // Whatever it moves to begins no later.
        environment.moved = moved.map(|_| counted);
        return Ok(());
    }
    let history = branches
        .history(&policy.gerrit, review, &declared.on, tips, &known)
        .await?;
    let hands = history.graph.iter();
    environment.hands = hands
        .map(|(commit, node)| (commit.clone(), node.hands.clone()))
        .collect();
    let newest = newest(environment);
    environment.moved = moved.map(|to| recount(&history.graph, &tip, &counted, &to, newest));
    let there: BTreeSet<String> = environment
        .siblings
        .iter()
        .map(|promotion| promotion.name_any())
        .collect();
    for mut arrival in arrivals(&history.graph, &tip, &counted.from, &history.merged) {
        arrival.position = arrival.position.saturating_add(counted.position);
        if arrival.position < newest || there.contains(&name(object, environment, &arrival)) {
            continue;
        }
        if policy.paths.is_none() || touches(looking, &declared, &history, rules, &arrival).await? {
            environment.arrived.push(arrival);
        }
    }
    Ok(())
}

/// From where places are counted once the baseline has moved. A later one keeps its place; before an earlier one
/// nothing is run that was not run then; on a branch that was rewritten all places so far are lower.
fn recount(
    graph: &BTreeMap<CommitId, range::Commit>,
    tip: &CommitId,
    counted: &Counted,
    to: &CommitId,
    newest: u64,
) -> Counted {
    if !is_on_line(graph, tip, &counted.from) {
        return Counted {
            from: to.clone(),
            position: newest,
        };
    }
    match distance(graph, tip, &counted.from, to) {
        Some(distance) => Counted {
            from: to.clone(),
            position: counted.position.saturating_add(distance),
        },
        None => counted.clone(),
    }
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
                by_git: false,
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
