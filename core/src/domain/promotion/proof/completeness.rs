//! The population that must be explained: whatever ran as an environment's identity, and whoever wrote what its policy
//! governs. It is what the outside shows, not what we began. How it is counted is [`super::ledger`]; what explains one of
//! it is [`super::explanation`].

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::domain::promotion::machine::attempt::IdempotencyToken;

/// What kind of thing happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Act {
    /// A run as the environment's identity.
    Run,
    /// A model version was made.
    Version,
    /// A model alias points at something.
    Alias,
    /// A serving endpoint got a configuration.
    Endpoint,
    /// Files below a governed path.
    Files,
}

impl Act {
    /// Whether it shows how things stand, so that it is there until something else takes its place; the others happened
    /// once.
    pub fn stands(self) -> bool {
        match self {
            Self::Run | Self::Version => false,
            Self::Alias | Self::Endpoint | Self::Files => true,
        }
    }
}

impl fmt::Display for Act {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Run => "run",
            Self::Version => "model version",
            Self::Alias => "alias",
            Self::Endpoint => "served configuration",
            Self::Files => "file set",
        })
    }
}

/// One thing that happened, as the outside shows it. Its address is the outside's name for exactly this occurrence.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Occurrence {
    pub act: Act,
    /// As `databricks://123/runs/77`.
    pub address: String,
    /// Who did it, as the server says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
}

impl Occurrence {
    /// What can only stand in one way at a time: of an alias or an endpoint all but its last part, which says how.
    pub fn thing(&self) -> &str {
        match self.act {
            Act::Alias | Act::Endpoint => self
                .address
                .rsplit_once('/')
                .map_or(self.address.as_str(), |(thing, _)| thing),
            Act::Run | Act::Version | Act::Files => &self.address,
        }
    }
}

impl fmt::Display for Occurrence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.act, self.address)?;
        if let Some(by) = &self.by {
            write!(f, " by {by}")?;
        }
        match self.at {
            Some(at) => write!(f, " at {at}"),
            None => Ok(()),
        }
    }
}

/// A run, with what tells whose doing it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    pub occurrence: Occurrence,
    /// Application id of whom it ran as.
    pub run_as: String,
    /// Id of its job; `None`: it was submitted without one.
    pub job: Option<String>,
    /// The key that it carries. Whoever starts a run can write anything there, so it says nothing without the starter.
    pub token: Option<IdempotencyToken>,
    /// Whether the job's own trigger started it, as a schedule does.
    pub triggered: bool,
}

/// A run of which nobody can say whom it ran as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hidden {
    pub why: &'static str,
    pub at: Option<Timestamp>,
}

/// The runs of a time range.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Runs {
    /// Of the identities that were asked for.
    pub seen: Vec<Run>,
    pub hidden: Vec<Hidden>,
    /// When the newest run of all began, whoever it ran as.
    pub newest: Option<Timestamp>,
    pub unseen: Vec<Unseen>,
}

/// A part of the population that could not be read.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Unseen {
    pub what: String,
    pub why: String,
}

impl Unseen {
    pub fn new(what: impl Into<String>, why: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            why: why.into(),
        }
    }
}
