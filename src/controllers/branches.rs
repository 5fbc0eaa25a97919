//! What governed branches held when they were last read, shared by everybody who asks: one listing of tips and merges
//! for each connection whatever the number of policies, and one history for each branch and tip.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use jiff::{SignedDuration, Timestamp};
use lockstep_core::domain::hint::Hint;
use lockstep_core::domain::ports::{ConnectionKey, SystemError, SystemErrorKind};
use lockstep_core::domain::promotion::gate::evidence::{ChangeNumber, CommitId, Evidence};
use lockstep_core::domain::promotion::gate::range::Commit;
use lockstep_core::domain::promotion::ports::reviews::{Merges, Review, Watched};

/// Changes whose evidence is kept at most, so that memory does not grow with history. A range of more can not be
/// judged.
const REMEMBERED: usize = 6_000;

/// How long Gerrit's index may take to list a change as merged whose commit stands in the branch already.
pub const LATE: SignedDuration = SignedDuration::from_secs(20);

/// Where the branches of one connection stand.
#[derive(Clone, Debug)]
pub struct Tips {
    /// When the reading began.
    pub taken: Timestamp,
    /// A branch that is missing does not exist or is invisible.
    pub tips: BTreeMap<Watched, CommitId>,
    /// The newest time of submit that was seen so far.
    pub watermark: Timestamp,
    watched: BTreeSet<Watched>,
}

/// The history of a branch from its baseline to its tip.
#[derive(Debug)]
pub struct History {
    pub tip: CommitId,
    pub graph: BTreeMap<CommitId, Commit>,
    /// The merged revision of each change.
    pub merged: BTreeMap<CommitId, ChangeNumber>,
    /// Merges that were seen when it was read: newer ones may explain what nobody could then.
    watermark: Timestamp,
    /// When the tip was first read.
    first: Timestamp,
    /// Of which time the tips are for which the changes were last asked for.
    asked: Timestamp,
    known: BTreeSet<CommitId>,
}

/// Evidence, and when its reading began.
type Remembered = (Timestamp, Arc<Evidence>);
type Slot<T> = Arc<tokio::sync::Mutex<Option<T>>>;

/// The readings. Losing them costs a reading, never a promotion.
#[derive(Default)]
pub struct Branches {
    tips: Mutex<BTreeMap<ConnectionKey, Slot<Tips>>>,
    histories: Mutex<BTreeMap<(ConnectionKey, Watched), Slot<Arc<History>>>>,
    evidence: Mutex<BTreeMap<(ConnectionKey, ChangeNumber, String), Remembered>>,
    /// Held by who reads the evidence of a change.
    turns: Mutex<BTreeMap<(ConnectionKey, ChangeNumber), Weak<tokio::sync::Mutex<()>>>>,
    hinted: Mutex<Hinted>,
}

/// When somebody last said that something had changed.
#[derive(Default)]
struct Hinted {
    tips: BTreeMap<ConnectionKey, Timestamp>,
    configs: BTreeMap<(ConnectionKey, String), Timestamp>,
}

impl Branches {
    /// Where these branches stand, read not before `fresh`. Whoever asks brings what all others watch as well.
    pub async fn tips(
        &self,
        connection: &ConnectionKey,
        review: &dyn Review,
        watched: &BTreeSet<Watched>,
        since: Timestamp,
        fresh: Timestamp,
        now: Timestamp,
    ) -> Result<Tips, SystemError> {
        let slot = slot(&self.tips, connection);
        let mut slot = slot.lock().await;
        let hinted = self.hinted().tips.get(connection).copied();
        let fresh = hinted.map_or(fresh, |hinted| fresh.max(hinted.min(now)));
        if let Some(tips) = slot.as_ref()
            && tips.taken >= fresh
            && tips.watched.is_superset(watched)
        {
            return Ok(tips.clone());
        }
        let before = slot.as_ref().map(|tips| tips.watermark);
        let since = before.map_or(since, |before| before.min(now));
        let Merges { found: _, watermark } = review.system().merges(watched, since).await?;
        let tips = Tips {
            taken: now,
            tips: review.system().tips(watched).await?,
            watermark: watermark.into_iter().chain(before).max().unwrap_or(since),
            watched: watched.clone(),
        };
        *slot = Some(tips.clone());
        Ok(tips)
    }

    /// The history of a branch up to its tip, `known` and what they reach left out.
    pub async fn history(
        &self,
        connection: &ConnectionKey,
        review: &dyn Review,
        on: &Watched,
        tips: &Tips,
        known: &BTreeSet<CommitId>,
    ) -> Result<Arc<History>, SystemError> {
        let tip = tips.tips.get(on).ok_or_else(|| {
            let message = format!(
                "project {} has no branch {} that we can see",
                on.project, on.branch
            );
            SystemError::new(connection.to_string(), SystemErrorKind::NotFound, message)
        })?;
        let slot = slot(&self.histories, &(connection.clone(), on.clone()));
        let mut slot = slot.lock().await;
        let same = slot.as_ref().filter(|history| history.known == *known);
        let before = same.filter(|history| history.tip == *tip);
        if let Some(history) = before.filter(|history| history.says_enough(tips)) {
            return Ok(history.clone());
        }
        let graph = match before {
            Some(history) => history.graph.clone(),
            None => {
                let repository = review.repository(on);
                repository.fetch(tip).await?;
                repository.history(tip, known).await?
            }
        };
        // Of which change a commit is the merged revision never changes: a branch that grows costs what is new on it.
        let mut merged = same.map_or_else(BTreeMap::new, |history| history.merged.clone());
        merged.retain(|commit, _| graph.contains_key(commit));
        let unasked = graph.keys().filter(|commit| !merged.contains_key(*commit));
        let unasked = unasked.cloned().collect();
        merged.extend(review.system().changes_of(on, &unasked).await?);
        let history = Arc::new(History {
            tip: tip.clone(),
            merged,
            graph,
            watermark: tips.watermark,
            first: before.map_or(tips.taken, |history| history.first),
            asked: tips.taken,
            known: known.clone(),
        });
        *slot = Some(history.clone());
        Ok(history)
    }

    /// What was read before this time of what a hint names counts no longer. Only for hints that concern somebody:
    /// each project that was ever named is remembered.
    pub fn distrust(&self, connection: &ConnectionKey, hint: &Hint, before: Timestamp) {
        let mut hinted = self.hinted();
        match hint {
            Hint::Branch { .. } => {
                hinted.tips.insert(connection.clone(), before);
            }
            Hint::Config { project } => {
                hinted
                    .configs
                    .insert((connection.clone(), project.clone()), before);
            }
            Hint::Group { .. } => {}
        }
    }

    /// Whether somebody has said that labels or submit requirements of a project changed at this time or later.
    pub fn is_configured_anew(&self, connection: &ConnectionKey, project: &str, since: Timestamp) -> bool {
        let key = (connection.clone(), project.to_owned());
        self.hinted().configs.get(&key).is_some_and(|at| *at >= since)
    }

    fn hinted(&self) -> MutexGuard<'_, Hinted> {
        self.hinted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Evidence of a change that was read not before `fresh`, if there is any; `rules` names what it was asked for.
    pub fn remembered(
        &self,
        connection: &ConnectionKey,
        change: ChangeNumber,
        rules: &str,
        fresh: Timestamp,
    ) -> Option<Arc<Evidence>> {
        let evidence = self.evidence.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (connection.clone(), change, rules.to_owned());
        let (taken, found) = evidence.get(&key)?;
        (*taken >= fresh).then(|| found.clone())
    }

    /// Whoever reads the evidence of a change holds this meanwhile.
    pub fn turn(&self, connection: &ConnectionKey, change: ChangeNumber) -> Arc<tokio::sync::Mutex<()>> {
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (connection.clone(), change);
        if let Some(turn) = turns.get(&key).and_then(Weak::upgrade) {
            return turn;
        }
        // As many are left as are read right now.
        turns.retain(|_, turn| turn.strong_count() > 0);
        let turn = Arc::default();
        turns.insert(key, Arc::downgrade(&turn));
        turn
    }

    /// Remembers evidence.
    pub fn remember(
        &self,
        connection: &ConnectionKey,
        change: ChangeNumber,
        rules: &str,
        taken: Timestamp,
        found: Arc<Evidence>,
    ) {
        let mut evidence = self.evidence.lock().unwrap_or_else(PoisonError::into_inner);
        if evidence.len() >= REMEMBERED {
            let mut ages: Vec<Timestamp> = evidence.values().map(|(taken, _)| *taken).collect();
            ages.sort_unstable();
            if let Some(middle) = ages.get(REMEMBERED / 2).copied() {
                evidence.retain(|_, (taken, _)| *taken > middle);
            }
        }
        evidence.insert((connection.clone(), change, rules.to_owned()), (taken, found));
    }
}

impl History {
    /// Whether asking again would tell nothing new: every commit has its change, or nothing merged since, and the index
    /// has had the time to list what did.
    fn says_enough(&self, tips: &Tips) -> bool {
        let settled = tips.taken <= self.asked || self.asked.duration_since(self.first) > LATE;
        self.explains_all() || (self.watermark >= tips.watermark && settled)
    }

    /// The same as it would be with one more change on top of the tip.
    #[must_use]
    pub fn with(&self, own: CommitId, node: Commit, change: ChangeNumber) -> Self {
        let (mut graph, mut merged) = (self.graph.clone(), self.merged.clone());
        merged.insert(own.clone(), change);
        graph.insert(own.clone(), node);
        Self {
            tip: own,
            graph,
            merged,
            watermark: self.watermark,
            first: self.first,
            asked: self.asked,
            known: self.known.clone(),
        }
    }

    /// Whether no commit is left for which a change may still turn up.
    fn explains_all(&self) -> bool {
        let explained = |(commit, node): (&CommitId, &Commit)| {
            self.merged.contains_key(commit)
                || node
                    .parents
                    .iter()
                    .skip(1)
                    .any(|parent| self.merged.contains_key(parent))
        };
        self.graph
            .iter()
            .filter(|(commit, _)| !self.known.contains(*commit))
            .all(explained)
    }
}

fn slot<K: Ord + Clone, T>(slots: &Mutex<BTreeMap<K, Slot<T>>>, key: &K) -> Slot<T> {
    let mut slots = slots.lock().unwrap_or_else(PoisonError::into_inner);
    slots.entry(key.clone()).or_default().clone()
}

#[cfg(test)]
#[path = "branches_tests.rs"]
mod tests;
