use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use jiff::Timestamp;
use lockstep_core::api::access_binding::{InventoryRow, Origin};
use lockstep_core::domain::ports::{Entry, Event, ObjectKey, Record};

use super::segments::Directory;
use super::{FileRecord, OpenError};

#[path = "facts_tests.rs"]
mod facts;

/// A directory of its own, removed at the end.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!(
            "lockstep-record-{}-{}",
            std::process::id(),
            NEXT.fetch_add(1, Ordering::Relaxed)
        );
        Self(std::env::temp_dir().join(name))
    }

    fn lines(&self) -> Vec<String> {
        let mut segments: Vec<_> = fs::read_dir(&self.0)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|extension| extension == "jsonl"))
            .collect();
        segments.sort();
        segments
            .iter()
            .flat_map(|path| {
                fs::read_to_string(path)
                    .unwrap()
                    .lines()
                    .map(str::to_owned)
                    .collect::<Vec<_>>()
            })
            .collect()
    }

    fn segment(&self, number: u32) -> PathBuf {
        self.0.join(format!("record-{number:06}.jsonl"))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn row(target: &str, principals: &[&str]) -> InventoryRow {
    InventoryRow {
        target: target.into(),
        principals: principals.iter().map(|&principal| principal.to_owned()).collect(),
        privilege: "member".into(),
        origin: Origin::Created,
        since: Timestamp::UNIX_EPOCH,
        confirming: None,
    }
}

fn entry(name: &str, event: Event) -> Entry {
    Entry {
        time: Timestamp::UNIX_EPOCH,
        actor: "lockstep".into(),
        object: ObjectKey {
            kind: "AccessBinding".into(),
            namespace: "ml".into(),
            name: name.into(),
            uid: "u".into(),
        },
        event,
        changes: vec![],
        digest: None,
        gained: vec![],
        gave_up: vec![],
        promotion: None,
        credential: None,
        note: String::new(),
    }
}

/// The lock is let go when the thread has seen the last sender go.
fn try_reopen(scratch: &Scratch) -> Result<FileRecord, OpenError> {
    loop {
        match FileRecord::open(&scratch.0) {
            Err(OpenError::Held(_)) => std::thread::yield_now(),
            opened => return opened,
        }
    }
}

fn reopen(scratch: &Scratch) -> FileRecord {
    try_reopen(scratch).unwrap_or_else(|error| panic!("{error}"))
}

#[tokio::test]
async fn entries_are_numbered_and_chained_across_restarts_and_segments() {
    let scratch = Scratch::new();
    let mut ids = Vec::new();
    for _ in 0..3 {
        let record = loop {
            // Segments of one byte: each batch begins a new one.
            match FileRecord::with_segments(&scratch.0, 1) {
                Ok(record) => break record,
                Err(error) => assert!(matches!(error, OpenError::Held(_)), "{error}"),
            }
        };
        ids.push(record.append(entry("a", Event::Intent)).await.unwrap().0);
    }
    assert!(ids[0].starts_with("1-") && ids[2].starts_with("3-"), "{ids:?}");
    assert_eq!(
        fs::read_dir(&scratch.0).unwrap().count(),
        4,
        "three segments and the lock"
    );
    let lines = scratch.lines();
    let hash = hex::encode(<sha2::Sha256 as sha2::Digest>::digest(lines[1].as_bytes()));
    assert!(lines[2].contains(&hash));
    assert!(ids[1].ends_with(&hash[..8]));
}

#[tokio::test]
async fn many_at_once_are_all_durable_and_in_one_chain() {
    let scratch = Scratch::new();
    let record = Arc::new(FileRecord::open(&scratch.0).unwrap());
    let appends = (0..300).map(|n| {
        let record = record.clone();
        tokio::spawn(async move { record.append(entry(&format!("b{n}"), Event::Succeeded)).await })
    });
    for append in futures::future::join_all(appends).await {
        append.unwrap().unwrap();
    }
    drop(record);
    reopen(&scratch);
    assert_eq!(scratch.lines().len(), 300);
}

#[tokio::test]
async fn a_torn_last_line_is_removed_and_reported() {
    let scratch = Scratch::new();
    let record = FileRecord::open(&scratch.0).unwrap();
    record.append(entry("a", Event::Intent)).await.unwrap();
    drop(record);
    drop(reopen(&scratch));
    let mut file = fs::OpenOptions::new()
        .append(true)
        .open(scratch.segment(1))
        .unwrap();
    file.write_all(br#"{"seq":2,"previous":"ab"#).unwrap();
    let record = reopen(&scratch);
    assert_eq!(record.recovered().unwrap().bytes, 23);
    let id = record.append(entry("a", Event::Succeeded)).await.unwrap();
    assert!(id.0.starts_with("2-"), "{id:?}");
    assert_eq!(scratch.lines().len(), 2);
}

#[tokio::test]
async fn a_line_changed_by_hand_is_refused() {
    let scratch = Scratch::new();
    let record = FileRecord::open(&scratch.0).unwrap();
    for _ in 0..3 {
        record.append(entry("a", Event::Succeeded)).await.unwrap();
    }
    drop(record);
    drop(reopen(&scratch));
    let path = scratch.segment(1);
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replacen("lockstep", "somebody", 1)).unwrap();
    let refused = try_reopen(&scratch).err().unwrap();
    assert!(refused.to_string().contains("line 2"), "{refused}");
}

#[test]
fn two_writers_are_impossible() {
    let scratch = Scratch::new();
    let _first = FileRecord::open(&scratch.0).unwrap();
    let refused = FileRecord::open(&scratch.0).err().unwrap();
    assert!(matches!(refused, OpenError::Held(_)), "{refused}");
}

#[tokio::test]
async fn an_inventory_is_what_was_gained_less_what_was_given_up() {
    let scratch = Scratch::new();
    let record = FileRecord::open(&scratch.0).unwrap();
    let gain = |rows| Entry {
        gained: rows,
        ..entry("a", Event::Succeeded)
    };
    let give_up = |rows| Entry {
        gave_up: rows,
        ..entry("a", Event::Succeeded)
    };
    for entry in [
        gain(vec![row("g1", &["p1", "p2"]), row("g2", &["p1"]), row("g3", &[])]),
        Entry {
            gained: vec![row("g9", &["p1"])],
            ..entry("a", Event::Intent)
        },
        gain(vec![row("g1", &["p3"])]),
        give_up(vec![row("g1", &["p1"]), row("g2", &["p1"]), row("g3", &[])]),
        Entry {
            gained: vec![row("g7", &["p1"])],
            ..entry("other", Event::Succeeded)
        },
    ] {
        record.append(entry).await.unwrap();
    }
    assert_eq!(
        record.inventory_of("ml", "a").await.unwrap(),
        Some(vec![row("g1", &["p2", "p3"])])
    );
    assert_eq!(record.inventory_of("ml", "never").await.unwrap(), None);
}

#[tokio::test]
async fn an_inventory_is_not_rebuilt_from_an_older_segment_that_was_changed() {
    let scratch = Scratch::new();
    let record = FileRecord::with_segments(&scratch.0, 1).unwrap();
    for target in ["g1", "g2", "g3"] {
        let gained = vec![row(target, &["p1"])];
        record
            .append(Entry {
                gained,
                ..entry("a", Event::Succeeded)
            })
            .await
            .unwrap();
    }
    let path = scratch.segment(1);
    let whole = fs::read_to_string(&path).unwrap();
    fs::write(&path, whole.replace("p1", "p2")).unwrap();
    let refused = record.inventory_of("ml", "a").await.unwrap_err();
    assert!(refused.to_string().contains("chain"), "{refused}");
    fs::remove_file(&path).unwrap();
    assert!(record.inventory_of("ml", "a").await.is_err());
    fs::write(&path, whole).unwrap();
    assert_eq!(record.inventory_of("ml", "a").await.unwrap().unwrap().len(), 3);
}

#[test]
fn nothing_is_written_behind_half_an_entry() {
    let scratch = Scratch::new();
    let directory = Directory::lock(&scratch.0).unwrap();
    let (mut end, _) = directory.end().unwrap();
    let (line, tip, _) = end.tip.extend("{}");
    end.append(&line, tip).unwrap();
    // A disk that takes half a line and then neither writes nor truncates: a handle that may only read.
    let writable = std::mem::replace(&mut end.file, fs::File::open(scratch.segment(1)).unwrap());
    (&writable).write_all(b"{\"seq\":2,\"prev").unwrap();
    let (line, tip, _) = end.tip.extend("{}");
    end.append(&line, tip).unwrap_err();
    assert!(end.torn);
    end.append(&line, tip).unwrap_err();
    end.file = writable;
    end.append(&line, tip).unwrap();
    assert_eq!(scratch.lines().len(), 2);
    drop((end, directory));
    assert_eq!(reopen(&scratch).recovered(), None);
}

#[tokio::test]
async fn a_name_that_holds_nothing_costs_no_reading() {
    let scratch = Scratch::new();
    let gain = |name: &str| Entry {
        gained: vec![row("g1", &["p1"])],
        ..entry(name, Event::Succeeded)
    };
    let record = FileRecord::open(&scratch.0).unwrap();
    record.append(gain("before")).await.unwrap();
    drop(record);
    let record = reopen(&scratch);
    assert!(record.may_hold("ml", "before").await.unwrap());
    record.append(gain("since")).await.unwrap();
    assert!(record.may_hold("ml", "since").await.unwrap());
    // Only meant, and given up again.
    record
        .append(Entry {
            gained: vec![row("g1", &["p1"])],
            ..entry("meant", Event::Intent)
        })
        .await
        .unwrap();
    record
        .append(Entry {
            gave_up: vec![row("g1", &["p1"])],
            ..entry("since", Event::Succeeded)
        })
        .await
        .unwrap();
    assert_eq!(record.inventory_of("ml", "since").await.unwrap(), Some(vec![]));
    // From here on nothing can be read.
    fs::remove_dir_all(&scratch.0).unwrap();
    for name in ["never", "meant", "since"] {
        assert!(!record.may_hold("ml", name).await.unwrap(), "{name}");
    }
    assert!(record.may_hold("ml", "before").await.unwrap());
    assert!(record.inventory_of("ml", "before").await.is_err());
}
