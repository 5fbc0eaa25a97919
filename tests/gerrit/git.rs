//! What people do with git in their yard.

use std::process::Command;
use std::sync::atomic::Ordering;

use jiff::Timestamp;
use lockstep_core::domain::promotion::gate::evidence::CommitId;

use super::house::PASSWORD;
use super::yard::{NEXT, Pushed, Yard};

impl Yard {
    pub fn git(&self, arguments: &[&str]) -> String {
        let (ok, text) = self.try_git("ada", "ada", arguments);
        assert!(ok, "git {arguments:?}: {text}");
        text
    }

    fn try_git(&self, author: &str, committer: &str, arguments: &[&str]) -> (bool, String) {
        let output = Command::new("git")
            .args(arguments)
            .current_dir(&self.work)
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("GIT_AUTHOR_NAME", author)
            .env("GIT_AUTHOR_EMAIL", self.house.email(author))
            .env("GIT_COMMITTER_NAME", committer)
            .env("GIT_COMMITTER_EMAIL", self.house.email(committer))
            .output()
            .expect("git is installed");
        let text = format!(
            "{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        (output.status.success(), text.trim().to_owned())
    }

    fn remote(&self, who: &str) -> String {
        let place = self.house.url.trim_start_matches("http://");
        format!(
            "http://{}:{PASSWORD}@{place}/a/{}",
            self.house.username(who),
            self.project
        )
    }

    /// Continues from where a branch stands now.
    pub fn start_from(&self, branch: &str) {
        let remote = self.remote("ada");
        self.git(&["fetch", "--quiet", &remote, &format!("refs/heads/{branch}")]);
        self.git(&["checkout", "--quiet", "-B", "work", "FETCH_HEAD"]);
    }

    /// A commit of one file, by author and committer, with a Change-Id of its own and these footers.
    pub fn commit_as(
        &self,
        author: &str,
        committer: &str,
        file: &str,
        content: &str,
        footers: &str,
    ) -> Pushed {
        let number = NEXT.fetch_add(1, Ordering::SeqCst);
        let change_id = format!("I{:032x}{number:08x}", Timestamp::now().as_nanosecond());
        self.record(author, committer, file, content, &change_id, footers, &[])
    }

    #[allow(clippy::too_many_arguments)]
    fn record(
        &self,
        author: &str,
        committer: &str,
        file: &str,
        content: &str,
        change_id: &str,
        footers: &str,
        more: &[&str],
    ) -> Pushed {
        let place = self.work.join(file);
        std::fs::create_dir_all(place.parent().unwrap()).unwrap();
        std::fs::write(place, content).unwrap();
        self.git(&["add", "--all"]);
        let message = format!("Change {file}\n\nBecause of a test.\n\n{footers}Change-Id: {change_id}\n");
        let arguments = [
            &["commit", "--quiet", "--allow-empty", "-m", message.as_str()][..],
            more,
        ]
        .concat();
        let (ok, text) = self.try_git(author, committer, &arguments);
        assert!(ok, "{text}");
        Pushed {
            number: 0,
            change_id: change_id.to_owned(),
            commit: self.head(),
        }
    }

    pub fn head(&self) -> CommitId {
        CommitId(self.git(&["rev-parse", "HEAD"]))
    }

    pub fn try_push(&self, who: &str, to: &str) -> (bool, String) {
        let remote = self.remote(who);
        self.try_git(who, who, &["push", &remote, &format!("HEAD:{to}")])
    }

    pub fn push(&self, who: &str, to: &str) -> String {
        let (ok, text) = self.try_push(who, to);
        assert!(ok, "push to {to} by {who}: {text}");
        text
    }

    /// Pushes HEAD for review on `prod`.
    pub fn propose_as(&self, who: &str, commit: Pushed) -> Pushed {
        self.propose_to(who, commit, "refs/for/refs/heads/prod")
    }

    pub fn propose_to(&self, who: &str, commit: Pushed, to: &str) -> Pushed {
        let said = self.push(who, to);
        let (_, rest) = said.rsplit_once("/+/").expect("the push names a change");
        let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
        Pushed {
            number: digits.parse().unwrap(),
            ..commit
        }
    }

    /// Ada writes and proposes.
    pub fn propose(&self, file: &str, content: &str) -> Pushed {
        let commit = self.commit_as("ada", "ada", file, content, "");
        self.propose_as("ada", commit)
    }

    /// Ada proposes for `prod` under a name that a change has already.
    pub fn propose_under(&self, change_id: &str, file: &str, content: &str) -> Pushed {
        let commit = self.record("ada", "ada", file, content, change_id, "", &[]);
        self.propose_as("ada", commit)
    }

    /// A new patch set of HEAD by somebody.
    pub fn amend_as(&self, who: &str, change: &Pushed, file: &str, content: &str) -> Pushed {
        let amended = self.record("ada", who, file, content, &change.change_id, "", &["--amend"]);
        self.propose_as(who, amended)
    }

    /// The work directory of git.
    pub fn directory(&self) -> &std::path::Path {
        &self.work
    }
}
