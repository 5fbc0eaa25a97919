//! Where the systems of the local stack are: from the environment, else from the file that `make up` writes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use jiff::Timestamp;
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

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn written(state: &Path) -> BTreeMap<String, String> {
    let text = std::fs::read_to_string(state.join("env")).unwrap_or_default();
    text.lines()
        .filter_map(|line| line.strip_prefix("export ")?.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.trim_matches(['\'', '"']).to_owned()))
        .collect()
}

/// A variable of the stack, or `None` with a note where it is not up. Where tests must be complete that is a failure.
pub fn variable(name: &str) -> Option<String> {
    let state =
        std::env::var_os("LOCKSTEP_STATE_DIR").map_or_else(|| root().join("dev/.state"), PathBuf::from);
    let found = std::env::var(name).ok().or_else(|| written(&state).remove(name));
    if found.is_none() {
        assert!(std::env::var("CI").is_err(), "{name} is not set: run `make up`");
        eprintln!("skipped: {name} is not set (run `make up` and source dev/.state/env)");
    }
    found
}

/// A word that nobody else uses.
pub fn unique(word: &str) -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let moment = Timestamp::now().as_millisecond();
    format!("{word}-{:x}-{moment:x}-{count}", std::process::id())
}

/// An address on this machine where nobody listens.
pub fn nowhere() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

/// A Vault of one's own, to seal. It goes with the test.
pub struct Aside {
    state: PathBuf,
}

impl Aside {
    pub fn start() -> Self {
        let aside = Self {
            state: root().join("target/stores").join(unique("vault")),
        };
        aside.manage(&["up", "--only", "vault"]);
        aside
    }

    pub fn get(&self, name: &str) -> String {
        written(&self.state).remove(name).unwrap()
    }

    fn manage(&self, arguments: &[&str]) {
        let done = Command::new(root().join("dev/stack"))
            .args(arguments)
            .env("LOCKSTEP_STATE_DIR", &self.state)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        self.manage(&["reset"]);
    }
}
