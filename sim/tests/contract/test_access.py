"""Permission assignments, the permissions API, rule sets."""

import pytest
from databricks.sdk.errors import BadRequest, InvalidParameterValue, NotFound, PermissionDenied, ResourceConflict
from databricks.sdk.service import iam

from conftest import ACCOUNT, SECOND, WORKSPACE

LEVEL = iam.PermissionLevel
# `{type}` in the path, how to make one, its levels.
TYPES = {
    "clusters": ["CAN_ATTACH_TO", "CAN_RESTART", "CAN_MANAGE"],
    "cluster-policies": ["CAN_USE"],
    "instance-pools": ["CAN_ATTACH_TO", "CAN_MANAGE"],
    "jobs": ["CAN_VIEW", "CAN_MANAGE_RUN", "CAN_MANAGE", "IS_OWNER"],
    "pipelines": ["CAN_VIEW", "CAN_RUN", "CAN_MANAGE", "IS_OWNER"],
    "notebooks": ["CAN_READ", "CAN_RUN", "CAN_EDIT", "CAN_MANAGE"],
    "directories": ["CAN_READ", "CAN_RUN", "CAN_EDIT", "CAN_MANAGE"],
    "files": ["CAN_READ", "CAN_RUN", "CAN_EDIT", "CAN_MANAGE"],
    "repos": ["CAN_READ", "CAN_RUN", "CAN_EDIT", "CAN_MANAGE"],
    "experiments": ["CAN_READ", "CAN_EDIT", "CAN_MANAGE"],
    "registered-models": [
        "CAN_READ", "CAN_EDIT", "CAN_MANAGE_STAGING_VERSIONS", "CAN_MANAGE_PRODUCTION_VERSIONS", "CAN_MANAGE",
    ],
    "serving-endpoints": ["CAN_VIEW", "CAN_QUERY", "CAN_MANAGE"],
    "sql/warehouses": ["CAN_VIEW", "CAN_USE", "CAN_MONITOR", "CAN_MANAGE", "IS_OWNER"],
    "warehouses": ["CAN_VIEW", "CAN_USE", "CAN_MONITOR", "CAN_MANAGE", "IS_OWNER"],
    "dashboards": ["CAN_READ", "CAN_RUN", "CAN_EDIT", "CAN_MANAGE"],
    "dbsql-dashboards": ["CAN_READ", "CAN_RUN", "CAN_EDIT", "CAN_MANAGE"],
    "sql/queries": ["CAN_READ", "CAN_RUN", "CAN_EDIT", "CAN_MANAGE"],
    "sql/alerts": ["CAN_READ", "CAN_RUN", "CAN_EDIT", "CAN_MANAGE"],
    "alertsv2": ["CAN_READ", "CAN_RUN", "CAN_EDIT", "CAN_MANAGE"],
    "vector-search-endpoints": ["CAN_USE", "CAN_MANAGE"],
    "apps": ["CAN_USE", "CAN_MANAGE"],
    "database-instances": ["CAN_USE", "CAN_MANAGE"],
    "database-projects": ["CAN_USE", "CAN_MANAGE"],
    "genie": ["CAN_READ", "CAN_RUN", "CAN_EDIT", "CAN_MANAGE"],
    "knowledge-assistants": ["CAN_QUERY", "CAN_MANAGE"],
    "supervisor-agents": ["CAN_QUERY", "CAN_MANAGE"],
}


def group(name, level):
    return iam.AccessControlRequest(group_name=name, permission_level=LEVEL(level))


def user(name, level):
    return iam.AccessControlRequest(user_name=name, permission_level=LEVEL(level))


def direct(permissions):
    """Direct rows by principal."""
    return {
        row.group_name or row.user_name or row.service_principal_name: one.permission_level.value
        for row in permissions.access_control_list
        for one in row.all_permissions
        if not one.inherited
    }


@pytest.fixture
def team(sim):
    return sim.seed(
        users=[{"userName": "a@x.org"}, {"userName": "b@x.org"}],
        groups=[{"displayName": "team", "workspace": WORKSPACE, "members": ["a@x.org"]}],
        tokens=[{"value": "ta", "principal": "a@x.org", "workspace": WORKSPACE}],
    )


@pytest.mark.parametrize("kind", TYPES)
def test_every_type_is_read_set_updated_and_described(w, sim, team, kind):
    name = "/made/thing" if kind in ("notebooks", "directories", "files", "repos", "experiments") else "thing"
    target = next(iter(sim.seed(objects=[{"type": kind, "name": name, "owner": "b@x.org"}]).values()))
    levels = w.permissions.get_permission_levels(kind, target)
    assert [row.permission_level.value for row in levels.permission_levels] == TYPES[kind]
    level = next(level for level in TYPES[kind])
    w.permissions.update(kind, target, access_control_list=[group("team", level)])
    held = direct(w.permissions.get(kind, target))
    assert held["team"] == level
    owner = [user("b@x.org", "IS_OWNER")] if "IS_OWNER" in TYPES[kind] else []
    answer = w.permissions.set(kind, target, access_control_list=owner + [group("team", TYPES[kind][0])])
    expected = {"team": TYPES[kind][0]} | ({"b@x.org": "IS_OWNER"} if owner else {})
    assert direct(answer) == expected
    with pytest.raises(BadRequest):
        w.permissions.update(kind, target, access_control_list=[group("team", "CAN_BIND")])
    with pytest.raises(NotFound):
        w.permissions.get(kind, "987654321")


def test_the_admins_manage_everything_and_cannot_be_lowered(w, sim):
    ids = sim.seed(objects=[{"type": "jobs", "name": "train"}])
    job = ids["jobs:train"]
    rows = {row.group_name: row.all_permissions[0] for row in w.permissions.get("jobs", job).access_control_list}
    assert rows["admins"].permission_level == LEVEL.CAN_MANAGE and rows["admins"].inherited
    with pytest.raises(BadRequest, match="admins"):
        w.permissions.update("jobs", job, access_control_list=[group("admins", "CAN_VIEW")])


def test_a_job_has_exactly_one_owner_and_it_is_a_person(w, sim, team):
    job = sim.seed(objects=[{"type": "jobs", "name": "train", "owner": "b@x.org"}])["jobs:train"]
    for rows in (
        [group("team", "CAN_VIEW")],
        [user("a@x.org", "IS_OWNER"), user("b@x.org", "IS_OWNER")],
        [group("team", "IS_OWNER")],
    ):
        with pytest.raises(BadRequest):
            w.permissions.set("jobs", job, access_control_list=rows)
    w.permissions.set("jobs", job, access_control_list=[user("A@X.org", "IS_OWNER")])
    assert direct(w.permissions.get("jobs", job)) == {"a@x.org": "IS_OWNER"}


def test_patch_adds_and_raises_only(w, sim, team):
    where = sim.seed(objects=[{"type": "serving-endpoints", "name": "scorer"}])["serving-endpoints:scorer"]
    w.permissions.update("serving-endpoints", where, access_control_list=[group("team", "CAN_QUERY")])
    w.permissions.update("serving-endpoints", where, access_control_list=[group("team", "CAN_VIEW")])
    assert direct(w.permissions.get("serving-endpoints", where))["team"] == "CAN_QUERY"
    w.permissions.update(
        "serving-endpoints", where, access_control_list=[group("team", "CAN_VIEW"), group("team", "CAN_MANAGE")]
    )
    assert direct(w.permissions.get("serving-endpoints", where))["team"] == "CAN_MANAGE"


def test_a_warehouse_keeps_its_owner(w, sim, team):
    where = sim.seed(objects=[{"type": "sql/warehouses", "name": "wh", "owner": "b@x.org"}])["sql/warehouses:wh"]
    w.permissions.set("warehouses", where, access_control_list=[group("team", "CAN_USE")])
    assert direct(w.permissions.get("warehouses", where)) == {"team": "CAN_USE", "b@x.org": "IS_OWNER"}


def test_nobody_is_granted_who_does_not_exist(w, sim):
    job = sim.seed(objects=[{"type": "jobs", "name": "train"}])["jobs:train"]
    for row in (group("nobody", "CAN_VIEW"), user("nobody@x.org", "CAN_VIEW")):
        with pytest.raises(NotFound, match="does not exist"):
            w.permissions.update("jobs", job, access_control_list=[row])


def test_directories_pass_their_rows_down(w, sim, team):
    sim.seed(objects=[{"type": "directories", "name": "/ml"}, {"type": "notebooks", "name": "/ml/sub/nb"}])
    top = w.workspace.get_status("/Workspace/ml").object_id
    w.permissions.update("directories", str(top), access_control_list=[group("team", "CAN_EDIT")])
    notebook = w.workspace.get_status("/ml/sub/nb").object_id
    rows = {row.group_name: row.all_permissions for row in w.permissions.get("notebooks", str(notebook)).access_control_list}
    assert rows["team"][0].inherited and rows["team"][0].inherited_from_object == [f"/directories/{top}"]


def test_who_may_not_manage_may_not_change(sim, team):
    mine = sim.workspace("ta")
    job = sim.seed(objects=[{"type": "jobs", "name": "train", "owner": "b@x.org"}])["jobs:train"]
    with pytest.raises(PermissionDenied):
        mine.permissions.get("jobs", job)
    sim.seed(objects=[{"type": "jobs", "name": "train", "acl": {"group:team": "CAN_VIEW"}}])
    assert direct(mine.permissions.get("jobs", job))["team"] == "CAN_VIEW"
    with pytest.raises(PermissionDenied):
        mine.permissions.update("jobs", job, access_control_list=[group("team", "CAN_MANAGE")])


def test_taking_the_right_to_tokens_deletes_tokens(w, sim, team):
    with pytest.raises(NotFound):
        w.permissions.get("authorization", "tokens")
    w.tokens.create(comment="admin's")
    w.permissions.set("authorization", "tokens", access_control_list=[group("team", "CAN_USE")])
    token = sim.workspace("ta").tokens.create(comment="a's").token_value
    assert sim.workspace(token).current_user.me().user_name == "a@x.org"
    w.permissions.set("authorization", "tokens", access_control_list=[])
    with pytest.raises(PermissionDenied):
        sim.workspace(token).current_user.me()
    with pytest.raises(PermissionDenied):
        sim.workspace("ta").tokens.create(comment="again")
    assert [row.comment for row in w.token_management.list()] == ["admin's"]


def test_passwords_have_a_list_too(w, team):
    w.users.set_permissions(access_control_list=[
        iam.PasswordAccessControlRequest(group_name="team", permission_level=iam.PasswordPermissionLevel.CAN_USE)
    ])
    rows = {row.group_name for row in w.users.get_permissions().access_control_list}
    assert "team" in rows
    assert w.users.get_permission_levels().permission_levels[0].permission_level == iam.PasswordPermissionLevel.CAN_USE


def test_deleting_a_principal_takes_its_rows_away(w, sim, team):
    job = sim.seed(objects=[{"type": "jobs", "name": "train", "acl": {"a@x.org": "CAN_VIEW"}}])["jobs:train"]
    w.users.delete(team["a@x.org"])
    assert "a@x.org" not in direct(w.permissions.get("jobs", job))
    assert sim.snapshot()["groups"][f"workspace/{WORKSPACE}"]["team"]["members"] == []


def test_assignments_of_the_account(a, w):
    made = a.users.create(user_name="new@x.org")
    with pytest.raises(NotFound):
        w.users.get(made.id)
    a.workspace_assignment.update(WORKSPACE, int(made.id), permissions=[iam.WorkspacePermission.USER])
    assert w.users.get(made.id).user_name == "new@x.org"
    a.workspace_assignment.update(WORKSPACE, int(made.id), permissions=[iam.WorkspacePermission.ADMIN])
    rows = {row.principal.user_name: row for row in a.workspace_assignment.list(WORKSPACE)}
    assert rows["new@x.org"].permissions == [iam.WorkspacePermission.ADMIN]
    assert rows["new@x.org"].principal.principal_id == int(made.id)
    assert len(a.workspace_assignment.get(WORKSPACE).permissions) == 2
    a.workspace_assignment.update(WORKSPACE, int(made.id), permissions=[])
    assert "new@x.org" not in {row.principal.user_name for row in a.workspace_assignment.list(WORKSPACE)}
    with pytest.raises(NotFound):
        a.workspace_assignment.delete(WORKSPACE, int(made.id))
    with pytest.raises(NotFound):
        a.workspace_assignment.update(WORKSPACE, 42, permissions=[iam.WorkspacePermission.USER])
    with pytest.raises(NotFound):
        a.workspace_assignment.list(42)


def test_the_account_lists_its_workspaces(a):
    assert [row.workspace_id for row in a.workspaces.list()] == [WORKSPACE, SECOND]
    assert a.workspaces.get(WORKSPACE).account_id == ACCOUNT


def test_assignments_seen_from_the_workspace(a, w):
    made = a.groups.create(display_name="team")
    call = w.api_client.do
    call("POST", "/api/2.0/preview/permissionassignments",
         body={"permission_assignments": [{"principal": {"group_name": "team"}, "permissions": ["ADMIN"]}]})
    rows = lambda: {
        row["principal"].get("group_name"): row["permissions"]
        for row in call("GET", "/api/2.0/preview/permissionassignments")["permission_assignments"]
    }
    # By name grants USER whatever was asked for.
    assert rows()["team"] == ["USER"]
    call("PUT", f"/api/2.0/preview/permissionassignments/principals/{made.id}", body={"permissions": ["ADMIN"]})
    assert rows()["team"] == ["ADMIN"]
    call("DELETE", f"/api/2.0/preview/permissionassignments/principals/{made.id}")
    assert "team" not in rows()


def test_rule_sets_replace_all_and_know_a_stale_etag(a, w, sim):
    sp = a.service_principals.create(display_name="ci")
    a.groups.create(display_name="leads")
    name = f"accounts/{ACCOUNT}/servicePrincipals/{sp.application_id}/ruleSets/default"
    first = a.access_control.get_rule_set(name, "")
    assert not first.grant_rules
    rules = [iam.GrantRule(role="roles/servicePrincipal.user", principals=["groups/leads"])]
    second = a.access_control.update_rule_set(name, iam.RuleSetUpdateRequest(name=name, etag=first.etag, grant_rules=rules))
    assert second.grant_rules == rules and second.etag != first.etag
    with pytest.raises(ResourceConflict) as refusal:
        a.access_control.update_rule_set(name, iam.RuleSetUpdateRequest(name=name, etag=first.etag, grant_rules=[]))
    assert refusal.value.error_code == "RESOURCE_CONFLICT"
    # The same through the workspace.
    third = w.account_access_control_proxy.get_rule_set(name, second.etag)
    assert third.grant_rules == rules
    w.account_access_control_proxy.update_rule_set(name, iam.RuleSetUpdateRequest(name=name, etag=third.etag, grant_rules=[]))
    assert not a.access_control.get_rule_set(name, "").grant_rules
    roles = w.account_access_control_proxy.get_assignable_roles_for_resource(
        f"accounts/{ACCOUNT}/servicePrincipals/{sp.application_id}"
    )
    assert {role.name for role in roles.roles} == {"roles/servicePrincipal.user", "roles/servicePrincipal.manager"}
    assert a.access_control.get_assignable_roles_for_resource(f"accounts/{ACCOUNT}").roles


def test_rule_sets_refuse_unknown_roles_and_people(a):
    group_id = a.groups.create(display_name="leads").id
    name = f"accounts/{ACCOUNT}/groups/{group_id}/ruleSets/default"
    etag = a.access_control.get_rule_set(name, "").etag
    put = lambda role, who: a.access_control.update_rule_set(
        name, iam.RuleSetUpdateRequest(name=name, etag=etag, grant_rules=[iam.GrantRule(role=role, principals=[who])])
    )
    with pytest.raises(InvalidParameterValue):
        put("roles/servicePrincipal.user", "users/admin@example.com")
    with pytest.raises(NotFound):
        put("roles/group.manager", "users/nobody@x.org")
    put("roles/group.manager", "users/admin@example.com")
    with pytest.raises(NotFound):
        a.access_control.get_rule_set(f"accounts/{ACCOUNT}/groups/42/ruleSets/default", "")
