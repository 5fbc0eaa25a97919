//! Commits with their trees, what merging gives by itself, and which commit takes back which.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use gix::merge::blob::builtin_driver::text::Labels;
use gix::merge::tree::TreatAsUnresolved;
use jiff::Timestamp;
use lockstep_core::domain::promotion::gate::evidence::{CommitId, TreeId};
use lockstep_core::domain::promotion::gate::people::Email;
use lockstep_core::domain::promotion::gate::range::Commit;

use super::super::walk::Walk;
use super::patch::{self, Direction};
use super::{id, open, text};

/// How git and Gerrit say in a message what it takes back.
const REVERTS: &str = "This reverts commit ";

pub(super) fn find<'repo>(
    repository: &'repo gix::Repository,
    commit: &CommitId,
) -> Result<gix::Commit<'repo>, String> {
    repository.find_commit(id(commit)?).map_err(text)
}

/// All that the tip has and `known` do not reach, and as much below as shows where they meet. Only of the former it is
/// said what merging gives and what they take back: nobody asks about the rest.
pub(super) fn read(
    directory: &Path,
    tip: &CommitId,
    known: &BTreeSet<CommitId>,
) -> Result<BTreeMap<CommitId, Commit>, String> {
    // What merging gives is kept in memory: it must not look like something that was fetched.
    let repository = open(directory)?.with_object_memory();
    let mut found = BTreeMap::new();
    let mut walk = Walk::new(tip, known);
    while let Some(next) = walk.next_unread() {
        let commit = match find(&repository, &next) {
            Ok(commit) => commit,
            Err(_) if known.contains(&next) && next != *tip => {
                // What was taken out of the branch need not be here.
                walk.add(next, Vec::new(), Timestamp::UNIX_EPOCH);
                continue;
            }
            Err(why) => return Err(why),
        };
        let date = commit
            .time()
            .ok()
            .and_then(|time| Timestamp::from_second(time.seconds).ok())
            .unwrap_or(Timestamp::UNIX_EPOCH);
        let parents: Vec<CommitId> = commit
            .parent_ids()
            .map(|parent| CommitId(parent.detach().to_string()))
            .collect();
        let tree = commit.tree_id().map_err(text)?;
        let node = Commit {
            parents: parents.clone(),
            tree: TreeId(tree.detach().to_string()),
            automatic_merge: None,
            reverts: None,
            hands: hands(&commit).map_err(text)?,
        };
        found.insert(next.clone(), node);
        walk.add(next, parents, date);
    }
    for commit in walk.beyond() {
        if let Some(node) = found.get_mut(&commit) {
            if let [ours, theirs] = node.parents.as_slice() {
                node.automatic_merge = merged(&repository, ours, theirs);
            }
            node.reverts = reverted(&repository, &commit);
        }
    }
    Ok(found)
}

/// Who wrote and who committed it.
fn hands(commit: &gix::Commit<'_>) -> Result<BTreeSet<Email>, gix::object::commit::Error> {
    let (author, committer) = (commit.author()?, commit.committer()?);
    let address = |who: gix::actor::SignatureRef<'_>| Email::from(who.email.to_string());
    Ok([address(author), address(committer)].into())
}

/// What merging two commits gives without renames and without anybody's hand. `None`: it conflicts.
fn merged(repository: &gix::Repository, ours: &CommitId, theirs: &CommitId) -> Option<TreeId> {
    let (ours, theirs) = (id(ours).ok()?, id(theirs).ok()?);
    // JGit, which merges for Gerrit, knows no renames.
    let options = repository
        .tree_merge_options()
        .ok()?
        .with_rewrites(None)
        .with_fail_on_conflict(Some(TreatAsUnresolved::git()));
    let merged = repository.merge_commits(ours, theirs, Labels::default(), options.into());
    let mut merge = merged.ok()?.tree_merge;
    if merge.has_unresolved_conflicts(TreatAsUnresolved::git()) {
        return None;
    }
    let tree = merge.tree.write().ok()?;
    Some(TreeId(tree.detach().to_string()))
}

/// The commit that this one names and is the exact inverse of.
fn reverted(repository: &gix::Repository, commit: &CommitId) -> Option<CommitId> {
    let message = find(repository, commit).ok()?.message_raw_sloppy().to_string();
    let (_, rest) = message.split_once(REVERTS)?;
    let named = CommitId(rest.get(..40)?.to_owned());
    let taken_back = patch::of_commit(repository, &named, Direction::Backward).ok()??;
    let given = patch::of_commit(repository, commit, Direction::Forward).ok()??;
    (taken_back == given).then_some(named)
}
