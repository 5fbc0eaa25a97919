//! When an environment may change: five-field cron, a length, and a time zone. A window opens when the clocks of its
//! zone show the start, and stays open for its length in elapsed time, so that it closes an hour earlier or later by
//! the clock on the two days a year when clocks change. A start that the clocks skip opens when they have jumped; one
//! that they show twice opens at the first.

use std::fmt;
use std::sync::LazyLock;

use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use jiff::tz::{TimeZone, TimeZoneDatabase};
use jiff::{SignedDuration, Timestamp};

pub use crate::api::windows::WindowText;
use crate::domain::defaults;

/// Zones as this program was built with: the same on every machine, and no reading of files.
static ZONES: LazyLock<TimeZoneDatabase> = LazyLock::new(TimeZoneDatabase::bundled);

/// So many openings and closings are looked through for the next time that is open: two a day for over ten years.
const EDGES: usize = 10_000;

/// Years ahead beyond which an opening is as good as none.
const HORIZON: SignedDuration = SignedDuration::from_hours(24 * 366 * 10);

/// What is wrong with a window.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("window {start:?}: {why}")]
pub struct BadWindow {
    pub start: String,
    pub why: String,
}

/// A window that can be asked.
#[derive(Clone)]
pub struct Window {
    cron: Cron,
    length: SignedDuration,
    zone: TimeZone,
}

impl fmt::Debug for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} for {:#} in {}",
            self.cron.as_str(),
            self.length,
            self.zone.iana_name().unwrap_or("?")
        )
    }
}

impl Window {
    pub fn parse(text: &WindowText) -> Result<Self, BadWindow> {
        let WindowText {
            start,
            duration,
            time_zone,
        } = text;
        let refuse = |why: String| BadWindow {
            start: start.clone(),
            why,
        };
        // Nicknames as @daily and Quartz signs mean different things to different programs.
        if start.split_whitespace().count() != 5 || start.contains(['@', 'L', 'W', '#', '?', '+']) {
            return Err(refuse(
                "a start has five fields: minute, hour, day of month, month, day of week, made of numbers, names, \
                 * , - and /"
                    .into(),
            ));
        }
        let cron = CronParser::builder()
            .seconds(Seconds::Disallowed)
            .year(Year::Disallowed)
            .build()
            .parse(start)
            .map_err(|error| refuse(error.to_string()))?;
        let seconds = duration.seconds().map_err(&refuse)?;
        if !(1..=31 * 86_400).contains(&seconds) {
            return Err(refuse(format!(
                "duration {} is not between 1s and 31d",
                duration.0
            )));
        }
        let zone = time_zone.as_deref().unwrap_or(defaults::TIME_ZONE);
        let zone = ZONES
            .get(zone)
            .map_err(|_| refuse(format!("{zone:?} is no IANA time zone as Europe/Berlin or UTC")))?;
        let window = Self {
            cron,
            length: SignedDuration::from_secs(i64::try_from(seconds).unwrap_or(i64::MAX)),
            zone,
        };
        if window.next_start(Timestamp::UNIX_EPOCH).is_none() {
            return Err(refuse("it never opens: no day matches".into()));
        }
        Ok(window)
    }

    /// When the window that is open at this time closes, `None` if none is.
    fn closes(&self, now: Timestamp) -> Option<Timestamp> {
        let now = now.to_zoned(self.zone.clone());
        let opened = self.cron.find_previous_occurrence(&now, true).ok()?.timestamp();
        let closes = opened.checked_add(self.length).unwrap_or(Timestamp::MAX);
        (now.timestamp() < closes).then_some(closes)
    }

    /// The first opening after this time.
    pub fn next_start(&self, now: Timestamp) -> Option<Timestamp> {
        let now = now.to_zoned(self.zone.clone());
        self.cron
            .find_next_occurrence(&now, false)
            .ok()
            .map(|next| next.timestamp())
    }
}

/// All windows of an environment. Denied beats allowed; with nothing allowed everything is.
#[derive(Clone, Debug, Default)]
pub struct Windows {
    pub allow: Vec<Window>,
    pub deny: Vec<Window>,
}

impl Windows {
    pub fn parse(allow: &[WindowText], deny: &[WindowText]) -> Result<Self, BadWindow> {
        let parse = |texts: &[WindowText]| texts.iter().map(Window::parse).collect::<Result<Vec<_>, _>>();
        Ok(Self {
            allow: parse(allow)?,
            deny: parse(deny)?,
        })
    }

    pub fn open_at(&self, now: Timestamp) -> bool {
        let open = |windows: &[Window]| windows.iter().any(|window| window.closes(now).is_some());
        !open(&self.deny) && (self.allow.is_empty() || open(&self.allow))
    }

    /// The first time from now on at which it is open: now itself while it is. `None`: not within ten years.
    pub fn next_opening(&self, now: Timestamp) -> Option<Timestamp> {
        let horizon = now.checked_add(HORIZON).unwrap_or(Timestamp::MAX);
        let mut at = now;
        for _ in 0..EDGES {
            if at > horizon {
                return None;
            }
            let denied = self.deny.iter().filter_map(|window| window.closes(at)).max();
            if let Some(over) = denied {
                at = over;
            } else if self.open_at(at) {
                return Some(at);
            } else {
                at = self
                    .allow
                    .iter()
                    .filter_map(|window| window.next_start(at))
                    .min()?;
            }
        }
        None
    }
}
