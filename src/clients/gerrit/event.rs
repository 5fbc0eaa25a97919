//! What the webhooks plugin posts, as places to look at. The body is unsigned: it is read for names alone, into a few
//! short strings whatever it holds, and what it says of people, votes and commits is not read at all.

use std::collections::BTreeSet;

use lockstep_core::domain::hint::Hint;
use serde::Deserialize;

/// A body that is no event of Gerrit's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an event of Gerrit: {0}")]
pub struct NotAnEvent(String);

/// An event, as far as it is read. `project` beside `change` is an object in webhooks and a string in other channels
/// (3.13.5), so the change's own is taken.
#[derive(Deserialize)]
struct Event {
    #[serde(rename = "type")]
    kind: String,
    change: Option<Change>,
    #[serde(rename = "refUpdate")]
    moved: Option<RefUpdate>,
    /// Several refs in one event, where a site has turned that on.
    #[serde(default, rename = "refUpdates")]
    all_moved: Vec<RefUpdate>,
}

#[derive(Deserialize)]
struct Change {
    project: String,
    branch: String,
}

#[derive(Deserialize)]
struct RefUpdate {
    project: String,
    #[serde(rename = "refName")]
    ref_name: String,
}

/// The places that a body names; none for events that concern nobody.
pub fn hints(body: &[u8]) -> Result<BTreeSet<Hint>, NotAnEvent> {
    let event: Event = serde_json::from_slice(body).map_err(|error| {
        // Where, but not what: its own words repeat what a stranger wrote.
        let (line, column) = (error.line(), error.column());
        NotAnEvent(format!(
            "{:?} error at line {line} column {column}",
            error.classify()
        ))
    })?;
    let Event {
        kind,
        change,
        moved,
        all_moved,
    } = event;
    let lacks = |field: &str| NotAnEvent(format!("{kind} without {field}"));
    let of_move = |RefUpdate { project, ref_name }: &RefUpdate| Hint::of_ref(project, ref_name);
    Ok(match kind.as_str() {
        "change-merged" => {
            let Change { project, branch } = change.ok_or_else(|| lacks("change"))?;
            Hint::of_ref(&project, &branch).into_iter().collect()
        }
        "ref-updated" => {
            let moved = moved.ok_or_else(|| lacks("refUpdate"))?;
            of_move(&moved).into_iter().collect()
        }
        "batch-ref-updated" => all_moved.iter().filter_map(of_move).collect(),
        _ => BTreeSet::new(),
    })
}

#[cfg(test)]
#[path = "event_tests.rs"]
mod tests;
