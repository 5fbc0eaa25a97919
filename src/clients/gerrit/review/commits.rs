//! Commits of a range, one read each, for servers whose git is not at hand: parents only, no trees.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use lockstep_core::domain::ports::{SystemError, SystemErrorKind};
use lockstep_core::domain::promotion::gate::evidence::CommitId;
use lockstep_core::domain::promotion::ports::reviews::Lineage;

use super::super::GerritSystem;
use super::super::history::time;
use super::super::names::segment;
use super::walk::Walk;
use super::wire::CommitInfo;

/// Commits that are read one by one; a longer range is for git.
const MOST: usize = 2_000;

impl GerritSystem {
    pub(super) async fn read_commits(
        &self,
        project: &str,
        tip: &CommitId,
        known: &BTreeSet<CommitId>,
    ) -> Result<BTreeMap<CommitId, Lineage>, SystemError> {
        let mut found = BTreeMap::new();
        let mut walk = Walk::new(tip, known);
        while let Some(next) = walk.next_unread() {
            if walk.len() >= MOST {
                let message = format!(
                    "more than {MOST} commits of {project} lie between {tip} and what is known: set a newer baseline"
                );
                return Err(self.rest.http.error(SystemErrorKind::Refused, message));
            }
            let path = format!("a/projects/{}/commits/{}", segment(project), segment(&next.0));
            let route = "/a/projects/{project}/commits/{commit}";
            let info: CommitInfo = match self.rest.get(route, path, &[]).await {
                // What was taken out of the branch is gone at some time; who asks sees that the tip does not reach it.
                Err(error) if error.kind == SystemErrorKind::NotFound && known.contains(&next) => {
                    walk.add(next, Vec::new(), Timestamp::UNIX_EPOCH);
                    continue;
                }
                read => read?,
            };
            if info.commit.as_ref() != Some(&next.0) {
                return Err(self.bad(&format!("commit {next} of {project} is answered with another")));
            }
            let date = info.committer.and_then(|committer| time(&committer.date));
            let parents: Vec<CommitId> = info
                .parents
                .into_iter()
                .map(|parent| CommitId(parent.commit))
                .collect();
            walk.add(
                next.clone(),
                parents.clone(),
                date.unwrap_or(Timestamp::UNIX_EPOCH),
            );
            found.insert(next, Lineage { parents });
        }
        Ok(found)
    }
}
