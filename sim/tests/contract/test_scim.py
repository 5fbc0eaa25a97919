"""Users, groups and service principals, in the account and in a workspace."""

import pytest
from databricks.sdk.errors import (
    BadRequest,
    DatabricksError,
    InternalError,
    NotFound,
    PermissionDenied,
    ResourceConflict,
    Unauthenticated,
)
from databricks.sdk.service import iam, iamv2

from conftest import SECOND, WORKSPACE

PATCH = [iam.PatchSchema.URN_IETF_PARAMS_SCIM_API_MESSAGES_2_0_PATCH_OP]


def add(path, *values):
    return iam.Patch(op=iam.PatchOp.ADD, path=path, value=[{"value": value} for value in values])


def remove(path):
    return iam.Patch(op=iam.PatchOp.REMOVE, path=path)


def replace(path, value):
    return iam.Patch(op=iam.PatchOp.REPLACE, path=path, value=value)


def members(group):
    return sorted(member.value for member in group.members or [])


def test_me_says_who_and_where(w):
    assert w.current_user.me().user_name == "admin@example.com"
    assert w.get_workspace_id() == WORKSPACE


def test_users_live_a_full_life(w):
    made = w.users.create(user_name="Ada@Example.com", display_name="Ada", name=iam.Name(given_name="Ada"))
    assert made.user_name == "ada@example.com"
    assert made.emails[0].value == "ada@example.com"
    assert [user.id for user in w.users.list(filter='userName eq "ADA@example.com"')] == [made.id]
    w.users.patch(made.id, operations=[replace("displayName", "Ada L.")], schemas=PATCH)
    assert w.users.get(made.id).display_name == "Ada L."
    w.users.update(made.id, user_name="ada@example.com", display_name="Countess", active=False)
    assert w.users.get(made.id).active is False
    w.users.delete(made.id)
    with pytest.raises(NotFound):
        w.users.get(made.id)


def test_a_user_name_never_changes(w):
    made = w.users.create(user_name="ada@example.com")
    with pytest.raises(BadRequest, match="cannot be changed"):
        w.users.patch(made.id, operations=[replace("userName", "eve@example.com")], schemas=PATCH)


def test_service_principals_live_a_full_life(w, a):
    made = w.service_principals.create(display_name="ci")
    assert made.application_id and made.active
    found = list(w.service_principals.list(filter=f'applicationId eq "{made.application_id}"'))
    assert [sp.id for sp in found] == [made.id]
    # The SDK leaves out a value that is false; the API wants it.
    with pytest.raises(BadRequest):
        w.service_principals.patch(made.id, operations=[replace("active", False)], schemas=PATCH)
    off = {"schemas": [PATCH[0].value], "Operations": [{"op": "replace", "path": "active", "value": False}]}
    w.api_client.do("PATCH", f"/api/2.0/preview/scim/v2/ServicePrincipals/{made.id}", body=off)
    assert w.service_principals.get(made.id).active is False
    w.service_principals.update(made.id, display_name="ci2", active=True)
    assert a.service_principals.get(made.id).display_name == "ci2"
    w.service_principals.delete(made.id)
    with pytest.raises(NotFound):
        w.service_principals.get(made.id)
    a.service_principals.delete(made.id)
    with pytest.raises(NotFound):
        a.service_principals.get(made.id)


def test_workspace_groups_live_a_full_life(w, sim):
    ids = sim.seed(users=[{"userName": f"{name}@x.org"} for name in "abc"])
    a, b, c = (ids[f"{name}@x.org"] for name in "abc")
    group = w.groups.create(display_name="team", members=[iam.ComplexValue(value=a)], external_id="e1")
    assert group.meta.resource_type == "WorkspaceGroup"
    w.groups.patch(group.id, operations=[add("members", b, c)], schemas=PATCH)
    assert members(w.groups.get(group.id)) == sorted([a, b, c])
    w.groups.patch(group.id, operations=[remove(f'members[value eq "{a}"]')], schemas=PATCH)
    assert members(w.groups.get(group.id)) == sorted([b, c])
    w.groups.update(group.id, display_name="team2", members=[iam.ComplexValue(value=a)])
    found = w.groups.get(group.id)
    assert (found.display_name, members(found), found.external_id) == ("team2", [a], None)
    assert [parent.display for parent in w.users.get(a).groups] == ["team2", "users"]
    w.groups.delete(group.id)
    with pytest.raises(NotFound):
        w.groups.get(group.id)


def test_account_groups_live_a_full_life(a):
    user = a.users.create(user_name="a@x.org")
    sp = a.service_principals.create(display_name="sp")
    inner = a.groups.create(display_name="inner", members=[iam.ComplexValue(value=user.id)])
    outer = a.groups.create(display_name="outer")
    a.groups.patch(outer.id, operations=[add("members", inner.id, sp.id)], schemas=PATCH)
    assert members(a.groups.get(outer.id)) == sorted([inner.id, sp.id])
    assert [group.display for group in a.groups.get(inner.id).groups] == ["outer"]
    assert a.groups.get(outer.id).meta.resource_type == "Group"
    with pytest.raises(BadRequest, match="cycle"):
        a.groups.patch(inner.id, operations=[add("members", outer.id)], schemas=PATCH)
    a.users.delete(user.id)
    assert members(a.groups.get(inner.id)) == []


def test_names_are_unique_without_regard_to_case(w, a):
    w.groups.create(display_name="Team")
    for create in (
        lambda: w.groups.create(display_name="team"),
        lambda: w.users.create(user_name="ADMIN@example.com"),
    ):
        with pytest.raises(ResourceConflict):
            create()
    a.groups.create(display_name="Team")
    with pytest.raises(ResourceConflict):
        a.groups.create(display_name="TEAM")


def test_listing_pages_by_a_hundred(w, sim):
    sim.seed(generate={"users": 10, "groups": 250, "membersPerGroup": 3, "workspace": WORKSPACE})
    before = sim.control("GET", "counts")["requests"]
    groups = list(w.groups.list(attributes="id,displayName"))
    assert len(groups) == 252
    assert not any(group.members for group in groups)
    # Three pages with rows and the empty one that ends the SDK's loop.
    assert sim.control("GET", "counts")["requests"] - before == 4
    assert sum(len(group.members or []) for group in w.groups.list()) >= 750


def test_filters_sorting_and_attributes(w, sim):
    sim.seed(groups=[{"displayName": name, "workspace": WORKSPACE} for name in ("data-eng", "data-sci", "ml-ops")])
    names = lambda text: [group.display_name for group in w.groups.list(filter=text)]
    assert names('displayName sw "data-"') == ["data-eng", "data-sci"]
    assert names('displayName co "-s" or displayName eq "ML-OPS"') == ["data-sci", "ml-ops"]
    assert names('displayName sw "data" and displayName ne "data-eng"') == ["data-sci"]
    ordered = w.groups.list(sort_by="displayName", sort_order=iam.ListSortOrder.DESCENDING)
    assert [group.display_name for group in ordered] == ["users", "ml-ops", "data-sci", "data-eng", "admins"]
    assert not next(iter(w.groups.list(excluded_attributes="members", filter='displayName eq "admins"'))).members
    for bad in ("displayName eq 'x'", 'displayName gt "x"', 'colour eq "x"', " or ".join(['id eq "1"'] * 101)):
        with pytest.raises(BadRequest) as refusal:
            names(bad)
        assert refusal.value.error_code == "SCIM_400"


def test_patches_that_the_vendor_refuses(w, sim):
    ids = sim.seed(users=[{"userName": "a@x.org"}])
    group = w.groups.create(display_name="team")
    for operations in (
        [add("members", "999")],
        [add("nonsense", "1")],
        [add("entitlements", "root")],
        [iam.Patch(op=iam.PatchOp.REMOVE, path=f'members[value eq "{ids["a@x.org"]}"]', value=[{"value": "1"}])],
        [remove('entitlements[value eq "allow-cluster-create"]')],
    ):
        with pytest.raises(BadRequest):
            w.groups.patch(group.id, operations=operations, schemas=PATCH)
    # A patch happens as a whole or not at all.
    with pytest.raises(BadRequest):
        w.groups.patch(group.id, operations=[add("members", ids["a@x.org"]), add("members", "999")], schemas=PATCH)
    assert members(w.groups.get(group.id)) == []


def test_entitlements_belong_to_the_workspace(w, a, sim):
    ids = sim.seed(groups=[{"displayName": "team", "workspaces": [WORKSPACE, SECOND]}])
    team = ids["group:team"]
    w.groups.patch(team, operations=[add("entitlements", "workspace-access", "databricks-sql-access")], schemas=PATCH)
    assert sorted(row.value for row in w.groups.get(team).entitlements) == ["databricks-sql-access", "workspace-access"]
    assert sim.workspace(sim.second["token"], sim.second["url"]).groups.get(team).entitlements == []
    assert a.groups.get(team).entitlements == []
    w.groups.patch(team, operations=[remove('entitlements[value eq "workspace-access"]')], schemas=PATCH)
    assert [row.value for row in w.groups.get(team).entitlements] == ["databricks-sql-access"]
    w.groups.patch(team, operations=[replace("entitlements", [{"value": "workspace-consume"}])], schemas=PATCH)
    assert [row.value for row in w.groups.get(team).entitlements] == ["workspace-consume"]


def test_account_groups_cannot_be_edited_through_a_workspace(w, sim):
    ids = sim.seed(users=[{"userName": "a@x.org"}], groups=[{"displayName": "team", "workspaces": [WORKSPACE]}])
    with pytest.raises(PermissionDenied):
        w.groups.patch(ids["group:team"], operations=[add("members", ids["a@x.org"])], schemas=PATCH)


def test_account_groups_show_in_a_workspace_once_assigned(w, a, sim):
    group = a.groups.create(display_name="team")
    with pytest.raises(NotFound):
        w.groups.get(group.id)
    assert list(w.groups.list(filter='displayName eq "team"')) == []
    proxied = w.api_client.do("GET", "/api/2.0/account/scim/v2/Groups", query={"filter": 'displayName eq "team"'})
    assert proxied["Resources"][0]["id"] == group.id
    a.workspace_assignment.update(WORKSPACE, int(group.id), permissions=[iam.WorkspacePermission.USER])
    assert w.groups.get(group.id).meta.resource_type == "Group"


def test_newer_accounts_list_groups_without_members(a, sim):
    sim.seed(users=[{"userName": "a@x.org"}], groups=[{"displayName": "team", "members": ["a@x.org"]}])
    assert len(next(iter(a.groups.list())).members) == 1
    sim.settings(groupListMembers=False)
    listed = next(iter(a.groups.list()))
    assert listed.members == []
    assert len(a.groups.get(listed.id).members) == 1


def test_the_system_groups_follow_the_assignments(w, a, sim):
    ids = sim.seed(users=[{"userName": "a@x.org"}])
    admins = next(iter(w.groups.list(filter='displayName eq "admins"')))
    w.groups.patch(admins.id, operations=[add("members", ids["a@x.org"])], schemas=PATCH)
    rows = {row.principal.user_name: row.permissions for row in a.workspace_assignment.list(WORKSPACE)}
    assert rows["a@x.org"] == [iam.WorkspacePermission.ADMIN]
    with pytest.raises(PermissionDenied):
        w.groups.delete(admins.id)


def test_the_planes_do_not_share_tokens(sim):
    with pytest.raises(Unauthenticated):
        list(sim.account(sim.token).groups.list())
    with pytest.raises(Unauthenticated):
        sim.workspace(sim.account_token).current_user.me()
    with pytest.raises(PermissionDenied):
        sim.workspace("nonsense").current_user.me()


def test_who_is_not_an_admin_reads_but_does_not_write(sim):
    sim.seed(
        users=[{"userName": "a@x.org"}],
        tokens=[{"value": "t", "principal": "a@x.org", "workspace": WORKSPACE}, {"value": "ta", "principal": "a@x.org"}],
    )
    mine = sim.workspace("t")
    assert mine.current_user.me().user_name == "a@x.org"
    list(mine.groups.list())
    with pytest.raises(PermissionDenied):
        mine.groups.create(display_name="mine")
    with pytest.raises(PermissionDenied):
        list(sim.account("ta").groups.list())


def test_a_workspace_takes_its_own_tokens_only(sim):
    assert sim.workspace(sim.second["token"], sim.second["url"]).get_workspace_id() == SECOND
    with pytest.raises(PermissionDenied):
        sim.workspace(sim.token, sim.second["url"], workspace_id=str(SECOND)).current_user.me()


def test_unknown_fields_verbs_and_routes_are_refused(w):
    call = w.api_client.do
    with pytest.raises(BadRequest):
        call("POST", "/api/2.0/preview/scim/v2/Groups", body={"displayName": "x", "colour": "red"})
    with pytest.raises(BadRequest):
        call("GET", "/api/2.0/preview/scim/v2/Groups", query={"colour": "red"})
    with pytest.raises(DatabricksError) as refusal:
        call("DELETE", "/api/2.0/preview/scim/v2/Groups")
    assert refusal.value.error_code == "METHOD_NOT_ALLOWED" or "not allowed" in str(refusal.value)
    with pytest.raises(NotFound):
        call("GET", "/api/2.0/nonsense")


def test_throttling_dressed_as_an_internal_error(sim, w):
    sim.settings(scimThrottleEvery=1)
    with pytest.raises(InternalError, match="REQUEST_LIMIT_EXCEEDED"):
        w.api_client.do("GET", "/api/2.0/preview/scim/v2/Groups")


def test_direct_members_say_where_they_come_from(sim, a):
    ids = sim.seed(
        users=[{"userName": "ada@x.org", "externalId": "entra-ada"}],
        servicePrincipals=[{"applicationId": "aaaaaaaa-0000-4000-8000-000000000001", "displayName": "ci"}],
        groups=[
            {"displayName": "inner"},
            {"displayName": "ours", "members": ["ada@x.org", "aaaaaaaa-0000-4000-8000-000000000001", "group:inner"]},
            {"displayName": "theirs", "externalId": "entra-1", "members": ["ada@x.org"]},
            {"displayName": "local", "workspace": WORKSPACE},
        ],
    )
    ours, theirs = int(ids["group:ours"]), int(ids["group:theirs"])
    listed = list(a.iam_v2.list_direct_group_members(ours, page_size=2))
    assert sorted(row.principal_type.value for row in listed) == ["GROUP", "SERVICE_PRINCIPAL", "USER"]
    assert {row.membership_source for row in listed} == {iamv2.GroupMembershipSource.INTERNAL}
    assert all(row.group_id == ours for row in listed)
    sim.settings(automaticIdentity=True, emptyPages=True)
    [row] = a.iam_v2.list_direct_group_members(theirs)
    assert row.membership_source == iamv2.GroupMembershipSource.IDENTITY_PROVIDER
    assert (row.principal_id, row.external_id) == (int(ids["ada@x.org"]), "entra-ada")
    sources = {row.membership_source for row in a.iam_v2.list_direct_group_members(ours)}
    assert sources == {iamv2.GroupMembershipSource.INTERNAL}
    for missing in (1, int(ids["group:local"])):
        with pytest.raises(NotFound):
            list(a.iam_v2.list_direct_group_members(missing))


def test_users_of_the_account_are_listed_in_pages(sim, a):
    sim.seed(users=[{"userName": f"u{n}@x.org", "workspaces": []} for n in range(105)])
    names = [user.user_name for user in a.users.list(attributes="id,userName,active")]
    assert len(names) == len(set(names)) and {f"u{n}@x.org" for n in range(105)} <= set(names)
    assert [user.user_name for user in a.users.list(filter='userName eq "U7@x.org"')] == ["u7@x.org"]
