//! What can be changed while the simulator runs: how stale reads are, which of the vendor's quirks show, whether
//! the published limits hold, how far its clock is off, after which write it stops answering.

use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Settings {
    /// Seconds. Each read sees the world as it was at a random moment of the last `lag` seconds.
    pub lag: f64,
    /// Whether the published rate limits are enforced.
    pub limits: bool,
    /// Whether listing account groups carries members; `false` like accounts created since 2025-08-22.
    pub group_list_members: bool,
    /// Automatic identity management: members of account groups with an `externalId` come from the identity provider.
    pub automatic_identity: bool,
    /// Paged listings (not SCIM) begin with an empty page that carries a token.
    pub empty_pages: bool,
    /// Every Nth SCIM request answers HTTP 500 with REQUEST_LIMIT_EXCEEDED in its text; 0: none.
    pub scim_throttle_every: u64,
    /// Seconds added to the clock, in the Date header and in every expiry.
    pub clock_offset: i64,
    /// Seconds that tokens of the token endpoints live.
    pub token_lifetime: u64,
    /// Seconds until a new client secret or personal access token lets anybody in.
    pub credential_lag: f64,
    /// Seconds that each task of a run takes, and each update of a serving endpoint.
    pub task_seconds: f64,
    /// After this many more effective writes, every answer is held until `/_sim/release`.
    pub halt_after_write: Option<u64>,
    /// Entries the request journal keeps.
    pub journal_capacity: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            lag: 0.0,
            limits: false,
            group_list_members: true,
            automatic_identity: false,
            empty_pages: false,
            scim_throttle_every: 0,
            clock_offset: 0,
            token_lifetime: 3600,
            credential_lag: 0.0,
            task_seconds: 0.2,
            halt_after_write: None,
            journal_capacity: 100_000,
        }
    }
}

/// Seconds as the whole milliseconds that the clock counts in; what is no duration is none.
pub fn milliseconds(seconds: f64) -> i64 {
    std::time::Duration::try_from_secs_f64(seconds)
        .ok()
        .and_then(|duration| i64::try_from(duration.as_millis()).ok())
        .unwrap_or(0)
}

/// The names `--quirk` takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Quirk {
    /// Paged listings begin with an empty page that carries a next token
    EmptyPages,
    /// Every fifth SCIM request answers HTTP 500 with REQUEST_LIMIT_EXCEEDED
    ScimThrottle,
    /// Listing account groups leaves out members, like accounts created since 2025-08-22
    NoGroupMembers,
    /// The published rate limits are enforced with 429 and Retry-After
    Limits,
}

impl Settings {
    pub fn turn_on(&mut self, quirk: Quirk) {
        match quirk {
            Quirk::EmptyPages => self.empty_pages = true,
            Quirk::ScimThrottle => self.scim_throttle_every = 5,
            Quirk::NoGroupMembers => self.group_list_members = false,
            Quirk::Limits => self.limits = true,
        }
    }
}
