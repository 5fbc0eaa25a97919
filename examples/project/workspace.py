"""Calls to the workspace that the job runs in, as whoever it runs as."""

import json
import os
import urllib.parse
import urllib.request


def get(path: str, **query: str) -> dict:
    return _call(f"{path}?{urllib.parse.urlencode(query)}", None)


def post(path: str, body: dict) -> dict:
    return _call(path, json.dumps(body).encode())


def _call(path: str, body: bytes | None) -> dict:
    url = os.environ["DATABRICKS_HOST"] + (path if path.startswith("/") else f"/api/2.0/{path}")
    headers = {"Authorization": f"Bearer {os.environ['DATABRICKS_TOKEN']}", "Content-Type": "application/json"}
    with urllib.request.urlopen(urllib.request.Request(url, body, headers), timeout=60) as answer:
        return json.load(answer)
