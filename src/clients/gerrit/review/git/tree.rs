//! Files of a commit, and what is in them.

use gix::objs::tree::EntryKind as Kind;
use lockstep_core::domain::promotion::gate::evidence::CommitId;
use lockstep_core::domain::promotion::ports::reviews::{EntryKind, TreeEntry};

use super::history::find;
use super::text;

pub(super) fn files(repository: &gix::Repository, commit: &CommitId) -> Result<Vec<TreeEntry>, String> {
    let tree = find(repository, commit)?.tree().map_err(text)?;
    let found = tree.traverse().breadthfirst.files().map_err(text)?;
    let mut entries = Vec::with_capacity(found.len());
    for entry in found {
        let kind = match entry.mode.kind() {
            Kind::Tree => continue,
            Kind::Blob => EntryKind::File,
            Kind::BlobExecutable => EntryKind::Executable,
            Kind::Link => EntryKind::Symlink,
            Kind::Commit => EntryKind::Gitlink,
        };
        let path = String::from_utf8(entry.filepath.into()).map_err(|error| {
            format!(
                "the name {:?} is no UTF-8",
                error.into_bytes().escape_ascii().to_string()
            )
        })?;
        entries.push(TreeEntry {
            path,
            kind,
            id: entry.oid.to_string(),
        });
    }
    entries.sort();
    Ok(entries)
}

pub(super) fn content(
    repository: &gix::Repository,
    entry: &TreeEntry,
    limit: u64,
) -> Result<Result<Vec<u8>, String>, String> {
    let TreeEntry { path, kind, id } = entry;
    if *kind == EntryKind::Gitlink {
        return Err(format!(
            "{path} is a commit of another repository and has no content here"
        ));
    }
    let id = gix::ObjectId::from_hex(id.as_bytes()).map_err(text)?;
    let size = repository.find_header(id).map_err(text)?.size();
    if size > limit {
        // Not the mirror's fault: reading it again changes nothing.
        return Ok(Err(format!(
            "{path} has {size} bytes, more than the {limit} that can be taken: make it shorter, or keep it elsewhere"
        )));
    }
    Ok(Ok(repository.find_blob(id).map_err(text)?.take_data()))
}
