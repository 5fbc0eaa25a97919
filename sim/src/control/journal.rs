//! What was asked, in order, and how much of it. The ring forgets the oldest entries; the counts forget nothing
//! until they are cleared.

use std::collections::{BTreeMap, VecDeque};

use serde::Serialize;
use serde_json::{Value, json};

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    pub seq: u64,
    /// RFC 3339.
    pub time: String,
    pub plane: String,
    pub method: String,
    pub path: String,
    pub query: String,
    pub route: String,
    pub identity: String,
    pub status: u16,
    /// Whether the verb on this route changes something.
    pub write: bool,
    /// Whether it did: a write that was accepted, even if its answer was then lost.
    pub effect: bool,
    pub fault: Option<&'static str>,
    pub request_bytes: usize,
    pub response_bytes: usize,
    pub user_agent: String,
}

#[derive(Debug, Default, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct Count {
    requests: u64,
    writes: u64,
    effects: u64,
    errors: u64,
    request_bytes: usize,
    response_bytes: usize,
}

#[derive(Debug)]
pub struct Journal {
    entries: VecDeque<Entry>,
    counts: BTreeMap<String, Count>,
    next: u64,
    pub capacity: usize,
}

impl Default for Journal {
    fn default() -> Self {
        Self {
            entries: VecDeque::new(),
            counts: BTreeMap::new(),
            next: 1,
            capacity: 100_000,
        }
    }
}

impl Journal {
    /// Keeps the entry and returns its number.
    pub fn push(&mut self, mut entry: Entry) -> u64 {
        entry.seq = self.next;
        self.next += 1;
        let count = self
            .counts
            .entry(format!("{} {}", entry.method, entry.route))
            .or_default();
        count.requests += 1;
        count.writes += u64::from(entry.write);
        count.effects += u64::from(entry.effect);
        count.errors += u64::from(entry.status >= 400);
        count.request_bytes += entry.request_bytes;
        count.response_bytes += entry.response_bytes;
        let seq = entry.seq;
        self.entries.push_back(entry);
        while self.entries.len() > self.capacity {
            self.entries.pop_front();
        }
        seq
    }

    /// Entries after `since`, oldest first.
    pub fn since(&self, since: u64, writes_only: bool, limit: usize) -> Vec<&Entry> {
        let first = self.entries.front().map_or(0, |entry| entry.seq);
        let skip = usize::try_from((since + 1).saturating_sub(first)).unwrap_or(usize::MAX);
        self.entries
            .iter()
            .skip(skip)
            .filter(|entry| !writes_only || entry.effect)
            .take(limit)
            .collect()
    }

    pub fn last(&self) -> u64 {
        self.next - 1
    }

    pub fn counts(&self) -> Value {
        let mut total = Count::default();
        let (mut reads, mut tokens) = (0, 0);
        for (route, count) in &self.counts {
            total.requests += count.requests;
            total.writes += count.writes;
            total.effects += count.effects;
            total.errors += count.errors;
            total.request_bytes += count.request_bytes;
            total.response_bytes += count.response_bytes;
            if route.contains(" /oidc/") || route.contains(" /.well-known/") {
                tokens += count.requests;
            } else {
                reads += count.requests - count.writes;
            }
        }
        json!({
            "routes": self.counts,
            "requests": total.requests,
            "reads": reads,
            "writes": total.writes,
            "effects": total.effects,
            "tokens": tokens,
            "errors": total.errors,
            "requestBytes": total.request_bytes,
            "responseBytes": total.response_bytes,
        })
    }

    /// Forgets entries and counts; numbers go on, so that `since` stays meaningful.
    pub fn clear(&mut self) {
        self.entries.clear();
        self.counts.clear();
    }
}
