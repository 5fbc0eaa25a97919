//! Where watched branches stand: the second source for merges, and the only one for what was pushed around review.

use std::collections::{BTreeMap, BTreeSet};

use lockstep_core::domain::ports::SystemError;
use lockstep_core::domain::promotion::gate::evidence::CommitId;
use lockstep_core::domain::promotion::ports::reviews::Watched;

use super::super::GerritSystem;
use super::super::names::segment;
use super::super::rest::parse;
use super::groups::known;
use super::wire::{BranchInfo, ProjectInfo};

/// Characters of a pattern, before it is encoded for a URL.
const LONGEST: usize = 2_500;

impl GerritSystem {
    /// One listing shows the branches of many projects; what it does not show is asked for by itself, so that a listing
    /// that is filtered or cut hides nothing.
    pub(super) async fn read_tips(
        &self,
        watched: &BTreeSet<Watched>,
    ) -> Result<BTreeMap<Watched, CommitId>, SystemError> {
        let branches: BTreeSet<&str> = watched.iter().map(|on| on.branch.as_str()).collect();
        let projects: BTreeSet<&str> = watched.iter().map(|on| on.project.as_str()).collect();
        let mut tips = BTreeMap::new();
        for pattern in patterns(&projects) {
            let mut parameters = vec![("r", pattern)];
            parameters.extend(
                branches
                    .iter()
                    .map(|branch| ("b", format!("refs/heads/{branch}"))),
            );
            let listed: BTreeMap<String, ProjectInfo> = self
                .rest
                .get("/a/projects/", "a/projects/".into(), &parameters)
                .await?;
            for (project, info) in listed {
                for (branch, tip) in info.branches {
                    let branch = branch.strip_prefix("refs/heads/").unwrap_or(&branch).to_owned();
                    let on = Watched {
                        project: project.clone(),
                        branch,
                    };
                    if watched.contains(&on) {
                        tips.insert(on, CommitId(tip));
                    }
                }
            }
        }
        for on in watched {
            if !tips.contains_key(on)
                && let Some(tip) = self.read_tip(on).await?
            {
                tips.insert(on.clone(), tip);
            }
        }
        Ok(tips)
    }

    async fn read_tip(&self, on: &Watched) -> Result<Option<CommitId>, SystemError> {
        let path = format!(
            "a/projects/{}/branches/{}",
            segment(&on.project),
            segment(&format!("refs/heads/{}", on.branch))
        );
        let answer = self
            .rest
            .ask("/a/projects/{project}/branches/{branch}", path, &[])
            .await?;
        let Some(answer) = known(answer.success())? else {
            return Ok(None);
        };
        let found: BranchInfo = parse(&answer)?;
        Ok(found.revision.map(CommitId))
    }
}

/// Regular expressions that together match exactly these names.
fn patterns(projects: &BTreeSet<&str>) -> Vec<String> {
    let mut patterns: Vec<String> = Vec::new();
    for project in projects {
        let escaped: String = project
            .chars()
            .flat_map(|c| {
                let plain = c.is_alphanumeric() || matches!(c, '-' | '_' | '/');
                [(!plain).then_some('\\'), Some(c)]
            })
            .flatten()
            .collect();
        match patterns.last_mut() {
            Some(pattern) if pattern.len() + escaped.len() < LONGEST => {
                pattern.push('|');
                pattern.push_str(&escaped);
            }
            _ => patterns.push(escaped),
        }
    }
    patterns
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_matches_names_and_nothing_like_them() {
        let names = BTreeSet::from(["ml/fraud", "a.b+c", "x|y", "~\"@&<>#"]);
        let expected = r#"a\.b\+c|ml/fraud|x\|y|\~\"\@\&\<\>\#"#;
        assert_eq!(patterns(&names), [expected]);
        assert_eq!(patterns(&BTreeSet::new()), Vec::<String>::new());
    }
}
