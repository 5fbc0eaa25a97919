//! One branch of one project by git: history with trees, and the content of files. Fetched over the same HTTP as all
//! else, with its budget, its certificates and its breaker, into a directory that can be thrown away at any time.
//!
//! `pack` speaks git's protocol, `history` walks and merges, `patch` says what a commit changes, `tree` lists and reads.

mod history;
mod pack;
mod patch;
mod tree;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use lockstep_core::domain::ports::{SystemError, SystemErrorKind};
use lockstep_core::domain::promotion::evidence::{CommitId, PatchId, TreeId};
use lockstep_core::domain::promotion::ports::{Repository, TreeEntry, Watched};
use lockstep_core::domain::promotion::range::Commit;
use sha2::{Digest as _, Sha256};

use super::super::GerritSystem;

/// Longest time of one fetch: the first one of a branch brings its whole history.
const PATIENCE: Duration = Duration::from_mins(10);
/// Packs after which it is cheaper to fetch everything anew than to search them all.
const PACKS: usize = 64;
/// Tips that are remembered, so that the next fetch need not bring what they reach.
const TIPS: usize = 32;

/// A mirror of one branch.
pub struct Mirror {
    system: Arc<GerritSystem>,
    project: String,
    directory: PathBuf,
    flight: tokio::sync::Mutex<()>,
}

impl GerritSystem {
    /// The mirror of a branch below `cache`. Two that are open at once must not share a branch.
    pub fn mirror(self: &Arc<Self>, on: &Watched, cache: &Path) -> Mirror {
        let mut hash = Sha256::new();
        for part in [self.rest.http.host(), on.project.as_str(), on.branch.as_str()] {
            hash.update(part);
            hash.update(b"\0");
        }
        let name = hex::encode(hash.finalize());
        Mirror {
            system: Arc::clone(self),
            project: on.project.clone(),
            directory: cache.join(name.get(..32).unwrap_or(&name)),
            flight: tokio::sync::Mutex::new(()),
        }
    }
}

impl Mirror {
    /// Works on the mirror where waiting holds nobody up.
    async fn work<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Path) -> Result<T, String> + Send + 'static,
    ) -> Result<T, SystemError> {
        let directory = self.directory.clone();
        let done = tokio::task::spawn_blocking(move || work(&directory)).await;
        let why = match done {
            Ok(Ok(value)) => return Ok(value),
            Ok(Err(why)) => why,
            Err(error) => error.to_string(),
        };
        let message = format!("the mirror of {}: {why}", self.project);
        Err(self.system.rest.http.error(SystemErrorKind::BadAnswer, message))
    }
}

#[async_trait]
impl Repository for Mirror {
    async fn fetch(&self, tip: &CommitId) -> Result<(), SystemError> {
        let _flight = self.flight.lock().await;
        let wanted = tip.clone();
        let Some(known) = self.work(move |directory| prepare(directory, &wanted)).await? else {
            return Ok(());
        };
        let incoming = self.directory.join("incoming");
        let request = pack::request(tip, &known);
        self.system
            .rest
            .upload_pack(&self.project, request, &incoming, PATIENCE)
            .await?;
        let wanted = tip.clone();
        self.work(move |directory| {
            let taken = pack::take_in(&incoming, directory);
            let _ = fs::remove_file(&incoming);
            taken?;
            if !open(directory)?.has_object(id(&wanted)?) {
                return Err(format!("{wanted} was asked for and did not come"));
            }
            remember(directory, known, wanted)
        })
        .await
    }

    async fn history(
        &self,
        tip: &CommitId,
        known: &BTreeSet<CommitId>,
    ) -> Result<BTreeMap<CommitId, Commit>, SystemError> {
        let (tip, known) = (tip.clone(), known.clone());
        self.work(move |directory| history::read(directory, &tip, &known))
            .await
    }

    async fn tree(&self, commit: &CommitId) -> Result<TreeId, SystemError> {
        let commit = commit.clone();
        self.work(move |directory| {
            let repository = open(directory)?;
            let tree = history::find(&repository, &commit)?.tree_id().map_err(text)?;
            Ok(TreeId(tree.detach().to_string()))
        })
        .await
    }

    async fn patch(&self, commit: &CommitId) -> Result<Option<PatchId>, SystemError> {
        let commit = commit.clone();
        self.work(move |directory| {
            let repository = open(directory)?;
            patch::of_commit(&repository, &commit, patch::Direction::Forward)
        })
        .await
    }

    async fn files(&self, commit: &CommitId) -> Result<Vec<TreeEntry>, SystemError> {
        let commit = commit.clone();
        self.work(move |directory| tree::files(&open(directory)?, &commit))
            .await
    }

    async fn content(&self, entry: &TreeEntry, limit: u64) -> Result<Vec<u8>, SystemError> {
        let entry = entry.clone();
        self.work(move |directory| tree::content(&open(directory)?, &entry, limit))
            .await
    }
}

/// Makes sure that there is a repository. The tips it has, or `None` if the commit is there already: packs come whole,
/// so that whatever is there has everything below it.
fn prepare(directory: &Path, wanted: &CommitId) -> Result<Option<Vec<CommitId>>, String> {
    let packs = fs::read_dir(directory.join("objects/pack")).map_or(0, Iterator::count);
    // Each pack has an index.
    let worn = packs > 2 * PACKS;
    let repository = match open(directory) {
        Ok(repository) if !worn => repository,
        _ => {
            if directory.exists() {
                fs::remove_dir_all(directory).map_err(text)?;
            }
            fs::create_dir_all(directory).map_err(text)?;
            let bare = gix::create::Kind::Bare;
            let options = gix::create::Options::default();
            gix::ThreadSafeRepository::init_opts(directory, bare, options, isolated()).map_err(text)?;
            open(directory)?
        }
    };
    if repository.has_object(id(wanted)?) {
        return Ok(None);
    }
    let tips = fs::read_to_string(directory.join("tips")).unwrap_or_default();
    let tips = tips.lines().map(|line| CommitId(line.to_owned()));
    let there = |tip: &CommitId| id(tip).is_ok_and(|tip| repository.has_object(tip));
    Ok(Some(tips.filter(there).collect()))
}

fn remember(directory: &Path, mut tips: Vec<CommitId>, newest: CommitId) -> Result<(), String> {
    tips.push(newest);
    let skip = tips.len().saturating_sub(TIPS);
    let lines: Vec<&str> = tips.iter().skip(skip).map(|tip| tip.0.as_str()).collect();
    fs::write(directory.join("tips"), lines.join("\n")).map_err(text)
}

/// Nothing of this machine's git configuration counts.
fn isolated() -> gix::open::Options {
    gix::open::Options::isolated().open_path_as_is(true)
}

fn open(directory: &Path) -> Result<gix::Repository, String> {
    gix::open_opts(directory, isolated()).map_err(text)
}

fn id(commit: &CommitId) -> Result<gix::ObjectId, String> {
    gix::ObjectId::from_hex(commit.0.as_bytes()).map_err(|_| format!("{:?} is no commit", commit.0))
}

fn text(error: impl Display) -> String {
    error.to_string()
}
