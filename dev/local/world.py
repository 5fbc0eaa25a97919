"""The people and things that the demo's files speak of: made in the real Gerrit and seeded in the simulator.

Everything is an upsert: preparing a prepared world changes nothing.
"""

from __future__ import annotations

import json
import os
import urllib.parse

from . import review
from .calls import PASSWORD, expect, gerrit, quoted, simulator
from .state import REPOSITORY

WORLD = REPOSITORY / "examples" / "world"


def prepare() -> None:
    expect(simulator("POST", "/_sim/seed", json.loads((WORLD / "databricks.json").read_text())), 200, 201, 204)
    world = json.loads((WORLD / "gerrit.json").read_text())
    for account in world["accounts"]:
        body = {key: account[key] for key in ("name", "email", "groups") if key in account}
        name = quoted(account["username"])
        expect(gerrit("PUT", f"/accounts/{name}", body), 201, 409)
        if not expect(gerrit("GET", f"/accounts/{name}/tokens"), 200):
            expect(gerrit("PUT", f"/accounts/{name}/password.http", {"http_password": PASSWORD}), 200, 201)
    for name, project in world["projects"].items():
        _project(name, project)


def _project(name: str, project: dict) -> None:
    """Its labels and rights; and its files on every branch that it does not have yet."""
    path = f"/projects/{quoted(name)}"
    expect(gerrit("PUT", path, {"create_empty_commit": True}), 201, 409)
    expect(gerrit("PUT", f"{path}/config", {"submit_type": "FAST_FORWARD_ONLY"}), 200)
    for label, body in project["labels"].items():
        expect(gerrit("PUT", f"{path}/labels/{quoted(label)}", body), 200, 201)
    rights = {permission: {"rules": {_group(group): {"action": "ALLOW"}}} for permission, group in project["rights"].items()}
    expect(gerrit("POST", f"{path}/access", {"add": {"refs/heads/*": {"permissions": rights}}}), 200)
    known = {branch["ref"] for branch in expect(gerrit("GET", f"{path}/branches/"), 200)}
    missing = [branch for branch in project["branches"] if f"refs/heads/{branch}" not in known]
    if not missing:
        return
    for branch in missing:
        expect(gerrit("PUT", f"{path}/branches/{quoted(branch)}", {"revision": "master"}), 201)
    with review.Clone(name) as clone:
        clone.begin(REPOSITORY / project["files"], missing)


def _group(name: str) -> str:
    """Its uuid; Gerrit spells it as part of a URL."""
    return urllib.parse.unquote(expect(gerrit("GET", f"/groups/{quoted(name)}"), 200)["id"])


def account_number(username: str) -> int:
    return expect(gerrit("GET", f"/accounts/{quoted(username)}"), 200)["_account_id"]


def add_to_gerrit_group(group: str, username: str) -> None:
    """What somebody does by hand in the web page."""
    expect(gerrit("PUT", f"/groups/{quoted(group)}/members/{account_number(username)}"), 200, 201)


def gerrit_members(group: str) -> list[str] | None:
    """Names of a group's members; None: there is no such group."""
    status, members = gerrit("GET", f"/groups/{quoted(group)}/members/")
    if status == 404:
        return None
    return sorted(member["name"] for member in expect((status, members), 200))


def account_group(group: str) -> list[str] | None:
    """The same for an account group of Databricks."""
    base = f"/api/2.0/accounts/{os.environ['DATABRICKS_SIM_ACCOUNT_ID']}/scim/v2/Groups"
    named = quoted(f'displayName eq "{group}"')
    found = expect(simulator("GET", f"{base}?filter={named}"), 200)
    if not found.get("Resources"):
        return None
    whole = expect(simulator("GET", f"{base}/{found['Resources'][0]['id']}"), 200)
    return sorted(member["display"] for member in whole.get("members", []))


def job_rights(name: str) -> dict[str, str]:
    """Who may do what with a job, inherited rights left out."""
    found = expect(simulator("GET", f"/api/2.2/jobs/list?name={quoted(name)}"), 200)
    rights = expect(simulator("GET", f"/api/2.0/permissions/jobs/{found['jobs'][0]['job_id']}"), 200)
    rows = {}
    for entry in rights["access_control_list"]:
        who = entry.get("group_name") or entry.get("user_name") or entry.get("service_principal_name")
        direct = [row["permission_level"] for row in entry["all_permissions"] if not row.get("inherited")]
        if direct:
            rows[who] = direct[0]
    return rows


def served(endpoint: str) -> str:
    """What an endpoint answers from."""
    config = expect(simulator("GET", f"/api/2.0/serving-endpoints/{quoted(endpoint)}"), 200).get("config") or {}
    return ", ".join(f"{row['entity_name']} version {row['entity_version']}" for row in config.get("served_entities", []))


def logs(job: str) -> str:
    """What the newest run of a job has printed."""
    found = expect(simulator("GET", f"/api/2.2/jobs/list?name={quoted(job)}"), 200)
    runs = expect(simulator("GET", f"/api/2.2/jobs/runs/list?expand_tasks=true&job_id={found['jobs'][0]['job_id']}"), 200)
    task = runs["runs"][0]["tasks"][0]["run_id"]
    return expect(simulator("GET", f"/api/2.2/jobs/runs/get-output?run_id={task}"), 200).get("logs", "")
