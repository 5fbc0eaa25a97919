//! One branch of one project by git: history with trees, and the content of files. Fetched over the same HTTP as all
//! else, with its budget, its certificates and its breaker, into a directory that can be thrown away at any time.
//!
//! `cache` says where it lies, `pack` speaks git's protocol, `history` walks and merges, `patch` says what a commit
//! changes, `tree` lists and reads.

mod cache;
mod history;
mod pack;
mod patch;
mod tree;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use lockstep_core::domain::ports::{SystemError, SystemErrorKind};
use lockstep_core::domain::promotion::gate::evidence::{CommitId, PatchId, TreeId};
use lockstep_core::domain::promotion::gate::range::Commit;
use lockstep_core::domain::promotion::ports::reviews::{Repository, TreeEntry, Watched};
use sha2::{Digest as _, Sha256};

use super::super::GerritSystem;

pub use cache::GitCache;

use cache::Bare;

/// Longest time of one fetch: the first one of a branch brings its whole history.
const PATIENCE: Duration = Duration::from_mins(10);
/// Packs after which it is cheaper to fetch everything anew than to search them all.
const PACKS: usize = 64;
/// Tips that are remembered, so that the next fetch need not bring what they reach.
const TIPS: usize = 32;

/// Where a mirror keeps its tips; written whenever something was fetched.
const FETCHED: &str = "tips";

/// A mirror of one branch. Several may be open at once, by one client or by two of which one follows the other.
pub struct Mirror {
    system: Arc<GerritSystem>,
    project: String,
    bare: Arc<Bare>,
}

impl GerritSystem {
    /// The mirror of a branch. `connection` names who reads: what one connection's identity may see is not shown to
    /// another's.
    pub fn mirror(self: &Arc<Self>, on: &Watched, cache: &Arc<GitCache>, connection: &str) -> Mirror {
        Mirror {
            system: Arc::clone(self),
            project: on.project.clone(),
            bare: cache.bare(place(connection, self.rest.http.host(), on)),
        }
    }
}

/// A mirror's name on disk: no two have the same, whatever stands in theirs.
fn place(connection: &str, host: &str, on: &Watched) -> String {
    let mut hash = Sha256::new();
    for part in [connection, host, on.project.as_str(), on.branch.as_str()] {
        hash.update(part);
        hash.update(b"\0");
    }
    let mut name = hex::encode(hash.finalize());
    name.truncate(32);
    name
}

impl Mirror {
    /// Works on the mirror where waiting holds nobody up.
    async fn work<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Path) -> Result<T, String> + Send + 'static,
    ) -> Result<T, SystemError> {
        let bare = Arc::clone(&self.bare);
        self.wait(move || {
            let _standing = bare.standing.read().unwrap_or_else(PoisonError::into_inner);
            work(&bare.directory()?)
        })
        .await
    }

    async fn wait<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, String> + Send + 'static,
    ) -> Result<T, SystemError> {
        let why = match tokio::task::spawn_blocking(work).await {
            Ok(Ok(value)) => return Ok(value),
            Ok(Err(why)) => why,
            Err(error) => error.to_string(),
        };
        let message = format!("the mirror of {}: {why}", self.project);
        Err(self.system.rest.http.error(SystemErrorKind::BadAnswer, message))
    }

    /// Makes sure that there is a repository. Where the answer is to be put and the tips that are here, or `None` if
    /// the commit is here already.
    async fn prepare(&self, tip: &CommitId) -> Result<Option<(PathBuf, Vec<CommitId>)>, SystemError> {
        let (bare, wanted) = (Arc::clone(&self.bare), tip.clone());
        self.wait(move || {
            let directory = bare.directory()?;
            let _standing = bare.standing.write().unwrap_or_else(PoisonError::into_inner);
            let known = prepare(&directory, &wanted)?;
            Ok(known.map(|known| (directory.join("incoming"), known)))
        })
        .await
    }
}

#[async_trait]
impl Repository for Mirror {
    async fn fetch(&self, tip: &CommitId) -> Result<(), SystemError> {
        let _flight = self.bare.flight.lock().await;
        let Some((incoming, known)) = self.prepare(tip).await? else {
            return Ok(());
        };
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

    async fn paths(&self, commit: &CommitId) -> Result<BTreeSet<String>, SystemError> {
        let commit = commit.clone();
        self.work(move |directory| patch::paths(&open(directory)?, &commit))
            .await
    }

    async fn files(&self, commit: &CommitId) -> Result<Vec<TreeEntry>, SystemError> {
        let commit = commit.clone();
        self.work(move |directory| tree::files(&open(directory)?, &commit))
            .await
    }

    async fn content(&self, entry: &TreeEntry, limit: u64) -> Result<Vec<u8>, SystemError> {
        let entry = entry.clone();
        let content = self
            .work(move |directory| tree::content(&open(directory)?, &entry, limit))
            .await?;
        content.map_err(|why| self.system.rest.http.error(SystemErrorKind::Refused, why))
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
    let tips = fs::read_to_string(directory.join(FETCHED)).unwrap_or_default();
    let tips = tips.lines().map(|line| CommitId(line.to_owned()));
    let there = |tip: &CommitId| id(tip).is_ok_and(|tip| repository.has_object(tip));
    Ok(Some(tips.filter(there).collect()))
}

fn remember(directory: &Path, mut tips: Vec<CommitId>, newest: CommitId) -> Result<(), String> {
    tips.push(newest);
    let skip = tips.len().saturating_sub(TIPS);
    let lines: Vec<&str> = tips.iter().skip(skip).map(|tip| tip.0.as_str()).collect();
    fs::write(directory.join(FETCHED), lines.join("\n")).map_err(text)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_mirrors_lie_in_one_place() {
        let on = |project: &str, branch: &str| Watched {
            project: project.into(),
            branch: branch.into(),
        };
        let places = BTreeSet::from([
            place("a", "h", &on("p", "b")),
            place("b", "h", &on("p", "b")),
            place("a", "i", &on("p", "b")),
            place("a", "h", &on("q", "b")),
            place("a", "h", &on("p", "c")),
            place("ah", "", &on("p", "b")),
            place("a", "h", &on("pb", "")),
        ]);
        assert_eq!(places.len(), 7);
    }

    #[test]
    fn a_mirror_is_made_where_there_is_none_and_where_it_is_broken_or_worn() {
        let scratch = std::env::temp_dir().join(format!("lockstep-mirror-{}", std::process::id()));
        let wanted = CommitId("0123456789abcdef0123456789abcdef01234567".into());
        let begin = || prepare(&scratch, &wanted).unwrap();
        let mark = scratch.join("mark");
        assert_eq!(begin(), Some(Vec::new()), "nothing is here");
        fs::write(&mark, "").unwrap();
        remember(&scratch, Vec::new(), wanted.clone()).unwrap();
        assert_eq!(begin(), Some(Vec::new()), "a tip that is not here is not told");
        assert!(mark.exists(), "what is whole is kept");

        let packs = scratch.join("objects/pack");
        fs::create_dir_all(&packs).unwrap();
        for number in 0..=2 * PACKS {
            fs::write(packs.join(number.to_string()), "").unwrap();
        }
        begin();
        assert!(!mark.exists(), "worn");

        fs::write(&mark, "").unwrap();
        fs::write(scratch.join("config"), "[broken").unwrap();
        begin();
        assert!(!mark.exists(), "broken");
        fs::remove_dir_all(&scratch).unwrap();
    }
}
