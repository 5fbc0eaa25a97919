//! Everything one process holds: the state and its recent past, the settings, the faults, the journal, and the gate
//! that stops all answers after a chosen write.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use sha2::{Digest, Sha256};
use tokio::sync::watch;

use crate::control::faults::Faults;
use crate::control::journal::Journal;
use crate::control::seed;
use crate::error::ApiError;
use crate::limits::Buckets;
use crate::route::Table;
use crate::settings::Settings;
use crate::state::State;
use crate::time;

/// Whether answers flow, and how many effective writes are left until they stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gate {
    Open,
    /// Open, and shut by the Nth effective write from now.
    Counting(u64),
    Shut,
}

/// How the world was at the start, so that a reset finds it again.
#[derive(Debug)]
pub struct Boot {
    pub state: State,
    pub settings: Settings,
}

#[derive(Debug)]
pub struct World {
    state: RwLock<State>,
    /// Older values of the state with the moment each was replaced; kept while reads may lag.
    past: Mutex<VecDeque<(i64, Arc<State>)>>,
    settings: RwLock<Settings>,
    pub faults: Mutex<Faults>,
    pub journal: Mutex<Journal>,
    pub buckets: Mutex<Buckets>,
    /// Number of the last journal entry, for those who wait for the next.
    pub journaled: watch::Sender<u64>,
    pub gate: watch::Sender<Gate>,
    pub table: Table,
    pub http: reqwest::Client,
    /// Addresses by workspace, for programs that runs execute; set when this process executes them at all.
    pub addresses: OnceLock<BTreeMap<u64, String>>,
    boot: Boot,
    draws: Mutex<u64>,
    scim: Mutex<u64>,
}

pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

pub fn now_ms() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}

/// RFC 3339 with milliseconds.
pub fn rfc3339(ms: i64) -> String {
    jiff::Timestamp::from_millisecond(ms)
        .map(|time| format!("{time:.3}"))
        .unwrap_or_default()
}

impl World {
    pub fn new(boot: Boot, http: reqwest::Client) -> Self {
        Self {
            state: RwLock::new(boot.state.clone()),
            past: Mutex::default(),
            settings: RwLock::new(boot.settings.clone()),
            faults: Mutex::default(),
            journal: Mutex::default(),
            buckets: Mutex::default(),
            journaled: watch::Sender::new(0),
            gate: watch::Sender::new(Gate::Open),
            table: crate::routes::table(),
            http,
            addresses: OnceLock::new(),
            boot,
            draws: Mutex::new(0),
            scim: Mutex::new(0),
        }
    }

    pub fn settings(&self) -> Settings {
        self.settings
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub fn change_settings(&self, settings: Settings) {
        match settings.halt_after_write {
            Some(writes) => {
                self.gate.send_replace(if writes == 0 {
                    Gate::Shut
                } else {
                    Gate::Counting(writes)
                });
            }
            None => {
                self.gate.send_replace(Gate::Open);
            }
        }
        lock(&self.journal).capacity = settings.journal_capacity.max(1);
        *self.settings.write().unwrap_or_else(PoisonError::into_inner) = settings;
    }

    pub fn now(&self) -> i64 {
        let offset = self
            .settings
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clock_offset;
        now_ms() + offset * 1000
    }

    pub fn state(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Write access; while reads may lag, the value before the write is kept.
    pub fn state_mut(&self) -> RwLockWriteGuard<'_, State> {
        let guard = self.state.write().unwrap_or_else(PoisonError::into_inner);
        let lag = self.settings().lag;
        let mut past = lock(&self.past);
        if lag > 0.0 {
            let now = now_ms();
            // A burst of writes shares one old value: staleness stays within the lag, and so does memory.
            if past
                .back()
                .is_none_or(|(replaced, _)| seconds_between(*replaced, now) > lag / 64.0)
            {
                past.push_back((now, Arc::new(guard.clone())));
            }
            while past
                .front()
                .is_some_and(|(replaced, _)| seconds_between(*replaced, now) > lag)
            {
                past.pop_front();
            }
        } else {
            past.clear();
        }
        drop(past);
        guard
    }

    /// The state as a lagging replica shows it: some value of the last `lag` seconds, another one at each read.
    pub fn stale(&self) -> Option<Arc<State>> {
        let lag = self.settings().lag;
        if lag <= 0.0 {
            return None;
        }
        let age = lag * self.draw();
        let now = now_ms();
        lock(&self.past)
            .iter()
            .find(|(replaced, _)| seconds_between(*replaced, now) < age)
            .map(|(_, state)| Arc::clone(state))
    }

    /// A number in [0, 1), the same sequence in every run.
    fn draw(&self) -> f64 {
        let mut draws = lock(&self.draws);
        *draws += 1;
        let digest = Sha256::digest(draws.to_le_bytes());
        f64::from(u16::from_le_bytes([digest[0], digest[1]])) / 65_536.0
    }

    /// Counts an effective write, and shuts the gate when it was the last one that may be answered.
    pub fn count_write(&self) {
        self.gate.send_modify(|gate| {
            *gate = match *gate {
                Gate::Counting(left) if left <= 1 => Gate::Shut,
                Gate::Counting(left) => Gate::Counting(left - 1),
                other => other,
            };
        });
    }

    /// Returns when answers may flow.
    pub async fn pass_gate(&self) {
        let mut gate = self.gate.subscribe();
        // The sender lives as long as the world, so waiting cannot fail.
        let _ = gate.wait_for(|gate| *gate != Gate::Shut).await;
    }

    /// Back to the start: state, settings, faults, journal.
    pub fn reset(&self) {
        *self.state.write().unwrap_or_else(PoisonError::into_inner) = self.boot.state.clone();
        lock(&self.past).clear();
        lock(&self.faults).rules.clear();
        lock(&self.buckets).clear();
        lock(&self.journal).clear();
        *lock(&self.draws) = 0;
        self.change_settings(self.boot.settings.clone());
    }

    /// Lets everything happen that is due by now.
    pub fn tick(&self) {
        let now = self.now();
        let due = time::next(&self.state()).is_some_and(|at| at <= now);
        if due {
            time::advance(&mut self.state_mut(), now);
        }
    }

    /// Whether Python files of runs really run.
    pub fn executes(&self) -> bool {
        self.addresses.get().is_some()
    }

    pub fn seed(&self, seed: &seed::Seed) -> Result<serde_json::Value, ApiError> {
        let now = self.now();
        let mut state = self.state_mut();
        // A seed happens as a whole or not at all.
        let mut next = state.clone();
        let answer = seed::apply(&mut next, seed, now)?;
        *state = next;
        Ok(answer)
    }
}

fn seconds_between(from_ms: i64, to_ms: i64) -> f64 {
    f64::from(i32::try_from(to_ms - from_ms).unwrap_or(i32::MAX)) / 1000.0
}

impl World {
    /// Numbers SCIM requests, for the quirk that fails every Nth.
    pub fn scim_requests(&self) -> u64 {
        let mut count = lock(&self.scim);
        *count += 1;
        *count
    }
}
