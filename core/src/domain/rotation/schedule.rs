//! When the next generation is due: by an interval or by the clock, in its windows, and never so late that the current
//! one runs out.

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};

use crate::api::text::Duration;
use crate::api::windows::WindowText;
use crate::domain::windows::{BadWindow, Window, Windows};

/// Starts of a cron line that are looked at for its shortest and longest gap: every half hour for more than a year.
const STARTS: usize = 20_000;

/// A year and a day: every start that a five-field cron line knows comes in it, but for the 29th of February.
const YEAR: SignedDuration = SignedDuration::from_hours(24 * 366);

const DAY: i64 = 24 * 60 * 60;

/// Lines whose gaps are remembered.
const LINES: usize = 1_000;

/// Credentials that are due at the same moment spread over this share of their gap, and over no more than this many
/// seconds.
const SPREAD: (i64, i64) = (20, 600);

/// Why a schedule cannot be kept.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadSchedule {
    #[error("spec.schedule.cron: {0}")]
    Cron(#[from] BadWindow),
    #[error(
        "spec.overlap: {overlap} s is not shorter than the shortest time between two rotations, {shortest} s: the last \
         value would still live when the next one is due, and so on without end. Shorten spec.overlap or rotate less \
         often"
    )]
    OverlapTooLong { overlap: u64, shortest: u64 },
    #[error(
        "spec.issuer: a lifetime of {lifetime} s is shorter than {times} x the longest time between two rotations plus the \
         overlap, {times} x {longest} s + {overlap} s = {needed} s: {why}. Lengthen the lifetime or rotate more often",
        why = missed(*times)
    )]
    LifetimeTooShort {
        lifetime: u64,
        longest: u64,
        overlap: u64,
        needed: u64,
        /// Rotations that a lifetime must span.
        times: u64,
    },
}

/// What a lifetime of one rotation less would mean.
fn missed(times: u64) -> &'static str {
    if times == Slack::MissesTwo.rotations() {
        "the credential that a connection logs in with must outlive two rotations that were missed"
    } else {
        "one rotation that fails would leave consumers without a credential"
    }
}

/// How many rotations may be missed before a value runs out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slack {
    MissesOne,
    /// Whoever cannot log in any more cannot mint the next one either.
    MissesTwo,
}

impl Slack {
    fn rotations(self) -> u64 {
        match self {
            Self::MissesOne => 2,
            Self::MissesTwo => 3,
        }
    }
}

/// How often.
#[derive(Clone, Debug)]
pub enum Pace {
    /// Seconds.
    Every(u64),
    Cron(Cron),
}

/// A line of five fields in a time zone.
#[derive(Clone, Debug)]
pub struct Cron {
    line: String,
    time_zone: Option<String>,
    starts: Box<Window>,
}

impl Cron {
    /// `time_zone`: an IANA name; unset: UTC.
    pub fn parse(line: &str, time_zone: Option<&str>) -> Result<Self, BadWindow> {
        let text = WindowText {
            start: line.to_owned(),
            duration: Duration("1s".into()),
            time_zone: time_zone.map(str::to_owned),
        };
        let window = Window::parse(&text)?;
        Ok(Self {
            line: text.start,
            time_zone: text.time_zone,
            starts: Box::new(window),
        })
    }
}

/// When generations follow one another.
#[derive(Clone, Debug)]
pub struct Schedule {
    pace: Pace,
    windows: Windows,
    overlap: u64,
}

impl Schedule {
    /// Refuses what cannot be kept, with the numbers. `lifetime` is that of a value, `None` where the issuer sets none;
    /// all in seconds. A cron line is judged by its starts of the year that begins with the day of `now`.
    pub fn new(
        pace: Pace,
        windows: Windows,
        overlap: u64,
        lifetime: Option<u64>,
        slack: Slack,
        now: Timestamp,
    ) -> Result<Self, BadSchedule> {
        let (shortest, longest) = match &pace {
            Pace::Every(every) => (*every, *every),
            Pace::Cron(cron) => gaps(cron, now),
        };
        if overlap >= shortest {
            return Err(BadSchedule::OverlapTooLong { overlap, shortest });
        }
        let times = slack.rotations();
        let needed = longest.saturating_mul(times).saturating_add(overlap);
        if let Some(lifetime) = lifetime
            && lifetime < needed
        {
            return Err(BadSchedule::LifetimeTooShort {
                lifetime,
                longest,
                overlap,
                needed,
                times,
            });
        }
        Ok(Self {
            pace,
            windows,
            overlap,
        })
    }

    /// When the successor of a value is due that was minted then and is let in until `expires`. `seed` spreads those
    /// that fall due together, and is the same for one object for ever.
    pub fn next(&self, minted: Timestamp, expires: Option<Timestamp>, seed: u64) -> Timestamp {
        let (start, gap) = match &self.pace {
            Pace::Every(every) => (plus(minted, *every), i64::try_from(*every).unwrap_or(i64::MAX)),
            Pace::Cron(cron) => {
                let start = cron.starts.next_start(minted).unwrap_or(Timestamp::MAX);
                let after = cron.starts.next_start(start).unwrap_or(Timestamp::MAX);
                (start, after.as_second().saturating_sub(start.as_second()))
            }
        };
        let (share, most) = SPREAD;
        let spread = (gap / share).clamp(0, most).unsigned_abs();
        let start = plus(start, seed % (spread + 1));
        let opening = self.windows.next_opening(start).unwrap_or(Timestamp::MAX);
        match expires {
            None => opening,
            // The successor must be everywhere an overlap before the end, whatever the windows say.
            Some(expires) => opening.min(minus(expires, self.overlap)),
        }
    }

    /// Whether the successor of a value that is let in until `expires` may wait: for a freeze to end, for a store to
    /// answer. An overlap before the end it may no longer, or consumers would be left without.
    pub fn may_wait(&self, expires: Option<Timestamp>, now: Timestamp) -> bool {
        expires.is_none_or(|expires| now < minus(expires, self.overlap))
    }
}

fn plus(at: Timestamp, seconds: u64) -> Timestamp {
    let length = SignedDuration::from_secs(i64::try_from(seconds).unwrap_or(i64::MAX));
    at.checked_add(length).unwrap_or(Timestamp::MAX)
}

fn minus(at: Timestamp, seconds: u64) -> Timestamp {
    let length = SignedDuration::from_secs(i64::try_from(seconds).unwrap_or(i64::MAX));
    at.checked_sub(length).unwrap_or(Timestamp::MIN)
}

/// A line, its time zone and the day since 1970 from which on it is looked at, to its shortest and longest gap.
type Gaps = HashMap<(String, Option<String>, i64), (u64, u64)>;

/// The shortest and the longest gap between starts in the year that begins with this day, in seconds.
fn gaps(cron: &Cron, now: Timestamp) -> (u64, u64) {
    // A year of a line that starts every few minutes takes tens of milliseconds, and each pass asks: 500 credentials of
    // such a line took a whole core.
    static SEEN: LazyLock<Mutex<Gaps>> = LazyLock::new(Mutex::default);
    let day = now.as_second().div_euclid(DAY);
    let key = (cron.line.clone(), cron.time_zone.clone(), day);
    let mut seen = SEEN.lock().unwrap_or_else(PoisonError::into_inner);
    if seen.len() >= LINES {
        seen.clear();
    }
    let from = || Timestamp::from_second(day.saturating_mul(DAY)).unwrap_or(now);
    *seen.entry(key).or_insert_with(|| walk(cron, from()))
}

fn walk(cron: &Cron, from: Timestamp) -> (u64, u64) {
    let end = from.checked_add(YEAR).unwrap_or(Timestamp::MAX);
    let (mut shortest, mut longest) = (u64::MAX, 0);
    let Some(mut last) = cron.starts.next_start(from) else {
        return (u64::MAX, u64::MAX);
    };
    for _ in 0..STARTS {
        let Some(next) = cron.starts.next_start(last) else {
            return (shortest, u64::MAX);
        };
        let gap = next.as_second().saturating_sub(last.as_second()).unsigned_abs();
        shortest = shortest.min(gap);
        longest = longest.max(gap);
        last = next;
        // One gap at least, however far away.
        if last > end {
            break;
        }
    }
    (shortest, longest)
}

#[cfg(test)]
#[path = "schedule_tests.rs"]
mod tests;
