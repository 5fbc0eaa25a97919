//! The port [`Record`] over files of JSON lines.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use lockstep_core::api::access_binding::InventoryRow;
use lockstep_core::api::service_credential_status::GenerationRow;
use lockstep_core::domain::ports::{Entry, EntryId, KeepError, Record};
use lockstep_core::domain::promotion::gate::evidence::CommitId;
use lockstep_core::domain::promotion::gate::range::{Acceptance, BaselineKey};
use lockstep_core::domain::promotion::machine::attempt::{IdempotencyToken, PromotionName};
use lockstep_core::domain::promotion::machine::queue::Environment;
use lockstep_core::domain::promotion::machine::rollback::Recorded;
use lockstep_core::domain::promotion::proof::explanation::Acted;
use lockstep_core::domain::promotion::proof::fact::GateFact;
use lockstep_core::domain::promotion::proof::ledger::Ledger;
use tokio::sync::mpsc::Sender;
use tokio::sync::oneshot;

use super::facts::Facts;
use super::fold::{Whose, inventories};
use super::heard::{Heard, gaining};
use super::segments::{Directory, OpenError, Recovered};
use super::told::{self, Told};
use super::writer::{Append, start};

/// A segment is closed when it has grown to this.
const SEGMENT_BYTES: u64 = 64 << 20;

type Answer = Result<Option<Vec<InventoryRow>>, KeepError>;

/// The record in a directory of this machine.
pub struct FileRecord {
    directory: PathBuf,
    queue: Sender<Append>,
    recovered: Option<Recovered>,
    /// Who waits for the next reading; all who wait share it.
    asking: Mutex<Vec<(Whose, oneshot::Sender<Answer>)>>,
    reading: tokio::sync::Mutex<()>,
    heard: Heard,
    facts: Arc<Facts>,
}

impl FileRecord {
    /// Opens the record, or begins one. Refuses a directory that another process holds and a chain that is broken.
    pub fn open(directory: &Path) -> Result<Self, OpenError> {
        Self::with_segments(directory, SEGMENT_BYTES)
    }

    pub(super) fn with_segments(directory: &Path, segment_bytes: u64) -> Result<Self, OpenError> {
        let held = Directory::lock(directory)?;
        let (end, recovered) = held.end()?;
        if let Some(Recovered { segment, bytes }) = &recovered {
            tracing::warn!(segment = %segment.display(), bytes, "the record ended in the middle of an entry; it was never acknowledged and has been removed");
        }
        let facts = Arc::new(Facts::up_to(end.tip.seq));
        Ok(Self {
            directory: directory.to_owned(),
            queue: start(held, end, segment_bytes, facts.clone())?,
            recovered,
            asking: Mutex::default(),
            reading: tokio::sync::Mutex::default(),
            heard: Heard::default(),
            facts,
        })
    }

    /// What opening had to repair.
    pub fn recovered(&self) -> Option<&Recovered> {
        self.recovered.as_ref()
    }

    /// Reads for everybody who waits.
    async fn read_for_all(&self) {
        let _turn = self.reading.lock().await;
        let asking = std::mem::take(&mut *self.asking.lock().unwrap_or_else(PoisonError::into_inner));
        if asking.is_empty() {
            return;
        }
        let directory = self.directory.clone();
        // Detached on purpose: a caller that is cancelled must not take the answer from the others.
        let reading = tokio::task::spawn_blocking(move || {
            let asked: BTreeSet<Whose> = asking.iter().map(|(whose, _)| whose.clone()).collect();
            let found: Result<HashMap<_, _>, _> = inventories(&directory, &asked);
            for (whose, answer) in asking {
                let _ = answer.send(found.clone().map(|mut found| found.remove(&whose)));
            }
        });
        let _ = reading.await;
    }
}

fn gone() -> KeepError {
    KeepError {
        what: "record",
        message: "its thread has ended".into(),
    }
}

#[async_trait]
impl Record for FileRecord {
    async fn append(&self, entry: Entry) -> Result<EntryId, KeepError> {
        let whose = gaining(&entry);
        self.heard.hear(whose.as_ref());
        let told = Told::of(&entry).map(|told| (told::Whose::from(&entry), told));
        let entry = serde_json::to_string(&entry).map_err(|error| KeepError {
            what: "record",
            message: error.to_string(),
        })?;
        let (done, wait) = oneshot::channel();
        self.queue
            .send(Append { entry, told, done })
            .await
            .map_err(|_| gone())?;
        let id = wait.await.map_err(|_| gone())?;
        self.heard.hear(whose.as_ref());
        id
    }

    async fn inventory_of(&self, namespace: &str, name: &str) -> Answer {
        let whose = (namespace.to_owned(), name.to_owned());
        let count = self.heard.count(&whose);
        let (answer, wait) = oneshot::channel();
        self.asking
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push((whose.clone(), answer));
        self.read_for_all().await;
        let found = wait.await.map_err(|_| gone())?;
        if let (Ok(Some(rows)), Some(count)) = (&found, count)
            && rows.is_empty()
        {
            // Not to be read again for as long as nothing is gained under this name.
            self.heard.forget(&whose, count);
        }
        found
    }

    async fn may_hold(&self, namespace: &str, name: &str) -> Result<bool, KeepError> {
        let whose = (namespace.to_owned(), name.to_owned());
        self.heard.of(&whose, &self.directory).await
    }

    async fn baseline_of(&self, key: &BaselineKey) -> Result<Option<CommitId>, KeepError> {
        self.facts.baseline_of(key, &self.directory).await
    }

    async fn environment_of(
        &self,
        policy_uid: &str,
        environment: &str,
    ) -> Result<Option<Environment>, KeepError> {
        self.facts
            .environment_of(policy_uid, environment, &self.directory)
            .await
    }

    async fn gate_of(
        &self,
        policy_uid: &str,
        environment: &str,
        namespace: &str,
        place: &BaselineKey,
    ) -> Result<Option<GateFact>, KeepError> {
        self.facts
            .gate_of(policy_uid, environment, namespace, place, &self.directory)
            .await
    }

    async fn accepted_in(
        &self,
        policy_uid: &str,
        environment: &str,
    ) -> Result<BTreeMap<CommitId, Acceptance>, KeepError> {
        self.facts
            .accepted_in(policy_uid, environment, &self.directory)
            .await
    }

    async fn generations_of(&self, uid: &str) -> Result<Option<Vec<GenerationRow>>, KeepError> {
        self.facts.generations_of(uid, &self.directory).await
    }

    async fn announced(
        &self,
        tokens: &BTreeSet<IdempotencyToken>,
    ) -> Result<BTreeMap<IdempotencyToken, PromotionName>, KeepError> {
        self.facts.announced(tokens, &self.directory).await
    }

    async fn acted_in(&self, policy_uid: &str, environment: &str) -> Result<Vec<Acted>, KeepError> {
        self.facts
            .acted_in(policy_uid, environment, &self.directory)
            .await
    }

    async fn ledger_of(
        &self,
        namespace: &str,
        policy: &str,
        environment: &str,
    ) -> Result<Option<Ledger>, KeepError> {
        self.facts
            .ledger_of(namespace, policy, environment, &self.directory)
            .await
    }

    async fn promotions_of(&self, policy_uid: &str, environment: &str) -> Result<Vec<Recorded>, KeepError> {
        self.facts
            .promotions_of(policy_uid, environment, &self.directory)
            .await
    }
}
