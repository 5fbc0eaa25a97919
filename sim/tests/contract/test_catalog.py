"""Unity Catalog: securables, grants, the metastore."""

import pytest
from databricks.sdk.errors import BadRequest, NotFound, PermissionDenied, ResourceConflict
from databricks.sdk.service import catalog
from databricks.sdk.service.catalog import PermissionsChange, Privilege

from conftest import WORKSPACE


@pytest.fixture
def model(w, sim):
    sim.seed(
        users=[{"userName": "a@x.org"}],
        groups=[{"displayName": "team", "members": ["a@x.org"]}, {"displayName": "local", "workspace": WORKSPACE}],
        tokens=[{"value": "ta", "principal": "a@x.org", "workspace": WORKSPACE}],
    )
    w.catalogs.create(name="ml")
    w.schemas.create(name="fraud", catalog_name="ml")
    return w.registered_models.create(catalog_name="ml", schema_name="fraud", name="scorer").full_name


def change(who, add=(), remove=()):
    return [PermissionsChange(principal=who, add=list(add), remove=list(remove))]


def grants(w, kind, name, **query):
    rows = w.grants.get(kind, name, **query).privilege_assignments or []
    return {row.principal: {privilege.value for privilege in row.privileges} for row in rows}


def test_the_metastore_is_known(w):
    summary = w.metastores.summary()
    assert summary.metastore_id == w.metastores.current().metastore_id
    assert w.metastores.current().workspace_id == WORKSPACE
    assert summary.owner == "admin@example.com"


def test_securables_live_a_full_life(w, model):
    assert [row.name for row in w.catalogs.list()] == ["ml"]
    assert w.schemas.get("ml.fraud").catalog_name == "ml"
    assert [row.full_name for row in w.registered_models.list(catalog_name="ml", schema_name="fraud")] == [model]
    assert [row.full_name for row in w.registered_models.list()] == [model]
    assert list(w.functions.list("ml", "fraud")) == []
    w.volumes.create(catalog_name="ml", schema_name="fraud", name="raw", volume_type=catalog.VolumeType.MANAGED)
    assert [row.name for row in w.volumes.list("ml", "fraud")] == ["raw"]
    assert w.registered_models.update(model, owner="team").owner == "team"
    with pytest.raises(ResourceConflict):
        w.catalogs.create(name="ML")
    with pytest.raises(BadRequest):
        w.catalogs.delete("ml")
    w.catalogs.delete("ml", force=True)
    for read in (lambda: w.catalogs.get("ml"), lambda: w.schemas.get("ml.fraud"), lambda: w.registered_models.get(model)):
        with pytest.raises(NotFound):
            read()


def test_grants_are_added_and_removed_by_principal(w, model):
    w.grants.update("schema", "ml.fraud", changes=change("team", [Privilege.USE_SCHEMA, Privilege.EXECUTE]))
    w.grants.update("schema", "ml.fraud", changes=change("team", [Privilege.EXECUTE]))
    assert grants(w, "schema", "ml.fraud") == {"team": {"USE_SCHEMA", "EXECUTE"}}
    w.grants.update("schema", "ml.fraud", changes=change("A@X.org", [Privilege.SELECT]) + change("team", (), [Privilege.USE_SCHEMA]))
    assert grants(w, "SCHEMA", "ml.fraud") == {"team": {"EXECUTE"}, "a@x.org": {"SELECT"}}
    assert grants(w, "schema", "ml.fraud", principal="team") == {"team": {"EXECUTE"}}
    w.grants.update("schema", "ml.fraud", changes=change("team", (), [Privilege.EXECUTE, Privilege.MODIFY]))
    assert grants(w, "schema", "ml.fraud") == {"a@x.org": {"SELECT"}}
    silent = w.api_client.do(
        "PATCH", "/api/2.1/unity-catalog/permissions/schema/ml.fraud",
        body={"changes": [{"principal": "team", "add": ["SELECT"]}], "omit_permissions_in_response": True},
    )
    assert silent == {}


def test_models_are_granted_on_as_functions(w, model):
    w.grants.update("function", model, changes=change("team", [Privilege.EXECUTE]))
    assert grants(w, "function", model) == {"team": {"EXECUTE"}}
    with pytest.raises(BadRequest):
        w.grants.get("registered_model", model)


@pytest.mark.parametrize(
    "kind, privilege",
    [
        ("metastore", "CREATE_CATALOG"),
        ("catalog", "USE_CATALOG"),
        ("schema", "USE_SCHEMA"),
        ("table", "SELECT"),
        ("volume", "READ_VOLUME"),
        ("function", "EXECUTE"),
        ("external_location", "READ_FILES"),
        ("storage_credential", "CREATE_EXTERNAL_LOCATION"),
        ("credential", "ACCESS"),
        ("connection", "USE_CONNECTION"),
        ("share", "SELECT"),
        ("recipient", "SELECT"),
        ("provider", "USE_PROVIDER"),
        ("pipeline", "SELECT"),
        ("clean_room", "EXECUTE_CLEAN_ROOM_TASK"),
        ("external_metadata", "MODIFY"),
        ("staging_table", "SELECT"),
    ],
)
def test_every_securable_type_takes_its_privilege(w, sim, model, kind, privilege):
    parts = {"schema": 2, "table": 3, "volume": 3, "function": 3, "pipeline": 3, "staging_table": 3}.get(kind, 1)
    name = ".".join(["ml", "fraud", "thing"][:parts]) if parts > 1 else "ml"
    if kind == "metastore":
        name = w.metastores.current().metastore_id
    sim.seed(securables=[{"type": kind, "fullName": name}])
    w.grants.update(kind, name, changes=change("team", [Privilege(privilege)]))
    assert grants(w, kind, name)["team"] == {privilege}


def test_what_is_inherited_shows_as_effective(w, model):
    w.grants.update("catalog", "ml", changes=change("team", [Privilege.USE_CATALOG, Privilege.EXECUTE]))
    w.grants.update("function", model, changes=change("team", [Privilege.EXECUTE]))
    rows = w.grants.get_effective("function", model).privilege_assignments
    found = {(one.privilege.value, one.inherited_from_name) for row in rows for one in row.privileges}
    assert found == {("EXECUTE", None), ("EXECUTE", "ml")}


def test_grants_that_the_vendor_refuses(w, model):
    for kind, changes in (
        ("schema", change("team", [Privilege.SELECT], [Privilege.SELECT])),
        ("function", change("team", [Privilege.USE_CATALOG])),
        ("catalog", change("team", [Privilege.CREATE_CATALOG])),
    ):
        with pytest.raises(BadRequest):
            w.grants.update(kind, model if kind == "function" else "ml.fraud" if kind == "schema" else "ml", changes=changes)
    for nobody in ("nobody", "local"):
        with pytest.raises(NotFound):
            w.grants.update("catalog", "ml", changes=change(nobody, [Privilege.USE_CATALOG]))
    with pytest.raises(BadRequest):
        w.api_client.do("PATCH", "/api/2.1/unity-catalog/permissions/catalog/ml",
                        body={"changes": [{"principal": "team", "add": ["FLY"]}]})
    with pytest.raises(NotFound):
        w.grants.get("catalog", "nothing")
    with pytest.raises(BadRequest):
        w.grants.get("catalog", "ml", max_results=10)


def test_grants_come_in_pages_that_may_be_empty(w, sim, model):
    sim.seed(
        groups=[{"displayName": f"g{n}"} for n in range(200)],
        securables=[{"type": "catalog", "fullName": "ml", "grants": {f"g{n}": ["BROWSE"] for n in range(200)}}],
    )
    first = w.grants.get("catalog", "ml", max_results=0)
    assert len(first.privilege_assignments) == 150 and first.next_page_token
    second = w.grants.get("catalog", "ml", max_results=0, page_token=first.next_page_token)
    assert len(second.privilege_assignments) == 50 and not second.next_page_token
    sim.settings(emptyPages=True)
    empty = w.grants.get("catalog", "ml", max_results=0)
    assert not empty.privilege_assignments and empty.next_page_token
    assert len(w.grants.get("catalog", "ml", max_results=0, page_token=empty.next_page_token).privilege_assignments) == 150


def test_granting_needs_manage(w, sim, model):
    mine = sim.workspace("ta")
    with pytest.raises(PermissionDenied):
        mine.grants.update("catalog", "ml", changes=change("team", [Privilege.SELECT]))
    assert list(mine.catalogs.list()) == []
    w.grants.update("catalog", "ml", changes=change("team", [Privilege.MANAGE]))
    mine.grants.update("schema", "ml.fraud", changes=change("team", [Privilege.SELECT]))
    assert [row.name for row in mine.catalogs.list()] == ["ml"]
