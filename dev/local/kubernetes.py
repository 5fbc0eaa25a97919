"""A real Kubernetes control plane: etcd, kube-apiserver and kube-controller-manager, run by the program in
`dev/kubernetes`, which also knows how to start, recognise and stop them. No kubelet: pods stay Pending.
"""

from __future__ import annotations

import base64
import os
import shlex
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from . import golang
from .failure import Failure
from .progress import Step
from .state import State

NAME = "kubernetes"
COMPONENTS = ("etcd", "kube-apiserver", "kube-controller-manager")
FOLDER = "kubernetes"
STAMPED = ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")


def up(state: State, step: Step) -> None:
    """Start what does not run; ports and state stay those of the first time."""
    program = golang.program(step, FOLDER, ".", "kubernetes", _stamps("kubernetes", "k8s.io/kubernetes"))
    state.put(NAME, program=str(program), external=None)
    _run_up(program, state, step)
    _wrappers(state, [str(program), "kubectl"], [str(_helm(step))])
    step.done(f"Kubernetes {golang.required(FOLDER, 'k8s.io/kubernetes')} at {server(state)}")


def down(state: State, kill: bool = False, components: Sequence[str] = ()) -> None:
    """Stop the named components, or all; never a cluster that is somebody else's."""
    program = state.get(NAME, "program")
    if program is None or state.get(NAME, "external"):
        return
    if not Path(program).exists():
        raise Failure(f"{program} is gone, which knows how to stop Kubernetes; `dev/stack up` makes it again")
    argv = [program, "down", "--dir", str(_directory(state)), *(["--kill"] if kill else []), *components]
    done = subprocess.run(argv, capture_output=True, text=True)
    if done.returncode != 0:
        raise Failure(done.stderr.strip())


def ready(state: State) -> bool:
    kubectl = state.directory / "bin" / "kubectl"
    if not kubectl.exists() or not kubeconfig(state).exists():
        return False
    asked = [str(kubectl), "--kubeconfig", str(kubeconfig(state)), "get", "--raw", "/readyz", "--request-timeout=5s"]
    return subprocess.run(asked, capture_output=True).returncode == 0


def kubeconfig(state: State) -> Path:
    external = state.get(NAME, "external")
    return Path(external) if external else _directory(state) / "admin.kubeconfig"


def authority(state: State) -> Path | None:
    """The CA that the API server's certificate is verified with; None without a cluster."""
    external = state.get(NAME, "external")
    if not external:
        own = _directory(state) / "pki" / "ca.crt"
        return own if own.exists() else None
    argv = [str(state.directory / "bin" / "kubectl"), "--kubeconfig", external, "config", "view", "--minify", "--flatten"]
    argv += ["--raw", "--output", "jsonpath={.clusters[0].cluster.certificate-authority-data}"]
    asked = subprocess.run(argv, capture_output=True)
    if asked.returncode != 0 or not asked.stdout:  # a cluster whose certificate every machine trusts
        return None
    return state.write("kubernetes/external-ca.crt", base64.b64decode(asked.stdout).decode())


def environment(state: State) -> dict[str, str]:
    return {"KUBECONFIG": str(kubeconfig(state))}


def use(config: Path):
    """Instead of `up`: only kubectl and helm, for a cluster that is somebody else's."""

    def up(state: State, step: Step) -> None:
        down(state)
        state.put(NAME, external=str(config))
        kubectl = _installed(state, "kubectl") or golang.program(
            step, "tools", "./kubectl", "kubectl", _stamps("tools", "k8s.io/kubectl")
        )
        _wrappers(state, [str(kubectl)], [str(_installed(state, "helm") or _helm(step))])
        if not ready(state):
            raise Failure(f"the cluster of {config} does not answer at /readyz")
        step.done(f"using the cluster of {config}")

    return up


def _directory(state: State) -> Path:
    return state.directory / "kubernetes"


def _stamps(folder: str, module: str) -> dict[str, str]:
    """The version that go.mod requires, linked in: without it /version lies, and clients take features from it."""
    minor, patch = golang.required(folder, module).split(".")[1:]  # staging modules are v0.37.2 for v1.37.2
    values = {
        "gitVersion": f"v1.{minor}.{patch}",
        "gitMajor": "1",
        "gitMinor": minor,
        "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z",
    }
    return {f"{package}.{key}": value for package in STAMPED for key, value in values.items()}


def _installed(state: State, name: str) -> str | None:
    """The user's own tool; never our wrapper, which a shell that has read `env` finds first."""
    path = os.environ.get("PATH", os.defpath).split(os.pathsep)
    return shutil.which(name, path=os.pathsep.join(entry for entry in path if Path(entry) != state.directory / "bin"))


def _helm(step: Step) -> Path:
    version = golang.required("tools", "helm.sh/helm/v4")
    return golang.program(
        step, "tools", "helm.sh/helm/v4/cmd/helm", "helm", {"helm.sh/helm/v4/internal/version.version": version}
    )


def _run_up(program: Path, state: State, step: Step) -> None:
    argv = [str(program), "up", "--dir", str(_directory(state)), "--logs", str(state.logs)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        for line in running.stdout or []:
            state.cluster_known.set()  # keys and certificates come before the first line
            step.say(line.strip())
        complaint = running.stderr.read() if running.stderr else ""
    if running.returncode != 0:
        raise Failure(complaint.strip())


def _wrappers(state: State, kubectl: list[str], helm: list[str]) -> None:
    """kubectl and helm that talk to this stack unless told otherwise."""
    for name, command in (("kubectl", kubectl), ("helm", helm)):
        state.write(
            f"bin/{name}",
            "#!/bin/sh\n"
            f': "${{KUBECONFIG:={kubeconfig(state)}}}"\n'
            "export KUBECONFIG\n"
            f'exec {shlex.join(command)} "$@"\n',
            mode=0o755,
        )


def server(state: State) -> str:
    """URL of the API server."""
    for line in kubeconfig(state).read_text().splitlines():
        if line.strip().startswith("server:"):
            return line.split(":", 1)[1].strip()
    raise Failure(f"{kubeconfig(state)} names no server")
