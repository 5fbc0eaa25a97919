//! One line of the record and its place in the chain.

use lockstep_core::domain::ports::{EntryId, ObjectKey};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

/// Hash of a line, or of nothing before the first one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LineHash([u8; 32]);

impl LineHash {
    pub(super) const NONE: Self = Self([0; 32]);

    /// Of the line's bytes without its newline.
    pub(super) fn of(line: &[u8]) -> Self {
        Self(Sha256::digest(line).into())
    }

    fn hex(self) -> String {
        hex::encode(self.0)
    }
}

/// Where the chain ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tip {
    /// Number of the last entry; the first has 1.
    pub(super) seq: u64,
    pub(super) hash: LineHash,
}

impl Tip {
    pub(super) const START: Self = Self {
        seq: 0,
        hash: LineHash::NONE,
    };

    /// Forms the line of the next entry, with its newline, and the tip and id that it makes.
    pub(super) fn extend(self, entry: &str) -> (String, Self, EntryId) {
        let seq = self.seq + 1;
        let previous = self.hash.hex();
        let mut line = format!(r#"{{"seq":{seq},"previous":"{previous}","entry":{entry}}}"#);
        let hash = LineHash::of(line.as_bytes());
        line.push('\n');
        let id = EntryId(format!("{seq}-{}", &hash.hex()[..8]));
        (line, Self { seq, hash }, id)
    }

    /// The tip that a line makes, whatever came before it.
    pub(super) fn of(line: &[u8]) -> Result<Self, String> {
        let Link { seq, previous: _ } =
            serde_json::from_slice(line).map_err(|error| format!("it is not an entry ({error})"))?;
        Ok(Self {
            seq,
            hash: LineHash::of(line),
        })
    }

    /// Follows a line that was read back; says what is wrong if it does not continue the chain.
    pub(super) fn follow(self, line: &[u8]) -> Result<Self, String> {
        let Link { seq, previous } =
            serde_json::from_slice(line).map_err(|error| format!("it is not an entry ({error})"))?;
        if seq != self.seq + 1 {
            return Err(format!("it is number {seq} where {} is due", self.seq + 1));
        }
        if previous != self.hash.hex() {
            return Err("the line before it is not the one it was written after".into());
        }
        Ok(Self {
            seq,
            hash: LineHash::of(line),
        })
    }
}

/// Where a line stands, and what must be found there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) segment: u32,
    /// Bytes before it in its segment.
    pub(super) offset: u64,
    /// The tip that it makes.
    pub(super) tip: Tip,
}

/// What chains a line to the one before.
#[derive(Deserialize)]
struct Link {
    seq: u64,
    previous: String,
}

/// What a line is about, read without the rest of it.
#[derive(Deserialize)]
pub(super) struct About {
    pub(super) entry: AboutEntry,
}

#[derive(Deserialize)]
pub(super) struct AboutEntry {
    pub(super) object: ObjectKey,
}
