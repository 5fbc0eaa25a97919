//! Counts what ran and was written in an environment, and what of it is explained: at the policy's interval, after each
//! promotion that was at work, and when somebody asks. What is counted goes into the record before it is relied on, so
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
use lockstep_core::domain::promotion::policy::{Aim, Recipe};
use lockstep_core::domain::promotion::ports::deployments::{Deployment, Witness, words};
use lockstep_core::domain::promotion::proof::completeness::{Act, Occurrence, Runs, Unseen};
use lockstep_core::domain::promotion::proof::explanation::Known;
use lockstep_core::domain::promotion::proof::ledger::{Completeness, Judged, Ledger, Sight, Standing};
use lockstep_core::domain::promotion::proof::provenance::Usability;

use super::super::{Context, governed};
use super::directories;
use super::gather::Environment;
use super::witnessed::{Witnessed, sharing};

/// After this time a ledger is recorded although it says nothing new, so that after a crash little is read again.
const RECORDED: SignedDuration = SignedDuration::from_hours(6);
/// How often it is said that a count found nothing new.
const SAID: SignedDuration = SignedDuration::from_hours(1);
/// Entries of a governed folder that are looked at.
const ENTRIES: usize = 200;

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
            now.checked_sub(interval(object) / 10 * 9).unwrap_or(now)
        };
        let count = Count {
            environment,
            recipe: declared,
            uid: object.uid().unwrap_or_default(),
            fresh,
            now,
            context,
            keep: defaults::history(object.spec.history.as_ref()).directories,
            unseen: Vec::new(),
            more: false,
            old: BTreeSet::new(),
        };
        let Taken {
            ledger,
            told,
            more,
            old,
        } = count.take(ledger, &self.witnessed).await?;
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

fn interval(object: &PromotionPolicy) -> SignedDuration {
    let seconds = defaults::interval(object.spec.interval.as_ref());
    SignedDuration::from_secs(i64::try_from(seconds).unwrap_or(i64::MAX))
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
    held.more || age >= interval(object) || is_asked(object) || has_just_ended(environment)
}

/// One count.
struct Count<'a> {
    environment: &'a Environment,
    recipe: &'a Recipe,
    /// Of the policy.
    uid: String,
    /// How old a listing may be.
    fresh: Timestamp,
    now: Timestamp,
    context: &'a Context,
    /// Directories that the policy keeps.
    keep: usize,
    unseen: Vec<Unseen>,
    more: bool,
    old: BTreeSet<String>,
}

/// What a count comes to.
struct Taken {
    ledger: Ledger,
    told: Completeness,
    more: bool,
    old: BTreeSet<String>,
}

impl Count<'_> {
    /// Takes the ledger forward. What cannot be read is said, and read the next time.
    async fn take(mut self, mut ledger: Ledger, witnessed: &Witnessed) -> Result<Taken, KeepError> {
        let key = &self.recipe.databricks;
        let mut sight = Sight::default();
        match self.context.deployments.open(key).await {
            Err(error) => self.unseen.push(Unseen::new(
                format!("everything since {}", ledger.counted),
                error.to_string(),
            )),
            Ok(deployment) => {
                let mut known = self.known().await?;
                let witness = deployment.witness();
                let listed = witnessed
                    .runs(key, witness, ledger.counted, self.fresh, self.context)
                    .await;
                match listed {
                    Err(error) => self.unseen.push(Unseen::new(
                        format!("runs since {}", ledger.counted),
                        error.to_string(),
                    )),
                    Ok(listed) => {
                        sight.events = self.runs(&listed.runs, &mut known).await?;
                        sight.hidden.clone_from(&listed.runs.hidden);
                        sight.settled = listed.settled;
                        self.unseen.extend(listed.runs.unseen.iter().cloned());
                        self.more = !listed.current;
                    }
                }
                self.writes(&*deployment, &ledger, &mut known, &mut sight).await?;
                let shared = self.shared().await;
                self.unseen.extend(shared);
            }
        }
        let mut told = ledger.take_in(&sight);
        told.unseen.extend(self.unseen);
        Ok(Taken {
            ledger,
            told,
            more: self.more,
            old: self.old,
        })
    }

    async fn known(&self) -> Result<Known, KeepError> {
        let key = &self.recipe.databricks;
        let connection = self
            .context
            .cluster
            .databricks_connection(&key.namespace, &key.name);
        let identity = connection.and_then(|connection| connection.status.as_ref()?.identity.clone());
        let ourselves = identity
            .into_iter()
            .flat_map(|identity| [identity.id, identity.name]);
        Ok(Known {
            ourselves: ourselves.collect(),
            acted: self
                .context
                .record
                .acted_in(&self.uid, &self.environment.name)
                .await?,
            ..Known::default()
        })
    }

    /// Runs as the environment's identity.
    async fn runs(&self, runs: &Runs, known: &mut Known) -> Result<Vec<Judged>, KeepError> {
        let ours: Vec<_> = runs
            .seen
            .iter()
            .filter(|run| run.run_as == self.recipe.run_as)
            .collect();
        let tokens = ours.iter().filter_map(|run| run.token.clone()).collect();
        known.tried = self.context.record.announced(&tokens).await?;
        if ours.iter().any(|run| run.triggered) {
            known.jobs = self.jobs().await?;
        }
        let judged = ours.into_iter().map(|run| Judged {
            explained: known.explains_run(run),
            occurrence: run.occurrence.clone(),
        });
        Ok(judged.collect())
    }

    /// Jobs that promotions have set, of every policy that runs them as this identity.
    async fn jobs(&self) -> Result<BTreeSet<String>, KeepError> {
        let mut jobs = BTreeSet::new();
        for (uid, environment) in sharing(&self.recipe.databricks, &self.recipe.run_as, self.context) {
            let left = self.context.record.promotions_of(&uid, &environment).await?;
            let steps = left.iter().flat_map(|left| &left.steps);
            jobs.extend(steps.filter_map(|step| step.outputs.get(words::JOB).cloned()));
        }
        Ok(jobs)
    }

    /// Versions of governed models, and how everything stands that the steps move, unless a promotion is moving it.
    async fn writes(
        &mut self,
        deployment: &dyn Deployment,
        ledger: &Ledger,
        known: &mut Known,
        sight: &mut Sight,
    ) -> Result<(), KeepError> {
        let idle = self.is_idle().await?;
        let mut standing: BTreeMap<String, Option<Vec<Occurrence>>> = BTreeMap::new();
        for thing in things(self.recipe) {
            let found = self
                .read(deployment.witness(), &thing, ledger.counted, idle)
                .await;
            let (stand, happened): (Vec<_>, Vec<_>) = found
                .iter()
                .flatten()
                .cloned()
                .partition(|occurrence| occurrence.act.stands());
            sight.events.extend(happened.into_iter().map(|occurrence| Judged {
                explained: known.explains_version(&occurrence, &self.recipe.run_as),
                occurrence,
            }));
            standing.insert(thing.to_string(), found.map(|_| stand));
        }
        if !idle {
            return Ok(());
        }
        let all = || {
            let found = standing.iter();
            found.flat_map(|(sought, found)| found.iter().flatten().map(move |one| (sought, one)))
        };
        let news = all().any(|(sought, occurrence)| ledger.is_new(sought, occurrence));
        let directories = all().filter(|(_, found)| found.act == Act::Files).count();
        if news || directories > self.keep {
            let record = &self.context.record;
            known.left = record.promotions_of(&self.uid, &self.environment.name).await?;
        }
        let seen: Vec<&Occurrence> = all().map(|(_, found)| found).collect();
        self.old = directories::old(self.environment, &known.left, &seen, self.keep);
        let judged = |occurrence: Occurrence| Judged {
            explained: known.explains_standing(&occurrence, ledger.stood),
            occurrence,
        };
        sight.standing = Some(Standing {
            found: standing
                .into_iter()
                .map(|(sought, found)| (sought, found.map(|all| all.into_iter().map(judged).collect())))
                .collect(),
            at: self.now,
        });
        Ok(())
    }

    /// Whether no promotion is at work. The record knows it before the status does, and a status that was read may be old.
    async fn is_idle(&self) -> Result<bool, KeepError> {
        let record = &self.context.record;
        let recorded = record.environment_of(&self.uid, &self.environment.name).await?;
        let recorded = recorded.and_then(|recorded| recorded.acting);
        let told = self.environment.remembered.environment.acting.clone();
        let ended = |name| {
            let contender = self.environment.contenders.get(name);
            contender.is_some_and(|contender| matches!(contender.phase, Phase::Ended(_)))
        };
        Ok([recorded, told].iter().flatten().all(ended))
    }

    /// What there is of a thing; `None`: it was not looked at, or could not be read.
    async fn read(
        &mut self,
        witness: &dyn Witness,
        thing: &Thing,
        from: Timestamp,
        idle: bool,
    ) -> Option<Vec<Occurrence>> {
        let read = match thing {
            Thing::Model { name, aliases } => witness.model(name, aliases, from, Timestamp::MAX).await,
            Thing::Endpoint(name) if idle => witness.endpoint(name).await,
            Thing::Folder { folder, pattern } if idle => witness.files(folder, pattern).await,
            Thing::Endpoint(_) | Thing::Folder { .. } => return None,
        };
        match read {
            Err(error) => {
                self.unseen
                    .push(Unseen::new(thing.to_string(), error.to_string()));
                None
            }
            Ok(mut found) => {
                self.unseen.extend(found.unseen);
                let entries = found
                    .occurrences
                    .iter()
                    .filter(|one| one.act == Act::Files)
                    .count();
                if entries > ENTRIES {
                    let why = format!("there are {entries}, and {ENTRIES} are looked at");
                    self.unseen.push(Unseen::new(thing.to_string(), why));
                    found.occurrences.truncate(ENTRIES);
                }
                Some(found.occurrences)
            }
        }
    }

    /// What others do as the identity looks like its own doing.
    async fn shared(&self) -> Option<Unseen> {
        let run_as = &self.recipe.run_as;
        let why = match governed::usable_by(&self.recipe.databricks, run_as, self.context).await {
            Usability::DeclaredOnly => return None,
            Usability::Others(others) => {
                let others: Vec<String> = others.into_iter().take(10).collect();
                format!(
                    "no AccessBinding declares that these can use it: {}",
                    others.join(", ")
                )
            }
            Usability::Unknown => "who can use it could not be read".to_owned(),
        };
        Some(Unseen::new(format!("who acted as {run_as}"), why))
    }
}

/// Something that the steps of an environment move.
enum Thing {
    Model {
        name: String,
        aliases: BTreeSet<String>,
    },
    Endpoint(String),
    /// The folder in which directories of this pattern lie.
    Folder {
        folder: String,
        pattern: String,
    },
}

impl std::fmt::Display for Thing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Model { name, .. } => write!(f, "writers of model {name}"),
            Self::Endpoint(name) => write!(f, "writers of endpoint {name}"),
            Self::Folder { folder, pattern } => write!(f, "directories {folder}/{pattern}"),
        }
    }
}

fn things(recipe: &Recipe) -> Vec<Thing> {
    let mut models: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut things = Vec::new();
    for aim in recipe.aims() {
        match aim {
            Aim::Alias { model, alias } => {
                models.entry(model).or_default().insert(alias);
            }
            Aim::Endpoint(name) => things.push(Thing::Endpoint(name)),
            Aim::Directory(path) => things.extend(folder(&path)),
            // Whatever a job does shows as a run.
            Aim::Job(_) => {}
        }
    }
    let models = models
        .into_iter()
        .map(|(name, aliases)| Thing::Model { name, aliases });
    things.extend(models);
    things
}

/// Where the directories lie that a path means for each revision.
fn folder(path: &str) -> Option<Thing> {
    let parts: Vec<&str> = path.split('/').collect();
    let at = parts.iter().position(|part| part.contains('*'))?;
    Some(Thing::Folder {
        folder: parts.get(..at)?.join("/"),
        pattern: (*parts.get(at)?).to_owned(),
    })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_of_all_revisions_lie_in_one_folder() {
        let of = |path: &str| match folder(path) {
            Some(Thing::Folder { folder, pattern }) => Some((folder, pattern)),
            _ => None,
        };
        let found = |folder: &str, pattern: &str| Some((folder.to_owned(), pattern.to_owned()));
        assert_eq!(of("/Workspace/fraud/prod/*"), found("/Workspace/fraud/prod", "*"));
        assert_eq!(
            of("/Workspace/fraud/prod-*/code"),
            found("/Workspace/fraud", "prod-*")
        );
        assert_eq!(of("/Workspace/fraud/prod"), None);
    }
}
