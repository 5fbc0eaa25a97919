//! Branches and changes: a scratch branch and a scratch change of the scratch project, and merges, which are only read.

use std::collections::BTreeSet;
use std::path::PathBuf;

use jiff::Timestamp;
use lockstep_core::domain::ports::{SystemError, SystemErrorKind};
use lockstep_core::domain::promotion::gate::evidence::{ChangeNumber, CommitId};
use lockstep_core::domain::promotion::gate::people::AccountId;
use lockstep_core::domain::promotion::ports::reviews::{
    ChangeRef, Inquiry, Repository as _, ReviewSystem as _, Saying, Watched, Written,
};
use reqwest::Method;
use serde_json::{Value, json};

use super::super::history::time;
use super::super::names::segment;
use super::super::review::GitCache;
use super::{Bench, PROJECT};
use crate::clients::contract::{Broken, Finding, Held, demand};

/// Environment by whose name is spoken.
const ENVIRONMENT: &str = "probe";

impl Bench<'_> {
    fn branch(&self) -> Watched {
        Watched {
            project: PROJECT.into(),
            branch: format!("{}-branch", self.prefix),
        }
    }

    fn branch_path(&self) -> String {
        let branch = segment(&format!("refs/heads/{}", self.branch().branch));
        format!("a/projects/{PROJECT}/branches/{branch}")
    }

    fn change(&self) -> Result<ChangeRef, Broken> {
        let number = self.change.get("scratch change")?;
        Ok(ChangeRef {
            project: PROJECT.into(),
            number: ChangeNumber(number.parse().unwrap_or_default()),
        })
    }

    fn mirrors(&self) -> PathBuf {
        std::env::temp_dir().join(&self.prefix)
    }
}

/// What is not ours to see or to do is not tried.
fn allowed<T>(read: Result<T, SystemError>) -> Result<T, Broken> {
    read.map_err(|error| match error.kind {
        SystemErrorKind::Forbidden | SystemErrorKind::NotFound => Broken::Skipped(error.to_string()),
        _ => Broken::Failed(error),
    })
}

pub(super) async fn branch(b: &Bench<'_>) -> Result<Held, Broken> {
    b.project.get("scratch project")?;
    // An empty project has no other commit than that of its rules.
    let body = json!({"revision": "refs/meta/config"});
    let said = b.write(Method::PUT, b.branch_path(), body).await?;
    if said.status == 403 {
        return Err(Broken::Skipped("the identity may not create branches".into()));
    }
    demand(said.status == 201, || said.show())?;
    let tip = said.json["revision"].as_str().unwrap_or_default().to_owned();
    b.tip.set(tip.as_str());
    let on = b.branch();
    let query = [
        ("r", PROJECT.to_owned()),
        ("b", format!("refs/heads/{}", on.branch)),
    ];
    let said = b.get("a/projects/".into(), &query).await?;
    let listed = said.json[PROJECT]["branches"].as_object();
    let listed = listed.is_some_and(|branches| branches.values().any(|at| *at == json!(tip)));
    demand(said.status == 200 && listed, || said.show())?;
    let tips = b.system.tips(&BTreeSet::from([on.clone()])).await?;
    demand(tips.get(&on) == Some(&CommitId(tip)), || format!("{tips:?}"))?;
    Ok(None)
}

pub(super) async fn fetch(b: &Bench<'_>) -> Result<Held, Broken> {
    let tip = CommitId(b.tip.get("scratch branch")?);
    let cache = GitCache::below(b.mirrors());
    let mirror = b.system.mirror(&b.branch(), &cache, &b.prefix);
    mirror.fetch(&tip).await?;
    let tree = mirror.tree(&tip).await?;
    let files = mirror.files(&tip).await?;
    let rules = files.iter().any(|file| file.path == "project.config");
    demand(rules, || format!("tree {tree:?} with {files:?}"))?;
    Ok(None)
}

pub(super) async fn create(b: &Bench<'_>) -> Result<Held, Broken> {
    let tip = b.tip.get("scratch branch")?;
    let body = json!({
        "project": PROJECT,
        "branch": b.branch().branch,
        "subject": "Scratch of lockstep doctor --probe",
        // Nobody is asked to look at it.
        "work_in_progress": true,
        "notify": "NONE",
    });
    let said = b.write(Method::POST, "a/changes/".into(), body).await?;
    if said.status == 403 {
        return Err(Broken::Skipped("the identity may not create changes".into()));
    }
    demand(said.status == 201, || said.show())?;
    b.change.set(said.json["_number"].to_string());
    let now = Timestamp::now();
    let inquiry = Inquiry {
        groups: BTreeSet::new(),
        service_users: None,
        since: now,
        fresh: now,
        by_git: false,
    };
    let evidence = b.system.evidence(&b.change()?, &inquiry).await?;
    b.revision.set(evidence.revision.0.as_str());
    let us = AccountId(u64::try_from(b.me).unwrap_or_default());
    let set = evidence.patch_sets.get(&1);
    let whole = evidence.owner == us
        && set.is_some_and(|set| set.uploader == Some(us) && set.created.is_some())
        && evidence.parents == [CommitId(tip)]
        && evidence.in_branch != Some(true)
        && evidence.requirements.is_some()
        && evidence.votes.is_some()
        && evidence.meta_rev_id.is_some();
    demand(whole, || format!("{evidence:?}"))?;
    Ok(None)
}

pub(super) async fn say(b: &Bench<'_>) -> Result<Held, Broken> {
    let change = b.change()?;
    let saying = Saying {
        environment: ENVIRONMENT.into(),
        revision: CommitId(b.revision.get("scratch change")?),
        text: format!("Said by lockstep doctor --probe as {}.", b.prefix),
    };
    let first = allowed(b.system.say(&change, &saying).await)?;
    let second = b.system.say(&change, &saying).await?;
    demand((first, second) == (Written::Done, Written::Already), || {
        format!("{first:?}, then {second:?}")
    })?;
    Ok(None)
}

pub(super) async fn mark(b: &Bench<'_>) -> Result<Held, Broken> {
    let change = b.change()?;
    let first = b.system.mark_deployed(&change, ENVIRONMENT).await?;
    if first == Written::NotAllowed {
        return Ok(Some(
            "the identity may not edit hashtags: deployed changes are not marked".into(),
        ));
    }
    let second = b.system.mark_deployed(&change, ENVIRONMENT).await?;
    demand((first, second) == (Written::Done, Written::Already), || {
        format!("{first:?}, then {second:?}")
    })?;
    Ok(None)
}

/// Of the merged changes that were touched last, the one that was merged last: few can have been merged since.
/// Configuration aside: whoever watches it does so by hints, not by searches.
async fn last_merged(b: &Bench<'_>) -> Result<(Watched, Value, Timestamp), Broken> {
    let query = [
        ("q", "status:merged -branch:refs/meta/config".to_owned()),
        ("o", "CURRENT_REVISION".to_owned()),
        ("n", "25".to_owned()),
    ];
    let said = b.get("a/changes/".into(), &query).await?;
    demand(said.status == 200, || said.show())?;
    let changes = said.json.as_array().cloned().unwrap_or_default();
    let last = changes
        .into_iter()
        .filter_map(|change| {
            let on = Watched {
                project: change["project"].as_str()?.to_owned(),
                branch: change["branch"].as_str()?.to_owned(),
            };
            let submitted = time(change["submitted"].as_str()?)?;
            Some((on, change, submitted))
        })
        .max_by_key(|(_, _, submitted)| *submitted);
    last.ok_or_else(|| Broken::Skipped("no merged change is in sight".into()))
}

pub(super) async fn merges(b: &Bench<'_>) -> Result<Held, Broken> {
    let (on, change, submitted) = last_merged(b).await?;
    let number = ChangeNumber(change["_number"].as_u64().unwrap_or_default());
    let commit = CommitId(change["current_revision"].as_str().unwrap_or_default().to_owned());
    let merges = b.system.merges(&BTreeSet::from([on.clone()]), submitted).await?;
    let found = merges
        .found
        .iter()
        .find(|merged| merged.number == number)
        .is_some_and(|merged| merged.revision == commit && merged.submission.is_some());
    demand(found, || {
        format!(
            "change {number} of {} not among {}",
            on.project,
            merges.found.len()
        )
    })?;
    let changes = b
        .system
        .changes_of(&on, &BTreeSet::from([commit.clone()]))
        .await?;
    demand(changes.get(&commit) == Some(&number), || {
        format!("commit {commit} belongs to {changes:?}, not to {number}")
    })?;
    Ok(None)
}

pub(super) async fn requirements(b: &Bench<'_>) -> Result<Held, Broken> {
    let project = b.project.get("scratch project")?;
    let read = allowed(b.system.requirements(&project).await)?;
    let among = |name: &String| read.all.iter().any(|(other, _)| other == name);
    demand(read.own.keys().all(among), || format!("{read:?}"))?;
    Ok((read.all.is_empty()).then(|| "there are none".into()))
}

/// Takes away the change, its branch, and what was fetched of it.
pub(super) async fn clean_up(b: &Bench<'_>) -> Vec<Finding> {
    let mut left = Vec::new();
    if let Ok(change) = b.change.get("scratch change") {
        left.extend(delete_change(b, &change).await);
    }
    if b.tip.get("scratch branch").is_ok() {
        let name = format!("branch {}", b.branch().branch);
        match b.write(Method::DELETE, b.branch_path(), Value::Null).await {
            Ok(said) if matches!(said.status, 204 | 404) => {}
            Ok(said) => left.push(Finding::left_behind(&name, &said.show())),
            Err(error) => left.push(Finding::left_behind(&name, &error.to_string())),
        }
    }
    let mirrors = b.mirrors();
    let gone = tokio::task::spawn_blocking(move || std::fs::remove_dir_all(mirrors)).await;
    // Whoever fetched nothing has no mirror.
    if let Ok(Err(error)) = gone
        && error.kind() != std::io::ErrorKind::NotFound
    {
        left.push(Finding::left_behind("a mirror", &error.to_string()));
    }
    left
}

/// Deletes the change, or abandons it where only others may delete it: a branch with an open change cannot go.
async fn delete_change(b: &Bench<'_>, number: &str) -> Option<Finding> {
    let path = format!("a/changes/{PROJECT}~{number}");
    let name = format!("change {number}");
    let why = match b.write(Method::DELETE, path.clone(), Value::Null).await {
        Ok(said) if matches!(said.status, 204 | 404) => return None,
        Ok(said) => said.show(),
        Err(error) => error.to_string(),
    };
    let body = json!({"notify": "NONE"});
    let how = match b.write(Method::POST, format!("{path}/abandon"), body).await {
        Ok(said) if said.status == 200 => format!("abandoned, for it was not deleted: {why}"),
        _ => why,
    };
    Some(Finding::left_behind(&name, &how))
}
