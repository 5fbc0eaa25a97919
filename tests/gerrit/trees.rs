//! History and content by git, through the mirror of a branch.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use lockstep::clients::gerrit::{GitCache, Mirror};
use lockstep_core::domain::ports::SystemErrorKind;
use lockstep_core::domain::promotion::gate::evidence::CommitId;
use lockstep_core::domain::promotion::gate::finding::Finding;
use lockstep_core::domain::promotion::gate::range::{Commit, Standing};
use lockstep_core::domain::promotion::ports::reviews::{EntryKind, Repository as _, ReviewSystem as _};
use reqwest::Method;
use serde_json::json;

use super::yard::{Pushed, Yard, yard};

pub fn cache(y: &Yard) -> PathBuf {
    y.directory()
        .join("../")
        .join(format!("mirror-{}", y.project.replace('/', "-")))
}

pub fn mirror(y: &Yard) -> Mirror {
    y.system.mirror(&y.on("prod"), &GitCache::below(cache(y)), "test")
}

async fn tip(y: &Yard) -> CommitId {
    let on = y.on("prod");
    let tips = y.system.tips(&BTreeSet::from([on.clone()])).await.unwrap();
    tips[&on].clone()
}

async fn history(y: &Yard, baseline: &CommitId) -> (CommitId, BTreeMap<CommitId, Commit>) {
    let mirror = mirror(y);
    let tip = tip(y).await;
    mirror.fetch(&tip).await.unwrap();
    let known = BTreeSet::from([baseline.clone()]);
    let graph = mirror.history(&tip, &known).await.unwrap();
    (tip, graph)
}

#[tokio::test]
async fn a_merge_is_explained_if_it_is_what_merging_gives_by_itself() {
    let Some(y) = yard("MERGE_IF_NECESSARY").await else {
        return;
    };
    // Both sides touch one file, far apart, so that its lines are merged.
    let lines: Vec<String> = (0..40).map(|n| format!("line {n}\n")).collect();
    let lines = lines.concat();
    let start = y.propose("job.py", &lines);
    y.bring_in(&start).await;
    let baseline = start.commit.clone();
    let first = y.propose("job.py", &lines.replace("line 2\n", "line two\n"));
    y.start_from("prod");
    let second = y.propose("job.py", &lines.replace("line 38\n", "line 38 and more\n"));
    y.bring_in(&first).await;
    y.bring_in(&second).await;
    let (tip, graph) = history(&y, &baseline).await;
    assert_eq!(graph[&tip].parents, [first.commit.clone(), second.commit.clone()]);
    let range = y.judged_range(&graph, &tip, &baseline).await;
    assert!(matches!(range.commits[&tip], Standing::MergeOf(_)), "{range:?}");
    assert_eq!(range.findings(), Vec::<Finding>::new());

    // The same merge with a line of somebody's own.
    y.start_from("prod");
    let before = y.head();
    let third = y.propose("other.py", "1\n");
    y.git(&["checkout", "--quiet", "-B", "work", &before.0]);
    let main = y.commit_as("ada", "ada", "third.py", "1\n", "");
    let main = y.propose_as("ada", main);
    y.bring_in(&main).await;
    y.approve(&third).await;
    y.git(&["merge", "--quiet", "--no-commit", "--no-ff", &third.commit.0]);
    std::fs::write(y.directory().join("evil.py"), "2\n").unwrap();
    y.git(&["add", "--all"]);
    y.git(&["commit", "--quiet", "-m", "Merge"]);
    let edited = y.head();
    y.push("ada", "refs/heads/prod");
    let (tip, graph) = history(&y, &before).await;
    assert_eq!(tip, edited);
    assert!(graph[&tip].automatic_merge.is_some());
    assert_ne!(graph[&tip].automatic_merge.as_ref(), Some(&graph[&tip].tree));
    let range = y.judged_range(&graph, &tip, &before).await;
    assert!(
        matches!(range.commits[&edited], Standing::Unreviewed(_)),
        "{range:?}"
    );
    let _ = std::fs::remove_dir_all(cache(&y));
}

#[tokio::test]
async fn a_reviewed_revert_takes_back_what_was_pushed_around_review() {
    let Some(y) = yard("FAST_FORWARD_ONLY").await else {
        return;
    };
    let baseline = y.head();
    let pushed = y.commit_as("bob", "bob", "a", "1\n", "");
    y.push("bob", "refs/heads/prod");
    y.git(&["revert", "--no-edit", "--no-commit", &pushed.commit.0]);
    let message = format!(
        "Take it back\n\nThis reverts commit {}.\n\nChange-Id: I{:040x}\n",
        pushed.commit, 11
    );
    y.git(&["commit", "--quiet", "-m", &message]);
    let revert = y.propose_as("ada", pushed.clone());
    let revert = Pushed {
        commit: y.head(),
        ..revert
    };
    y.bring_in(&revert).await;
    let (tip, graph) = history(&y, &baseline).await;
    assert_eq!(tip, revert.commit);
    assert_eq!(graph[&tip].reverts, Some(pushed.commit.clone()));
    assert_eq!(graph[&pushed.commit].reverts, None);
    let range = y.judged_range(&graph, &tip, &baseline).await;
    assert!(
        matches!(range.commits[&pushed.commit], Standing::RevertedBy(_)),
        "{range:?}"
    );
    assert_eq!(range.findings(), Vec::<Finding>::new());

    // One that says so and does something else takes back nothing.
    let other = y.commit_as("bob", "bob", "b", "1\n", "");
    y.push("bob", "refs/heads/prod");
    let footer = format!("This reverts commit {}.\n\n", other.commit);
    let liar = y.commit_as("ada", "ada", "c", "1\n", &footer);
    let liar = y.propose_as("ada", liar);
    y.bring_in(&liar).await;
    let (tip, graph) = history(&y, &revert.commit).await;
    assert_eq!(graph[&tip].reverts, None);
    let range = y.judged_range(&graph, &tip, &revert.commit).await;
    assert_eq!(range.unexplained(), BTreeSet::from([&other.commit]));
    let _ = std::fs::remove_dir_all(cache(&y));
}

#[tokio::test]
async fn a_cherry_pick_is_the_same_patch_on_another_commit() {
    let Some(y) = yard("FAST_FORWARD_ONLY").await else {
        return;
    };
    let source = y.propose("a", "1\n");
    let other = y.commit_as("ada", "ada", "a", "2\n", "");
    y.start_from("prod");
    let below = y.propose("below", "1\n");
    y.bring_in(&below).await;
    let body = json!({"destination": "prod", "notify": "NONE", "message": "Pick it"});
    let path = y.at(&source, "/revisions/current/cherrypick");
    let (status, answer) = y.ask("ada", Method::POST, &path, body).await;
    assert!(status < 300, "{answer}");
    y.bring_in(&Pushed {
        number: answer["_number"].as_u64().unwrap(),
        ..source.clone()
    })
    .await;
    let mirror = mirror(&y);
    let tip = tip(&y).await;
    mirror.fetch(&tip).await.unwrap();
    mirror.fetch(&source.commit).await.unwrap();
    assert_ne!(tip, source.commit);
    let patch = mirror.patch(&tip).await.unwrap();
    assert!(patch.is_some());
    assert_eq!(mirror.patch(&source.commit).await.unwrap(), patch);
    assert_ne!(mirror.patch(&below.commit).await.unwrap(), patch);
    // What never came is an error, and no other patch.
    let error = mirror.patch(&other.commit).await.unwrap_err();
    assert_eq!(error.kind, SystemErrorKind::BadAnswer);
    let _ = std::fs::remove_dir_all(cache(&y));
}

#[cfg(unix)]
#[tokio::test]
async fn files_are_what_the_commit_holds() {
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    let Some(y) = yard("FAST_FORWARD_ONLY").await else {
        return;
    };
    let script = y.directory().join("run.sh");
    std::fs::write(&script, "#!/bin/sh\n").unwrap();
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
    symlink("/etc/passwd", y.directory().join("link")).unwrap();
    let change = y.propose("jobs/deep/train é.py", "print(1)\n");
    y.bring_in(&change).await;
    let mirror = mirror(&y);
    let missing = mirror.files(&change.commit).await.unwrap_err();
    assert_eq!(
        missing.kind,
        SystemErrorKind::BadAnswer,
        "nothing was fetched yet"
    );
    mirror.fetch(&change.commit).await.unwrap();
    // Already here: nothing is asked for.
    mirror.fetch(&change.commit).await.unwrap();
    let files = mirror.files(&change.commit).await.unwrap();
    let shown: Vec<(&str, EntryKind)> = files.iter().map(|file| (file.path.as_str(), file.kind)).collect();
    assert_eq!(
        shown,
        [
            ("jobs/deep/train é.py", EntryKind::File),
            ("link", EntryKind::Symlink),
            ("run.sh", EntryKind::Executable),
        ]
    );
    assert_eq!(mirror.content(&files[0], 100).await.unwrap(), b"print(1)\n");
    assert_eq!(mirror.content(&files[1], 100).await.unwrap(), b"/etc/passwd");
    let error = mirror.content(&files[0], 3).await.unwrap_err();
    assert!(error.message.contains("has 9 bytes, more than the 3"), "{error}");
    let tree = mirror.tree(&change.commit).await.unwrap();
    assert_eq!(tree.0, y.git(&["rev-parse", "HEAD^{tree}"]));

    // The next commit brings only itself, and a mirror that is gone or broken is made anew.
    let next = y.propose("more", "1\n");
    mirror.fetch(&next.commit).await.unwrap();
    assert_eq!(mirror.files(&next.commit).await.unwrap().len(), 4);
    let part = std::fs::read_dir(cache(&y).join("0")).unwrap();
    let mut mirrors = part
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir());
    std::fs::write(mirrors.next().unwrap().join("HEAD"), "broken").unwrap();
    assert_eq!(mirrors.next(), None, "one branch, one mirror");
    mirror.fetch(&next.commit).await.unwrap();
    std::fs::remove_dir_all(cache(&y)).unwrap();
    mirror.fetch(&next.commit).await.unwrap();
    assert_eq!(mirror.files(&next.commit).await.unwrap().len(), 4);
    let absent = CommitId("0123456789abcdef0123456789abcdef01234567".into());
    let error = mirror.fetch(&absent).await.unwrap_err();
    assert!(!error.message.contains("s3cret"), "{error}");
    let _ = std::fs::remove_dir_all(cache(&y));
}
