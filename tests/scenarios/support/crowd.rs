//! Very many changes at once: proposed in one push, reviewed and checked by many calls side by side, and submitted
//! together with the last one.

use std::fmt::Write as _;
use std::io::Write as _;
use std::process::Stdio;

use futures::{StreamExt as _, stream};

use super::changes::{Change, Reviewed};

/// Votes under way at once.
const AT_ONCE: usize = 8;

impl Reviewed {
    /// Brings in so many changes of Ada's, each on top of the one before; oldest first.
    pub async fn merge_many(&self, count: usize) -> Vec<Change> {
        let changes = self.propose_many(count);
        stream::iter(&changes)
            .map(|change| async move {
                self.approve(change).await;
                self.verify(change).await;
            })
            .buffer_unordered(AT_ONCE)
            .collect::<()>()
            .await;
        if let Some(last) = changes.last() {
            self.submit(last).await;
        }
        changes
    }

    /// Ada proposes a chain of changes of one file.
    fn propose_many(&self, count: usize) -> Vec<Change> {
        self.start_from("prod");
        let tip = self.git("ada", &["rev-parse", "HEAD"]);
        let (now, email) = (jiff::Timestamp::now(), self.email("ada"));
        let mut stream = String::new();
        for number in 0..count {
            let from = if number == 0 {
                format!("from {tip}\n")
            } else {
                String::new()
            };
            let id = format!("I{:032x}{number:08x}", now.as_nanosecond());
            let message = format!("Change {number}\n\nOne of many.\n\nChange-Id: {id}\n");
            let content = format!("print({number})\n");
            let person = format!("ada <{email}> {} +0000", now.as_second());
            write!(
                stream,
                "commit refs/heads/crowd\nauthor {person}\ncommitter {person}\ndata {}\n{message}{from}\
                 M 100644 inline train.py\ndata {}\n{content}\n",
                message.len(),
                content.len(),
            )
            .unwrap();
        }
        let mut import = self.git_command("ada", &["fast-import", "--quiet", "--force"]);
        let mut import = import.stdin(Stdio::piped()).spawn().unwrap();
        import.stdin.take().unwrap().write_all(stream.as_bytes()).unwrap();
        assert!(import.wait().unwrap().success(), "git fast-import");
        let range = format!("{tip}..refs/heads/crowd");
        let commits = self.git("ada", &["rev-list", "--reverse", &range]);
        let said = self.git(
            "ada",
            &[
                "push",
                &self.remote("ada"),
                "refs/heads/crowd:refs/for/refs/heads/prod",
            ],
        );
        // Gerrit names them in the order of their commits.
        let numbers = said.lines().filter_map(|line| {
            let (_, rest) = line.split_once("/+/")?;
            let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
            digits.parse().ok()
        });
        let changes: Vec<Change> = commits
            .lines()
            .zip(numbers)
            .map(|(commit, number)| Change {
                number,
                commit: commit.to_owned(),
            })
            .collect();
        assert_eq!(changes.len(), count, "{said}");
        changes
    }
}
