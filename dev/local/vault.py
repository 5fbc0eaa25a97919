"""A real Vault, with everything in memory: what it holds is gone when it stops, and its root token stays the same.

It is for tests and for the demo. Its licence (BUSL-1.1) is no licence to ship it, and nothing of it is shipped.

Mounted are `secret/` (KV version 2) and the logins `approle/`, `kubernetes/` and `jwt/`; the last two know the stack's
own cluster. Policies and roles are the tests' own: with the root token each makes what it needs, under names of its own.
"""

from __future__ import annotations

import json
import secrets
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

from . import cache, golang, kubernetes, process
from .failure import Failure
from .progress import Step
from .server import Server
from .state import State

NAME = "vault"
FOLDER = "vault"
START_SECONDS = 60.0
# Healthy is one that is not sealed.
SERVER = Server(NAME, "Vault", "/v1/sys/health", start_seconds=START_SECONDS)
url, ready, down = SERVER.url, SERVER.ready, SERVER.down
CLUSTER_SECONDS = 60.0
# The identity by which Vault asks the API server about tokens that it is shown.
REVIEWER = ("kube-system", "lockstep-dev-vault")
REVIEWER_TOKEN_LIFE = "8760h"


def up(state: State, step: Step) -> None:
    """Start Vault on its recorded port and mount what tests need, unless it answers there already."""
    program = golang.program(step, FOLDER, ".", "vault")
    server = _cluster(state, step)
    identity = cache.digest([str(program), server or ""])
    if SERVER.stands(state, step, identity):
        return
    argv = [str(program), "--listen", f"127.0.0.1:{state.port(NAME)}"]
    argv += ["--token-file", str(_root_token(state)), "--key-file", str(_key_file(state))]
    SERVER.start(state, step, argv)
    _mount(state)
    if server:
        step.say("introducing it to the cluster")
        _introduce(state, server)
    SERVER.remember(state, identity)
    step.done(f"Vault {golang.required(FOLDER, 'github.com/hashicorp/vault')} at {url(state)}")


def environment(state: State) -> dict[str, str]:
    values = {"VAULT_ADDR": url(state), "VAULT_TOKEN": _root_token(state).read_text().strip()}
    if _key_file(state).exists():
        values["VAULT_UNSEAL_KEY"] = _key_file(state).read_text().strip()
    return values


def _root_token(state: State) -> Path:
    """The file with the root token, which is made once for a directory: others hold the token."""
    path = state.directory / "vault" / "root-token"
    if not path.exists():
        # Not `hvs.` as Vault's own begin: it takes no such token from others.
        state.write("vault/root-token", f"lockstep-dev-{secrets.token_urlsafe(24)}\n", mode=0o600)
    return path


def _key_file(state: State) -> Path:
    return state.directory / "vault" / "unseal-key"


def _cluster(state: State, step: Step) -> str | None:
    """URL of the stack's own API server, once it serves; None where there is none, or it is somebody else's."""
    if not state.cluster_started.is_set():
        step.say("waiting for the cluster")
        state.cluster_started.wait()
    if state.get(kubernetes.NAME, "external") or not kubernetes.ready(state):
        return None
    return kubernetes.server(state)


def _mount(state: State) -> None:
    _ask(state, "POST", "sys/mounts/secret", {"type": "kv", "options": {"version": "2"}})
    for login in ("approle", "kubernetes", "jwt"):
        _ask(state, "POST", f"sys/auth/{login}", {"type": login})
    # A new KV mount of version 2 prepares its storage first, and answers 400 meanwhile.
    deadline = time.monotonic() + START_SECONDS
    while not _served(state, "secret/config"):
        if time.monotonic() > deadline:
            raise Failure("Vault's mount secret/ was not ready")
        time.sleep(process.POLL_SECONDS)


def _introduce(state: State, server: str) -> None:
    authority = kubernetes.authority(state)
    certificate = authority.read_text() if authority else ""
    token = _reviewer_token(state)
    _ask(
        state,
        "POST",
        "auth/kubernetes/config",
        {"kubernetes_host": server, "kubernetes_ca_cert": certificate, "token_reviewer_jwt": token},
    )
    _ask(
        state,
        "POST",
        "auth/jwt/config",
        {"oidc_discovery_url": server, "oidc_discovery_ca_pem": certificate, "bound_issuer": server},
    )


def _reviewer_token(state: State) -> str:
    namespace, name = REVIEWER
    objects = [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"namespace": namespace, "name": name}},
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": "lockstep-dev:vault-reviewer"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "system:auth-delegator"},
            "subjects": [{"kind": "ServiceAccount", "namespace": namespace, "name": name}],
        },
    ]
    _kubectl(state, "apply", "--filename", "-", given=json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}))
    return _kubectl(state, "create", "token", name, "--namespace", namespace, "--duration", REVIEWER_TOKEN_LIFE).strip()


def _kubectl(state: State, *arguments: str, given: str = "") -> str:
    argv = [str(state.directory / "bin" / "kubectl"), "--kubeconfig", str(kubernetes.kubeconfig(state)), *arguments]
    done = subprocess.run(argv, input=given, capture_output=True, text=True, timeout=CLUSTER_SECONDS)
    if done.returncode != 0:
        raise Failure(f"kubectl {arguments[0]} failed\n{done.stderr.strip()}")
    return done.stdout


def _served(state: State, path: str) -> bool:
    try:
        _ask(state, "GET", path)
    except Failure:
        return False
    return True


def _ask(state: State, method: str, path: str, body: dict | None = None) -> None:
    token = _root_token(state).read_text().strip()
    request = urllib.request.Request(
        f"{url(state)}/v1/{path}",
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={"X-Vault-Token": token, "Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=30):
            pass
    except urllib.error.HTTPError as refusal:
        said = refusal.read().decode(errors="replace").strip()
        raise Failure(f"Vault: {method} {path}: {refusal.code} {said}") from None
    except OSError as error:
        raise Failure(f"Vault: {method} {path}: {error}") from None
