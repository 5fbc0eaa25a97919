//! One count of an environment: every run as its identity, and how everything stands that its steps move, each explained
//! by the record or named.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
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

/// Entries of a governed folder that are looked at.
const ENTRIES: usize = 200;

/// Of what a count is taken.
pub struct Asked<'a> {
    pub environment: &'a Environment,
    pub recipe: &'a Recipe,
    /// Of the policy.
    pub uid: String,
    /// How old a listing may be.
    pub fresh: Timestamp,
    pub now: Timestamp,
    pub context: &'a Context,
    /// Directories that the policy keeps.
    pub keep: usize,
}

/// One count.
struct Count<'a> {
    asked: Asked<'a>,
    unseen: Vec<Unseen>,
    more: bool,
    old: BTreeSet<String>,
}

/// What a count comes to.
pub struct Taken {
    pub ledger: Ledger,
    pub told: Completeness,
    /// There is more to be counted at once.
    pub more: bool,
    /// Directories that were seen and that nobody needs any more.
    pub old: BTreeSet<String>,
}

/// Takes the ledger forward. What cannot be read is said, and read the next time.
pub async fn take(asked: Asked<'_>, ledger: Ledger, witnessed: &Witnessed) -> Result<Taken, KeepError> {
    let count = Count {
        asked,
        unseen: Vec::new(),
        more: false,
        old: BTreeSet::new(),
    };
    count.take(ledger, witnessed).await
}

impl Count<'_> {
    async fn take(mut self, mut ledger: Ledger, witnessed: &Witnessed) -> Result<Taken, KeepError> {
        let key = &self.asked.recipe.databricks;
        let mut sight = Sight::default();
        match self.asked.context.deployments.open(key).await {
            Err(error) => self.unseen.push(Unseen::new(
                format!("everything since {}", ledger.counted),
                error.to_string(),
            )),
            Ok(deployment) => {
                let mut known = self.known().await?;
                let witness = deployment.witness();
                let listed = witnessed
                    .runs(key, witness, ledger.counted, self.asked.fresh, self.asked.context)
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
        let key = &self.asked.recipe.databricks;
        let connection = self
            .asked
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
                .asked
                .context
                .record
                .acted_in(&self.asked.uid, &self.asked.environment.name)
                .await?,
            ..Known::default()
        })
    }

    /// Runs as the environment's identity.
    async fn runs(&self, runs: &Runs, known: &mut Known) -> Result<Vec<Judged>, KeepError> {
        let ours: Vec<_> = runs
            .seen
            .iter()
            .filter(|run| run.run_as == self.asked.recipe.run_as)
            .collect();
        let tokens = ours.iter().filter_map(|run| run.token.clone()).collect();
        known.tried = self.asked.context.record.announced(&tokens).await?;
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
        for (uid, environment) in sharing(
            &self.asked.recipe.databricks,
            &self.asked.recipe.run_as,
            self.asked.context,
        ) {
            let left = self
                .asked
                .context
                .record
                .promotions_of(&uid, &environment)
                .await?;
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
        for thing in things(self.asked.recipe) {
            let found = self
                .read(deployment.witness(), &thing, ledger.counted, idle)
                .await;
            let (stand, happened): (Vec<_>, Vec<_>) = found
                .iter()
                .flatten()
                .cloned()
                .partition(|occurrence| occurrence.act.stands());
            sight.events.extend(happened.into_iter().map(|occurrence| Judged {
                explained: known.explains_version(&occurrence, &self.asked.recipe.run_as),
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
        if news || directories > self.asked.keep {
            let record = &self.asked.context.record;
            known.left = record
                .promotions_of(&self.asked.uid, &self.asked.environment.name)
                .await?;
        }
        let seen: Vec<&Occurrence> = all().map(|(_, found)| found).collect();
        self.old = directories::old(self.asked.environment, &known.left, &seen, self.asked.keep);
        let judged = |occurrence: Occurrence| Judged {
            explained: known.explains_standing(&occurrence, ledger.stood),
            occurrence,
        };
        sight.standing = Some(Standing {
            found: standing
                .into_iter()
                .map(|(sought, found)| (sought, found.map(|all| all.into_iter().map(judged).collect())))
                .collect(),
            at: self.asked.now,
        });
        Ok(())
    }

    /// Whether no promotion is at work. The record knows it before the status does, and a status that was read may be old.
    async fn is_idle(&self) -> Result<bool, KeepError> {
        let record = &self.asked.context.record;
        let recorded = record
            .environment_of(&self.asked.uid, &self.asked.environment.name)
            .await?;
        let recorded = recorded.and_then(|recorded| recorded.acting);
        let told = self.asked.environment.remembered.environment.acting.clone();
        let ended = |name| {
            let contender = self.asked.environment.contenders.get(name);
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
        let run_as = &self.asked.recipe.run_as;
        let why = match governed::usable_by(&self.asked.recipe.databricks, run_as, self.asked.context).await {
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
