//! What an object holds, according to the record: everything it gained, less everything it gave up.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::Path;

use lockstep_core::api::access_binding::InventoryRow;
use lockstep_core::domain::ports::{Entry, Event, KeepError, ObjectKey};
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::line::{About, Place, Tip};
use super::segments::{lines, list};

/// Kinds that hold rights; others may share a name with one of them.
const HOLDERS: [&str; 1] = ["AccessBinding"];

/// Rows by target and privilege.
#[derive(Debug, Default)]
struct Holding(BTreeMap<(String, String), InventoryRow>);

impl Holding {
    fn take_in(&mut self, entry: Entry) {
        // An intent is no outcome, and a failure changed nothing.
        if changes_nothing(entry.event) {
            return;
        }
        // First what was given up: a row that moved is given up and gained in one entry.
        for row in entry.gave_up {
            self.give_up(row);
        }
        for row in entry.gained {
            self.gain(row);
        }
    }

    fn gain(&mut self, row: InventoryRow) {
        let key = (row.target.clone(), row.privilege.clone());
        match self.0.get_mut(&key) {
            Some(held) => {
                let all: BTreeSet<String> = held.principals.drain(..).chain(row.principals).collect();
                held.principals = all.into_iter().collect();
                held.confirming = row.confirming;
            }
            None => {
                self.0.insert(key, row);
            }
        }
    }

    fn give_up(&mut self, row: InventoryRow) {
        let key = (row.target, row.privilege);
        let Some(held) = self.0.get_mut(&key) else {
            return;
        };
        held.principals.retain(|held| !row.principals.contains(held));
        if row.principals.is_empty() || held.principals.is_empty() {
            self.0.remove(&key);
        }
    }
}

fn changes_nothing(event: Event) -> bool {
    matches!(event, Event::Intent | Event::Failed)
}

#[derive(Deserialize)]
struct Whole {
    entry: Entry,
}

/// What says whether a line gains something, read without the rest of it.
#[derive(Deserialize)]
struct Gaining {
    entry: GainingEntry,
}

#[derive(Deserialize)]
struct GainingEntry {
    object: ObjectKey,
    event: Event,
    #[serde(default)]
    gained: Vec<IgnoredAny>,
}

/// Namespace and name of an object.
pub(super) type Whose = (String, String);

/// Whether an entry makes its object hold more.
pub(super) fn gains(kind: &str, event: Event, rows: usize) -> bool {
    HOLDERS.contains(&kind) && rows > 0 && !changes_nothing(event)
}

/// Calls back for each line of the record with what is read of it, following its chain from the first entry: what
/// rights are taken back by must be what was written, and opening looked at the last segment alone.
pub(super) fn read<T: serde::de::DeserializeOwned>(
    directory: &Path,
    mut each: impl FnMut(Place, &[u8], T) -> Result<(), serde_json::Error>,
) -> Result<(), KeepError> {
    let mut tip = Tip::START;
    for (segment_number, segment) in list(directory)? {
        let (mut number, mut offset) = (0u64, 0u64);
        lines(&segment, |line| {
            number += 1;
            let at = |why: String| KeepError {
                what: "record",
                message: format!("{} line {number}: {why}", segment.display()),
            };
            tip = tip
                .follow(line)
                .map_err(|wrong| at(format!("does not continue the chain: {wrong}")))?;
            let place = Place {
                segment: segment_number,
                offset,
                tip,
            };
            offset += line.len() as u64 + 1;
            serde_json::from_slice(line)
                .and_then(|about| each(place, line, about))
                .map_err(|error| at(error.to_string()))
        })?;
    }
    Ok(())
}

/// Every object that ever gained something.
pub(super) fn holders(directory: &Path) -> Result<HashSet<Whose>, KeepError> {
    let mut all = HashSet::new();
    read(directory, |_, _, Gaining { entry }| {
        let GainingEntry {
            object,
            event,
            gained,
        } = entry;
        if gains(&object.kind, event, gained.len()) {
            all.insert((object.namespace, object.name));
        }
        Ok(())
    })?;
    Ok(all)
}

/// Reads the record once for all the objects asked about; those it has never heard of are left out. Memory is
/// bounded by what these objects hold.
pub(super) fn inventories(
    directory: &Path,
    asked: &BTreeSet<Whose>,
) -> Result<HashMap<Whose, Vec<InventoryRow>>, KeepError> {
    let mut holdings: HashMap<Whose, Holding> = HashMap::new();
    read(directory, |_, line, About { entry: about }| {
        let whose = (about.object.namespace, about.object.name);
        if HOLDERS.contains(&about.object.kind.as_str()) && asked.contains(&whose) {
            let Whole { entry } = serde_json::from_slice(line)?;
            holdings.entry(whose).or_default().take_in(entry);
        }
        Ok(())
    })?;
    let rows = holdings
        .into_iter()
        .map(|(whose, holding)| (whose, holding.0.into_values().collect()));
    Ok(rows.collect())
}
