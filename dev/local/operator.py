"""The operator of the demo: installed by the chart like anywhere else. There is no kubelet here, so what the pod would
run is run as a process, with the pod's own service account: less than that and the demo would not show its rights.
"""

from __future__ import annotations

import json
import os
import subprocess
import threading
from pathlib import Path

from . import process
from .failure import Failure, need
from .state import REPOSITORY, State

NAMESPACE = "lockstep-system"
NAME = "operator"
# Longer than the operator lets its passes end (GRACE in src/runtime/controller.rs).
GRACE_SECONDS = 30.0


def build(say) -> Path:
    """Compile with cargo's own progress in the log, and say which crate it is at."""
    need("cargo", "the Rust toolchain: https://rustup.rs")
    argv = ["cargo", "build", "--bin", "lockstep", "--message-format", "json-render-diagnostics", "--color", "never"]
    with subprocess.Popen(argv, cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as cargo:
        binary, tail = None, []

        def listen() -> None:
            for line in cargo.stderr:
                tail.append(line.rstrip())
                del tail[:-20]
                if line.strip().startswith("Compiling"):
                    say(line.strip())

        listener = threading.Thread(target=listen, daemon=True)
        listener.start()
        for line in cargo.stdout:
            message = json.loads(line)
            if message.get("executable") and message["target"]["name"] == "lockstep":
                binary = Path(message["executable"])
        listener.join()
    if cargo.returncode or binary is None:
        raise Failure("cargo build failed:\n  " + "\n  ".join(tail))
    return binary


def install(rotates: str) -> None:
    """CRDs, rights, and the policy that ties approvers to their names. In the namespace `rotates` it may write Secrets."""
    kubectl, helm = os.environ["KUBECTL"], os.environ["HELM"]
    # A right in a namespace needs the namespace.
    run([kubectl, "apply", "--filename", "-"], run([kubectl, "create", "namespace", rotates, "--dry-run=client", "--output", "yaml"]))
    argv = [helm, "upgrade", "--install", "lockstep", "charts/lockstep", "--namespace", NAMESPACE, "--create-namespace"]
    # Tests on the same stack apply the CRDs by themselves; the chart takes them over.
    argv += ["--set", "operator.allowLoopback=true", "--take-ownership", "--force-conflicts"]
    # Theirs runs as the cluster's administrator, and makes deploys too.
    argv += ["--set", "promotions.deployers={admin}"]
    argv += ["--set", f"rotation.namespaces={{{rotates}}}"]
    run(argv)


def start(state: State, binary: Path) -> Path:
    """Run what the pod would run; returns its log."""
    stop(state)
    kubectl = os.environ["KUBECTL"]
    account = run([kubectl, "get", "deployment", "--namespace", NAMESPACE, "--output", "jsonpath={.items[0].spec.template.spec.serviceAccountName}"]).strip()
    token = run([kubectl, "create", "token", account, "--namespace", NAMESPACE, "--duration", "24h"]).strip()
    whole = json.loads(run([kubectl, "config", "view", "--raw", "--flatten", "--output", "json"]))
    whole["users"] = [{"name": "operator", "user": {"token": token}}]
    for context in whole["contexts"]:
        context["context"]["user"] = "operator"
    kubeconfig = state.write("operator/kubeconfig", json.dumps(whole), mode=0o600)
    log = state.logs / "operator.log"
    argv = [str(binary), "run", "--namespace", NAMESPACE, "--allow-loopback", "--metrics-address", "127.0.0.1:0"]
    argv += ["--record", str(state.directory / "operator" / "record")]
    before = os.environ.get("KUBECONFIG")
    os.environ["KUBECONFIG"] = str(kubeconfig)
    try:
        started = process.start(argv, log)
    finally:
        if before is not None:
            os.environ["KUBECONFIG"] = before
    state.record(NAME, started)
    return log


def impersonate(path: Path, user: str, namespace: str) -> Path:
    """A kubeconfig of somebody else: may read the namespace and approve plans, as the chart's roles have it."""
    kubectl = os.environ["KUBECTL"]
    for role in ("admin", f"{NAMESPACE}-lockstep-approver"):
        binding = run([kubectl, "create", "rolebinding", f"grace-{role}", f"--clusterrole={role}", f"--user={user}", "--namespace", namespace, "--dry-run=client", "--output", "yaml"])
        run([kubectl, "apply", "--filename", "-"], binding)
    whole = json.loads(run([kubectl, "config", "view", "--raw", "--flatten", "--output", "json"]))
    for entry in whole["users"]:
        entry["user"]["as"] = user
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(whole))
    path.chmod(0o600)
    return path


def stop(state: State) -> None:
    running = state.process(NAME)
    if running:
        process.stop("operator", running, GRACE_SECONDS)
        state.record(NAME, None)


def run(argv: list[str], given: str | None = None) -> str:
    done = subprocess.run(argv, cwd=REPOSITORY, input=given, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Failure(f"{' '.join(argv[:3])} failed:\n{(done.stderr or done.stdout).strip()}")
    return done.stdout
