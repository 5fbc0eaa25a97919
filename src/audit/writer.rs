//! The one thread that appends. Entries that arrive while a sync is under way share the next one, so that many
//! objects at work cost one sync, not one each.

use std::thread;

use lockstep_core::domain::ports::{EntryId, KeepError};
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::sync::oneshot;

use super::line::Tip;
use super::segments::{Directory, End};

/// Most entries that share one sync.
const BATCH: usize = 512;

/// An entry as JSON, and who waits for its id.
pub(super) struct Append {
    pub(super) entry: String,
    pub(super) done: oneshot::Sender<Result<EntryId, KeepError>>,
}

/// Starts the thread. It ends, and lets go of the directory, when the sender is dropped.
pub(super) fn start(
    directory: Directory,
    mut end: End,
    segment_bytes: u64,
) -> Result<Sender<Append>, KeepError> {
    let (queue, mut waiting) = channel(2 * BATCH);
    thread::Builder::new()
        .name("record".into())
        .spawn(move || {
            while let Some(batch) = next_batch(&mut waiting) {
                write(&directory, &mut end, segment_bytes, batch);
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

fn write(directory: &Directory, end: &mut End, segment_bytes: u64, batch: Vec<Append>) {
    let mut lines = String::new();
    let mut tip: Tip = end.tip;
    let mut ids = Vec::with_capacity(batch.len());
    for append in &batch {
        let (line, next, id) = tip.extend(&append.entry);
        lines.push_str(&line);
        tip = next;
        ids.push(id);
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
        .and_then(|()| end.append(&lines, tip).map_err(unwritten));
    for (append, id) in batch.into_iter().zip(ids) {
        // Who no longer waits has been cancelled; the entry stands all the same.
        let _ = append.done.send(result.clone().map(|()| id));
    }
}

fn rotate(directory: &Directory, end: &mut End, segment_bytes: u64) -> Result<(), KeepError> {
    if end.length >= segment_bytes {
        *end = directory.begin(end.number + 1, end.tip)?;
    }
    Ok(())
}
