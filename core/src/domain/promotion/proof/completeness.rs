//! Whether everything that ran, or wrote, is explained: `N runs, N explained`, over the whole population and not over
//! what we started, with a plain statement of what could not be seen.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::domain::promotion::machine::attempt::PromotionName;

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

/// One thing that happened, as the outside shows it. Its name is the outside's id for exactly this occurrence.
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

/// A part of the population that could not be read.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Unseen {
    pub what: String,
    pub why: String,
}

/// The count.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Completeness {
    pub total: usize,
    pub explained: usize,
    /// Accepted by a person, and counted apart: an exception is no explanation.
    pub acknowledged: usize,
    pub unexplained: BTreeSet<Occurrence>,
    pub unseen: BTreeSet<Unseen>,
}

impl Completeness {
    /// Whether all was seen and all is explained or acknowledged.
    pub fn is_whole(&self) -> bool {
        self.unexplained.is_empty() && self.unseen.is_empty()
    }
}

impl fmt::Display for Completeness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            total,
            explained,
            acknowledged,
            unexplained,
            unseen,
        } = self;
        write!(
            f,
            "{total} runs, {explained} explained, {} unexplained",
            unexplained.len()
        )?;
        if *acknowledged > 0 {
            write!(f, ", {acknowledged} acknowledged")?;
        }
        for Unseen { what, why } in unseen {
            write!(f, "; not seen: {what} ({why})")?;
        }
        Ok(())
    }
}

/// Counts a population. An occurrence is one however often it was listed; `explained` names the promotion that the
/// record shows to have caused each address, `acknowledged` the PlanApproval.
pub fn count(
    population: impl IntoIterator<Item = Occurrence>,
    explained: &BTreeMap<String, PromotionName>,
    acknowledged: &BTreeMap<String, String>,
    unseen: impl IntoIterator<Item = Unseen>,
) -> Completeness {
    let mut by_address: BTreeMap<String, Occurrence> = BTreeMap::new();
    for occurrence in population {
        by_address.entry(occurrence.address.clone()).or_insert(occurrence);
    }
    let mut counted = Completeness {
        total: by_address.len(),
        unseen: unseen.into_iter().collect(),
        ..Completeness::default()
    };
    for (address, occurrence) in by_address {
        if explained.contains_key(&address) {
            counted.explained += 1;
        } else if acknowledged.contains_key(&address) {
            counted.acknowledged += 1;
        } else {
            counted.unexplained.insert(occurrence);
        }
    }
    counted
}
