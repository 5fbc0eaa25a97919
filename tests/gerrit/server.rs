//! The real server, and how a client of ours reaches it.

use std::time::Duration;

use jiff::Timestamp;
use lockstep::clients::gerrit::{GerritSettings, PAGE};
use lockstep_core::domain::ports::{Clock, NoPermit, Permit};

pub struct Granted;
impl Permit for Granted {
    fn check(&self, _: Duration) -> Result<(), NoPermit> {
        Ok(())
    }
}

pub struct Now;
impl Clock for Now {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

/// The server that `make up` starts, and its administrator.
pub struct Server {
    pub url: String,
    pub admin: (String, String),
}

impl Server {
    /// `None` with a note where there is none; where tests must be complete that is a failure.
    pub fn find() -> Option<Self> {
        let Ok(url) = std::env::var("GERRIT_URL") else {
            assert!(
                std::env::var("CI").is_err(),
                "GERRIT_URL is not set: run `make up` and source dev/.state/env"
            );
            eprintln!("skipped: GERRIT_URL is not set (run `make up` and source dev/.state/env)");
            return None;
        };
        let admin = (
            std::env::var("GERRIT_ADMIN_USER").expect("GERRIT_ADMIN_USER"),
            std::env::var("GERRIT_ADMIN_PASSWORD").expect("GERRIT_ADMIN_PASSWORD"),
        );
        Some(Self { url, admin })
    }
}

pub fn plain(url: &str, username: &str, password: &str) -> GerritSettings {
    GerritSettings {
        url: url.parse().unwrap(),
        username: username.into(),
        password: password.to_owned().into(),
        ca_pem: None,
        aliases: Vec::new(),
        requests_per_second: Some(0),
        concurrency: 8,
        timeout: Duration::from_secs(30),
        allow_loopback: true,
        page: PAGE,
    }
}
