"""Jobs, experiments, endpoints, models, files, and the rest that can be named in a binding."""

import base64

import pytest
from databricks.sdk.errors import BadRequest, NotFound, PermissionDenied, ResourceConflict, ResourceDoesNotExist
from databricks.sdk.service import database, jobs, ml, serving, sql, vectorsearch, workspace


def test_jobs_live_a_full_life(w):
    made = w.jobs.create(name="train", tags={"team": "fraud"})
    assert [job.job_id for job in w.jobs.list(name="TRAIN")] == [made.job_id]
    job = w.jobs.get(made.job_id)
    assert job.settings.name == "train" and job.run_as_user_name == "admin@example.com"
    w.jobs.update(made.job_id, new_settings=jobs.JobSettings(name="train2"), fields_to_remove=["tags"])
    assert w.jobs.get(made.job_id).settings.tags is None
    w.jobs.reset(made.job_id, jobs.JobSettings(name="train3"))
    assert list(w.jobs.list(name="train")) == []
    assert [job.settings.name for job in w.jobs.list()] == ["train3"]
    w.jobs.delete(made.job_id)
    with pytest.raises(ResourceDoesNotExist):
        w.jobs.get(made.job_id)


def test_jobs_of_one_name_are_all_listed_in_pages(w, sim):
    sim.seed(objects=[{"type": "jobs", "name": f"job-{n}"} for n in range(45)])
    w.jobs.create(name="job-1")
    assert len(list(w.jobs.list(name="job-1"))) == 2
    assert len(list(w.jobs.list(limit=20))) == 46
    sim.settings(emptyPages=True)
    assert len(list(w.jobs.list(limit=20))) == 46
    with pytest.raises(BadRequest):
        list(w.jobs.list(limit=1000))
    with pytest.raises(BadRequest):
        w.api_client.do("POST", "/api/2.2/jobs/create", body={"name": "x", "colour": "red"})


def test_experiments_live_a_full_life(w):
    w.workspace.mkdirs("/Shared")
    made = w.experiments.create_experiment("/Shared/fraud").experiment_id
    assert w.experiments.get_by_name("/Shared/fraud").experiment.experiment_id == made
    assert w.experiments.get_by_name("/Workspace/Shared/fraud").experiment.experiment_id == made
    assert w.experiments.get_experiment(made).experiment.name == "/Shared/fraud"
    assert [one.experiment_id for one in w.experiments.search_experiments(filter="name = '/Shared/fraud'")] == [made]
    assert [one.experiment_id for one in w.experiments.list_experiments()] == [made]
    with pytest.raises(ResourceConflict):
        w.experiments.create_experiment("/Shared/fraud")
    with pytest.raises(NotFound):
        w.experiments.create_experiment("/nowhere/fraud")
    w.experiments.delete_experiment(made)
    with pytest.raises(NotFound):
        w.experiments.get_by_name("/Shared/fraud")


def test_serving_endpoints_are_ready_at_once(w):
    w.serving_endpoints.create(name="scorer", config=serving.EndpointCoreConfigInput(name="scorer"))
    one = w.serving_endpoints.get("scorer")
    assert one.id != one.name and one.state.ready == serving.EndpointStateReady.READY
    assert [row.name for row in w.serving_endpoints.list()] == ["scorer"]
    assert w.serving_endpoints.get_permissions(one.id).object_type == "serving-endpoint"
    with pytest.raises(ResourceConflict):
        w.serving_endpoints.create(name="scorer")
    w.serving_endpoints.delete("scorer")
    with pytest.raises(NotFound):
        w.serving_endpoints.get("scorer")


def test_models_of_the_workspace_registry(w):
    w.model_registry.create_model("scorer")
    model = w.model_registry.get_model("scorer").registered_model_databricks
    assert model.id and w.model_registry.get_permissions(model.id).object_type == "registered-model"
    assert [row.name for row in w.model_registry.list_models()] == ["scorer"]
    with pytest.raises(ResourceConflict):
        w.model_registry.create_model("scorer")
    w.model_registry.delete_model("scorer")
    with pytest.raises(NotFound):
        w.model_registry.get_model("scorer")
    assert w.model_registry.get_permissions("root").access_control_list


def test_files_and_directories(w):
    w.workspace.mkdirs("/Workspace/ml/fraud")
    status = w.workspace.get_status("/ml/fraud")
    assert status.object_type == workspace.ObjectType.DIRECTORY and isinstance(status.object_id, int)
    assert w.workspace.get_status("/Workspace/ml/fraud").object_id == status.object_id
    content = base64.b64encode(b"print(1)").decode()
    w.workspace.import_("/ml/fraud/nb", content=content, language=workspace.Language.PYTHON, format=workspace.ImportFormat.SOURCE)
    w.workspace.import_("/ml/fraud/data.txt", content=content, format=workspace.ImportFormat.AUTO)
    kinds = {row.path: row.object_type.value for row in w.workspace.list("/ml/fraud")}
    assert kinds == {"/ml/fraud/nb": "NOTEBOOK", "/ml/fraud/data.txt": "FILE"}
    assert base64.b64decode(w.workspace.export("/ml/fraud/nb").content) == b"# Databricks notebook source\nprint(1)"
    assert w.workspace.get_permissions("directories", str(status.object_id)).object_type == "directory"
    for refused in (
        lambda: w.workspace.import_("/ml/fraud/nb", content=content, language=workspace.Language.PYTHON),
        lambda: w.workspace.delete("/ml"),
        lambda: w.workspace.mkdirs("/ml/fraud/nb/below"),
        lambda: w.workspace.get_status("relative"),
    ):
        with pytest.raises((BadRequest, ResourceConflict)):
            refused()
    w.workspace.delete("/ml", recursive=True)
    with pytest.raises(NotFound):
        w.workspace.get_status("/ml/fraud/nb")


def test_the_rest_is_found_by_name(w):
    call = w.api_client.do
    cluster = call("POST", "/api/2.1/clusters/create", body={"cluster_name": "c", "spark_version": "x"})["cluster_id"]
    assert w.clusters.get(cluster).cluster_name == "c"
    assert [row.cluster_name for row in w.clusters.list()] == ["c"]
    with pytest.raises(ResourceDoesNotExist):
        w.clusters.get("nothing")
    pool = w.instance_pools.create("pool", "m5").instance_pool_id
    assert [row.instance_pool_id for row in w.instance_pools.list()] == [pool]
    policy = w.cluster_policies.create(name="small", definition="{}").policy_id
    assert [row.policy_id for row in w.cluster_policies.list()] == [policy]
    pipeline = w.pipelines.create(name="p").pipeline_id
    assert [row.pipeline_id for row in w.pipelines.list_pipelines()] == [pipeline]
    assert w.pipelines.get(pipeline).name == "p"
    made = call("POST", "/api/2.0/sql/warehouses", body={"name": "wh"})["id"]
    assert w.warehouses.get(made).name == "wh"
    assert [row.id for row in w.warehouses.list()] == [made]
    repo = w.repos.create(url="https://x/y", provider="gitHub", path="/Repos/x").id
    assert [row.id for row in w.repos.list()] == [repo]
    query = w.queries.create(query=sql.CreateQueryRequestQuery(display_name="q"))
    assert [row.id for row in w.queries.list()] == [query.id]
    alert = w.alerts.create(alert=sql.CreateAlertRequestAlert(display_name="al"))
    assert [row.id for row in w.alerts.list()] == [alert.id]
    dashboard = call("POST", "/api/2.0/lakeview/dashboards", body={"display_name": "d"})
    assert [row.dashboard_id for row in w.lakeview.list()] == [dashboard["dashboard_id"]]
    space = w.genie.create_space("wh", "{}", title="s")
    assert [row.space_id for row in w.genie.list_spaces().spaces] == [space.space_id]
    call("POST", "/api/2.0/vector-search/endpoints", body={"name": "v", "endpoint_type": "STANDARD"})
    assert w.vector_search_endpoints.get_endpoint("v").id
    assert [row.name for row in w.vector_search_endpoints.list_endpoints()] == ["v"]
    call("POST", "/api/2.0/apps", body={"name": "app"})
    assert [row.name for row in w.apps.list()] == ["app"] and w.apps.get("app").name == "app"
    call("POST", "/api/2.0/database/instances", body={"name": "db", "capacity": "CU_1"})
    assert [row.name for row in w.database.list_database_instances()] == ["db"]
    assert w.database.get_database_instance("db").name == "db"
    with pytest.raises(NotFound):
        w.database.get_database_instance("nothing")


def test_alerts_dashboards_and_agents_are_found_by_listing(w, sim):
    kinds = {
        "alertsv2": lambda: [(row.id, row.display_name) for row in w.alerts_v2.list_alerts(page_size=2)],
        "dbsql-dashboards": lambda: [(row.id, row.name) for row in w.dashboards.list(page_size=2)],
        "knowledge-assistants": lambda: [
            (row.id, row.display_name) for row in w.knowledge_assistants.list_knowledge_assistants(page_size=2)
        ],
        "supervisor-agents": lambda: [
            (row.id, row.display_name) for row in w.supervisor_agents.list_supervisor_agents(page_size=2)
        ],
    }
    for kind, listed in kinds.items():
        ids = sim.seed(objects=[{"type": kind, "name": f"{kind}-{n}"} for n in range(5)])
        assert sorted(listed()) == sorted((ids[f"{kind}:{kind}-{n}"], f"{kind}-{n}") for n in range(5)), kind
    assert [row.name for row in w.dashboards.list(q="DASHBOARDS-3")] == ["dbsql-dashboards-3"]


def test_only_who_manages_deletes(w, sim):
    sim.seed(users=[{"userName": "a@x.org"}], tokens=[{"value": "ta", "principal": "a@x.org", "workspace": 1234567890123456}])
    made = w.jobs.create(name="train")
    with pytest.raises(PermissionDenied):
        sim.workspace("ta").jobs.delete(made.job_id)
    own = sim.workspace("ta").jobs.create(name="mine")
    sim.workspace("ta").jobs.delete(own.job_id)
