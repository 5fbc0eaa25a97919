//! Words of a search. Names are quoted whole; what cannot be quoted is refused before anything is sent.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use lockstep_core::domain::promotion::gate::evidence::CommitId;
use lockstep_core::domain::promotion::ports::reviews::{ChangeName, Watched};

/// Characters of one search, before they are encoded for a URL: servers and proxies take about 8 kB of it.
const LONGEST: usize = 2_500;

/// A value that means exactly itself. Gerrit's search has no escapes inside quotes, and `^` begins a regular
/// expression.
pub(super) fn quoted(value: &str) -> Result<String, String> {
    if value.is_empty()
        || value.starts_with('^')
        || value.contains(['"', '\\'])
        || value.contains(char::is_control)
    {
        return Err(format!("{value:?} cannot be searched for"));
    }
    Ok(format!("\"{value}\""))
}

/// A time as searches take it: UTC, whole seconds.
pub(super) fn instant(at: Timestamp) -> String {
    format!("\"{}\"", at.strftime("%Y-%m-%d %H:%M:%S"))
}

/// Searches that together mean all of these branches, as few as their length allows: projects with the same branches
/// are named together.
pub(super) fn branches(watched: &BTreeSet<Watched>) -> Result<Vec<String>, String> {
    let mut by_project: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for Watched { project, branch } in watched {
        let branch = quoted(&format!("refs/heads/{branch}"))?;
        by_project
            .entry(project)
            .or_default()
            .push(format!("ref:{branch}"));
    }
    let mut alike: BTreeMap<Vec<String>, Vec<String>> = BTreeMap::new();
    for (project, refs) in by_project {
        let project = format!("project:{}", quoted(project)?);
        alike.entry(refs).or_default().push(project);
    }
    let mut parts = Vec::new();
    for (refs, projects) in alike {
        let refs = refs.join(" OR ");
        for projects in joined(projects) {
            parts.push(format!("({projects} ({refs}))"));
        }
    }
    Ok(joined(parts))
}

/// Searches that together mean all of these commits.
pub(super) fn commits(commits: &BTreeSet<CommitId>) -> Result<Vec<String>, String> {
    let parts: Result<Vec<String>, String> = commits
        .iter()
        .map(|commit| {
            let whole = commit.0.len() == 40 && commit.0.bytes().all(|byte| byte.is_ascii_hexdigit());
            whole
                .then(|| format!("commit:{commit}"))
                .ok_or_else(|| format!("{:?} is no commit", commit.0))
        })
        .collect();
    Ok(joined(parts?))
}

/// A search for the changes of a name.
pub(super) fn named(name: &ChangeName) -> Result<String, String> {
    match name {
        ChangeName::Number(number) => Ok(format!("change:{}", number.0)),
        ChangeName::Id(id) => {
            let digits = id.strip_prefix('I').unwrap_or_default();
            let whole = digits.len() == 40 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
            whole
                .then(|| format!("change:{id}"))
                .ok_or_else(|| format!("{id:?} is no Change-Id"))
        }
    }
}

fn joined(parts: Vec<String>) -> Vec<String> {
    let mut searches: Vec<String> = Vec::new();
    for part in parts {
        match searches.last_mut() {
            Some(search) if search.len() + part.len() < LONGEST => {
                search.push_str(" OR ");
                search.push_str(&part);
            }
            _ => searches.push(part),
        }
    }
    // Without parentheses OR binds in ways that surprise.
    searches.into_iter().map(|search| format!("({search})")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watched(project: &str, branch: &str) -> Watched {
        Watched {
            project: project.into(),
            branch: branch.into(),
        }
    }

    #[test]
    fn one_search_means_all_branches() {
        let all = BTreeSet::from([
            watched("ml/fraud", "prod"),
            watched("ml/fraud", "staging"),
            watched("a b", "main"),
        ]);
        assert_eq!(
            branches(&all).unwrap(),
            [
                "(((project:\"a b\") (ref:\"refs/heads/main\")) OR ((project:\"ml/fraud\") (ref:\"refs/heads/prod\" OR ref:\"refs/heads/staging\")))"
            ]
        );
        let many: BTreeSet<Watched> = (0..200)
            .map(|n| watched(&format!("project-{n}"), "prod"))
            .collect();
        let searches = branches(&many).unwrap();
        assert!(searches.len() > 1 && searches.iter().all(|search| search.len() < LONGEST + 100));
        assert_eq!(searches.join(" ").matches("project:").count(), 200);
    }

    #[test]
    fn a_hundred_branches_of_twenty_projects_are_one_search() {
        let all: BTreeSet<Watched> = (0..100)
            .map(|n| {
                watched(
                    &format!("machine-learning/project-{}", n % 20),
                    &format!("b{}", n / 20),
                )
            })
            .collect();
        let searches = branches(&all).unwrap();
        assert_eq!(searches.len(), 1, "{searches:?}");
        assert_eq!(searches[0].matches("project:").count(), 20);
        assert_eq!(searches[0].matches("ref:").count(), 5);
    }

    #[test]
    fn a_name_never_becomes_another_search() {
        for hostile in ["^.*", "a\" OR project:\"b", "a\nb", "", "a\\"] {
            assert!(
                branches(&BTreeSet::from([watched(hostile, "prod")])).is_err(),
                "{hostile}"
            );
        }
        assert!(branches(&BTreeSet::from([watched("a", "x\" OR ref:\"y")])).is_err());
        assert!(commits(&BTreeSet::from([CommitId("a OR status:open".into())])).is_err());
        assert!(named(&ChangeName::Id("I1 OR status:open".into())).is_err());
    }

    #[test]
    fn times_are_quoted_and_utc() {
        assert_eq!(
            instant("2026-11-22T20:02:47.9Z".parse().unwrap()),
            "\"2026-11-22 20:02:47\""
        );
    }
}
