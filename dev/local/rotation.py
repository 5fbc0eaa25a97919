"""The third part of the demo: a token is replaced while a client uses it, the operator is killed in the middle, and the old
token stops working when its overlap is over.
"""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

from . import operator, tale
from .failure import Failure
from .stage import NAMESPACE, apply, kubectl, read, show, until
from .state import State

CREDENTIAL = "fraud-ci-git"
# The example's two hours are more than anybody watches.
OVERLAP_SECONDS = 5
SECONDS = 90
PERIOD_SECONDS = 0.05


class Client:
    """What a build machine does: read the Secret, log in to Gerrit, again and again."""

    def __init__(self) -> None:
        self.logins, self.refused, self.failure, self._over = 0, 0, None, threading.Event()
        # Reads as fast as a mounted Secret is read; kubectl alone takes longer to start than a login takes.
        path = f"/api/v1/namespaces/{NAMESPACE}/secrets/{CREDENTIAL}"
        argv = [os.environ["KUBECTL"], "proxy", "--port=0", f"--accept-paths=^{path}$"]
        self._proxy = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
        self._url = f"http://{self._proxy.stdout.readline().split()[-1]}{path}"
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            while not self._over.wait(PERIOD_SECONDS):
                with urllib.request.urlopen(self._url, timeout=10) as answer:
                    user, token = login(json.load(answer))
                self.logins += 1
                self.refused += not lets_in(user, token)
        except Exception as failure:  # noqa: BLE001
            self.failure = failure

    def end(self) -> None:
        self._over.set()
        self._thread.join()
        self._proxy.terminate()
        self._proxy.wait()


class Killer:
    """Ends the operator when there is a value that no consumer has yet: SIGKILL, no goodbye."""

    def __init__(self, state: State, number: int) -> None:
        self._running, self._number = state.process(operator.NAME), number
        last = "{.status.generations[-1:]['number', 'state']}{'\\n'}"
        argv = [os.environ["KUBECTL"], "get", "servicecredential", CREDENTIAL, "--namespace", NAMESPACE, "--watch", "--output", f"jsonpath={last}"]
        self._watch = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
        # It looks from the first line on.
        self._watch.stdout.readline()
        self._done = threading.Event()
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        for line in self._watch.stdout:
            number, _, generation = line.strip().partition(" ")
            # One that is asked for and not answered yet would have to be looked for, for a minute.
            if number.isdigit() and int(number) > self._number and generation != "Planned":
                os.kill(self._running.pid, signal.SIGKILL)
                self._done.set()
                return

    def wait(self) -> int:
        self._done.wait(SECONDS)
        self._watch.terminate()
        self._watch.wait()
        if not self._done.is_set():
            raise Failure(f"no rotation began within {SECONDS} s\n{status()}")
        return self._running.pid


def login(secret: dict) -> tuple[str, str]:
    """User name and token of a Secret."""
    data = secret.get("data", {})
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


def seen() -> dict:
    return read("servicecredential", CREDENTIAL).get("status", {})


def status() -> str:
    return json.dumps(seen(), indent=1)


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
    number, (user, token) = seen()["current"], login(read("secret", CREDENTIAL))
    tale.say(
        "A client reads the Secret and logs in to Gerrit, again and again. Meanwhile somebody asks for another token, and "
        "as soon as there is one the operator is killed:"
    )
    client = Client()
    try:
        interrupted(state, binary, number)
        tale.wait("it leads once the dead one's lease is over, and consumers have another token", lambda: True if seen().get("current", 0) > number else None, SECONDS, status)
        tale.fact("Gerrit still takes the old token", "yes" if lets_in(user, token) else "no")
        tale.wait(f"it does not once the overlap of {OVERLAP_SECONDS} s is over", lambda: None if lets_in(user, token) else True, SECONDS, status)
        tale.wait("and nothing else lives", lambda: True if alone() else None, SECONDS, status)
    finally:
        client.end()
    tale.fact("logins of the client meanwhile", client.logins)
    tale.fact("of them refused", client.refused)
    if client.failure or client.refused:
        raise Failure(f"the client was to notice nothing: {client.failure or 'it was refused'}")
    tale.say(outcome(number + 1))
    show(binary, "credentials", "show", CREDENTIAL, "--namespace", NAMESPACE)
    tale.say("What else lets anybody in, whoever made it:")
    show(binary, "credentials", "list", "--all", "--namespace", NAMESPACE)


def alone() -> bool:
    """Whether what is current is all that lives."""
    return all(row["state"] in ("Current", "Revoked", "NeverMinted") for row in seen().get("generations", []))


def outcome(number: int) -> str:
    """What became of the generation in whose middle the operator was killed."""
    row = next(row for row in seen()["generations"] if row["number"] == number)
    if row["state"] == "Revoked":
        return f"The value of generation {number} had reached no Secret and died with the operator: its successor found the token by its id, revoked it, and had another one made."
    return f"The value of generation {number} had reached the Secret when the operator died: its successor read it there and went on."


def interrupted(state: State, binary: Path, number: int) -> None:
    """A rotation in whose middle the operator dies; another one takes over where it was."""
    killer = Killer(state, number)
    show(binary, "credentials", "rotate", CREDENTIAL, "--namespace", NAMESPACE, "--yes", last=1)
    tale.command(f"kill -9 {killer.wait()}")
    for row in seen().get("generations", []):
        if row["number"] >= number:
            tale.fact(f"left behind: generation {row['number']}", row["state"])
    tale.work("another operator starts", lambda _: operator.start(state, binary))
