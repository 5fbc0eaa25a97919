"""Secret scopes: what they keep, who may, and what is refused."""

import base64

import pytest
from databricks.sdk.errors import BadRequest, NotFound, PermissionDenied, ResourceAlreadyExists
from databricks.sdk.service.workspace import AclPermission, AzureKeyVaultSecretScopeMetadata, ScopeBackendType

from conftest import WORKSPACE


def value(w, scope, key):
    return base64.b64decode(w.secrets.get_secret(scope, key).value).decode()


@pytest.fixture
def scope(w):
    w.secrets.create_scope("ml")
    return "ml"


@pytest.fixture
def ada(sim):
    sim.seed(
        users=[{"userName": "ada@example.com"}],
        groups=[{"displayName": "fraud", "members": ["ada@example.com"], "workspaces": [WORKSPACE]}],
        tokens=[{"value": "adas", "principal": "ada@example.com", "workspace": WORKSPACE}],
    )
    return sim.workspace("adas")


def test_a_secret_is_put_read_replaced_and_deleted(sim, w, scope):
    assert list(w.secrets.list_secrets(scope)) == []
    w.secrets.put_secret(scope, "client_secret", string_value="dose-1 \u00e4")
    assert value(w, scope, "client_secret") == "dose-1 \u00e4"
    (first,) = w.secrets.list_secrets(scope)
    sim.settings(clockOffset=5)
    w.secrets.put_secret(scope, "client_secret", bytes_value=base64.b64encode(b"dose-2").decode())
    assert value(w, scope, "client_secret") == "dose-2"
    (second,) = w.secrets.list_secrets(scope)
    assert second.key == first.key and second.last_updated_timestamp > first.last_updated_timestamp
    w.secrets.delete_secret(scope, "client_secret")
    for call in (w.secrets.delete_secret, w.secrets.get_secret):
        with pytest.raises(NotFound):
            call(scope, "client_secret")


def test_scopes_belong_to_a_workspace(sim, w, scope):
    other = sim.workspace(sim.second["token"], host=sim.second["url"])
    assert [row.name for row in w.secrets.list_scopes()] == [scope]
    assert list(other.secrets.list_scopes()) == []
    with pytest.raises(ResourceAlreadyExists):
        w.secrets.create_scope(scope)
    other.secrets.create_scope(scope)
    w.secrets.delete_scope(scope)
    with pytest.raises(NotFound):
        w.secrets.delete_scope(scope)
    for call in (lambda: list(w.secrets.list_secrets(scope)), lambda: w.secrets.put_secret(scope, "k", string_value="v")):
        with pytest.raises(NotFound, match="Scope ml does not exist!"):
            call()


def test_what_is_refused(w, scope):
    for name in ("", "a b", "a/b", "x" * 129):
        with pytest.raises(BadRequest):
            w.secrets.create_scope(name)
        with pytest.raises(BadRequest):
            w.secrets.put_secret(scope, name, string_value="v")
    for bad in ({}, {"string_value": "v", "bytes_value": "dg=="}, {"bytes_value": "not base64!"}, {"string_value": "x" * (128 * 1024 + 1)}):
        with pytest.raises(BadRequest):
            w.secrets.put_secret(scope, "k", **bad)
    w.secrets.put_secret(scope, "k", string_value="x" * (128 * 1024))
    with pytest.raises(BadRequest):
        w.secrets.create_scope("other", initial_manage_principal="fraud")


def test_a_thousand_secrets_in_a_scope_and_no_more(w, scope):
    for number in range(1000):
        w.secrets.put_secret(scope, f"k{number}", string_value="v")
    with pytest.raises(BadRequest) as refused:
        w.secrets.put_secret(scope, "one-more", string_value="v")
    assert refused.value.error_code == "RESOURCE_LIMIT_EXCEEDED"
    w.secrets.put_secret(scope, "k7", string_value="replaced")
    assert value(w, scope, "k7") == "replaced"


def test_a_vault_of_azure_is_only_read_through_here(w):
    vault = AzureKeyVaultSecretScopeMetadata(resource_id="/subscriptions/x", dns_name="https://x.vault.azure.net/")
    w.secrets.create_scope("akv", scope_backend_type=ScopeBackendType.AZURE_KEYVAULT, backend_azure_keyvault=vault)
    (row,) = w.secrets.list_scopes()
    assert row.backend_type == ScopeBackendType.AZURE_KEYVAULT and row.keyvault_metadata.dns_name == vault.dns_name
    with pytest.raises(BadRequest) as refused:
        w.secrets.put_secret("akv", "k", string_value="v")
    assert refused.value.error_code == "BAD_REQUEST"


def test_who_may_do_what(w, ada, scope):
    w.secrets.put_secret(scope, "k", string_value="v")
    assert list(ada.secrets.list_scopes()) == []
    with pytest.raises(PermissionDenied):
        ada.secrets.get_secret(scope, "k")
    w.secrets.put_acl(scope, "fraud", AclPermission.READ)
    assert value(ada, scope, "k") == "v" and [row.key for row in ada.secrets.list_secrets(scope)] == ["k"]
    with pytest.raises(PermissionDenied):
        ada.secrets.put_secret(scope, "k", string_value="other")
    w.secrets.put_acl(scope, "ada@example.com", AclPermission.WRITE)
    ada.secrets.put_secret(scope, "k", string_value="other")
    with pytest.raises(PermissionDenied):
        list(ada.secrets.list_acls(scope))
    rows = {row.principal: row.permission for row in w.secrets.list_acls(scope)}
    assert rows == {
        "admin@example.com": AclPermission.MANAGE, "fraud": AclPermission.READ, "ada@example.com": AclPermission.WRITE,
    }
    assert w.secrets.get_acl(scope, "fraud").permission == AclPermission.READ
    w.secrets.delete_acl(scope, "fraud")
    w.secrets.delete_acl(scope, "ada@example.com")
    with pytest.raises(NotFound):
        w.secrets.delete_acl(scope, "fraud")
    with pytest.raises(PermissionDenied):
        ada.secrets.get_secret(scope, "k")
    with pytest.raises(NotFound, match="User or Group nobody does not exist"):
        w.secrets.put_acl(scope, "nobody", AclPermission.READ)


def test_everybody_may_manage_where_that_is_asked_for(w, ada):
    ada.secrets.create_scope("own")
    assert [row.permission for row in ada.secrets.list_acls("own")] == [AclPermission.MANAGE]
    w.secrets.create_scope("all", initial_manage_principal="users")
    ada.secrets.put_secret("all", "k", string_value="v")
    assert [row.principal for row in ada.secrets.list_acls("all")] == ["users"]


def test_an_acl_row_goes_with_its_principal(w, ada, scope):
    w.secrets.put_acl(scope, "fraud", AclPermission.READ)
    w.groups_v2.delete(next(iter(w.groups_v2.list(filter='displayName eq "fraud"'))).id)
    assert [row.principal for row in w.secrets.list_acls(scope)] == ["admin@example.com"]
