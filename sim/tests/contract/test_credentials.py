"""Client secrets and personal access tokens through their lives: limits, lifetimes, last use, days that go wrong."""

import datetime
import json
import urllib.request

import pytest
from databricks.sdk import WorkspaceClient
from databricks.sdk.common.types.fieldmask import FieldMask
from databricks.sdk.errors import BadRequest, InternalError, NotFound, PermissionDenied
from databricks.sdk.service import settings

from conftest import WORKSPACE

DAY = 24 * 3600
SECRETS = "/api/2.0/accounts/servicePrincipals/{sp}/credentials/secrets"


@pytest.fixture
def sp(w):
    return w.service_principals.create(display_name="fraud-api")


def may_use_tokens(w, sp):
    w.tokens.create(comment="the first one makes the list of permissions")
    w.token_management.update_permissions(access_control_list=[
        settings.TokenAccessControlRequest(
            service_principal_name=sp.application_id, permission_level=settings.TokenPermissionLevel.CAN_USE
        )
    ])


def login(sim, sp, secret):
    client = WorkspaceClient(host=sim.url, client_id=sp.application_id, client_secret=secret, auth_type="oauth-m2m")
    return client.current_user.me().user_name


def test_a_secret_lets_in_until_it_runs_out(sim, w, sp):
    made = w.service_principal_secrets_proxy.create(sp.id, lifetime="7776000s", scopes=["all-apis"])
    born, dies = (datetime.datetime.fromisoformat(at) for at in (made.create_time, made.expire_time))
    assert (dies - born).total_seconds() == 90 * DAY and made.scopes == ["all-apis"]
    assert login(sim, sp, made.secret) == sp.application_id
    sim.settings(clockOffset=90 * DAY)
    with pytest.raises(Exception, match="invalid_client"):
        login(sim, sp, made.secret)
    # It stays in the list, and in the way of the sixth, until somebody deletes it.
    assert [row.status for row in w.service_principal_secrets_proxy.list(sp.id)] == ["EXPIRED"]


def test_a_secret_that_nobody_was_told_of(sim, w, sp):
    sim.fault(route=SECRETS, method="POST", times=1, action={"FailAfter": {"status": 500}})
    with pytest.raises(InternalError):
        w.service_principal_secrets_proxy.create(sp.id)
    assert len(list(w.service_principal_secrets_proxy.list(sp.id))) == 1


def test_secrets_come_in_pages(sim, w, a, sp):
    made = {a.service_principal_secrets.create(sp.id).id for _ in range(5)}
    sim.settings(emptyPages=True)
    for api in (a.service_principal_secrets, w.service_principal_secrets_proxy):
        assert {row.id for row in api.list(sp.id, page_size=2)} == made


def test_only_its_managers_see_the_secrets_of_a_service_principal(sim, w, sp):
    sim.seed(
        users=[{"userName": "ada@example.com"}],
        tokens=[{"value": "adas", "principal": "ada@example.com", "workspace": WORKSPACE}],
    )
    ada = sim.workspace("adas")
    for call in (lambda: list(ada.service_principal_secrets_proxy.list(sp.id)), lambda: ada.service_principal_secrets_proxy.create(sp.id)):
        with pytest.raises(PermissionDenied):
            call()


def test_a_new_secret_may_take_a_while_to_let_in(sim, w, sp):
    sim.settings(credentialLag=30)
    secret, token = w.service_principal_secrets_proxy.create(sp.id), w.tokens.create()
    with pytest.raises(Exception, match="invalid_client"):
        login(sim, sp, secret.secret)
    with pytest.raises(PermissionDenied):
        sim.workspace(token.token_value).current_user.me()
    sim.settings(clockOffset=31)
    assert login(sim, sp, secret.secret) == sp.application_id
    assert sim.workspace(token.token_value).current_user.me().user_name == "admin@example.com"


def test_a_token_runs_out_and_leaves_its_owners_list(sim, w):
    made = w.tokens.create(comment="short", lifetime_seconds=60)
    assert made.token_info.expiry_time - made.token_info.creation_time == 60_000
    sim.settings(clockOffset=60)
    with pytest.raises(PermissionDenied):
        sim.workspace(made.token_value).current_user.me()
    assert list(w.tokens.list()) == []
    assert [row.comment for row in w.token_management.list()] == ["short"]


def test_two_years_unless_said_otherwise(w):
    made = w.tokens.create()
    assert made.token_info.expiry_time - made.token_info.creation_time == 730 * DAY * 1000


def test_a_workspace_caps_the_lifetime(w):
    w.workspace_conf.set_status({"maxTokenLifetimeDays": "90"})
    assert w.workspace_conf.get_status("maxTokenLifetimeDays") == {"maxTokenLifetimeDays": "90"}
    made = w.tokens.create().token_info
    assert made.expiry_time - made.creation_time == 90 * DAY * 1000
    with pytest.raises(BadRequest, match="longer than"):
        w.tokens.create(lifetime_seconds=90 * DAY + 1)
    with pytest.raises(BadRequest):
        w.workspace_conf.get_status("somethingElse")


def test_six_hundred_tokens_and_no_more(w):
    for number in range(600):
        w.tokens.create(comment=str(number))
    with pytest.raises(BadRequest) as refused:
        w.tokens.create()
    assert refused.value.error_code == "QUOTA_EXCEEDED"
    assert len(list(w.tokens.list())) == 600


def test_administrators_see_when_a_token_was_last_used(sim, w, sp):
    may_use_tokens(w, sp)
    made = w.token_management.create_obo_token(sp.application_id, comment="fraud/api/1", lifetime_seconds=3600)
    assert made.token_info.last_used_day is None
    sim.workspace(made.token_value).current_user.me()
    seen = w.token_management.get(made.token_info.token_id).token_info
    assert seen.last_used_day % (DAY * 1000) == 0 and seen.last_used_day + DAY * 1000 > seen.creation_time
    assert (seen.owner_id, seen.created_by_username, seen.workspace_id) == (int(sp.id), "admin@example.com", WORKSPACE)
    w.token_management.delete(seen.token_id)
    with pytest.raises(PermissionDenied):
        sim.workspace(made.token_value).current_user.me()
    with pytest.raises(NotFound):
        w.token_management.get(seen.token_id)
    with pytest.raises(NotFound):
        w.token_management.delete(seen.token_id)


def test_a_service_principal_makes_its_own(sim, w, sp):
    """The way on Azure, which has no tokens on behalf."""
    may_use_tokens(w, sp)
    secret = w.service_principal_secrets_proxy.create(sp.id)
    own = WorkspaceClient(host=sim.url, client_id=sp.application_id, client_secret=secret.secret, auth_type="oauth-m2m")
    made = own.tokens.create(comment="fraud/api/1", lifetime_seconds=600)
    assert sim.workspace(made.token_value).current_user.me().user_name == sp.application_id
    assert [row.comment for row in own.tokens.list()] == ["fraud/api/1"]
    own.tokens.update(made.token_info.token_id, settings.PublicTokenInfo(comment="renamed"), FieldMask(["comment"]))
    assert [row.comment for row in own.tokens.list()] == ["renamed"]
    with pytest.raises(PermissionDenied):
        list(own.token_management.list())
    own.tokens.delete(made.token_info.token_id)
    assert list(own.tokens.list()) == []


def test_tokens_with_a_past(sim, w):
    sim.seed(
        users=[{"userName": "ada@example.com"}],
        tokens=[{
            "value": "adas-old-one", "principal": "ada@example.com", "workspace": WORKSPACE,
            "personal": {"comment": "laptop", "createdDaysAgo": 400, "lastUsedDaysAgo": 80},
        }],
    )
    (row,) = w.token_management.list(created_by_username="ada@example.com")
    assert (row.comment, row.expiry_time) == ("laptop", -1)
    assert (row.last_used_day - row.creation_time) // (DAY * 1000) in (319, 320)
    assert list(w.token_management.list(created_by_id=1)) == []


def test_a_value_is_in_the_one_answer_and_nowhere_else(sim, w, sp):
    w.secrets.create_scope("ml")
    values = [w.service_principal_secrets_proxy.create(sp.id).secret, w.tokens.create().token_value, "planted-value"]
    w.secrets.put_secret("ml", "key", string_value="planted-value")
    login(sim, sp, values[0])
    sim.workspace(values[1]).current_user.me()
    shown = json.dumps([sim.snapshot(), sim.control("GET", "snapshot?stable=true"), sim.journal(), sim.control("GET", "counts")])
    lists = json.dumps([
        [row.as_dict() for row in rows] for rows in (
            w.service_principal_secrets_proxy.list(sp.id), w.tokens.list(), w.token_management.list(), w.secrets.list_secrets("ml")
        )
    ])
    assert [value for value in values if value in shown or value in lists] == []
    # What cannot be parsed is not repeated either.
    request = urllib.request.Request(
        f"{sim.url}/api/2.0/secrets/put", data=b'{"scope": "ml", "key": "key", "string_value": "planted-value"',
        headers={"Authorization": f"Bearer {sim.token}", "Content-Type": "application/json"}, method="POST",
    )
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request, timeout=10)
    assert b"planted" not in refused.value.read()
