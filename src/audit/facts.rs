//! What the record says of promotions and credentials: baselines, environments, ledgers and generations as they were last
//! said to be, who acted when (`trail`), and where the entries of ended promotions stand. Those are large, and are read back
//! when somebody asks.

use std::collections::BTreeSet;
use std::collections::btree_map::{BTreeMap, Entry};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lockstep_core::api::service_credential_status::GenerationRow;
use lockstep_core::domain::ports::{KeepError, NEWEST, ObjectKey};
use lockstep_core::domain::promotion::gate::evidence::CommitId;
use lockstep_core::domain::promotion::gate::range::{Acceptance, BaselineKey};
use lockstep_core::domain::promotion::machine::attempt::{IdempotencyToken, PromotionName};
use lockstep_core::domain::promotion::machine::queue::Environment;
use lockstep_core::domain::promotion::machine::rollback::Recorded;
use lockstep_core::domain::promotion::proof::explanation::Acted;
use lockstep_core::domain::promotion::proof::fact::GateFact;
use lockstep_core::domain::promotion::proof::ledger::Ledger;
use lockstep_core::domain::rotation::fact::CredentialFact;
use serde_json::Value;
use tokio::sync::OnceCell;

use super::fold::read;
use super::line::{LineHash, Place};
use super::segments::{line_at, segment};
use super::told::{Announced, Policy, Promoted, Telling, TellingEntry, Told, Whole, Whose};
use super::trail::Trail;

/// Policy uid and environment.
pub(super) type Where = (String, String);

/// What is kept in memory; each with the number of the entry that said it, because entries come in any order.
#[derive(Debug, Default)]
struct Folded {
    baselines: BTreeMap<BaselineKey, (u64, CommitId)>,
    environments: BTreeMap<Where, (u64, Environment)>,
    promotions: BTreeMap<Where, BTreeMap<u64, Place>>,
    accepted: BTreeMap<Where, BTreeMap<CommitId, (u64, Acceptance)>>,
    gates: BTreeMap<Where, (u64, Value)>,
    /// By namespace of the policy.
    gates_of_places: BTreeMap<(String, BaselineKey), (u64, Value)>,
    trail: Trail,
    /// By namespace, policy and environment: a policy that was made anew goes on where the last one ended.
    ledgers: BTreeMap<(String, String, String), (u64, Ledger)>,
    /// By uid of their credential.
    generations: BTreeMap<String, (u64, Vec<GenerationRow>)>,
}

impl Folded {
    fn take_in(&mut self, place: Place, whose: Whose, told: Told) {
        match told {
            Told::Promotion(told) => self.promoted(place, whose, *told),
            Told::Credential(CredentialFact { generations }) => {
                keep_newest(&mut self.generations, whose.uid, place.tip.seq, generations);
            }
        }
    }

    fn promoted(&mut self, place: Place, whose: Whose, told: Promoted) {
        let Promoted {
            policy: Policy { name: policy, uid },
            environment,
            recorded,
            environment_state,
            baseline,
            accepted,
            gate,
            step,
            ended,
            ledger,
        } = told;
        if let Some(ledger) = ledger {
            let of = (whose.namespace, policy, environment.clone());
            keep_newest(&mut self.ledgers, of, place.tip.seq, ledger);
        }
        let at = (uid, environment);
        let promotion = PromotionName(whose.name);
        if let Some(Announced { token }) = step {
            self.trail
                .announced(place.tip.seq, &at, &promotion, token, whose.time);
        }
        // Who leaves nothing on record never acted.
        if ended && recorded {
            self.trail.ended(&at, &promotion, whose.time);
        }
        let seq = place.tip.seq;
        if recorded {
            let all = self.promotions.entry(at.clone()).or_default();
            all.insert(place.tip.seq, place);
            if all.len() > NEWEST {
                all.pop_first();
            }
        }
        if let Some(gate) = gate {
            let namespace = gate.get("namespace").and_then(Value::as_str);
            let there: Option<Value> = gate.pointer("/gate/place").cloned();
            let there = there.and_then(|there| serde_json::from_value(there).ok());
            if let Some(there) = namespace.map(str::to_owned).zip(there) {
                keep_newest(&mut self.gates_of_places, there, seq, gate.clone());
            }
            keep_newest(&mut self.gates, at.clone(), seq, gate);
        }
        if !accepted.is_empty() {
            let all = self.accepted.entry(at.clone()).or_default();
            for (commit, acceptance) in accepted {
                keep_newest(all, commit, place.tip.seq, acceptance);
            }
        }
        if let Some(state) = environment_state {
            keep_newest(&mut self.environments, at, place.tip.seq, state);
        }
        if let Some((key, commit)) = baseline {
            keep_newest(&mut self.baselines, key, place.tip.seq, commit);
        }
    }
}

fn keep_newest<K: Ord, V>(all: &mut BTreeMap<K, (u64, V)>, key: K, seq: u64, value: V) {
    match all.entry(key) {
        Entry::Vacant(vacant) => {
            vacant.insert((seq, value));
        }
        Entry::Occupied(mut held) if held.get().0 < seq => {
            held.insert((seq, value));
        }
        Entry::Occupied(_) => {}
    }
}

/// The facts of one record.
#[derive(Debug)]
pub(super) struct Facts {
    /// Entries up to this number stood there when the record was opened. The first to ask has them read; what comes
    /// after them the writer tells, so that whoever is cancelled while it waits takes nothing from the others.
    opened: u64,
    scanned: OnceCell<()>,
    folded: Mutex<Folded>,
}

impl Facts {
    pub(super) fn up_to(opened: u64) -> Self {
        Self {
            opened,
            scanned: OnceCell::new(),
            folded: Mutex::default(),
        }
    }

    fn folded(&self) -> MutexGuard<'_, Folded> {
        self.folded.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An entry was written.
    pub(super) fn hear(&self, place: Place, (whose, told): (Whose, Told)) {
        self.folded().take_in(place, whose, told);
    }

    fn scan(&self, directory: &Path) -> Result<(), KeepError> {
        read(directory, |place, _, Telling { entry }| {
            let TellingEntry {
                time,
                object,
                promotion,
                credential,
            } = entry;
            let told = promotion.map(|told| Told::Promotion(Box::new(told)));
            let told = told.or_else(|| credential.map(Told::Credential));
            if let Some(told) = told.filter(|_| place.tip.seq <= self.opened) {
                let ObjectKey {
                    namespace, name, uid, ..
                } = object;
                let whose = Whose {
                    namespace,
                    name,
                    uid,
                    time,
                };
                self.hear(place, (whose, told));
            }
            Ok(())
        })
    }

    async fn all(self: &Arc<Self>, directory: &Path) -> Result<MutexGuard<'_, Folded>, KeepError> {
        self.scanned
            .get_or_try_init(|| async {
                let (facts, directory) = (Arc::clone(self), directory.to_owned());
                in_background(move || facts.scan(&directory)).await
            })
            .await?;
        Ok(self.folded())
    }

    pub(super) async fn baseline_of(
        self: &Arc<Self>,
        key: &BaselineKey,
        directory: &Path,
    ) -> Result<Option<CommitId>, KeepError> {
        let all = self.all(directory).await?;
        Ok(all.baselines.get(key).map(|(_, commit)| commit.clone()))
    }

    pub(super) async fn environment_of(
        self: &Arc<Self>,
        policy_uid: &str,
        environment: &str,
        directory: &Path,
    ) -> Result<Option<Environment>, KeepError> {
        let at = (policy_uid.to_owned(), environment.to_owned());
        let all = self.all(directory).await?;
        Ok(all.environments.get(&at).map(|(_, state)| state.clone()))
    }

    pub(super) async fn gate_of(
        self: &Arc<Self>,
        policy_uid: &str,
        environment: &str,
        namespace: &str,
        place: &BaselineKey,
        directory: &Path,
    ) -> Result<Option<GateFact>, KeepError> {
        let at = (policy_uid.to_owned(), environment.to_owned());
        let there = (namespace.to_owned(), place.clone());
        let all = self.all(directory).await?;
        let found = all.gates.get(&at).or_else(|| all.gates_of_places.get(&there));
        let read = |(seq, gate): &(u64, Value)| {
            serde_json::from_value(gate.clone()).map_err(|error| KeepError {
                what: "record",
                message: format!("entry {seq} has a gate that this version does not understand: {error}"),
            })
        };
        found.map(read).transpose()
    }

    pub(super) async fn accepted_in(
        self: &Arc<Self>,
        policy_uid: &str,
        environment: &str,
        directory: &Path,
    ) -> Result<BTreeMap<CommitId, Acceptance>, KeepError> {
        let at = (policy_uid.to_owned(), environment.to_owned());
        let all = self.all(directory).await?;
        let found = all.accepted.get(&at).into_iter().flatten();
        Ok(found
            .map(|(commit, (_, acceptance))| (commit.clone(), acceptance.clone()))
            .collect())
    }

    pub(super) async fn announced(
        self: &Arc<Self>,
        tokens: &BTreeSet<IdempotencyToken>,
        directory: &Path,
    ) -> Result<BTreeMap<IdempotencyToken, PromotionName>, KeepError> {
        Ok(self.all(directory).await?.trail.of(tokens))
    }

    pub(super) async fn acted_in(
        self: &Arc<Self>,
        policy_uid: &str,
        environment: &str,
        directory: &Path,
    ) -> Result<Vec<Acted>, KeepError> {
        let at = (policy_uid.to_owned(), environment.to_owned());
        Ok(self.all(directory).await?.trail.acted_in(&at))
    }

    pub(super) async fn ledger_of(
        self: &Arc<Self>,
        namespace: &str,
        policy: &str,
        environment: &str,
        directory: &Path,
    ) -> Result<Option<Ledger>, KeepError> {
        let at = (namespace.to_owned(), policy.to_owned(), environment.to_owned());
        let all = self.all(directory).await?;
        Ok(all.ledgers.get(&at).map(|(_, ledger)| ledger.clone()))
    }

    pub(super) async fn generations_of(
        self: &Arc<Self>,
        uid: &str,
        directory: &Path,
    ) -> Result<Option<Vec<GenerationRow>>, KeepError> {
        let all = self.all(directory).await?;
        Ok(all.generations.get(uid).map(|(_, rows)| rows.clone()))
    }

    pub(super) async fn promotions_of(
        self: &Arc<Self>,
        policy_uid: &str,
        environment: &str,
        directory: &Path,
    ) -> Result<Vec<Recorded>, KeepError> {
        let at = (policy_uid.to_owned(), environment.to_owned());
        let places: Vec<Place> = {
            let all = self.all(directory).await?;
            let found = all.promotions.get(&at);
            found
                .into_iter()
                .flat_map(BTreeMap::values)
                .rev()
                .copied()
                .collect()
        };
        let directory = directory.to_owned();
        in_background(move || places.iter().map(|place| read_back(&directory, place)).collect()).await
    }
}

async fn in_background<T: Send + 'static>(
    reading: impl FnOnce() -> Result<T, KeepError> + Send + 'static,
) -> Result<T, KeepError> {
    let read = tokio::task::spawn_blocking(reading).await;
    read.map_err(|error| KeepError {
        what: "record",
        message: format!("it was not read to its end: {error}"),
    })?
}

/// Reads one promotion, if its line is still the one that was written: what is gone back to must be what worked.
fn read_back(directory: &Path, place: &Place) -> Result<Recorded, KeepError> {
    let path = segment(directory, place.segment);
    let fail = |why: String| KeepError {
        what: "record",
        message: format!("{} entry {}: {why}", path.display(), place.tip.seq),
    };
    let line = line_at(&path, place.offset)?;
    if LineHash::of(&line) != place.tip.hash {
        return Err(fail("it is not what was written there".into()));
    }
    let Whole { entry } = serde_json::from_slice(&line).map_err(|error| fail(error.to_string()))?;
    Ok(entry.promotion.recorded)
}
