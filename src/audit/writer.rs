//! The one thread that appends. Entries that arrive while a sync is under way share the next one, so that many
//! objects at work cost one sync, not one each.

use std::sync::Arc;
use std::thread;

use lockstep_core::domain::ports::{EntryId, KeepError};
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::sync::oneshot;

use super::facts::Facts;
use super::line::{Place, Tip};
use super::segments::{Directory, End};
use super::told::{Told, Whose};

/// Most entries that share one sync.
const BATCH: usize = 512;

/// An entry as JSON, what it says of promotions, and who waits for its id.
pub(super) struct Append {
    pub(super) entry: String,
    pub(super) told: Option<(Whose, Told)>,
    pub(super) done: oneshot::Sender<Result<EntryId, KeepError>>,
}

/// Starts the thread. It ends, and lets go of the directory, when the sender is dropped.
pub(super) fn start(
    directory: Directory,
    mut end: End,
    segment_bytes: u64,
    facts: Arc<Facts>,
) -> Result<Sender<Append>, KeepError> {
    let (queue, mut waiting) = channel(2 * BATCH);
    thread::Builder::new()
        .name("record".into())
        .spawn(move || {
            while let Some(batch) = next_batch(&mut waiting) {
                write(&directory, &mut end, segment_bytes, &facts, batch);
            }
        })
        .map_err(|error| KeepError {
            what: "record",
            message: format!("cannot start its thread: {error}"),
        })?;
    Ok(queue)
}

fn next_batch(waiting: &mut Receiver<Append>) -> Option<Vec<Append>> {
    let mut batch = vec![waiting.blocking_recv()?];
    while batch.len() < BATCH {
        match waiting.try_recv() {
            Ok(append) => batch.push(append),
            Err(_) => break,
        }
    }
    Some(batch)
}

fn write(directory: &Directory, end: &mut End, segment_bytes: u64, facts: &Facts, batch: Vec<Append>) {
    let mut lines = String::new();
    let mut tip: Tip = end.tip;
    let mut made = Vec::with_capacity(batch.len());
    for append in &batch {
        let (line, next, id) = tip.extend(&append.entry);
        made.push((lines.len() as u64, next, id));
        lines.push_str(&line);
        tip = next;
    }
    let unwritten = |error: std::io::Error| KeepError {
        what: "record",
        message: format!("cannot be written: {error}"),
    };
    // A segment is left only when it is whole.
    let result = end
        .mend()
        .map_err(unwritten)
        .and_then(|()| rotate(directory, end, segment_bytes))
        .and_then(|()| {
            let start = (end.number, end.length);
            end.append(&lines, tip).map_err(unwritten)?;
            Ok(start)
        });
    for (append, (before, tip, id)) in batch.into_iter().zip(made) {
        let Append { entry: _, told, done } = append;
        if let (Ok((segment, start)), Some(told)) = (&result, told) {
            let place = Place {
                segment: *segment,
                offset: start + before,
                tip,
            };
            facts.hear(place, told);
        }
        // Who no longer waits has been cancelled; the entry stands all the same.
        let _ = done.send(result.clone().map(|_| id));
    }
}

fn rotate(directory: &Directory, end: &mut End, segment_bytes: u64) -> Result<(), KeepError> {
    if end.length >= segment_bytes {
        *end = directory.begin(end.number + 1, end.tip)?;
    }
    Ok(())
}
