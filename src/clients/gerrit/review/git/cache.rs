//! Where mirrors lie: below one directory, in a part of it that no other process works in and nobody else may write.
//! What is found there is believed, since git names content by its hash but reads it without computing it again.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock, Weak};
use std::time::{Duration, SystemTime};

/// Processes that can share one directory: more than anybody runs on one machine.
const PARTS: u32 = 64;
/// A mirror that fetched nothing for so long goes when the next process begins: its branch or its connection may be no
/// more.
const UNUSED: Duration = Duration::from_hours(7 * 24);

/// Mirrors of branches on disk. They can be thrown away at any time while no process runs.
pub struct GitCache {
    root: PathBuf,
    part: Mutex<Option<Part>>,
    mirrors: Mutex<BTreeMap<String, Weak<Bare>>>,
}

/// What belongs to this process for as long as it holds the lock.
struct Part {
    directory: PathBuf,
    _lock: File,
}

/// One bare repository. All that work on it share this, be they made for one client or for the next.
pub(super) struct Bare {
    cache: Arc<GitCache>,
    name: String,
    /// One fetch at a time.
    pub flight: tokio::sync::Mutex<()>,
    /// Held while something is read, and alone while it is begun anew.
    pub standing: RwLock<()>,
}

impl GitCache {
    /// Mirrors below this directory; it is made when it is needed.
    pub fn below(root: impl Into<PathBuf>) -> Arc<Self> {
        Arc::new(Self {
            root: root.into(),
            part: Mutex::default(),
            mirrors: Mutex::default(),
        })
    }

    /// The part of this process, taken at the first call. Waits for the disk.
    pub fn directory(&self) -> Result<PathBuf, String> {
        let mut part = self.part.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(part) = &*part {
            return Ok(part.directory.clone());
        }
        let taken = take(&self.root)?;
        forget_unused(&taken.directory, SystemTime::now());
        Ok(part.insert(taken).directory.clone())
    }

    /// The repository of this name.
    pub(super) fn bare(self: &Arc<Self>, name: String) -> Arc<Bare> {
        let mut mirrors = self.mirrors.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bare) = mirrors.get(&name).and_then(Weak::upgrade) {
            return bare;
        }
        mirrors.retain(|_, bare| bare.strong_count() > 0);
        let bare = Arc::new(Bare {
            cache: Arc::clone(self),
            name: name.clone(),
            flight: tokio::sync::Mutex::default(),
            standing: RwLock::default(),
        });
        mirrors.insert(name, Arc::downgrade(&bare));
        bare
    }
}

impl Bare {
    /// Where it lies. Waits for the disk.
    pub fn directory(&self) -> Result<PathBuf, String> {
        Ok(self.cache.directory()?.join(&self.name))
    }
}

/// Takes the first part that is nobody's.
fn take(root: &Path) -> Result<Part, String> {
    let failed = |error: io::Error| {
        let root = root.display();
        format!("--git-cache {root} cannot be used: {error}: name a directory that the operator may write")
    };
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(root)
        .map_err(failed)?;
    for number in 0..PARTS {
        match take_part(root.join(number.to_string())) {
            Ok(Some(part)) => return Ok(part),
            Ok(None) => {}
            Err(error) if error.kind() == ErrorKind::PermissionDenied => {}
            Err(error) => return Err(failed(error)),
        }
    }
    Err(format!(
        "--git-cache {}: all {PARTS} parts are in use or somebody else's: name a directory of the operator's own",
        root.display()
    ))
}

fn take_part(directory: PathBuf) -> io::Result<Option<Part>> {
    match DirBuilder::new().mode(0o700).create(&directory) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    let lock = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(directory.join("lock"))?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Ok(None),
        Err(TryLockError::Error(error)) => return Err(error),
    }
    Ok(is_ours_alone(&directory)?.then_some(Part {
        directory,
        _lock: lock,
    }))
}

/// Whether it is our own and nobody else may write there: in a directory of all users somebody may have been first.
fn is_ours_alone(directory: &Path) -> io::Result<bool> {
    let trial = directory.join("trial");
    if let Err(error) = fs::remove_file(&trial)
        && error.kind() != ErrorKind::NotFound
    {
        return Err(error);
    }
    let us = File::create_new(&trial)?.metadata()?.uid();
    fs::remove_file(&trial)?;
    let there = fs::symlink_metadata(directory)?;
    Ok(there.is_dir() && there.uid() == us && there.mode() & 0o022 == 0)
}

/// Removes mirrors that nobody seems to need. One that stays costs nothing but room.
fn forget_unused(part: &Path, now: SystemTime) {
    let Ok(entries) = fs::read_dir(part) else { return };
    for mirror in entries.flatten().map(|entry| entry.path()) {
        let fetched = fs::metadata(mirror.join(super::FETCHED)).and_then(|about| about.modified());
        let age = fetched.ok().and_then(|at| now.duration_since(at).ok());
        if mirror.is_dir() && age.is_some_and(|age| age > UNUSED) {
            let _ = fs::remove_dir_all(mirror);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    /// A directory that goes with the test.
    struct Scratch(PathBuf);

    impl Scratch {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("lockstep-{name}-{}", std::process::id()));
            let _ = fs::remove_dir_all(&path);
            Self(path)
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn two_processes_never_work_in_one_part() {
        let scratch = Scratch::new("parts");
        let (first, second) = (GitCache::below(&scratch.0), GitCache::below(&scratch.0));
        let one = first.directory().unwrap();
        assert_eq!(one, first.directory().unwrap(), "taken once");
        assert_ne!(one, second.directory().unwrap());
        drop(first);
        let third = GitCache::below(&scratch.0);
        assert_eq!(one, third.directory().unwrap(), "what is let go is used again");
    }

    #[test]
    fn a_part_that_others_may_write_is_left_alone() {
        let scratch = Scratch::new("open-part");
        let first = scratch.0.join("0");
        fs::create_dir_all(&first).unwrap();
        fs::set_permissions(&first, fs::Permissions::from_mode(0o777)).unwrap();
        let cache = GitCache::below(&scratch.0);
        assert_eq!(cache.directory().unwrap(), scratch.0.join("1"));
    }

    #[test]
    fn a_directory_that_cannot_be_used_is_named() {
        let scratch = Scratch::new("no-directory");
        fs::write(&scratch.0, "a file").unwrap();
        let why = GitCache::below(&scratch.0).directory().unwrap_err();
        assert!(why.contains(scratch.0.to_str().unwrap()), "{why}");
        fs::remove_file(&scratch.0).unwrap();
    }

    #[test]
    fn whoever_works_on_one_branch_shares_one_repository() {
        let cache = GitCache::below("/nowhere");
        let one = cache.bare("a".into());
        assert!(Arc::ptr_eq(&one, &cache.bare("a".into())));
        assert!(!Arc::ptr_eq(&one, &cache.bare("b".into())));
        drop(one);
        cache.bare("c".into());
        let kept: Vec<String> = cache.mirrors.lock().unwrap().keys().cloned().collect();
        assert_eq!(kept, ["c"], "what nobody holds is forgotten");
    }

    #[test]
    fn a_mirror_that_fetched_nothing_for_a_week_goes() {
        let scratch = Scratch::new("unused");
        for name in ["fetched", "begun"] {
            fs::create_dir_all(scratch.0.join(name)).unwrap();
        }
        fs::write(scratch.0.join("fetched").join(super::super::FETCHED), "").unwrap();
        let later = |after| SystemTime::now() + after;
        forget_unused(&scratch.0, later(UNUSED * 9 / 10));
        assert!(scratch.0.join("fetched").exists());
        forget_unused(&scratch.0, later(UNUSED * 11 / 10));
        assert!(!scratch.0.join("fetched").exists());
        assert!(scratch.0.join("begun").exists(), "it may be about to fetch");
    }
}
