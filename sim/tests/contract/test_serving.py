"""Serving endpoints: a new configuration is pending until it serves; the old one serves until then."""

import time

import pytest
from databricks.sdk.errors import BadRequest, NotFound, PermissionDenied, ResourceConflict
from databricks.sdk.service import serving
from databricks.sdk.service.serving import EndpointStateConfigUpdate as Update
from databricks.sdk.service.serving import EndpointStateReady as Ready
from databricks.sdk.service.serving import ServedModelStateDeployment as Deployment

from conftest import WORKSPACE
from test_models import NAME, grant, version, w  # noqa: F401 (a fixture)


def entity(number, name=None, **more):
    return serving.ServedEntityInput(
        entity_name=NAME, entity_version=str(number), name=name, workload_size="Small", scale_to_zero_enabled=True, **more
    )


@pytest.fixture
def endpoint(w):
    version(w), version(w)
    w.serving_endpoints.create(name="scorer", config=serving.EndpointCoreConfigInput(name="scorer", served_entities=[entity(1)]))
    return "scorer"


def settled(w, name="scorer"):
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        one = w.serving_endpoints.get(name)
        if one.state.config_update != Update.IN_PROGRESS:
            return one
        time.sleep(0.05)
    raise AssertionError("still updating")


def test_a_new_endpoint_is_not_ready_at_once(w, sim, endpoint):
    one = w.serving_endpoints.get(endpoint)
    assert (one.state.ready, one.state.config_update) == (Ready.NOT_READY, Update.IN_PROGRESS)
    assert one.config is None and one.pending_config.served_entities[0].entity_version == "1"
    with pytest.raises(BadRequest):
        w.serving_endpoints.query(endpoint, instances=[1])
    one = settled(w)
    assert (one.state.ready, one.state.config_update) == (Ready.READY, Update.NOT_UPDATING)
    assert one.pending_config is None and one.config.config_version == 1
    assert one.config.served_entities[0].state.deployment == Deployment.DEPLOYMENT_READY
    assert one.config.traffic_config.routes[0].traffic_percentage == 100
    assert one.creator == "admin@example.com" and one.permission_level.value == "CAN_MANAGE" and one.id != one.name
    assert [(row.name, row.state.ready) for row in w.serving_endpoints.list()] == [("scorer", Ready.READY)]


def test_the_old_configuration_serves_until_the_new_one_is_ready(w, sim, endpoint):
    settled(w)
    sim.settings(taskSeconds=0.6)
    w.serving_endpoints.update_config(endpoint, served_entities=[entity(2)])
    one = w.serving_endpoints.get(endpoint)
    assert (one.state.ready, one.state.config_update) == (Ready.READY, Update.IN_PROGRESS)
    assert one.config.served_entities[0].entity_version == "1"
    assert one.pending_config.served_entities[0].entity_version == "2" and one.pending_config.config_version == 2
    assert w.serving_endpoints.query(endpoint, instances=[1, 2]).predictions == [{"model": NAME, "version": "1"}] * 2
    with pytest.raises(ResourceConflict):
        w.serving_endpoints.update_config(endpoint, served_entities=[entity(1)])
    one = settled(w)
    assert one.config.config_version == 2 and one.pending_config is None
    assert w.serving_endpoints.query(endpoint, dataframe_records=[{}]).predictions == [{"model": NAME, "version": "2"}]


def test_a_failed_update_leaves_the_old_one_serving(w, sim, endpoint):
    settled(w)
    sim.control("POST", "scripts", {"endpoint": endpoint, "result": "FAILED", "message": "no GPU"})
    w.serving_endpoints.update_config(endpoint, served_entities=[entity(2)])
    one = settled(w)
    assert (one.state.ready, one.state.config_update) == (Ready.READY, Update.UPDATE_FAILED)
    assert one.config.served_entities[0].entity_version == "1"
    failed = one.pending_config.served_entities[0].state
    assert (failed.deployment, failed.deployment_state_message) == (Deployment.DEPLOYMENT_FAILED, "no GPU")
    w.serving_endpoints.update_config(endpoint, served_entities=[entity(2)])
    assert settled(w).config.served_entities[0].entity_version == "2"


def test_an_update_hangs_until_it_is_let_go(w, sim, endpoint):
    settled(w)
    sim.control("POST", "scripts", {"endpoint": endpoint, "hold": True})
    w.serving_endpoints.update_config(endpoint, served_entities=[entity(2)])
    time.sleep(0.4)
    assert w.serving_endpoints.get(endpoint).state.config_update == Update.IN_PROGRESS
    assert sim.control("POST", "scripts/release", {"endpoint": endpoint}) == {"runs": [], "updates": 1}
    assert w.serving_endpoints.get(endpoint).state.config_update == Update.NOT_UPDATING


def test_traffic_is_split_as_said(w, endpoint):
    settled(w)
    routes = lambda *shares: serving.TrafficConfig(
        routes=[serving.Route(served_entity_name=name, traffic_percentage=share) for name, share in shares]
    )
    both = [entity(1, "old"), entity(2, "new")]
    for wrong in (None, routes(("old", 50), ("new", 40)), routes(("old", 50), ("other", 50))):
        with pytest.raises(BadRequest):
            w.serving_endpoints.update_config(endpoint, served_entities=both, traffic_config=wrong)
    with pytest.raises(BadRequest):
        w.serving_endpoints.update_config(endpoint, served_entities=[entity(1, "x"), entity(2, "x")], traffic_config=routes(("x", 100)))
    w.serving_endpoints.update_config(endpoint, served_entities=both, traffic_config=routes(("old", 0), ("new", 100)))
    assert {row.served_entity_name: row.traffic_percentage for row in settled(w).config.traffic_config.routes} == {"old": 0, "new": 100}
    assert w.serving_endpoints.query(endpoint, inputs=[1]).predictions == [{"model": NAME, "version": "2"}]


def test_only_what_is_there_can_be_served(w, endpoint):
    settled(w)
    with pytest.raises(NotFound):
        w.serving_endpoints.update_config(endpoint, served_entities=[entity(9)])
    pending = w.api_client.do("POST", "/api/2.0/mlflow/unity-catalog/model-versions/create", body={"name": NAME, "source": "x"})
    with pytest.raises(BadRequest):
        w.serving_endpoints.update_config(endpoint, served_entities=[entity(pending["model_version"]["version"])])
    with pytest.raises(NotFound):
        w.serving_endpoints.update_config("nothing", served_entities=[entity(1)])
    with pytest.raises(BadRequest):
        w.serving_endpoints.update_config(endpoint, served_entities=[])
    with pytest.raises(BadRequest):
        w.api_client.do("PUT", f"/api/2.0/serving-endpoints/{endpoint}/config", body={"served": []})


def test_secrets_are_not_echoed(w, endpoint):
    settled(w)
    variables = {"PLAIN": "x", "SECRET": "{{secrets/scope/key}}"}
    w.serving_endpoints.update_config(endpoint, served_entities=[entity(2, environment_vars=variables)])
    assert settled(w).config.served_entities[0].environment_vars == {"PLAIN": "x"}


def test_tags_and_the_end(w, endpoint):
    add = [serving.EndpointTag(key="change", value="42"), serving.EndpointTag(key="team", value="fraud")]
    w.serving_endpoints.patch(endpoint, add_tags=add)
    w.serving_endpoints.patch(endpoint, delete_tags=["team"])
    assert {tag.key: tag.value for tag in w.serving_endpoints.get(endpoint).tags} == {"change": "42"}
    w.serving_endpoints.put_ai_gateway(endpoint, usage_tracking_config=serving.AiGatewayUsageTrackingConfig(enabled=True))
    assert w.serving_endpoints.get(endpoint).ai_gateway.usage_tracking_config.enabled
    w.serving_endpoints.delete(endpoint)
    with pytest.raises(NotFound):
        w.serving_endpoints.get(endpoint)


def test_endpoints_are_for_those_who_may(w, sim, endpoint):
    one = settled(w)
    ada = sim.workspace("ta")

    def give(level):
        row = serving.ServingEndpointAccessControlRequest(user_name="a@x.org", permission_level=level)
        w.serving_endpoints.set_permissions(one.id, access_control_list=[row])

    view, query = lambda: ada.serving_endpoints.get(endpoint), lambda: ada.serving_endpoints.query(endpoint, inputs=[1])
    change = lambda: ada.serving_endpoints.update_config(endpoint, served_entities=[entity(2)])
    for refused in (view, query, change, lambda: ada.serving_endpoints.delete(endpoint)):
        with pytest.raises(PermissionDenied):
            refused()
    assert list(ada.serving_endpoints.list()) == []
    give(serving.ServingEndpointPermissionLevel.CAN_VIEW)
    assert view().permission_level.value == "CAN_VIEW" and len(list(ada.serving_endpoints.list())) == 1
    with pytest.raises(PermissionDenied):
        query()
    give(serving.ServingEndpointPermissionLevel.CAN_QUERY)
    assert query().predictions
    give(serving.ServingEndpointPermissionLevel.CAN_MANAGE)
    # Managing the endpoint is not yet the right to run the model.
    with pytest.raises(PermissionDenied, match="EXECUTE"):
        change()
    from databricks.sdk.service.catalog import Privilege

    grant(w, "catalog", "ml", "a@x.org", Privilege.USE_CATALOG, Privilege.USE_SCHEMA, Privilege.EXECUTE)
    change()
    assert settled(w).config.served_entities[0].creator == "a@x.org"
