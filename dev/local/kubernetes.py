"""A real Kubernetes control plane: etcd, kube-apiserver and kube-controller-manager, run by the program in
`dev/kubernetes`, which also knows how to start, recognise and stop them. No kubelet: pods stay Pending.
"""

from __future__ import annotations

import shlex
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
    program = _program(step)
    state.put(NAME, program=str(program), external=None)
    _run_up(program, state, step)
    _wrappers(state, program, _helm(step))
    step.done(f"Kubernetes {golang.required(FOLDER, 'k8s.io/kubernetes')} at {_server(state)}")


def down(state: State, kill: bool = False, components: Sequence[str] = ()) -> None:
    """Stop the named components, or all; never a cluster that is somebody else's."""
    program = state.get(NAME, "program")
    if program is None or state.get(NAME, "external"):
        return
    argv = [program, "down", "--dir", str(_directory(state)), *(["--kill"] if kill else []), *components]
    done = subprocess.run(argv, capture_output=True, text=True)
    if done.returncode != 0:
        raise Failure(done.stderr.strip())


def ready(state: State) -> bool:
    program = state.get(NAME, "program")
    if program is None or not Path(program).exists() or not kubeconfig(state).exists():
        return False
    asked = [program, "kubectl", "--kubeconfig", str(kubeconfig(state)), "get", "--raw", "/readyz", "--request-timeout=5s"]
    return subprocess.run(asked, capture_output=True).returncode == 0


def kubeconfig(state: State) -> Path:
    external = state.get(NAME, "external")
    return Path(external) if external else _directory(state) / "admin.kubeconfig"


def environment(state: State) -> dict[str, str]:
    return {"KUBECONFIG": str(kubeconfig(state))}


def use(config: Path):
    """Instead of `up`: only kubectl and helm, for a cluster that is somebody else's."""

    def up(state: State, step: Step) -> None:
        down(state)
        program = _program(step)
        state.put(NAME, program=str(program), external=str(config))
        _wrappers(state, program, _helm(step))
        if not ready(state):
            raise Failure(f"the cluster of {config} does not answer at /readyz")
        step.done(f"using the cluster of {config}")

    return up


def _directory(state: State) -> Path:
    return state.directory / "kubernetes"


def _program(step: Step) -> Path:
    version = golang.required(FOLDER, "k8s.io/kubernetes")
    major, minor = version.removeprefix("v").split(".")[:2]
    # Without these /version lies, and clients take features from it.
    values = {
        "gitVersion": version,
        "gitMajor": major,
        "gitMinor": minor,
        "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z",
    }
    stamps = {f"{package}.{key}": value for package in STAMPED for key, value in values.items()}
    return golang.program(step, FOLDER, ".", "kubernetes", stamps)


def _helm(step: Step) -> Path:
    version = golang.required("tools", "helm.sh/helm/v4")
    return golang.program(
        step, "tools", "helm.sh/helm/v4/cmd/helm", "helm", {"helm.sh/helm/v4/internal/version.version": version}
    )


def _run_up(program: Path, state: State, step: Step) -> None:
    argv = [str(program), "up", "--dir", str(_directory(state)), "--logs", str(state.logs)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        for line in running.stdout or []:
            step.say(line.strip())
        complaint = running.stderr.read() if running.stderr else ""
    if running.returncode != 0:
        raise Failure(complaint.strip())


def _wrappers(state: State, kubernetes: Path, helm: Path) -> None:
    """kubectl and helm that talk to this stack unless told otherwise."""
    for name, command in (("kubectl", [str(kubernetes), "kubectl"]), ("helm", [str(helm)])):
        state.write(
            f"bin/{name}",
            "#!/bin/sh\n"
            f': "${{KUBECONFIG:={kubeconfig(state)}}}"\n'
            "export KUBECONFIG\n"
            f'exec {shlex.join(command)} "$@"\n',
            mode=0o755,
        )


def _server(state: State) -> str:
    for line in kubeconfig(state).read_text().splitlines():
        if line.strip().startswith("server:"):
            return line.split(":", 1)[1].strip()
    raise Failure(f"{kubeconfig(state)} names no server")
