"""The people and things that the demo's files speak of: made in the real Gerrit and seeded in the simulator.

Everything is an upsert: preparing a prepared world changes nothing.
"""

from __future__ import annotations

import base64
import json
import os
import urllib.error
import urllib.parse
import urllib.request

from .failure import Failure
from .state import REPOSITORY

WORLD = REPOSITORY / "examples" / "world"


def gerrit(method: str, path: str, body: object | None = None) -> tuple[int, object]:
    """One call as the administrator."""
    user = f"{os.environ['GERRIT_ADMIN_USER']}:{os.environ['GERRIT_ADMIN_PASSWORD']}"
    headers = {"Authorization": "Basic " + base64.b64encode(user.encode()).decode()}
    return _call(os.environ["GERRIT_URL"].rstrip("/") + "/a" + path, method, body, headers)


def simulator(method: str, path: str, body: object | None = None) -> tuple[int, object]:
    """One call on the simulator; below `/_sim/` it needs no identity."""
    account = "/accounts/" in path
    token = os.environ["DATABRICKS_SIM_ACCOUNT_TOKEN" if account else "DATABRICKS_SIM_TOKEN"]
    return _call(os.environ["DATABRICKS_SIM_URL"].rstrip("/") + path, method, body, {"Authorization": f"Bearer {token}"})


def _call(url: str, method: str, body: object | None, headers: dict[str, str]) -> tuple[int, object]:
    data = None if body is None else json.dumps(body).encode()
    if data is not None:  # Gerrit 3.13.5 takes an empty body that calls itself JSON for a broken one
        headers = headers | {"Content-Type": "application/json"}
    request = urllib.request.Request(url, data, headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, _parsed(answer.read())
    except urllib.error.HTTPError as refusal:
        return refusal.code, _parsed(refusal.read())


def _parsed(body: bytes) -> object:
    text = body.decode(errors="replace").removeprefix(")]}'").strip()
    try:
        return json.loads(text)
    except ValueError:
        return text


def quoted(text: str) -> str:
    return urllib.parse.quote(text, safe="")


def prepare() -> None:
    _expect(simulator("POST", "/_sim/seed", json.loads((WORLD / "databricks.json").read_text())), 200, 201, 204)
    world = json.loads((WORLD / "gerrit.json").read_text())
    for account in world["accounts"]:
        body = {"name": account["name"], "email": account["email"]}
        _expect(gerrit("PUT", f"/accounts/{quoted(account['username'])}", body), 201, 409)
    for project in world["projects"]:
        _expect(gerrit("PUT", f"/projects/{quoted(project)}", {"create_empty_commit": True}), 201, 409)


def _expect(answer: tuple[int, object], *statuses: int) -> None:
    status, body = answer
    if status not in statuses:
        raise Failure(f"the world could not be prepared: {status} {body}")


def account_number(username: str) -> int:
    status, account = gerrit("GET", f"/accounts/{quoted(username)}")
    _expect((status, account), 200)
    return account["_account_id"]


def add_to_gerrit_group(group: str, username: str) -> None:
    """What somebody does by hand in the web page."""
    _expect(gerrit("PUT", f"/groups/{quoted(group)}/members/{account_number(username)}"), 200, 201)


def gerrit_members(group: str) -> list[str] | None:
    """Names of a group's members; None: there is no such group."""
    status, members = gerrit("GET", f"/groups/{quoted(group)}/members/")
    if status == 404:
        return None
    _expect((status, members), 200)
    return sorted(member["name"] for member in members)


def account_group(group: str) -> list[str] | None:
    """The same for an account group of Databricks."""
    base = f"/api/2.0/accounts/{os.environ['DATABRICKS_SIM_ACCOUNT_ID']}/scim/v2/Groups"
    named = quoted(f'displayName eq "{group}"')
    status, found = simulator("GET", f"{base}?filter={named}")
    _expect((status, found), 200)
    if not found.get("Resources"):
        return None
    status, whole = simulator("GET", f"{base}/{found['Resources'][0]['id']}")
    _expect((status, whole), 200)
    return sorted(member["display"] for member in whole.get("members", []))


def job_rights(name: str) -> dict[str, str]:
    """Who may do what with a job, inherited rights left out."""
    status, found = simulator("GET", f"/api/2.2/jobs/list?name={quoted(name)}")
    _expect((status, found), 200)
    status, rights = simulator("GET", f"/api/2.0/permissions/jobs/{found['jobs'][0]['job_id']}")
    _expect((status, rights), 200)
    rows = {}
    for entry in rights["access_control_list"]:
        who = entry.get("group_name") or entry.get("user_name") or entry.get("service_principal_name")
        direct = [row["permission_level"] for row in entry["all_permissions"] if not row.get("inherited")]
        if direct:
            rows[who] = direct[0]
    return rows
