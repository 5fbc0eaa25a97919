"""The third part of the demo: a token is replaced while a client uses it, the operator is killed in the middle, and the old
token stops working when its overlap is over.
"""

from __future__ import annotations

import base64
import json
import os
import signal
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

from . import operator, tale
from .stage import NAMESPACE, apply, kubectl, read, show, until
from .state import State

CREDENTIAL = "fraud-ci-git"
# The example's two hours are more than anybody watches.
OVERLAP_SECONDS = 5
SECONDS = 90


class Client:
    """What a build machine does: read the Secret, log in to Gerrit, again and again."""

    def __init__(self) -> None:
        self.logins, self.refused, self._over = 0, 0, threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._over.is_set():
            user, token = secret()
            self.logins += 1
            if not lets_in(user, token):
                self.refused += 1
            time.sleep(0.05)

    def end(self) -> None:
        self._over.set()
        self._thread.join()


def secret() -> tuple[str, str]:
    data = read("secret", CREDENTIAL).get("data", {})
    text = lambda key: base64.b64decode(data.get(key, "")).decode()  # noqa: E731
    return text("username"), text("password")


def lets_in(user: str, token: str) -> bool:
    """Whether Gerrit does, asked from outside."""
    basic = base64.b64encode(f"{user}:{token}".encode()).decode()
    request = urllib.request.Request(f"{os.environ['GERRIT_URL'].rstrip('/')}/a/accounts/self", headers={"Authorization": f"Basic {basic}"})
    try:
        with urllib.request.urlopen(request, timeout=10):
            return True
    except urllib.error.HTTPError as refused:
        if refused.code != 401:
            raise
        return False


def current() -> int:
    return read("servicecredential", CREDENTIAL).get("status", {}).get("current", 0)


def status() -> str:
    return json.dumps(read("servicecredential", CREDENTIAL).get("status", {}), indent=1)


def rotates(state: State, binary: Path) -> None:
    tale.chapter("A secret that nobody has to remember")
    tale.say(
        "examples/credential.yaml wants a Gerrit token for CI and an OAuth secret for a service principal, each in a Secret, "
        "each replaced every week. Here the last value lives on for seconds, so that you can watch it end."
    )
    apply("credential.yaml")
    overlap = json.dumps({"spec": {"overlap": f"{OVERLAP_SECONDS}s"}})
    kubectl("patch", "servicecredential", CREDENTIAL, "--namespace", NAMESPACE, "--type", "merge", "--patch", overlap)
    until("CI has a token", "servicecredential", CREDENTIAL)
    until("the service principal has a secret", "servicecredential", "fraud-dbx")
    number, (user, token) = current(), secret()
    tale.say("A client logs in with the token twenty times a second. Meanwhile somebody rotates it, and the operator is killed:")
    client = Client()
    try:
        show(binary, "credentials", "rotate", CREDENTIAL, "--namespace", NAMESPACE, "--yes", last=1)
        killed(state, binary)
        tale.wait("another generation is current", lambda: True if current() > number else None, SECONDS, status)
        tale.wait("the old token stops working", lambda: None if lets_in(user, token) else True, SECONDS, status)
    finally:
        client.end()
    tale.fact("logins meanwhile", client.logins)
    tale.fact("refused", client.refused)
    show(binary, "credentials", "show", CREDENTIAL, "--namespace", NAMESPACE)
    tale.say("And whatever else opens a door, whoever made it:")
    show(binary, "credentials", "list", "--all", "--namespace", NAMESPACE)


def killed(state: State, binary: Path) -> None:
    """SIGKILL, no goodbye; then another operator takes over where it was."""
    running = state.process(operator.NAME)
    tale.command(f"kill -9 {running.pid}")
    os.kill(running.pid, signal.SIGKILL)
    tale.work("another operator starts", lambda _: operator.start(state, binary))
