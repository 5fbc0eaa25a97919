//! The files of the record: numbered segments in one directory, a lock that one process holds, and the way back
//! after a crash.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, BufRead, BufReader, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use lockstep_core::domain::ports::KeepError;

use super::line::Tip;

/// What opening found to repair.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recovered {
    /// The file whose end was torn.
    pub segment: PathBuf,
    /// How much of an entry was there. It was never acknowledged, so nothing was done because of it.
    pub bytes: u64,
}

/// Why a record cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process writes it; it may end.
    #[error("{} is held by another process: one writes at a time", .0.display())]
    Held(PathBuf),
    /// It cannot be read, or its chain is broken.
    #[error(transparent)]
    Unusable(#[from] KeepError),
}

/// The record's directory, held by this process alone.
pub(super) struct Directory {
    path: PathBuf,
    /// Let go by the kernel when the process ends, however it ends.
    _lock: File,
}

/// The end of the record, ready to be extended.
pub(super) struct End {
    pub(super) number: u32,
    pub(super) file: File,
    /// Length of what is complete and synced.
    pub(super) length: u64,
    pub(super) tip: Tip,
    /// Whether bytes of an append that failed may stand behind `length`.
    pub(super) torn: bool,
}

pub(super) fn failed(path: &Path, error: &io::Error) -> KeepError {
    KeepError {
        what: "record",
        message: format!("{}: {error}", path.display()),
    }
}

/// Segments of a record, oldest first.
pub(super) fn list(path: &Path) -> Result<Vec<(u32, PathBuf)>, KeepError> {
    let mut found = Vec::new();
    for entry in fs::read_dir(path).map_err(|error| failed(path, &error))? {
        let entry = entry.map_err(|error| failed(path, &error))?;
        let name = entry.file_name();
        let number = name
            .to_str()
            .and_then(|name| name.strip_prefix("record-")?.strip_suffix(".jsonl")?.parse().ok());
        if let Some(number) = number {
            found.push((number, entry.path()));
        }
    }
    found.sort();
    Ok(found)
}

/// The file of a segment.
pub(super) fn segment(directory: &Path, number: u32) -> PathBuf {
    directory.join(format!("record-{number:06}.jsonl"))
}

impl Directory {
    /// Creates the directory where it is missing, and locks it.
    pub(super) fn lock(path: &Path) -> Result<Self, OpenError> {
        fs::create_dir_all(path).map_err(|error| failed(path, &error))?;
        let lock = path.join("lock");
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&lock)
            .map_err(|error| failed(&lock, &error))?;
        match file.try_lock() {
            Ok(()) => Ok(Self {
                path: path.to_owned(),
                _lock: file,
            }),
            Err(TryLockError::WouldBlock) => Err(OpenError::Held(path.to_owned())),
            Err(TryLockError::Error(error)) => Err(failed(&lock, &error).into()),
        }
    }

    /// Finds the end of the record. A last line that was cut off is removed; anything else that does not fit the
    /// chain is refused, because it is no accident of ours.
    pub(super) fn end(&self) -> Result<(End, Option<Recovered>), KeepError> {
        let segments = list(&self.path)?;
        let Some((number, path)) = segments.last().cloned() else {
            return Ok((self.begin(1, Tip::START)?, None));
        };
        let before = match segments.len().checked_sub(2).and_then(|n| segments.get(n)) {
            None => Tip::START,
            Some((_, path)) => last_tip(path)?,
        };
        let (tip, good) = follow(&path, before)?;
        let file = OpenOptions::new()
            .append(true)
            .open(&path)
            .map_err(|error| failed(&path, &error))?;
        let length = file.metadata().map_err(|error| failed(&path, &error))?.len();
        let recovered = (length > good).then(|| Recovered {
            segment: path.clone(),
            bytes: length - good,
        });
        if recovered.is_some() {
            file.set_len(good)
                .and_then(|()| file.sync_all())
                .map_err(|error| failed(&path, &error))?;
        }
        let end = End {
            number,
            file,
            length: good,
            tip,
            torn: false,
        };
        Ok((end, recovered))
    }

    /// Begins a new segment after `tip`.
    pub(super) fn begin(&self, number: u32, tip: Tip) -> Result<End, KeepError> {
        let path = segment(&self.path, number);
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&path)
            .map_err(|error| failed(&path, &error))?;
        // It may be there already, left empty by an attempt that failed; with entries in it, it is not ours.
        if file.metadata().map_err(|error| failed(&path, &error))?.len() > 0 {
            return Err(failed(&path, &io::ErrorKind::AlreadyExists.into()));
        }
        // A file whose name is not synced may be gone after a power cut.
        File::open(&self.path)
            .and_then(|directory| directory.sync_all())
            .map_err(|error| failed(&self.path, &error))?;
        Ok(End {
            number,
            file,
            length: 0,
            tip,
            torn: false,
        })
    }
}

impl End {
    /// Takes back what an append that failed left behind. Until that has worked nothing more is written: a line behind
    /// half a line would be acknowledged, and unreadable.
    pub(super) fn mend(&mut self) -> io::Result<()> {
        if self.torn {
            self.file.set_len(self.length)?;
            self.file.sync_all()?;
            self.torn = false;
        }
        Ok(())
    }

    /// Appends complete lines and syncs them; what cannot be appended whole is taken back, now or before the next.
    pub(super) fn append(&mut self, lines: &str, tip: Tip) -> io::Result<()> {
        self.mend()?;
        self.torn = true;
        self.file
            .write_all(lines.as_bytes())
            .and_then(|()| self.file.sync_data())
            .inspect_err(|_| {
                if let Err(error) = self.mend() {
                    tracing::error!(%error, "half an entry stands at the end of the record: nothing is written until it can be removed");
                }
            })?;
        self.torn = false;
        self.length += lines.len() as u64;
        self.tip = tip;
        Ok(())
    }
}

/// Follows a segment from `tip` to its last complete line. Answers with the tip and the length up to there.
fn follow(path: &Path, mut tip: Tip) -> Result<(Tip, u64), KeepError> {
    let mut good = 0;
    let mut number = 0u64;
    lines(path, |line| {
        number += 1;
        tip = tip.follow(line).map_err(|wrong| KeepError {
            what: "record",
            message: format!(
                "{} line {number} does not continue the chain: {wrong}",
                path.display()
            ),
        })?;
        good += line.len() as u64 + 1;
        Ok(())
    })?;
    Ok((tip, good))
}

/// The tip that the last line of a finished segment makes.
fn last_tip(path: &Path) -> Result<Tip, KeepError> {
    let mut last = Vec::new();
    lines(path, |line| {
        last.clear();
        last.extend_from_slice(line);
        Ok(())
    })?;
    Tip::of(&last).map_err(|wrong| KeepError {
        what: "record",
        message: format!("{}: its last line is no entry: {wrong}", path.display()),
    })
}

/// Calls back for each complete line, without its newline. What follows the last newline is left out.
pub(super) fn lines(
    path: &Path,
    mut each: impl FnMut(&[u8]) -> Result<(), KeepError>,
) -> Result<(), KeepError> {
    let file = File::open(path).map_err(|error| failed(path, &error))?;
    let mut reader = BufReader::with_capacity(1 << 16, file);
    let mut line = Vec::new();
    loop {
        line.clear();
        reader
            .read_until(b'\n', &mut line)
            .map_err(|error| failed(path, &error))?;
        match line.strip_suffix(b"\n") {
            Some(complete) => each(complete)?,
            None => return Ok(()),
        }
    }
}

/// The line that begins at an offset, without its newline.
pub(super) fn line_at(path: &Path, offset: u64) -> Result<Vec<u8>, KeepError> {
    let read = || -> io::Result<Vec<u8>> {
        let mut file = File::open(path)?;
        file.seek(SeekFrom::Start(offset))?;
        let mut line = Vec::new();
        BufReader::new(file).read_until(b'\n', &mut line)?;
        line.pop_if(|last| *last == b'\n');
        Ok(line)
    };
    read().map_err(|error| failed(path, &error))
}
