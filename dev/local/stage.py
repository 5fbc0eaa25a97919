"""What every chapter of the demo uses: kubectl and lockstep as a reader would type them, and looks at what became of it."""

from __future__ import annotations

import json
import os
import string
import subprocess
import time
from pathlib import Path

from . import operator, tale
from .failure import Failure
from .state import REPOSITORY, State

NAMESPACE = "ml-fraud"
EXAMPLES = REPOSITORY / "examples"
SERVED_SECONDS = 30.0


def kubectl(*argv: str, given: str | None = None, check: bool = True) -> str:
    try:
        return operator.run([os.environ["KUBECTL"], *argv], given)
    except Failure:
        if check:
            raise
        return ""


def apply(name: str) -> None:
    """An example as it is used."""
    tale.command(f"kubectl apply --filename examples/{name}")
    text = (EXAMPLES / name).read_text()
    if name == "connections.yaml":
        text = string.Template(text).safe_substitute(_addresses())
    # A kind that was just installed is not served at once (kube-apiserver 1.37.2 answers ServiceUnavailable).
    until = time.monotonic() + SERVED_SECONDS
    while True:
        try:
            kubectl("apply", "--filename", "-", given=text)
            return
        except Failure as failure:
            young = "ServiceUnavailable" in str(failure) or "no matches for kind" in str(failure)
            if not young or time.monotonic() > until:
                raise
        time.sleep(0.5)


def _addresses() -> dict[str, str]:
    """What its ${...} stand for."""
    host = lambda url: url.split("://", 1)[1].rstrip("/")  # noqa: E731
    principals = json.loads((EXAMPLES / "world" / "databricks.json").read_text())["servicePrincipals"]
    ourselves = next(principal for principal in principals if principal["displayName"] == "lockstep")
    return {
        **os.environ,
        "GERRIT_HOST": host(os.environ["GERRIT_URL"]),
        "DATABRICKS_SIM_HOST": host(os.environ["DATABRICKS_SIM_URL"]),
        "DATABRICKS_SIM_CLIENT_ID": ourselves["applicationId"],
        "DATABRICKS_SIM_CLIENT_SECRET": ourselves["secrets"][0],
    }


def read(kind: str, name: str) -> dict:
    text = kubectl("get", kind, name, "--namespace", NAMESPACE, "--output", "json", "--ignore-not-found")
    return json.loads(text) if text.strip() else {}


def holds(kind: str, name: str, condition: str, status: str) -> bool | None:
    seen = read(kind, name)
    current = seen.get("status", {}).get("observedGeneration") == seen.get("metadata", {}).get("generation")
    said = {c["type"]: c["status"] for c in seen.get("status", {}).get("conditions", [])}
    return True if current and said.get(condition) == status else None


def why(kind: str, name: str) -> str:
    said = read(kind, name).get("status", {}).get("conditions", [])
    return "\n".join(f"  {c['type']}={c['status']} {c['reason']}: {c['message']}" for c in said) or "  no status yet"


def until(what: str, kind: str, name: str, condition: str = "Ready") -> None:
    tale.wait(what, lambda: holds(kind, name, condition, "True"), 60, lambda: why(kind, name))


def grace() -> Path:
    """The kubeconfig of the lead."""
    return operator.impersonate(State.default() / "operator" / "grace.kubeconfig", "grace@example.com", NAMESPACE)


def show(binary: Path, *argv: str, expect: tuple[int, ...] = (0,), kubeconfig: Path | None = None, last: int = 0) -> None:
    """A command of Lockstep's as a reader would type it, with what it prints, or the end of that."""
    tale.command("lockstep " + " ".join(f"'{word}'" if " " in word else word for word in argv))
    environment = {**os.environ, "LOCKSTEP_ALLOW_LOOPBACK": "true"}
    if kubeconfig:
        environment["KUBECONFIG"] = str(kubeconfig)
    done = subprocess.run([str(binary), *argv], cwd=REPOSITORY, capture_output=True, text=True, env=environment, check=False)
    tale.quote("\n".join(done.stdout.rstrip().splitlines()[-last:]), most=24)
    if done.returncode not in expect:
        raise Failure(f"lockstep {argv[0]} ended with {done.returncode}\n{done.stderr.strip()}")
