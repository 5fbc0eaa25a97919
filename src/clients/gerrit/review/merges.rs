//! What was merged into watched branches, and which change a commit belongs to. A listing says that there is something
//! to look at; nothing is judged by it.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use lockstep_core::domain::ports::{SystemError, SystemErrorKind};
use lockstep_core::domain::promotion::gate::evidence::{ChangeNumber, CommitId};
use lockstep_core::domain::promotion::ports::reviews::{ChangeName, Listed, Merged, Merges, Watched};

use super::super::GerritSystem;
use super::super::history::time;
use super::evidence::variant;
use super::query;
use super::wire::ChangeInfo;

/// How far a look goes back behind the newest merge that was seen: an index may show a merge later than its successor
/// (kubernetes/test-infra PR 12311; LUCI overlaps its polls too).
const OVERLAP: SignedDuration = SignedDuration::from_mins(5);

impl GerritSystem {
    pub(super) async fn read_merges(
        &self,
        watched: &BTreeSet<Watched>,
        since: Timestamp,
    ) -> Result<Merges, SystemError> {
        let from = since.checked_sub(OVERLAP).unwrap_or(Timestamp::UNIX_EPOCH);
        let after = query::instant(from.max(Timestamp::UNIX_EPOCH));
        let mut found = BTreeMap::new();
        for branches in query::branches(watched).map_err(|why| self.refused(&why))? {
            let search = format!("status:merged mergedafter:{after} {branches}");
            for info in self.search(&search).await? {
                let merged = merged(info).map_err(|why| self.bad(&why))?;
                // A server that reads a search otherwise than it was meant must not bring strangers in.
                if watched.contains(&merged.on) {
                    found.insert(merged.number, merged);
                }
            }
        }
        let mut found: Vec<Merged> = found.into_values().collect();
        found.sort_by_key(|merged| (merged.submitted, merged.number));
        let watermark = found.last().map(|merged| merged.submitted);
        Ok(Merges { found, watermark })
    }

    pub(super) async fn read_changes_of(
        &self,
        on: &Watched,
        commits: &BTreeSet<CommitId>,
    ) -> Result<BTreeMap<CommitId, ChangeNumber>, SystemError> {
        let mut found = BTreeMap::new();
        for commits in query::commits(commits).map_err(|why| self.refused(&why))? {
            let branch = query::branches(&BTreeSet::from([on.clone()])).map_err(|why| self.refused(&why))?;
            let search = format!("status:merged {} {commits}", branch.join(" "));
            for info in self.search(&search).await? {
                if info.project == on.project
                    && info.branch == on.branch
                    && let Some(revision) = info.current_revision
                {
                    found.insert(CommitId(revision), ChangeNumber(info.number));
                }
            }
        }
        // The search also finds changes whose older patch sets are these commits.
        found.retain(|commit, _| commits.contains(commit));
        Ok(found)
    }

    pub(super) async fn find_changes(&self, name: &ChangeName) -> Result<Vec<Listed>, SystemError> {
        let search = query::named(name).map_err(|why| self.refused(&why))?;
        let found = self.search(&search).await?;
        let listed = |info: ChangeInfo| {
            let lacks = || self.bad(&format!("change {} is listed without its revision", info.number));
            Ok(Listed {
                number: ChangeNumber(info.number),
                revision: CommitId(info.current_revision.clone().ok_or_else(lacks)?),
                status: variant(info.status.as_deref()),
                subject: info.subject,
                on: Watched {
                    project: info.project,
                    branch: info.branch,
                },
            })
        };
        found.into_iter().map(listed).collect()
    }

    /// All pages of a search, each change once. They are in order of their last update, so that whatever is touched
    /// meanwhile moves to the front and the rest backwards; each page begins with the last change of the one before.
    async fn search(&self, search: &str) -> Result<Vec<ChangeInfo>, SystemError> {
        let limit = self.facts().await?.query_limit.unwrap_or(self.page);
        let size = self.page.min(limit).max(2);
        let mut found: BTreeMap<u64, ChangeInfo> = BTreeMap::new();
        let mut start = 0;
        loop {
            let parameters = [
                ("q", search.to_owned()),
                ("o", "CURRENT_REVISION".to_owned()),
                ("n", size.to_string()),
                ("S", start.to_string()),
            ];
            let page: Vec<ChangeInfo> = self
                .rest
                .get("/a/changes/", "a/changes/".into(), &parameters)
                .await?;
            let more = page.last().is_some_and(|change| change.more);
            let before = found.len();
            start += page.len().saturating_sub(1);
            found.extend(page.into_iter().map(|change| (change.number, change)));
            if !more {
                return Ok(found.into_values().collect());
            }
            if found.len() == before {
                return Err(self.bad("a list of changes does not end"));
            }
        }
    }

    pub(super) fn refused(&self, why: &str) -> SystemError {
        self.rest.http.error(SystemErrorKind::Refused, why)
    }

    pub(super) fn bad(&self, why: &str) -> SystemError {
        self.rest.http.error(SystemErrorKind::BadAnswer, why)
    }
}

fn merged(info: ChangeInfo) -> Result<Merged, String> {
    let lacks = |what: &str| format!("change {} is listed as merged without {what}", info.number);
    let submitted = info.submitted.as_deref().and_then(time);
    Ok(Merged {
        number: ChangeNumber(info.number),
        submitted: submitted.ok_or_else(|| lacks("its time of submit"))?,
        revision: CommitId(
            info.current_revision
                .clone()
                .ok_or_else(|| lacks("its revision"))?,
        ),
        on: Watched {
            project: info.project,
            branch: info.branch,
        },
        submission: info.submission_id,
    })
}
