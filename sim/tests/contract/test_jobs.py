"""Jobs that run: starting, watching, cancelling, repairing, queueing, who they run as, and really running."""

import base64
import time

import pytest
from databricks.sdk.errors import BadRequest, InvalidParameterValue, InvalidState, PermissionDenied, ResourceDoesNotExist
from databricks.sdk.service import compute, jobs
from databricks.sdk.service import workspace as files
from databricks.sdk.service.jobs import RunLifeCycleState as Life
from databricks.sdk.service.jobs import RunLifecycleStateV2State as State
from databricks.sdk.service.jobs import RunResultState as Result
from databricks.sdk.service.jobs import TerminationCodeCode as Code
from databricks.sdk.service.jobs import TerminationTypeType as Type
from databricks.sdk.service.workspace import ImportFormat

from conftest import WORKSPACE, running

SP = "0aa1c9d0-0000-4000-8000-000000000001"
CODE = "/ml/fraud"


def put(w, path, text="print('hello')\n"):
    w.workspace.mkdirs(path.rsplit("/", 1)[0])
    w.workspace.import_(path, content=base64.b64encode(text.encode()).decode(), format=ImportFormat.AUTO, overwrite=True)


def python(key="train", needs=(), file=f"{CODE}/train.py", **more):
    return jobs.Task(
        task_key=key,
        spark_python_task=jobs.SparkPythonTask(python_file=file, **more),
        depends_on=[jobs.TaskDependency(task_key=one) for one in needs] or None,
    )


def ended(w, run_id, seconds=15):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        run = w.jobs.get_run(run_id)
        if run.status.state == State.TERMINATED:
            return run
        time.sleep(0.05)
    raise AssertionError(f"run {run_id} is still {run.state}")


def start(w, job, **more):
    return w.jobs.run_now(job, **more).response.run_id


def task(run, key="train"):
    return next(one for one in run.tasks if one.task_key == key)


@pytest.fixture
def w(sim):
    w = sim.workspace()
    put(w, f"{CODE}/train.py")
    return w


@pytest.fixture
def job(w):
    return w.jobs.create(name="fraud-train", tasks=[python()], tags={"team": "fraud"}).job_id


def test_a_run_goes_from_pending_to_success(w, sim, job):
    sim.settings(taskSeconds=0.6)
    run_id = start(w, job)
    assert w.jobs.get_run(run_id).state.life_cycle_state == Life.PENDING
    time.sleep(0.4)
    run = w.jobs.get_run(run_id)
    assert (run.state.life_cycle_state, run.state.result_state, run.status.state) == (Life.RUNNING, None, State.RUNNING)
    assert run.end_time in (0, None) and task(run).state.life_cycle_state == Life.RUNNING
    run = ended(w, run_id)
    assert (run.state.life_cycle_state, run.state.result_state) == (Life.TERMINATED, Result.SUCCESS)
    assert (run.status.termination_details.code, run.status.termination_details.type) == (Code.SUCCESS, Type.SUCCESS)
    assert run.job_id == job and run.run_id == run.number_in_job == run_id
    assert run.creator_user_name == "admin@example.com" and run.run_name == "fraud-train"
    assert run.run_type == jobs.RunType.JOB_RUN and str(run_id) in run.run_page_url
    assert task(run).run_id not in (None, run_id) and task(run).attempt_number == 0
    assert task(run).spark_python_task.python_file == f"{CODE}/train.py"
    assert run.end_time - run.start_time >= 600


def test_one_token_starts_one_run(w, job):
    first = start(w, job, idempotency_token="t" * 64)
    assert start(w, job, idempotency_token="t" * 64, job_parameters={"other": "x"}) == first
    assert start(w, job) != first
    with pytest.raises(BadRequest):
        start(w, job, idempotency_token="t" * 65)
    ended(w, first)
    w.jobs.delete_run(first)
    with pytest.raises(BadRequest):
        start(w, job, idempotency_token="t" * 64)
    with pytest.raises(ResourceDoesNotExist):
        w.jobs.get_run(first)


def test_parameters_are_those_of_the_job_and_of_the_call(w):
    made = w.jobs.create(
        name="p",
        tasks=[python()],
        parameters=[jobs.JobParameterDefinition(name="env", default="dev"), jobs.JobParameterDefinition(name="n", default="1")],
    ).job_id
    run = ended(w, start(w, made, job_parameters={"env": "prod", "gerrit_change": "42"}))
    seen = {one.name: (one.default, one.value) for one in run.job_parameters}
    assert seen == {"env": ("dev", "prod"), "n": ("1", "1"), "gerrit_change": (None, "42")}
    run = ended(w, start(w, made, python_params=["--fast"]))
    assert run.overriding_parameters.python_params == ["--fast"]
    for wrong in ({"job_parameters": {"env": "x"}, "python_params": ["y"]}, {"job_parameters": {"env": "x" * 10_001}}):
        with pytest.raises(BadRequest):
            start(w, made, **wrong)


def test_tasks_wait_for_each_other(w, sim, job):
    made = w.jobs.create(name="chain", tasks=[python("a"), python("b", ["a"]), python("c", ["b"])]).job_id
    sim.control("POST", "scripts", {"job": "chain", "result": "FAILED", "task": "b", "message": "ValueError: no data"})
    run = ended(w, start(w, made))
    assert [task(run, key).state.result_state for key in "abc"] == [Result.SUCCESS, Result.FAILED, Result.UPSTREAM_FAILED]
    assert run.state.result_state == Result.FAILED and "Task b failed" in run.state.state_message
    output = w.jobs.get_run_output(task(run, "b").run_id)
    assert output.error == "ValueError: no data" and output.metadata.run_id == task(run, "b").run_id
    run = ended(w, start(w, made))
    starts = [task(run, key).start_time for key in "abc"]
    assert starts == sorted(starts) and starts[2] - starts[0] >= 400


@pytest.mark.parametrize(
    "result, life, old, code, kind",
    [
        ("FAILED", Life.TERMINATED, Result.FAILED, Code.RUN_EXECUTION_ERROR, Type.CLIENT_ERROR),
        ("TIMEDOUT", Life.TERMINATED, Result.TIMEDOUT, Code.CANCELED, Type.CLIENT_ERROR),
        ("CANCELED", Life.TERMINATED, Result.CANCELED, Code.USER_CANCELED, Type.CLIENT_ERROR),
        ("INTERNAL_ERROR", Life.INTERNAL_ERROR, Result.FAILED, Code.INTERNAL_ERROR, Type.INTERNAL_ERROR),
        ("CLOUD_FAILURE", Life.INTERNAL_ERROR, Result.FAILED, Code.CLOUD_FAILURE, Type.CLOUD_FAILURE),
        ("SUCCESS_WITH_FAILURES", Life.TERMINATED, Result.SUCCESS_WITH_FAILURES, Code.SUCCESS_WITH_FAILURES, Type.SUCCESS),
    ],
)
def test_every_end_can_be_prescribed(w, sim, job, result, life, old, code, kind):
    sim.control("POST", "scripts", {"job": "fraud-train", "result": result, "seconds": 0.05})
    run = ended(w, start(w, job))
    assert (run.state.life_cycle_state, run.state.result_state) == (life, old)
    assert (run.status.termination_details.code, run.status.termination_details.type) == (code, kind)
    assert ended(w, start(w, job)).state.result_state == Result.SUCCESS, "a script is for one run"
    assert sim.control("GET", "scripts")["scripts"][0]["used"] == 1


def test_a_run_is_held_until_it_is_let_go(w, sim, job):
    sim.control("POST", "scripts", {"job": "fraud-train", "hold": True})
    run_id = start(w, job)
    time.sleep(0.6)
    assert w.jobs.get_run(run_id).state.life_cycle_state == Life.RUNNING
    assert sim.control("POST", "scripts/release", {"job": "fraud-train"})["runs"] == [run_id]
    assert w.jobs.get_run(run_id).state.result_state == Result.SUCCESS


def test_a_run_over_its_time_ends(w, sim):
    made = w.jobs.create(name="slow", tasks=[python()], timeout_seconds=1).job_id
    sim.control("POST", "scripts", {"job": "slow", "hold": True})
    run = ended(w, start(w, made))
    assert run.state.result_state == Result.TIMEDOUT and run.state.user_cancelled_or_timedout


def test_cancelling_takes_a_while_and_is_final(w, sim, job):
    sim.settings(taskSeconds=0.6)
    run_id = start(w, job)
    w.jobs.cancel_run(run_id)
    assert w.jobs.get_run(run_id).state.life_cycle_state == Life.TERMINATING
    run = ended(w, run_id)
    assert run.state.result_state == Result.CANCELED and run.status.termination_details.code == Code.USER_CANCELED
    w.jobs.cancel_run(run_id)
    assert w.jobs.get_run(run_id).state.result_state == Result.CANCELED
    with pytest.raises(InvalidParameterValue):
        w.jobs.cancel_run(1)


def test_a_full_job_queues_or_skips(w, sim, job):
    sim.control("POST", "scripts", {"job": "fraud-train", "hold": True, "times": 9})
    first, second = start(w, job), start(w, job)
    skipped = w.jobs.get_run(second)
    assert (skipped.state.life_cycle_state, skipped.state.result_state) == (
        Life.SKIPPED, Result.MAXIMUM_CONCURRENT_RUNS_REACHED)
    assert skipped.status.termination_details.code == Code.MAX_CONCURRENT_RUNS_EXCEEDED
    third = start(w, job, queue=jobs.QueueSettings(enabled=True))
    queued = w.jobs.get_run(third)
    assert queued.state.life_cycle_state == Life.QUEUED and queued.state.queue_reason
    assert queued.status.queue_details.code == jobs.QueueDetailsCodeCode.MAX_CONCURRENT_RUNS_REACHED
    assert {run.run_id for run in w.jobs.list_runs(job_id=job, active_only=True)} == {first, third}
    time.sleep(0.3)
    sim.control("POST", "scripts/release", {"run": first})
    assert w.jobs.get_run(first).state.result_state == Result.SUCCESS
    assert w.jobs.get_run(third).state.life_cycle_state in (Life.PENDING, Life.RUNNING)
    fourth = start(w, job, queue=jobs.QueueSettings(enabled=True))
    w.jobs.cancel_all_runs(job_id=job, all_queued_runs=True)
    assert w.jobs.get_run(fourth).state.result_state == Result.CANCELED
    w.jobs.cancel_all_runs(job_id=job)
    assert ended(w, third).state.result_state == Result.CANCELED


def test_runs_are_listed_newest_first_in_pages(w, sim, job):
    other = w.jobs.create(name="other", tasks=[python()], max_concurrent_runs=99).job_id
    ids = [start(w, other) for _ in range(30)]
    mine = start(w, job)
    assert [run.run_id for run in w.jobs.list_runs(job_id=other, limit=25)] == ids[::-1]
    assert [run.run_id for run in w.jobs.list_runs(job_id=job)] == [mine]
    first = w.jobs.get_run(ids[0])
    found = list(w.jobs.list_runs(start_time_from=first.start_time, start_time_to=first.start_time))
    assert ids[0] in [run.run_id for run in found] and not found[0].tasks
    assert list(w.jobs.list_runs(job_id=other, start_time_to=first.start_time - 1)) == []
    assert next(w.jobs.list_runs(job_id=job, expand_tasks=True)).tasks[0].task_key == "train"
    for run_id in ids:
        ended(w, run_id)
    assert len(list(w.jobs.list_runs(job_id=other, completed_only=True))) == 30
    assert list(w.jobs.list_runs(job_id=other, active_only=True)) == []
    sim.settings(emptyPages=True)
    assert len(list(w.jobs.list_runs(job_id=other))) == 30
    for wrong in ({"active_only": True, "completed_only": True}, {"limit": 26}):
        with pytest.raises(BadRequest):
            w.api_client.do("GET", "/api/2.2/jobs/runs/list", query=wrong)


def test_a_failed_run_is_repaired(w, sim):
    made = w.jobs.create(name="chain", tasks=[python("a"), python("b", ["a"])]).job_id
    sim.control("POST", "scripts", {"job": "chain", "result": "FAILED", "task": "a"})
    run_id = start(w, made)
    with pytest.raises(InvalidState):
        w.jobs.repair_run(run_id, rerun_all_failed_tasks=True)
    failed = ended(w, run_id)
    repair = w.jobs.repair_run(run_id, rerun_tasks=["a"], rerun_dependent_tasks=True).response.repair_id
    run = ended(w, run_id)
    assert run.state.result_state == Result.SUCCESS
    assert [one.attempt_number for one in run.tasks] == [1, 1]
    assert task(run, "a").run_id != task(failed, "a").run_id
    assert w.jobs.get_run_output(task(failed, "a").run_id).error
    history = w.jobs.get_run(run_id, include_history=True).repair_history
    assert [one.type for one in history] == [jobs.RepairHistoryItemType.ORIGINAL, jobs.RepairHistoryItemType.REPAIR]
    assert history[1].id == repair and history[0].state.result_state == Result.FAILED
    for wrong in (None, 1):
        with pytest.raises(BadRequest):
            w.jobs.repair_run(run_id, rerun_tasks=["b"], latest_repair_id=wrong)
    w.jobs.repair_run(run_id, rerun_tasks=["b"], latest_repair_id=repair)
    assert [one.attempt_number for one in ended(w, run_id).tasks] == [1, 2]
    with pytest.raises(BadRequest):
        w.jobs.repair_run(run_id, rerun_tasks=["nothing"], latest_repair_id=repair)


def test_output_belongs_to_tasks(w, job):
    run = ended(w, start(w, job))
    output = w.jobs.get_run_output(task(run).run_id)
    assert output.logs == "" and output.error is None and output.metadata.state.result_state == Result.SUCCESS
    with pytest.raises(BadRequest, match="each individual task run"):
        w.jobs.get_run_output(run.run_id)
    of_task = w.jobs.get_run(task(run).run_id)
    assert of_task.job_run_id == run.run_id and of_task.tasks[0].task_key == "train"
    with pytest.raises(ResourceDoesNotExist):
        w.jobs.get_run(123)
    with pytest.raises(BadRequest):
        w.jobs.delete_run(123)


def test_only_finished_runs_are_deleted(w, sim, job):
    sim.control("POST", "scripts", {"job": "fraud-train", "hold": True})
    run_id = start(w, job)
    with pytest.raises(InvalidState):
        w.jobs.delete_run(run_id)


def test_definitions_that_the_vendor_refuses(w):
    notebook = {"notebook_task": {"notebook_path": "/n"}}
    for tasks in (
        [{"task_key": "a"}],
        [{"task_key": "a b", **notebook}],
        [{"task_key": "a", **notebook}, {"task_key": "a", **notebook}],
        [{"task_key": "a", "depends_on": [{"task_key": "b"}], **notebook}],
        [{"task_key": "a", "colour": "red", **notebook}],
        [{"task_key": "a", "notebook_task": {}}],
        [{"task_key": "a", "spark_python_task": {"python_file": "/x", "main": "y"}}],
    ):
        with pytest.raises(BadRequest):
            w.api_client.do("POST", "/api/2.2/jobs/create", body={"name": "x", "tasks": tasks})
    empty = w.jobs.create(name="empty").job_id
    with pytest.raises(BadRequest):
        start(w, empty)
    with pytest.raises(InvalidParameterValue):
        start(w, 12345)


def test_other_kinds_of_task_are_taken(w):
    put(w, f"{CODE}/nb.py", "# Databricks notebook source\nprint(1)\n")
    made = w.jobs.create(
        name="kinds",
        tasks=[
            jobs.Task(task_key="n", notebook_task=jobs.NotebookTask(notebook_path=f"{CODE}/nb")),
            jobs.Task(task_key="w", python_wheel_task=jobs.PythonWheelTask(package_name="p", entry_point="e"),
                      libraries=[compute.Library(pypi=compute.PythonPyPiLibrary(package="p==1.0"))]),
            jobs.Task(task_key="s", sql_task=jobs.SqlTask(warehouse_id="x", file=jobs.SqlTaskFile(path="/q.sql"))),
        ],
    ).job_id
    run = ended(w, start(w, made))
    assert run.state.result_state == Result.SUCCESS
    assert w.jobs.get_run_output(task(run, "n").run_id).notebook_output is not None
    assert task(run, "w").libraries[0].pypi.package == "p==1.0"
    run = ended(w, start(w, made, only=["s"]))
    assert [one.task_key for one in run.tasks] == ["s"]


def test_git_sources_say_which_commit_ran(w, sim):
    source = jobs.GitSource(git_url="https://git.example.com/fraud", git_provider=jobs.GitProvider.GIT_HUB, git_commit="c" * 40)
    made = w.jobs.create(name="git", git_source=source, tasks=[python(file="train.py")]).job_id
    assert ended(w, start(w, made)).git_source.git_snapshot.used_commit == "c" * 40
    sim.control("POST", "scripts", {"job": "git", "usedCommit": "d" * 40})
    run = ended(w, start(w, made))
    assert run.git_source.git_snapshot.used_commit == task(run).git_source.git_snapshot.used_commit == "d" * 40


def test_code_that_is_not_there_does_not_run(w, sim):
    made = w.jobs.create(name="gone", tasks=[python(file=f"{CODE}/gone.py")]).job_id
    run = ended(w, start(w, made))
    assert run.state.life_cycle_state == Life.INTERNAL_ERROR and run.state.result_state == Result.FAILED
    assert run.status.termination_details.code == Code.RESOURCE_NOT_FOUND
    assert "gone.py" in run.state.state_message


@pytest.fixture
def people(sim):
    return sim.seed(
        users=[{"userName": "ada@x.org"}, {"userName": "bob@x.org"}],
        servicePrincipals=[{"applicationId": SP, "displayName": "fraud-prod"}],
        tokens=[
            {"value": "ada", "principal": "ada@x.org", "workspace": WORKSPACE},
            {"value": "bob", "principal": "bob@x.org", "workspace": WORKSPACE},
            {"value": "sp", "principal": SP, "workspace": WORKSPACE},
        ],
    )


def lend(sim, *users):
    account = "11111111-1111-4111-8111-111111111111"
    sim.seed(ruleSets=[{
        "name": f"accounts/{account}/servicePrincipals/{SP}/ruleSets/default",
        "grantRules": [{"role": "roles/servicePrincipal.user", "principals": [f"users/{user}" for user in users]}],
    }])


def test_running_as_somebody_needs_the_right(w, sim, people):
    as_sp, as_ada = jobs.JobRunAs(service_principal_name=SP), jobs.JobRunAs(user_name="ada@x.org")
    make = lambda client, run_as: client.jobs.create(name="as", tasks=[python()], run_as=run_as).job_id
    with pytest.raises(PermissionDenied):
        make(w, as_sp)
    with pytest.raises(PermissionDenied):
        make(sim.workspace("bob"), as_ada)
    with pytest.raises(BadRequest):
        make(w, jobs.JobRunAs(service_principal_name="0aa1c9d0-0000-4000-8000-00000000dead"))
    with pytest.raises(BadRequest):
        make(w, jobs.JobRunAs(service_principal_name=SP, user_name="ada@x.org"))
    assert w.jobs.get(make(w, as_ada)).run_as_user_name == "ada@x.org"
    assert make(sim.workspace("sp"), as_sp)
    lend(sim, "admin@example.com")
    made = make(w, as_sp)
    assert w.jobs.get(made).run_as_user_name == SP
    # Who runs it must be able to read it.
    run = ended(w, start(w, made))
    assert run.status.termination_details.code == Code.RESOURCE_NOT_FOUND and SP in run.state.state_message
    directory = w.workspace.get_status(CODE)
    w.workspace.set_permissions("directories", str(directory.object_id), access_control_list=[read_for(SP)])
    assert ended(w, start(w, made)).state.result_state == Result.SUCCESS
    assert [row["runAs"] for row in sim.snapshot()["runs"] if row["job_id"] == made] == [SP, SP]
    # Another may change what is not the identity.
    sim.workspace().jobs.update(made, new_settings=jobs.JobSettings(description="x", run_as=as_sp))
    with pytest.raises(PermissionDenied):
        lend(sim, "ada@x.org")
        w.jobs.update(make(w, None), new_settings=jobs.JobSettings(run_as=as_sp))


def read_for(app):
    level = files.WorkspaceObjectPermissionLevel.CAN_READ
    return files.WorkspaceObjectAccessControlRequest(service_principal_name=app, permission_level=level)


def test_runs_are_for_those_who_may(w, sim, people, job):
    ada = sim.workspace("ada")
    run_id = start(w, job)
    for refused in (
        lambda: start(ada, job),
        lambda: ada.jobs.get_run(run_id),
        lambda: ada.jobs.cancel_run(run_id),
        lambda: ada.jobs.get_run_output(task(w.jobs.get_run(run_id)).run_id),
    ):
        with pytest.raises(PermissionDenied):
            refused()
    assert list(ada.jobs.list_runs()) == []
    level = jobs.JobPermissionLevel.CAN_VIEW
    w.jobs.update_permissions(str(job), access_control_list=[jobs.JobAccessControlRequest(user_name="ada@x.org", permission_level=level)])
    assert ada.jobs.get_run(run_id).run_id == run_id and len(list(ada.jobs.list_runs())) == 1
    with pytest.raises(PermissionDenied):
        start(ada, job)
    level = jobs.JobPermissionLevel.CAN_MANAGE_RUN
    w.jobs.update_permissions(str(job), access_control_list=[jobs.JobAccessControlRequest(user_name="ada@x.org", permission_level=level)])
    ended(w, run_id)
    run = ended(w, start(ada, job))
    assert run.creator_user_name == "ada@x.org" and run.state.result_state == Result.SUCCESS
    with pytest.raises(PermissionDenied):
        ada.jobs.delete_run(run_id)


def test_a_run_can_be_submitted_without_a_job(w):
    submit = lambda **more: w.jobs.submit(
        run_name="once",
        tasks=[jobs.SubmitTask(task_key="train", spark_python_task=jobs.SparkPythonTask(python_file=f"{CODE}/train.py"))],
        **more,
    ).response.run_id
    run_id = submit(idempotency_token="once")
    assert submit(idempotency_token="once") == run_id
    run = ended(w, run_id)
    assert run.run_type == jobs.RunType.SUBMIT_RUN and run.state.result_state == Result.SUCCESS and run.job_id is None
    assert run_id in [one.run_id for one in w.jobs.list_runs(run_type=jobs.RunType.SUBMIT_RUN)]


def test_what_goes_on_behind_a_run(w, sim, job):
    sim.seed(securables=[{"type": "catalog", "fullName": "ml"}, {"type": "schema", "fullName": "ml.fraud"}])
    sim.control("POST", "scripts", {
        "job": str(job),
        "edits": {"tasks": [{"task_key": "evil", "spark_python_task": {"python_file": "/evil.py"}}]},
        "files": {f"{CODE}/train.py": "print('tampered')\n", f"{CODE}/new.py": "x", "/not/there.py": None},
        "registers": [{"model": "ml.fraud.scorer", "tags": {"gerrit_change": "42"}}],
    })
    run = ended(w, start(w, job))
    assert [one.task_key for one in run.tasks] == ["train"], "a run keeps the tasks it began with"
    assert [one.task_key for one in w.jobs.get(job).settings.tasks] == ["evil"]
    assert w.workspace.download(f"{CODE}/train.py").read() == b"print('tampered')\n"
    version = w.model_versions.get("ml.fraud.scorer", 1)
    assert version.created_by == "admin@example.com" and run.start_time <= version.created_at <= run.end_time


def test_one_story_gives_one_world(sim):
    def story(looks):
        sim.control("POST", "reset")
        w = sim.workspace()
        put(w, f"{CODE}/train.py")
        made = w.jobs.create(name="chain", tasks=[python("a"), python("b", ["a"])]).job_id
        sim.control("POST", "scripts", {"job": "chain", "result": "FAILED", "task": "b"})
        run_id = start(w, made)
        for _ in range(looks):
            w.jobs.get_run(run_id)
            time.sleep(0.01)
        ended(w, run_id)
        return sim.control("GET", "snapshot?stable=true")

    assert story(0) == story(20)


def test_a_python_file_really_runs_as_who_it_should():
    train = """
import json, os, sys, urllib.request
from features import NAME

def call(path, body):
    request = urllib.request.Request(os.environ["DATABRICKS_HOST"] + path, data=json.dumps(body).encode(), method="POST")
    request.add_header("authorization", "Bearer " + os.environ["DATABRICKS_TOKEN"])
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)

base = "/api/2.0/mlflow/unity-catalog/model-versions/"
made = call(base + "create", {"name": NAME, "source": "dbfs:/x"})["model_version"]
call(base + "finalize", {"name": NAME, "version": made["version"]})
print("registered", made["version"], sys.argv[1:])
"""
    with running("--execute") as sim:
        w = sim.workspace()
        sim.seed(
            servicePrincipals=[{"applicationId": SP}],
            securables=[
                {"type": "catalog", "fullName": "ml", "grants": {SP: ["USE_CATALOG"]}},
                {"type": "schema", "fullName": "ml.fraud", "grants": {SP: ["USE_SCHEMA"]}},
                {"type": "function", "fullName": "ml.fraud.scorer", "owner": SP,
                 "body": {"securable_kind": "FUNCTION_REGISTERED_MODEL"}},
            ],
        )
        lend(sim, "admin@example.com")
        put(w, f"{CODE}/train.py", train)
        put(w, f"{CODE}/features.py", "NAME = 'ml.fraud.scorer'\n")
        put(w, "/secret/other.py", "x")
        directory = w.workspace.get_status(CODE)
        w.workspace.set_permissions("directories", str(directory.object_id), access_control_list=[read_for(SP)])
        made = w.jobs.create(
            name="train",
            run_as=jobs.JobRunAs(service_principal_name=SP),
            parameters=[jobs.JobParameterDefinition(name="change", default="0")],
            tasks=[python(parameters=["{{job.parameters.change}}", "--fast"])],
        ).job_id
        run = ended(w, start(w, made, job_parameters={"change": "42"}))
        output = w.jobs.get_run_output(task(run).run_id)
        assert run.state.result_state == Result.SUCCESS, output.logs
        assert output.logs == "registered 1 ['42', '--fast']\n"
        version = w.model_versions.get("ml.fraud.scorer", 1)
        assert version.created_by == SP and run.start_time <= version.created_at <= run.end_time

        put(w, f"{CODE}/train.py", "import sys\nprint('so far')\nraise ValueError('no data')\n")
        run = ended(w, start(w, made))
        output = w.jobs.get_run_output(task(run).run_id)
        assert run.state.result_state == Result.FAILED and output.error == "ValueError: no data"
        assert output.logs.startswith("so far\n") and output.error_trace.startswith("Traceback")

        put(w, f"{CODE}/train.py", "import os, pathlib\nprint(sorted(os.environ))\nprint(list(pathlib.Path('../..').rglob('*.py')))\n")
        output = w.jobs.get_run_output(task(ended(w, start(w, made))).run_id)
        assert "secret" not in output.logs and "SIM_" not in output.logs

        put(w, f"{CODE}/train.py", "import time\ntime.sleep(60)\n")
        run_id = start(w, made)
        time.sleep(0.5)
        w.jobs.cancel_run(run_id)
        assert ended(w, run_id).state.result_state == Result.CANCELED
