//! The count of one environment: `N runs, N explained`, taken forward from the moment its baseline was recorded. What is
//! counted for good is a number, so that the ledger does not grow with history; what nobody explains is named.
//!
//! A listing lags, so the newest five minutes are read again each time and only what lies before them is counted for
//! good. What nobody explains is put down at once all the same, before whoever did it can take its trace away.

use std::collections::BTreeMap;
use std::fmt;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::completeness::{Act, Hidden, Occurrence, Unseen};

/// How far back what was listed before is listed again.
const OVERLAP: SignedDuration = SignedDuration::from_mins(5);
/// How many of those that nobody explains are named; the others are numbers.
pub const NAMED: usize = 20;
/// How many of them are put down before they are older than the overlap. The others are once they are.
const RECENT: usize = 500;

/// One occurrence, and whether something explains it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judged {
    pub occurrence: Occurrence,
    pub explained: bool,
}

/// What a look at the outside found.
#[derive(Clone, Debug, Default)]
pub struct Sight {
    /// What happened once, in the order of the outside.
    pub events: Vec<Judged>,
    pub hidden: Vec<Hidden>,
    /// Everything that began before this can no longer be missing in what was listed.
    pub settled: Option<Timestamp>,
    /// How things stand; `None`: not looked, because a promotion is at work on them.
    pub standing: Option<Standing>,
}

/// How things stand.
#[derive(Clone, Debug, Default)]
pub struct Standing {
    /// Everything that is governed, as it is looked for; `None`: it could not be read, so nobody knows what is gone.
    pub found: BTreeMap<String, Option<Vec<Judged>>>,
    /// When it was read.
    pub at: Timestamp,
}

/// What has been counted, and what is needed to go on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Ledger {
    /// Where the population begins.
    pub since: Timestamp,
    /// What began before is counted for good.
    pub counted: Timestamp,
    #[serde(default)]
    pub explained: u64,
    /// Accepted by a person, and counted apart: an exception is no explanation.
    #[serde(default)]
    pub acknowledged: u64,
    #[serde(default)]
    pub unexplained: u64,
    /// The first of those that nobody explains.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub strangers: Vec<Occurrence>,
    /// Names all those that nobody explains, in the order in which they were seen; empty: there are none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub open: String,
    /// Those of them that will be listed again.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    recent: BTreeMap<String, Timestamp>,
    /// Runs of which nobody can say whom they ran as, by the reason.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    hidden: BTreeMap<String, u64>,
    /// How each thing stood when it was last looked at, by what it was looked for as.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    standing: BTreeMap<String, BTreeMap<String, String>>,
    /// When it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stood: Option<Timestamp>,
    /// As whom, and where, things ran that were counted.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    identity: String,
}

/// The count as people read it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Completeness {
    pub explained: u64,
    pub acknowledged: u64,
    pub unexplained: u64,
    pub strangers: Vec<Occurrence>,
    pub unseen: Vec<Unseen>,
}

impl Completeness {
    pub fn total(&self) -> u64 {
        self.explained + self.acknowledged + self.unexplained
    }
}

impl fmt::Display for Completeness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            explained,
            acknowledged,
            unexplained,
            strangers: _,
            unseen,
        } = self;
        let total = self.total();
        write!(
            f,
            "{total} runs, {explained} explained, {unexplained} unexplained"
        )?;
        if *acknowledged > 0 {
            write!(f, ", {acknowledged} acknowledged")?;
        }
        for Unseen { what, why } in unseen {
            write!(f, "; not seen: {what} ({why})")?;
        }
        Ok(())
    }
}

/// Enough of a digest to tell things of one environment apart.
fn short(text: &str) -> String {
    let mut digest = hex::encode(Sha256::digest(text));
    digest.truncate(16);
    digest
}

impl Ledger {
    /// A ledger of everything from now on.
    pub fn begin(now: Timestamp) -> Self {
        Self {
            since: now,
            counted: now,
            explained: 0,
            acknowledged: 0,
            unexplained: 0,
            strangers: Vec::new(),
            open: String::new(),
            recent: BTreeMap::new(),
            hidden: BTreeMap::new(),
            standing: BTreeMap::new(),
            stood: None,
            identity: String::new(),
        }
    }

    /// From now on this identity is counted. What another one than before ran earlier is none of the population.
    pub fn turn_to(&mut self, identity: String, now: Timestamp) {
        if !self.identity.is_empty() && self.identity != identity {
            self.counted = self.counted.max(now);
        }
        self.identity = identity;
    }

    /// Up to when everything is settled, where the newest that was listed began then. Taken from the data, since clocks
    /// differ.
    pub fn settled(newest: Timestamp) -> Timestamp {
        newest.checked_sub(OVERLAP).unwrap_or(newest)
    }

    /// Takes in what was seen since, and says how it looks now.
    pub fn take_in(&mut self, sight: &Sight) -> Completeness {
        let Sight {
            events,
            hidden,
            settled,
            standing,
        } = sight;
        let settled = settled.map_or(self.counted, |settled| settled.max(self.counted));
        if let Some(standing) = standing {
            self.look_at(standing);
        }
        let mut once: BTreeMap<&str, &Judged> = BTreeMap::new();
        for event in events {
            once.entry(&event.occurrence.address).or_insert(event);
        }
        let (mut explained, mut unexplained) = (0, 0);
        for Judged {
            occurrence,
            explained: is_explained,
        } in once.into_values()
        {
            let at = occurrence.at.unwrap_or(self.counted);
            if at < self.counted {
                continue;
            }
            let for_good = at < settled;
            let id = short(&occurrence.address);
            match (is_explained, for_good) {
                (true, true) => self.explained += 1,
                (true, false) => explained += 1,
                (false, _) if self.recent.contains_key(&id) => {}
                (false, false) if self.recent.len() >= RECENT => unexplained += 1,
                (false, _) => {
                    self.name(occurrence);
                    self.recent.insert(id, at);
                }
            }
        }
        let mut unseen = self.hidden.clone();
        for Hidden { why, at } in hidden {
            let at = at.unwrap_or(self.counted);
            if at < self.counted {
                continue;
            }
            *unseen.entry((*why).to_owned()).or_default() += 1;
            if at < settled {
                *self.hidden.entry((*why).to_owned()).or_default() += 1;
            }
        }
        self.counted = settled;
        self.recent.retain(|_, at| *at >= settled);
        Completeness {
            explained: self.explained + explained,
            acknowledged: self.acknowledged,
            unexplained: self.unexplained + unexplained,
            strangers: self.strangers.clone(),
            unseen: unseen
                .into_iter()
                .map(|(why, count)| Unseen::new(format!("whom {count} runs ran as"), why))
                .collect(),
        }
    }

    /// Whether it stands otherwise than when it was last looked at. What is looked for the first time was there before.
    pub fn is_new(&self, sought: &str, found: &Occurrence) -> bool {
        let before = self.standing.get(&short(sought));
        before.is_some_and(|before| before.get(&short(found.thing())) != Some(&short(&found.address)))
    }

    /// What stands otherwise than before is a new occurrence.
    fn look_at(&mut self, standing: &Standing) {
        let Standing { found, at } = standing;
        let mut now = BTreeMap::new();
        for (sought, found) in found {
            let Some(found) = found else {
                let before = self.standing.remove(&short(sought));
                now.extend(before.map(|before| (short(sought), before)));
                continue;
            };
            let mut stands = BTreeMap::new();
            for Judged {
                occurrence,
                explained,
            } in found
            {
                match (self.is_new(sought, occurrence), explained) {
                    (true, true) => self.explained += 1,
                    (true, false) => self.name(occurrence),
                    (false, _) => {}
                }
                stands.insert(short(occurrence.thing()), short(&occurrence.address));
            }
            now.insert(short(sought), stands);
        }
        self.standing = now;
        self.stood = Some(*at);
    }

    fn name(&mut self, occurrence: &Occurrence) {
        self.unexplained += 1;
        if self.strangers.len() < NAMED {
            self.strangers.push(occurrence.clone());
        }
        let mut hash = Sha256::new();
        hash.update(b"lockstep-unexplained-v1\n");
        hash.update(&self.open);
        hash.update([b'\n']);
        hash.update(&occurrence.address);
        self.open = hex::encode(hash.finalize());
    }

    /// A person has accepted all that nobody explains so far.
    pub fn acknowledge(&mut self) {
        self.acknowledged += std::mem::take(&mut self.unexplained);
        self.strangers.clear();
        self.open.clear();
    }

    /// Whether losing this, and having `recorded` instead, would lose something that cannot be read again.
    pub fn says_more_than(&self, recorded: &Self) -> bool {
        let lasting = |ledger: &Self| {
            let Self {
                since,
                counted: _,
                explained: _,
                acknowledged,
                unexplained,
                strangers: _,
                open,
                recent: _,
                hidden: _,
                standing,
                stood,
                identity,
            } = ledger;
            (
                *since,
                *acknowledged,
                *unexplained,
                open.clone(),
                standing.clone(),
                stood.is_some(),
                identity.clone(),
            )
        };
        lasting(self) != lasting(recorded)
    }

    /// Runs that nobody explains are named by it, first the kind and how many.
    pub fn strange(&self) -> Option<String> {
        if self.unexplained == 0 {
            return None;
        }
        let shown = 5;
        let named: Vec<String> = self
            .strangers
            .iter()
            .take(shown)
            .map(ToString::to_string)
            .collect();
        let beyond = self.unexplained.saturating_sub(named.len() as u64);
        let beyond = if beyond > 0 {
            format!("; and {beyond} more")
        } else {
            String::new()
        };
        let runs = self.strangers.iter().all(|one| one.act == Act::Run);
        let what = match (self.unexplained, runs) {
            (1, true) => "1 run".to_owned(),
            (count, true) => format!("{count} runs"),
            (1, false) => "1 run or write".to_owned(),
            (count, false) => format!("{count} runs or writes"),
        };
        Some(format!(
            "{what} that no promotion explains: {}{beyond}",
            named.join("; ")
        ))
    }
}
