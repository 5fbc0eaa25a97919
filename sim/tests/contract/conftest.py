"""The simulator as the vendor's own SDK sees it.

Starts the binary named by DATABRICKS_SIM_BIN (else the debug build) on a free port. Every test begins with the world
as it was at the start.
"""

import contextlib
import json
import os
import pathlib
import subprocess
import urllib.request

import pytest
from databricks.sdk import AccountClient, WorkspaceClient
from databricks.sdk.core import Config

ROOT = pathlib.Path(__file__).resolve().parents[3]
ACCOUNT = "11111111-1111-4111-8111-111111111111"
WORKSPACE = 1234567890123456
SECOND = 2222222222222222


class Sim:
    """The running simulator: its addresses, its tokens, its control plane."""

    def __init__(self, greeting):
        self.url = greeting["url"]
        self.token = greeting["workspaces"][0]["token"]
        self.second = greeting["workspaces"][1]
        self.account_token = greeting["account"]["token"]

    def control(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}/_sim/{path}", data=data, method=method)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.loads(answer.read())

    def seed(self, **world):
        return self.control("POST", "seed", world)["ids"]

    def settings(self, **changes):
        return self.control("POST", "settings", changes)

    def fault(self, **rule):
        return self.control("POST", "faults", rule)

    def snapshot(self):
        return self.control("GET", "snapshot")

    def journal(self, since=0, writes=False):
        query = f"journal?since={since}" + ("&writes=true" if writes else "")
        return self.control("GET", query)["entries"]

    # One attempt: the tests want to see the refusal, not to wait it out.
    def workspace(self, token=None, host=None, **settings):
        return WorkspaceClient(
            config=Config(host=host or self.url, token=token or self.token, auth_type="pat", retry_timeout_seconds=1, **settings)
        )

    def account(self, token=None):
        return AccountClient(
            config=Config(
                host=self.url, account_id=ACCOUNT, token=token or self.account_token, auth_type="pat", retry_timeout_seconds=1
            )
        )


@pytest.fixture(scope="session", autouse=True)
def clean_environment():
    """Nothing of the caller's own Databricks configuration may reach the SDK."""
    for name in [name for name in os.environ if name.startswith(("DATABRICKS_", "ARM_"))]:
        if not name.startswith("DATABRICKS_SIM_"):
            del os.environ[name]
    os.environ["DATABRICKS_CONFIG_FILE"] = os.devnull


@contextlib.contextmanager
def running(*arguments):
    """A simulator of one's own."""
    binary = os.environ.get("DATABRICKS_SIM_BIN", ROOT / "target/debug/databricks-sim")
    command = [binary, "serve", "--listen", "127.0.0.1:0", "--json"]
    command += ["--workspace", f"{SECOND}=127.0.0.1:0=dapi-second", *arguments]
    child = subprocess.Popen([str(part) for part in command], stdout=subprocess.PIPE)
    try:
        yield Sim(json.loads(child.stdout.readline()))
    finally:
        child.terminate()
        child.wait(10)


@pytest.fixture(scope="session")
def process():
    with running() as sim:
        yield sim


# Endpoints that the SDK has asked for in this run, by their templates.
DRIVEN = set()


@pytest.fixture
def sim(process):
    process.control("POST", "reset")
    yield process
    DRIVEN.update(route.split(" ", 1)[1] for route in process.control("GET", "counts")["routes"])


def pytest_collection_modifyitems(items):
    """What was driven is known at the end."""
    items.sort(key=lambda item: item.module.__name__ == "test_routes")


@pytest.fixture
def w(sim):
    return sim.workspace()


@pytest.fixture
def a(sim):
    return sim.account()
