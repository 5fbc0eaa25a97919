//! What Lockstep takes for granted about other systems, as a suite that anybody can run against their own: one row
//! per assumption, tried on things of the suite's own making, which it takes away again.

use std::sync::{Mutex, PoisonError};

use futures::future::BoxFuture;
use lockstep_core::domain::ports::SystemError;
use serde::Serialize;

/// One assumption.
pub struct Assumption<B> {
    /// What Lockstep relies on, as a sentence.
    pub name: &'static str,
    /// Where the assumption comes from.
    pub source: &'static str,
    pub expected: &'static str,
    pub check: for<'a> fn(&'a B) -> BoxFuture<'a, Result<Held, Broken>>,
}

/// The assumption holds; sometimes there is something to tell.
pub type Held = Option<String>;

/// The assumption does not hold, or could not be tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Broken {
    /// What was seen instead.
    Seen(String),
    /// Why it was not tried.
    Skipped(String),
    /// No answer that says anything.
    Failed(SystemError),
}

impl From<SystemError> for Broken {
    fn from(error: SystemError) -> Self {
        Self::Failed(error)
    }
}

/// How one assumption came out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    pub name: String,
    pub source: String,
    pub came_out: CameOut,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum CameOut {
    Holds {
        #[serde(skip_serializing_if = "Option::is_none")]
        note: Option<String>,
    },
    Deviates {
        expected: String,
        seen: String,
    },
    Skipped {
        why: String,
    },
}

impl Finding {
    pub fn deviates(&self) -> bool {
        matches!(self.came_out, CameOut::Deviates { .. })
    }

    /// Something the suite made and could not take away.
    pub fn left_behind(what: &str, why: &str) -> Self {
        Self {
            name: "what the suite made is gone again".into(),
            source: "lockstep".into(),
            came_out: CameOut::Deviates {
                expected: "nothing left behind".into(),
                seen: format!("{what}: {why}"),
            },
        }
    }
}

/// Whoever is told what comes next.
pub type Tell<'a> = dyn Fn(&str) + Sync + 'a;

/// Tries every row, in order: later rows use what earlier ones made. `tell` hears what comes next.
pub async fn run<B>(rows: &[Assumption<B>], bench: &B, tell: &Tell<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for row in rows {
        tell(row.name);
        let came_out = match (row.check)(bench).await {
            Ok(note) => CameOut::Holds { note },
            Err(Broken::Seen(seen)) => CameOut::Deviates {
                expected: row.expected.into(),
                seen,
            },
            Err(Broken::Skipped(why)) => CameOut::Skipped { why },
            Err(Broken::Failed(error)) => CameOut::Deviates {
                expected: row.expected.into(),
                seen: error.to_string(),
            },
        };
        findings.push(Finding {
            name: row.name.into(),
            source: row.source.into(),
            came_out,
        });
    }
    findings
}

/// `Ok` if it is so, else what was seen.
pub fn demand(holds: bool, seen: impl FnOnce() -> String) -> Result<(), Broken> {
    if holds { Ok(()) } else { Err(Broken::Seen(seen())) }
}

/// What was made and must go again, the latest first.
#[derive(Debug)]
pub struct Made<T>(Mutex<Vec<T>>);

impl<T> Default for Made<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T> Made<T> {
    pub fn remember(&self, made: T) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(made);
    }

    pub fn take(&self) -> Vec<T> {
        let mut made = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        made.reverse();
        made
    }
}

/// A fact that one row finds and later rows use.
#[derive(Debug, Default)]
pub struct Fact(Mutex<Option<String>>);

impl Fact {
    pub fn set(&self, value: impl Into<String>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(value.into());
    }

    /// The fact, or why the row that needs it is skipped.
    pub fn get(&self, what: &str) -> Result<String, Broken> {
        let fact = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        fact.ok_or_else(|| Broken::Skipped(format!("there is no {what} to try it on")))
    }
}
