//! One line on stderr that says what is being waited for, while somebody watches; silent when nobody does.

use std::io::{IsTerminal as _, Write as _};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::task::JoinHandle;

use super::output::{clean, paint, style};

const FRAMES: [&str; 10] = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"];
/// How often the line moves: fast enough to look alive.
const TICK: Duration = Duration::from_millis(100);
/// Erases the line and returns to its start.
const ERASE: &str = "\r\x1b[2K";

/// Shows what is waited for until it is dropped.
pub(super) struct Progress {
    words: Arc<Mutex<String>>,
    task: Option<JoinHandle<()>>,
}

impl Progress {
    /// Must be called inside a runtime.
    pub(super) fn start() -> Self {
        let words = Arc::new(Mutex::new(String::new()));
        let watched = std::io::stderr().is_terminal() && std::env::var_os("CI").is_none();
        let task = watched.then(|| tokio::spawn(spin(words.clone())));
        Self { words, task }
    }

    pub(super) fn say(&self, what: &str) {
        *self.words.lock().unwrap_or_else(PoisonError::into_inner) = clean(what);
    }

    /// A line that stays.
    pub(super) fn note(&self, text: &str) {
        let erase = if self.task.is_some() { ERASE } else { "" };
        let line = format!("{erase}{} {}\n", paint(style::NOTE, "note:"), clean(text));
        // Nobody reads it: nothing is lost.
        let _ = anstream::stderr().write_all(line.as_bytes());
    }
}

async fn spin(words: Arc<Mutex<String>>) {
    let mut tick = tokio::time::interval(TICK);
    for frame in FRAMES.iter().cycle() {
        tick.tick().await;
        let words = words.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if !words.is_empty() {
            let _ = anstream::stderr().write_all(format!("{ERASE}{frame} {words}").as_bytes());
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(task) = self.task.take() {
            task.abort();
            let _ = anstream::stderr().write_all(ERASE.as_bytes());
        }
    }
}
