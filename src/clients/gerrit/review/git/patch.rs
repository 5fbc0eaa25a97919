//! What a commit changes, as one digest: files with their modes, and lines with three lines around them, but not where
//! in the file they stand. As `git patch-id --stable`, except that white space counts.

use std::collections::BTreeSet;

use gix::ObjectId;
use gix::diff::blob::{Algorithm, Diff, InternedInput};
use gix::object::tree::diff::ChangeDetached;
use gix::objs::tree::EntryMode;
use lockstep_core::domain::promotion::gate::evidence::{CommitId, PatchId};
use sha2::{Digest as _, Sha256};

use super::history::find;
use super::text;

/// Lines around a change that belong to it, as in git's patches.
const AROUND: usize = 3;
/// Bytes in which git looks for a zero to tell that a file is no text.
const SNIFFED: usize = 8_000;
/// A longer file counts as a whole.
const LONGEST: usize = 4 * 1024 * 1024;

/// Whether a commit is asked about, or what takes it back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    Forward,
    Backward,
}

/// A file before or after.
type Side = Option<(EntryMode, ObjectId)>;

/// The patch of a commit against its only parent. `None`: it has several parents, or none.
pub(super) fn of_commit(
    repository: &gix::Repository,
    commit: &CommitId,
    direction: Direction,
) -> Result<Option<PatchId>, String> {
    let commit = find(repository, commit)?;
    let parents: Vec<ObjectId> = commit.parent_ids().map(gix::Id::detach).collect();
    let [parent] = parents.as_slice() else {
        return Ok(None);
    };
    let before = repository.find_commit(*parent).map_err(text)?.tree_id();
    let before = before.map_err(text)?.detach();
    let after = commit.tree_id().map_err(text)?.detach();
    match direction {
        Direction::Forward => between(repository, before, after).map(Some),
        Direction::Backward => between(repository, after, before).map(Some),
    }
}

/// What a commit touches against its first parent, or all that it holds where it has none.
pub(super) fn paths(repository: &gix::Repository, commit: &CommitId) -> Result<BTreeSet<String>, String> {
    let commit = find(repository, commit)?;
    let before = match commit.parent_ids().next() {
        Some(parent) => repository.find_commit(parent).map_err(text)?.tree(),
        None => Ok(repository.empty_tree()),
    };
    let (before, after) = (before.map_err(text)?, commit.tree().map_err(text)?);
    let touched = touched(repository, &before, &after)?;
    let path = |(path, ..): (Vec<u8>, Side, Side)| String::from_utf8_lossy(&path).into_owned();
    Ok(touched.into_iter().map(path).collect())
}

/// Files that differ, in order of their paths.
fn touched(
    repository: &gix::Repository,
    before: &gix::Tree<'_>,
    after: &gix::Tree<'_>,
) -> Result<Vec<(Vec<u8>, Side, Side)>, String> {
    // These options follow no renames.
    let changes = repository
        .diff_tree_to_tree(before, after, gix::diff::Options::default())
        .map_err(text)?;
    let mut files: Vec<(Vec<u8>, Side, Side)> = changes.into_iter().filter_map(sides).collect();
    files.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(files)
}

fn between(repository: &gix::Repository, before: ObjectId, after: ObjectId) -> Result<PatchId, String> {
    let before = repository.find_tree(before).map_err(text)?;
    let after = repository.find_tree(after).map_err(text)?;
    let files = touched(repository, &before, &after)?;
    let mut hash = Sha256::new();
    hash.update(b"lockstep-patch-v1\n");
    for (path, before, after) in files {
        part(&mut hash, b"file", &path);
        for side in [before, after] {
            let mode = side.map_or(0, |(mode, _)| mode.value());
            part(&mut hash, b"mode", &mode.to_be_bytes());
        }
        let (old, new) = (lines(repository, before)?, lines(repository, after)?);
        match (old, new) {
            (Some(old), Some(new)) => hunks(&mut hash, &old, &new),
            _ => {
                for side in [before, after] {
                    let id = side.map(|(_, id)| id.to_string()).unwrap_or_default();
                    part(&mut hash, b"whole", id.as_bytes());
                }
            }
        }
    }
    Ok(PatchId(hex::encode(hash.finalize())))
}

/// A change of a file; folders change with what is in them.
fn sides(change: ChangeDetached) -> Option<(Vec<u8>, Side, Side)> {
    let (path, before, after) = match change {
        ChangeDetached::Addition {
            location,
            entry_mode,
            id,
            ..
        } => (location, None, Some((entry_mode, id))),
        ChangeDetached::Deletion {
            location,
            entry_mode,
            id,
            ..
        } => (location, Some((entry_mode, id)), None),
        ChangeDetached::Modification {
            location,
            previous_entry_mode,
            previous_id,
            entry_mode,
            id,
        } => (
            location,
            Some((previous_entry_mode, previous_id)),
            Some((entry_mode, id)),
        ),
        ChangeDetached::Rewrite {
            location,
            entry_mode,
            id,
            ..
        } => (location, None, Some((entry_mode, id))),
    };
    let file = |side: Side| side.filter(|(mode, _)| mode.is_no_tree());
    let (before, after) = (file(before), file(after));
    (before.is_some() || after.is_some()).then(|| (path.into(), before, after))
}

/// A file's text, nothing where there is no file; `None`: it is no text, or too long to compare by lines.
fn lines(repository: &gix::Repository, side: Side) -> Result<Option<Vec<u8>>, String> {
    let Some((mode, id)) = side else {
        return Ok(Some(Vec::new()));
    };
    if mode.is_commit() {
        return Ok(None);
    }
    let data = repository.find_blob(id).map_err(text)?.take_data();
    let binary = data.iter().take(SNIFFED).any(|byte| *byte == 0);
    Ok((!binary && data.len() <= LONGEST).then_some(data))
}

fn hunks(hash: &mut Sha256, old: &[u8], new: &[u8]) {
    let input = InternedInput::new(old, new);
    let mut diff = Diff::compute(Algorithm::Histogram, &input);
    diff.postprocess_lines(&input);
    for hunk in diff.hunks() {
        let place = |at: u32| usize::try_from(at).unwrap_or(usize::MAX);
        let (start, end) = (place(hunk.before.start), place(hunk.before.end));
        let (first, last) = (place(hunk.after.start), place(hunk.after.end));
        let above = start.saturating_sub(AROUND)..start;
        let below = end..(end + AROUND).min(input.before.len());
        let mut say = |sign: &[u8], tokens: &[gix::diff::blob::Token]| {
            for token in tokens {
                part(hash, sign, input.interner[*token]);
            }
        };
        say(b" ", &input.before[above]);
        say(b"-", &input.before[start..end]);
        say(b"+", &input.after[first..last]);
        say(b" ", &input.before[below]);
        part(hash, b"end", b"");
    }
}

/// Each part with its length, so that none can look like two.
fn part(hash: &mut Sha256, what: &[u8], content: &[u8]) {
    hash.update(what);
    hash.update(u64::try_from(content.len()).unwrap_or(u64::MAX).to_be_bytes());
    hash.update(content);
}
