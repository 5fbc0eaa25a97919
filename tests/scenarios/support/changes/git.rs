//! What people do with git: propose, revert, and push around review.

use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use super::{Change, PASSWORD, Reviewed};

impl Reviewed {
    pub fn git_command(&self, who: &str, arguments: &[&str]) -> Command {
        let email = self.email(who);
        let mut command = Command::new("git");
        command
            .args(arguments)
            .current_dir(&self.work)
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_TERMINAL_PROMPT", "0")
            .envs([("GIT_AUTHOR_NAME", who), ("GIT_COMMITTER_NAME", who)])
            .envs([("GIT_AUTHOR_EMAIL", &email), ("GIT_COMMITTER_EMAIL", &email)]);
        command
    }

    pub fn git(&self, who: &str, arguments: &[&str]) -> String {
        let output = self.git_command(who, arguments).output();
        let output = output.expect("git is installed");
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said).trim().to_owned();
        assert!(output.status.success(), "git {arguments:?} by {who}: {said}");
        said
    }

    pub fn remote(&self, who: &str) -> String {
        let url = self.stack.get("GERRIT_URL").trim_end_matches('/');
        let (scheme, place) = url.split_once("://").unwrap();
        format!(
            "{scheme}://{}:{PASSWORD}@{place}/a/{}",
            self.name(who),
            self.project
        )
    }

    /// Goes on from where a branch stands now.
    pub fn start_from(&self, branch: &str) {
        let from = format!("refs/heads/{branch}");
        self.git("ben", &["fetch", "--quiet", &self.remote("ben"), &from]);
        self.git("ben", &["checkout", "--quiet", "-B", "work", "FETCH_HEAD"]);
    }

    pub fn write(&self, file: &str, content: &str) {
        let place = self.work.join(file);
        std::fs::create_dir_all(place.parent().unwrap()).unwrap();
        std::fs::write(place, content).unwrap();
    }

    /// Commits everything under a Change-Id of its own; the commit.
    pub(super) fn commit(&self, who: &str, subject: &str) -> String {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let id = format!("I{:032x}{count:08x}", jiff::Timestamp::now().as_nanosecond());
        self.git(who, &["add", "--all"]);
        let message = format!("{subject}\n\nBecause a scenario wants it.\n\nChange-Id: {id}\n");
        self.git(who, &["commit", "--quiet", "-m", &message]);
        self.git(who, &["rev-parse", "HEAD"])
    }

    pub(super) fn push(&self, who: &str, to: &str) -> String {
        self.git(who, &["push", &self.remote(who), &format!("HEAD:{to}")])
    }

    /// Ada proposes a file for `prod`.
    pub fn propose(&self, file: &str, content: &str) -> Change {
        self.propose_as("ada", file, content)
    }

    pub fn propose_as(&self, who: &str, file: &str, content: &str) -> Change {
        self.start_from("prod");
        self.propose_here(who, file, content)
    }

    /// Ada proposes a file on top of what was proposed last.
    pub fn propose_on_top(&self, file: &str, content: &str) -> Change {
        self.propose_here("ada", file, content)
    }

    fn propose_here(&self, who: &str, file: &str, content: &str) -> Change {
        self.write(file, content);
        self.propose_written(who, &format!("Change {file}"))
    }

    /// Proposes what was written on top of where the work stands.
    pub fn propose_written(&self, who: &str, subject: &str) -> Change {
        let commit = self.commit(who, subject);
        self.proposed(who, commit)
    }

    /// Ada proposes the exact inverse of a commit of `prod`, in git's own words.
    pub fn revert(&self, commit: &str) -> Change {
        self.start_from("prod");
        self.git("ada", &["revert", "--no-commit", commit]);
        let commit = self.commit("ada", &format!("Take it back\n\nThis reverts commit {commit}."));
        self.proposed("ada", commit)
    }

    fn proposed(&self, who: &str, commit: String) -> Change {
        let said = self.push(who, "refs/for/refs/heads/prod");
        let (_, rest) = said.rsplit_once("/+/").expect("the push names a change");
        let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
        Change {
            number: digits.parse().unwrap(),
            commit,
        }
    }

    /// Ben brings a file into `prod` around review; the commit.
    pub fn push_directly(&self, file: &str, content: &str) -> String {
        self.start_from("prod");
        self.write(file, content);
        let commit = self.commit("ben", &format!("Slip in {file}"));
        self.push("ben", "refs/heads/prod");
        commit
    }

    /// Names everything in a commit, as git does.
    pub fn tree(&self, commit: &str) -> String {
        self.git("ben", &["rev-parse", &format!("{commit}^{{tree}}")])
    }

    /// Where `prod` stands.
    pub fn tip(&self) -> String {
        self.start_from("prod");
        self.git("ben", &["rev-parse", "HEAD"])
    }
}
