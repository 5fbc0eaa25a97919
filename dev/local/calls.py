"""Calls to Gerrit and the simulator, as the demo's people and its administrators make them."""

from __future__ import annotations

import base64
import json
import os
import urllib.error
import urllib.parse
import urllib.request

from .failure import Failure

# Everybody's: the stack listens on this machine alone.
PASSWORD = "password-of-the-demo"


def gerrit(method: str, path: str, body: object | None = None, who: str | None = None) -> tuple[int, object]:
    """One call as somebody; as the administrator if nobody is named."""
    user = f"{who}:{PASSWORD}" if who else f"{os.environ['GERRIT_ADMIN_USER']}:{os.environ['GERRIT_ADMIN_PASSWORD']}"
    headers = {"Authorization": "Basic " + base64.b64encode(user.encode()).decode()}
    return _call(os.environ["GERRIT_URL"].rstrip("/") + "/a" + path, method, body, headers)


def simulator(method: str, path: str, body: object | None = None) -> tuple[int, object]:
    """One call on the simulator; below `/_sim/` it needs no identity."""
    account = "/accounts/" in path
    token = os.environ["DATABRICKS_SIM_ACCOUNT_TOKEN" if account else "DATABRICKS_SIM_TOKEN"]
    return _call(os.environ["DATABRICKS_SIM_URL"].rstrip("/") + path, method, body, {"Authorization": f"Bearer {token}"})


def expect(answer: tuple[int, object], *statuses: int) -> object:
    """The body of an answer that must be one of these."""
    status, body = answer
    if status not in statuses:
        raise Failure(f"the world is not as the demo needs it: {status} {body}")
    return body


def quoted(text: str) -> str:
    return urllib.parse.quote(text, safe="")


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
