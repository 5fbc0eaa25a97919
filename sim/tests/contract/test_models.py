"""Registered models of Unity Catalog: the vendor's SDK for versions, aliases and tags, the real MLflow client for
making versions."""

import pytest
from databricks.sdk.errors import BadRequest, NotFound, PermissionDenied, ResourceConflict
from databricks.sdk.service.catalog import EntityTagAssignment, ModelVersionInfoStatus, PermissionsChange, Privilege

from conftest import WORKSPACE

NAME = "ml.fraud.scorer"
SP = "0aa1c9d0-0000-4000-8000-000000000001"


@pytest.fixture
def w(sim):
    sim.seed(
        users=[{"userName": "a@x.org"}],
        servicePrincipals=[{"applicationId": SP}],
        tokens=[
            {"value": "ta", "principal": "a@x.org", "workspace": WORKSPACE},
            {"value": "sp", "principal": SP, "workspace": WORKSPACE},
        ],
        securables=[{"type": "catalog", "fullName": "ml"}, {"type": "schema", "fullName": "ml.fraud"}],
    )
    w = sim.workspace()
    w.registered_models.create(catalog_name="ml", schema_name="fraud", name="scorer")
    return w


def version(client, source="dbfs:/x", name=NAME, **more):
    base = "/api/2.0/mlflow/unity-catalog/model-versions/"
    made = client.api_client.do("POST", base + "create", body={"name": name, "source": source, **more})["model_version"]
    client.api_client.do("POST", base + "finalize", body={"name": name, "version": made["version"]})
    return int(made["version"])


def grant(w, kind, name, who, *privileges):
    w.grants.update(kind, name, changes=[PermissionsChange(principal=who, add=list(privileges))])


def test_versions_live_a_full_life(w):
    assert [version(w), version(w, description="second", run_id="r2")] == [1, 2]
    one = w.model_versions.get(NAME, 2)
    assert (one.version, one.status, one.source, one.run_id) == (2, ModelVersionInfoStatus.READY, "dbfs:/x", "r2")
    assert (one.catalog_name, one.schema_name, one.model_name, one.comment) == ("ml", "fraud", "scorer", "second")
    assert one.created_by == one.updated_by == "admin@example.com" and one.created_at and one.storage_location
    w.model_versions.update(NAME, 2, comment="better")
    assert w.model_versions.get(NAME, 2).comment == "better"
    assert [row.version for row in w.model_versions.list(NAME)] == [1, 2]
    assert len(list(w.model_versions.list(NAME, max_results=1))) == 2
    w.model_versions.delete(NAME, 2)
    with pytest.raises(NotFound):
        w.model_versions.get(NAME, 2)
    assert version(w) == 3, "a number is never given twice"
    w.registered_models.delete(NAME)
    with pytest.raises(NotFound):
        w.model_versions.get(NAME, 1)
    w.registered_models.create(catalog_name="ml", schema_name="fraud", name="scorer")
    assert version(w) == 1


def test_the_server_says_who_made_what(w, sim):
    liar = w.registered_models.create(
        catalog_name="ml", schema_name="fraud", name="liar", created_by="ada@x.org", owner="ada@x.org", created_at=1
    )
    assert liar.created_by == liar.owner == "admin@example.com" and liar.created_at > 1
    w.registered_models.update("ml.fraud.liar", comment="c", created_by="ada@x.org", updated_by="ada@x.org")
    after = w.registered_models.get("ml.fraud.liar")
    assert (after.comment, after.created_by, after.updated_by) == ("c", "admin@example.com", "admin@example.com")
    version(w)
    w.model_versions.update(NAME, 1, created_by="ada@x.org", source="dbfs:/other", status=ModelVersionInfoStatus.FAILED_REGISTRATION)
    one = w.model_versions.get(NAME, 1)
    assert (one.created_by, one.source, one.status) == ("admin@example.com", "dbfs:/x", ModelVersionInfoStatus.READY)
    w.registered_models.update(NAME, owner=SP)
    grant(w, "catalog", "ml", SP, Privilege.USE_CATALOG, Privilege.USE_SCHEMA)
    assert version(sim.workspace("sp")) == 2
    assert w.model_versions.get(NAME, 2).created_by == SP


def test_aliases_move_and_go_with_their_version(w):
    version(w), version(w)
    with pytest.raises(NotFound):
        w.model_versions.get_by_alias(NAME, "champion")
    alias = w.registered_models.set_alias(NAME, "champion", 1)
    assert (alias.alias_name, alias.version_num) == ("champion", 1)
    w.registered_models.set_alias(NAME, "champion", 2)
    assert w.model_versions.get_by_alias(NAME, "champion").version == 2
    assert [row.alias_name for row in w.model_versions.get(NAME, 2, include_aliases=True).aliases] == ["champion"]
    seen = w.registered_models.get(NAME, include_aliases=True).aliases
    assert [(row.alias_name, row.version_num) for row in seen] == [("champion", 2)]
    assert not w.registered_models.get(NAME).aliases
    w.registered_models.set_alias(NAME, "challenger", 1)
    w.registered_models.delete_alias(NAME, "challenger")
    w.model_versions.delete(NAME, 2)
    for alias in ("champion", "challenger"):
        with pytest.raises(NotFound):
            w.model_versions.get_by_alias(NAME, alias)
    with pytest.raises(NotFound):
        w.registered_models.delete_alias(NAME, "champion")
    with pytest.raises(NotFound):
        w.registered_models.set_alias(NAME, "champion", 9)
    for wrong in ("v1", "a b", "a.b"):
        with pytest.raises(BadRequest):
            w.registered_models.set_alias(NAME, wrong, 1)


def test_models_are_for_those_who_may(w, sim):
    version(w)
    w.registered_models.set_alias(NAME, "champion", 1)
    ada = sim.workspace("ta")
    reads = (lambda: ada.model_versions.get(NAME, 1), lambda: ada.model_versions.get_by_alias(NAME, "champion"))
    for read in (*reads, lambda: ada.registered_models.get(NAME)):
        with pytest.raises(PermissionDenied):
            read()
    assert list(ada.registered_models.list()) == []
    grant(w, "function", NAME, "a@x.org", Privilege.EXECUTE)
    with pytest.raises(PermissionDenied, match="USE CATALOG"):
        ada.model_versions.get(NAME, 1)
    grant(w, "catalog", "ml", "a@x.org", Privilege.USE_CATALOG, Privilege.USE_SCHEMA)
    assert all(read().version == 1 for read in reads)
    assert [row.full_name for row in ada.registered_models.list()] == [NAME]
    for write in (
        lambda: ada.registered_models.set_alias(NAME, "champion", 1),
        lambda: ada.registered_models.delete_alias(NAME, "champion"),
        lambda: ada.model_versions.delete(NAME, 1),
        lambda: version(ada),
        lambda: ada.entity_tag_assignments.create(EntityTagAssignment(NAME, "team", "functions", tag_value="x")),
        lambda: ada.registered_models.create(catalog_name="ml", schema_name="fraud", name="mine"),
    ):
        with pytest.raises(PermissionDenied):
            write()
    grant(w, "function", NAME, "a@x.org", Privilege.MANAGE)
    assert version(ada) == 2
    with pytest.raises(PermissionDenied):
        ada.registered_models.set_alias(NAME, "champion", 2)
    w.registered_models.update(NAME, owner="a@x.org")
    ada.registered_models.set_alias(NAME, "champion", 2)
    grant(w, "schema", "ml.fraud", "a@x.org", Privilege.CREATE_MODEL)
    mine = ada.registered_models.create(catalog_name="ml", schema_name="fraud", name="mine")
    assert mine.owner == mine.created_by == "a@x.org"


def test_models_are_tagged(w, sim):
    tags = w.entity_tag_assignments
    tags.create(EntityTagAssignment(NAME, "gerrit_change", "functions", tag_value="42"))
    one = tags.get("functions", NAME, "gerrit_change")
    assert (one.tag_value, one.updated_by) == ("42", "admin@example.com")
    tags.update("functions", NAME, "gerrit_change",
                EntityTagAssignment(NAME, "gerrit_change", "functions", tag_value="43"), update_mask="tag_value")
    tags.create(EntityTagAssignment("ml.fraud", "team", "schemas", tag_value="fraud"))
    assert [(row.tag_key, row.tag_value) for row in tags.list("functions", NAME)] == [("gerrit_change", "43")]
    with pytest.raises(ResourceConflict):
        tags.create(EntityTagAssignment(NAME, "gerrit_change", "functions", tag_value="44"))
    for key, value in (("gerrit.change", "1"), ("k" * 256, "1"), ("k", "v" * 1001)):
        with pytest.raises(BadRequest):
            tags.create(EntityTagAssignment(NAME, key, "functions", tag_value=value))
    with pytest.raises(BadRequest):
        tags.create(EntityTagAssignment(NAME, "k", "models", tag_value="1"))
    tags.delete("functions", NAME, "gerrit_change")
    for gone in (lambda: tags.get("functions", NAME, "gerrit_change"), lambda: tags.delete("functions", NAME, "gerrit_change")):
        with pytest.raises(NotFound):
            gone()
    ada = sim.workspace("ta")
    grant(w, "function", NAME, "a@x.org", Privilege.APPLY_TAG)
    grant(w, "catalog", "ml", "a@x.org", Privilege.USE_CATALOG, Privilege.USE_SCHEMA)
    ada.entity_tag_assignments.create(EntityTagAssignment(NAME, "team", "functions", tag_value="x"))


@pytest.fixture
def mlflow(sim, w, monkeypatch):
    """The real client, against the simulator."""
    monkeypatch.setenv("DATABRICKS_HOST", sim.url)
    monkeypatch.setenv("DATABRICKS_TOKEN", sim.token)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri="databricks", registry_uri="databricks-uc")


@pytest.fixture
def model(tmp_path):
    (tmp_path / "MLmodel").write_text("flavors:\n  python_function:\n    loader_module: m\nmodel_uuid: 0\n")
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "m.py").write_bytes(b"\x00weights")
    return tmp_path


def registered(client, source, name=NAME):
    """What `mlflow.register_model` does once it has looked at the model, for which it would need numpy: make the
    version, upload its files, finalize it."""
    return client._get_registry_client().store._create_and_finalize_model_version(
        full_name=name, source=str(source), local_model_dir=str(source), description=None, run_id=None, tags=None, feature_deps="",
        other_model_deps=[], model_id=None, source_workspace_id=None, extra_headers=None,
    )


def test_the_mlflow_client_makes_a_version(mlflow, w, model, sim, tmp_path):
    made = registered(mlflow, model)
    assert (made.name, made.version, made.status, made.user_id) == (NAME, "1", "READY", "admin@example.com")
    assert sorted(sim.snapshot()["models"]["registered"][NAME]["versions"]["1"]["files"]) == ["MLmodel", "code/m.py"]
    assert w.files.download(f"/Models/ml/fraud/scorer/1/code/m.py").contents.read() == b"\x00weights"
    listed = w.files.list_directory_contents("/Models/ml/fraud/scorer/1")
    assert {(row.path.rsplit("/", 1)[1], row.is_directory) for row in listed} == {("MLmodel", False), ("code", True)}
    with pytest.raises(PermissionDenied):
        w.files.upload("/Models/ml/fraud/scorer/1/MLmodel", open(model / "MLmodel", "rb"), overwrite=True)
    assert w.model_versions.get(NAME, 1).status == ModelVersionInfoStatus.READY


def test_the_mlflow_client_manages_models(mlflow, w):
    made = mlflow.create_registered_model("ml.fraud.other", tags={"team": "fraud"}, description="d")
    assert (made.name, made.description, made.tags) == ("ml.fraud.other", "d", {"team": "fraud"})
    assert {one.name for one in mlflow.search_registered_models()} == {NAME, "ml.fraud.other"}
    assert mlflow.update_registered_model("ml.fraud.other", description="e").description == "e"
    mlflow.set_registered_model_tag("ml.fraud.other", "stage", "prod")
    mlflow.delete_registered_model_tag("ml.fraud.other", "team")
    assert mlflow.get_registered_model("ml.fraud.other").tags == {"stage": "prod"}
    assert w.entity_tag_assignments.get("functions", "ml.fraud.other", "stage").tag_value == "prod"
    mlflow.delete_registered_model("ml.fraud.other")
    with pytest.raises(Exception, match="does not exist"):
        mlflow.get_registered_model("ml.fraud.other")


def test_the_mlflow_client_manages_versions_and_aliases(mlflow, w, model):
    registered(mlflow, model)
    registered(mlflow, model)
    mlflow.set_registered_model_alias(NAME, "champion", "2")
    assert mlflow.get_model_version_by_alias(NAME, "champion").version == "2"
    assert mlflow.get_model_version(NAME, "2").aliases == ["champion"]
    assert w.model_versions.get_by_alias(NAME, "champion").version == 2
    mlflow.delete_registered_model_alias(NAME, "champion")
    mlflow.set_model_version_tag(NAME, "2", "gerrit_change", "42")
    assert mlflow.get_model_version(NAME, "2").tags == {"gerrit_change": "42"}
    mlflow.delete_model_version_tag(NAME, "2", "gerrit_change")
    assert mlflow.get_model_version(NAME, "2").tags == {}
    assert mlflow.update_model_version(NAME, "2", description="d").description == "d"
    assert sorted(one.version for one in mlflow.search_model_versions(f"name = '{NAME}'")) == ["1", "2"]
    assert mlflow.get_model_version_download_uri(NAME, "2")
    mlflow.delete_model_version(NAME, "2")
    with pytest.raises(Exception, match="does not exist"):
        mlflow.get_model_version(NAME, "2")


def test_the_mlflow_client_is_refused(mlflow, model, sim, monkeypatch):
    from mlflow.exceptions import MlflowException

    for wrong in (
        lambda: mlflow.create_registered_model(NAME),
        lambda: mlflow.set_registered_model_alias(NAME, "champion", "9"),
        lambda: mlflow.set_registered_model_tag(NAME, "a.b", "1"),
        lambda: registered(mlflow, model, "ml.fraud.nothing"),
    ):
        with pytest.raises(MlflowException):
            wrong()
    registered(mlflow, model)
    monkeypatch.setenv("DATABRICKS_TOKEN", "ta")
    for denied in (lambda: mlflow.get_model_version(NAME, "1"), lambda: registered(mlflow, model)):
        with pytest.raises(MlflowException, match="PERMISSION_DENIED"):
            denied()
