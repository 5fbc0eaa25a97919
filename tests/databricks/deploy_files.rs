//! Trees into directories.

use lockstep_core::domain::promotion::code::tree::{Content, LARGEST, TreeEntry};
use lockstep_core::domain::promotion::gate::evidence::CommitId;
use lockstep_core::domain::promotion::machine::state::FailureKind;
use lockstep_core::domain::promotion::machine::steps::Seen;
use lockstep_core::domain::promotion::ports::deployments::{
    DeployError, Deployment as _, FilesStep, Progress, Restoration, words,
};
use serde_json::json;

use crate::deploy::{DIRECTORY, Leaves, Stage, done, file, files_step, key, tree};

const IMPORT: &str = "/api/2.0/workspace-files/import-file/{+path}";

fn why(error: DeployError) -> String {
    match error.of_write() {
        Seen::Refused(why) => why.message,
        other => panic!("{other:?}"),
    }
}

async fn put(stage: &Stage, path: &str, text: &str) {
    use base64::Engine as _;
    let content = base64::engine::general_purpose::STANDARD.encode(text);
    let body = json!({"path": path, "content": content, "format": "RAW", "overwrite": true});
    stage
        .sim
        .stranger("POST", "/api/2.0/workspace/import", body)
        .await;
}

#[tokio::test]
async fn a_tree_lies_whole_in_its_directory_and_goes_again() {
    let stage = Stage::set().await;
    let files = stage.deployment.files();
    let step = files_step();
    let undo = files.prepare(&step).await.unwrap();
    assert_eq!(files.observe(&step).await.unwrap(), Progress::Absent);
    files.act(&key("code", 1), &step, &mut tree()).await.unwrap();
    let outputs = done(files.observe(&step).await.unwrap());
    assert_eq!(outputs[words::DIRECTORY], DIRECTORY);
    assert!(outputs[words::MANIFEST].starts_with("sha256:"));
    files.verify(&outputs).await.unwrap();
    // A notebook is one, under its name without extension.
    let path = "/api/2.0/workspace/get-status?path=/lockstep/fraud/0123456789abcdef/notebooks/explore";
    let notebook = stage.sim.stranger("GET", path, json!({})).await;
    assert_eq!(notebook["object_type"], "NOTEBOOK");
    assert_eq!(
        files
            .standing(&[DIRECTORY.to_owned(), "/lockstep/other".to_owned()].into())
            .await
            .unwrap(),
        [DIRECTORY.to_owned()].into()
    );
    assert_eq!(files.undone(&step, &undo).await.unwrap(), Restoration::NotUndone);
    files.undo(&step, &undo).await.unwrap();
    assert_eq!(files.undone(&step, &undo).await.unwrap(), Restoration::Undone);
    assert_eq!(files.observe(&step).await.unwrap(), Progress::Absent);
    files.delete(DIRECTORY).await.unwrap();
}

#[tokio::test]
async fn an_upload_that_broke_off_is_not_there_and_is_done_again() {
    let stage = Stage::set().await;
    let files = stage.deployment.files();
    let step = files_step();
    let rule = json!({"method": "POST", "route": IMPORT, "after": 5, "times": 1,
        "action": {"Refuse": {"status": 403, "error_code": "PERMISSION_DENIED", "message": "no"}}});
    stage.sim.control("POST", "faults", Some(rule)).await;
    files.act(&key("code", 1), &step, &mut tree()).await.unwrap_err();
    assert_eq!(files.observe(&step).await.unwrap(), Progress::Absent);
    assert!(
        files
            .standing(&[DIRECTORY.to_owned()].into())
            .await
            .unwrap()
            .is_empty()
    );
    // The begun directory is ours, so it is gone on with.
    let undo = files.prepare(&step).await.unwrap();
    files.act(&key("code", 1), &step, &mut tree()).await.unwrap();
    files
        .verify(&done(files.observe(&step).await.unwrap()))
        .await
        .unwrap();
    files.undo(&step, &undo).await.unwrap();
    assert_eq!(files.undone(&step, &undo).await.unwrap(), Restoration::Undone);
}

#[tokio::test]
async fn a_long_upload_goes_on_where_it_broke_off() {
    let stage = Stage::set().await;
    let files = stage.deployment.files();
    let step = files_step();
    let long = || {
        Leaves(
            (0..250)
                .map(|number| file(&format!("many/{number}.py"), b"pass\n"))
                .collect(),
        )
    };
    let full = json!({"Refuse": {"status": 400, "error_code": "QUOTA_EXCEEDED", "message": "full"}});
    let rule = json!({"method": "POST", "route": IMPORT, "after": 230, "times": 1, "action": full});
    stage.sim.control("POST", "faults", Some(rule)).await;
    files.act(&key("code", 1), &step, &mut long()).await.unwrap_err();
    stage.sim.forget().await;
    files.act(&key("code", 1), &step, &mut long()).await.unwrap();
    let sent = stage
        .sim
        .asked()
        .await
        .into_iter()
        .find(|(route, _)| route.ends_with(IMPORT))
        .unwrap()
        .1;
    assert!(sent <= 60, "{sent} files were sent again");
    files
        .verify(&done(files.observe(&step).await.unwrap()))
        .await
        .unwrap();
}

#[tokio::test]
async fn an_upload_that_breaks_off_after_every_single_write_comes_to_an_end() {
    let stage = Stage::set().await;
    let files = stage.deployment.files();
    let step = files_step();
    let broken = json!({"Refuse": {"status": 403, "error_code": "PERMISSION_DENIED", "message": "no"}});
    let rule = json!({"method": "POST", "route": "/api/2.0/workspace*", "after": 1, "times": 1000, "action": broken});
    let mut passes = 1;
    loop {
        stage.sim.control("POST", "faults", Some(rule.clone())).await;
        let done = files.act(&key("code", 1), &step, &mut tree()).await.is_ok();
        stage.sim.no_faults().await;
        if done {
            break;
        }
        passes += 1;
        assert!(
            passes < 40,
            "25 files, 5 folders and 2 manifests are not 40 writes"
        );
    }
    assert!(passes > 25, "nothing was broken off");
    let outputs = done(files.observe(&step).await.unwrap());
    files.verify(&outputs).await.unwrap();
}

#[tokio::test]
async fn what_somebody_else_changed_while_an_upload_was_broken_off_is_sent_again() {
    let stage = Stage::set().await;
    let files = stage.deployment.files();
    let step = files_step();
    let full = json!({"Refuse": {"status": 400, "error_code": "QUOTA_EXCEEDED", "message": "full"}});
    let rule = json!({"method": "POST", "route": IMPORT, "after": 20, "times": 1, "action": full});
    stage.sim.control("POST", "faults", Some(rule)).await;
    files.act(&key("code", 1), &step, &mut tree()).await.unwrap_err();
    put(&stage, &format!("{DIRECTORY}/many/7.py"), "evil()\n").await;
    files.act(&key("code", 1), &step, &mut tree()).await.unwrap();
    let outputs = done(files.observe(&step).await.unwrap());
    files.verify(&outputs).await.unwrap();
}

#[tokio::test]
async fn a_directory_that_was_whole_before_is_used_and_never_deleted() {
    let stage = Stage::set().await;
    let files = stage.deployment.files();
    let step = files_step();
    stage.upload().await;
    let undo = files.prepare(&step).await.unwrap();
    stage.sim.forget().await;
    files.act(&key("code", 2), &step, &mut tree()).await.unwrap();
    assert_eq!(stage.sim.writes().await, 0);
    files.undo(&step, &undo).await.unwrap();
    assert_eq!(files.undone(&step, &undo).await.unwrap(), Restoration::Undone);
    done(files.observe(&step).await.unwrap());
}

#[tokio::test]
async fn what_is_not_ours_is_neither_written_nor_deleted() {
    let stage = Stage::set().await;
    let files = stage.deployment.files();
    let theirs = FilesStep {
        directory: "/Workspace/lockstep/theirs".into(),
        ..files_step()
    };
    stage
        .sim
        .stranger(
            "POST",
            "/api/2.0/workspace/mkdirs",
            json!({"path": "/lockstep/theirs"}),
        )
        .await;
    put(&stage, "/lockstep/theirs/notes.txt", "mine").await;
    for error in [
        files.prepare(&theirs).await.unwrap_err(),
        files
            .act(&key("code", 1), &theirs, &mut tree())
            .await
            .unwrap_err(),
        files.delete(&theirs.directory).await.unwrap_err(),
        files.delete("/Workspace").await.unwrap_err(),
        files.delete("/Workspace/lockstep/../..").await.unwrap_err(),
    ] {
        assert!(matches!(error, DeployError::Fails(_)), "{error}");
    }
    stage.upload().await;
    let other = FilesStep {
        revision: CommitId("fedcba9876543210".into()),
        ..files_step()
    };
    let error = why(files.prepare(&other).await.unwrap_err());
    assert!(error.contains("${revision}"), "{error}");
}

#[tokio::test]
async fn a_file_changed_added_or_deleted_afterwards_is_told_by_name() {
    let stage = Stage::set().await;
    let files = stage.deployment.files();
    let outputs = stage.upload().await;
    let base = "/lockstep/fraud/0123456789abcdef";
    put(&stage, &format!("{base}/jobs/train.py"), "evil()").await;
    put(&stage, &format!("{base}/jobs/sitecustomize.py"), "evil()").await;
    let gone = json!({"path": format!("{base}/requirements.txt")});
    stage
        .sim
        .stranger("POST", "/api/2.0/workspace/delete", gone)
        .await;
    let DeployError::Fails(why) = files.verify(&outputs).await.unwrap_err() else {
        panic!("not a failure");
    };
    assert_eq!(why.kind, FailureKind::CodeTampered);
    for words in [
        "jobs/train.py has changed",
        "jobs/sitecustomize.py was added",
        "requirements.txt is gone",
    ] {
        assert!(why.message.contains(words), "{why:?}");
    }
    // Nor does it help to change the manifest as well.
    put(&stage, &format!("{base}/.lockstep-manifest.json"), "{}").await;
    let DeployError::Fails(why) = files.verify(&outputs).await.unwrap_err() else {
        panic!("not a failure");
    };
    assert_eq!(why.kind, FailureKind::CodeTampered);
}

#[tokio::test]
async fn a_read_that_fails_is_no_tampering() {
    let stage = Stage::set().await;
    let files = stage.deployment.files();
    let outputs = stage.upload().await;
    for action in [
        json!("Html"),
        json!({"FailBefore": {"status": 500}}),
        json!("Garbage"),
    ] {
        stage
            .sim
            .fault("GET", "/api/2.0/workspace/export", 9, action.clone())
            .await;
        let error = files.verify(&outputs).await.unwrap_err();
        assert!(matches!(error, DeployError::System(_)), "{action}: {error}");
        assert_eq!(error.of_look(), Seen::Unknown);
        stage.sim.no_faults().await;
    }
    files.verify(&outputs).await.unwrap();
}

#[tokio::test]
async fn what_cannot_be_deployed_as_it_was_reviewed_is_refused_by_name() {
    let stage = Stage::set().await;
    let files = stage.deployment.files();
    let other = |content| TreeEntry {
        path: "models/odd".into(),
        content,
    };
    for (entries, word) in [
        (vec![file("models/odd", &vec![b'x'; LARGEST + 1])], "models/odd"),
        (vec![other(Content::Link("../../secret".into()))], "models/odd"),
        (vec![other(Content::Gitlink)], "models/odd"),
        (
            vec![file(
                "models/odd",
                b"version https://git-lfs.github.com/spec/v1\n",
            )],
            "models/odd",
        ),
        (
            vec![
                file("a", b"text"),
                file("a.py", b"# Databricks notebook source\n"),
            ],
            "would both lie at a",
        ),
    ] {
        let error = files
            .act(&key("code", 1), &files_step(), &mut Leaves(entries))
            .await
            .unwrap_err();
        let error = why(error);
        assert!(error.contains(word), "{error}");
        assert_eq!(files.observe(&files_step()).await.unwrap(), Progress::Absent);
    }
}

#[tokio::test]
async fn a_file_of_the_largest_size_is_deployed_and_read_back() {
    let stage = Stage::set().await;
    let files = stage.deployment.files();
    let entries = vec![file("models/big.bin", &vec![b'x'; LARGEST])];
    files
        .act(&key("code", 1), &files_step(), &mut Leaves(entries))
        .await
        .unwrap();
    files
        .verify(&done(files.observe(&files_step()).await.unwrap()))
        .await
        .unwrap();
}

#[tokio::test]
async fn a_full_workspace_is_said_with_the_file_that_did_not_fit() {
    let stage = Stage::set().await;
    let full = json!({"Refuse": {"status": 400, "error_code": "QUOTA_EXCEEDED", "message": "The workspace is full"}});
    let rule = json!({"method": "POST", "route": "*import-file*requirements.txt", "action": full});
    stage.sim.control("POST", "faults", Some(rule)).await;
    let files = stage.deployment.files();
    let error = files
        .act(&key("code", 1), &files_step(), &mut tree())
        .await
        .unwrap_err();
    let error = why(error);
    assert!(
        error.contains("requirements.txt") && error.contains("The workspace is full"),
        "{error}"
    );
}

#[tokio::test]
async fn throttling_and_lost_answers_do_not_end_an_upload() {
    let stage = Stage::set().await;
    stage
        .sim
        .fault("POST", IMPORT, 4, json!({"TooManyRequests": {"retry_after": 1}}))
        .await;
    let lost = json!({"method": "POST", "route": IMPORT, "after": 6, "times": 1, "action": "DropAfter"});
    stage.sim.control("POST", "faults", Some(lost)).await;
    let outputs = stage.upload().await;
    stage.deployment.files().verify(&outputs).await.unwrap();
}

#[tokio::test]
async fn without_a_permit_no_file_is_written() {
    let stage = Stage::set().await;
    stage.sim.forget().await;
    let deployment = stage.sim.without_permit().deployment();
    let error = deployment
        .files()
        .act(&key("code", 1), &files_step(), &mut tree())
        .await
        .unwrap_err();
    assert_eq!(error.of_write(), Seen::Unknown);
    assert_eq!(stage.sim.writes().await, 0);
}
