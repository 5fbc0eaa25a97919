use serde_json::json;

use super::*;

const DIRECTORY: &str = "/Workspace/lockstep/fraud/1234";

fn frame(revision: &CommitId) -> Frame<'_> {
    Frame {
        name: "train",
        run_as: "app",
        revision,
        directory: Some(DIRECTORY),
    }
}

fn judged(settings: &Value) -> Result<(), String> {
    let revision = CommitId("1234".into());
    check(settings, &frame(&revision)).map_err(|why| {
        assert_eq!(why.kind, FailureKind::JobRunsOtherCode);
        why.message
    })
}

fn task(body: Value) -> Value {
    let mut task = json!({"task_key": "t"});
    task.as_object_mut()
        .unwrap()
        .extend(body.as_object().unwrap().clone());
    json!({"tasks": [task]})
}

#[test]
fn code_in_the_directory_or_pinned_is_ours() {
    for body in [
        json!({"spark_python_task": {"python_file": "/Workspace/lockstep/fraud/1234/train.py"}}),
        json!({"spark_python_task": {"python_file": "/lockstep/fraud/1234/train.py"}}),
        json!({"notebook_task": {"notebook_path": "/Workspace/lockstep/fraud/1234/nb", "source": "WORKSPACE"}}),
        json!({"sql_task": {"warehouse_id": "1", "file": {"path": "/lockstep/fraud/1234/a.sql"}}}),
        json!({"condition_task": {"op": "EQUAL_TO"}}),
        json!({"for_each_task": {"inputs": "[]", "task": {"task_key": "i",
            "spark_python_task": {"python_file": "/lockstep/fraud/1234/x.py"}}}}),
        json!({"python_wheel_task": {"package_name": "x"}, "libraries": [
            {"pypi": {"package": "numpy==1.2.3"}}, {"pypi": {"package": "a[b,c]===1.0+x ; python_version > '3'"}},
            {"maven": {"coordinates": "g:a:1.2"}}, {"whl": "/lockstep/fraud/1234/x.whl"}]}),
        json!({"spark_jar_task": {"main_class_name": "X"}, "libraries": [{"jar": "/lockstep/fraud/1234/x.jar"}],
            "new_cluster": {"docker_image": {"url": "r/i@sha256:00"},
                "init_scripts": [{"workspace": {"destination": "/lockstep/fraud/1234/init.sh"}}]}}),
    ] {
        assert_eq!(judged(&task(body.clone())), Ok(()), "{body}");
    }
}

#[test]
fn code_from_anywhere_else_is_not() {
    let python = |path: &str| json!({"spark_python_task": {"python_file": path}});
    let library =
        |library: Value| json!({"python_wheel_task": {"package_name": "x"}, "libraries": [library]});
    let cluster =
        |cluster: Value| json!({"spark_jar_task": {"main_class_name": "X"}, "new_cluster": cluster});
    for body in [
        python("/Workspace/lockstep/fraud/12345/train.py"),
        python("/Workspace/lockstep/fraud/1234/../other/train.py"),
        python("/Workspace/lockstep/fraud/1234/{{job.parameters.x}}"),
        python("/Users/eve@example.com/train.py"),
        python("dbfs:/train.py"),
        python("train.py"),
        json!({"spark_python_task": {"python_file": "train.py", "source": "GIT"}}),
        json!({"notebook_task": {"source": "WORKSPACE"}}),
        json!({"notebook_task": "/Shared/nb"}),
        json!({"sql_task": {"query": {"query_id": "1"}}}),
        json!({"run_job_task": {"job_id": 1}}),
        json!({"pipeline_task": {"pipeline_id": "1"}}),
        json!({"brand_new_task": {}}),
        json!({}),
        json!({"condition_task": {}, "spark_python_task": {"python_file": "/lockstep/fraud/1234/x.py"}}),
        json!({"for_each_task": {"task": {"run_job_task": {"job_id": 1}}}}),
        json!({"condition_task": {}, "existing_cluster_id": "1"}),
        library(json!({"pypi": {"package": "numpy"}})),
        library(json!({"pypi": {"package": "numpy>=1"}})),
        library(json!({"pypi": {"package": "numpy==1.*"}})),
        library(json!({"pypi": {"package": "x @ https://example.com/x.whl"}})),
        library(json!({"maven": {"coordinates": "g:a:LATEST"}})),
        library(json!({"maven": {"coordinates": "g:a:[1,2)"}})),
        library(json!({"cran": {"package": "x"}})),
        library(json!({"whl": "/Volumes/a/b/x.whl"})),
        cluster(json!({"docker_image": {"url": "r/i:latest"}})),
        cluster(json!({"init_scripts": [{"volumes": {"destination": "/Volumes/x"}}]})),
    ] {
        let why = judged(&task(body.clone())).unwrap_err();
        assert!(why.contains("\"train\""), "{body}: {why}");
    }
    assert!(judged(&json!({"tasks": []})).is_err());
}

#[test]
fn a_git_source_is_ours_at_the_deployed_commit_only() {
    let git = |source: Value| {
        let mut settings = task(json!({"spark_python_task": {"python_file": "train.py"}}));
        settings["git_source"] = source;
        judged(&settings)
    };
    assert_eq!(git(json!({"git_url": "x", "git_commit": "1234"})), Ok(()));
    assert!(git(json!({"git_url": "x", "git_commit": "1235"})).is_err());
    assert!(git(json!({"git_url": "x", "git_branch": "prod"})).is_err());
}

#[test]
fn environments_are_pinned_too() {
    let with = |dependencies: Value| {
        let mut settings = task(json!({"python_wheel_task": {"package_name": "x"}, "environment_key": "e"}));
        settings["environments"] = json!([{"environment_key": "e", "spec": {"dependencies": dependencies}}]);
        judged(&settings)
    };
    assert_eq!(
        with(json!([
            "numpy==1.2",
            "-r /lockstep/fraud/1234/requirements.txt",
            "/lockstep/fraud/1234/x.whl"
        ])),
        Ok(())
    );
    for one in [
        "numpy",
        "-r /Shared/requirements.txt",
        "--index-url https://x",
        "/Shared/x.whl",
        "-e .",
    ] {
        assert!(with(json!([one])).is_err(), "{one}");
    }
}

#[test]
fn relative_paths_mean_the_directory() {
    let revision = CommitId("1234".into());
    let mut settings = json!({"tasks": [
        {"task_key": "a", "notebook_task": {"notebook_path": "notebooks/a.py"}},
        {"task_key": "b", "spark_python_task": {"python_file": "./jobs/../train.py"},
            "libraries": [{"whl": "dist/x.whl"}]},
    ], "environments": [{"environment_key": "e", "spec": {"dependencies": ["-r requirements.txt"]}}]});
    resolve(&mut settings, &frame(&revision)).unwrap();
    assert_eq!(
        settings["tasks"][0]["notebook_task"]["notebook_path"],
        "/Workspace/lockstep/fraud/1234/notebooks/a"
    );
    assert_eq!(
        settings["tasks"][1]["spark_python_task"]["python_file"],
        "/Workspace/lockstep/fraud/1234/train.py"
    );
    assert_eq!(
        settings["tasks"][1]["libraries"][0]["whl"],
        "/Workspace/lockstep/fraud/1234/dist/x.whl"
    );
    assert_eq!(
        settings["environments"][0]["spec"]["dependencies"][0],
        "-r /Workspace/lockstep/fraud/1234/requirements.txt"
    );
    assert_eq!(check(&settings, &frame(&revision)), Ok(()));
    let mut out = task(json!({"spark_python_task": {"python_file": "../../../../etc/x"}}));
    assert!(resolve(&mut out, &frame(&revision)).is_err());
}
