"""The Databricks simulator, built from `sim/` by cargo and started with tokens that everybody may know: it serves
loopback only and holds nothing but what a test puts there.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from . import cache, kubernetes
from .failure import Failure, need, tail
from .progress import Step
from .server import Server
from .state import REPOSITORY, State

NAME = "sim"
WORKSPACE_TOKEN = "dev-workspace-token"
ACCOUNT_TOKEN = "dev-account-token"
ACCOUNT_ID = "5c0a7f5e-0000-4000-8000-10c857e90000"
WORKSPACE_ID = "7405600000000001"
SERVER = Server(NAME, "databricks-sim", "/_sim/health", start_seconds=30.0)
url, ready, down = SERVER.url, SERVER.ready, SERVER.down
# Names a simulator to run instead of building one: tests that start stacks of their own take what is built.
BINARY = "DATABRICKS_SIM_BIN"


def up(state: State, step: Step) -> None:
    """Start the simulator on its recorded port, unless the same build already answers there."""
    binary = _build(state, step)
    if not state.cluster_known.is_set():
        step.say("waiting for the cluster's CA")
        state.cluster_known.wait()
    authority = kubernetes.authority(state)
    executes = bool(state.get(NAME, "executes"))
    identity = cache.digest([binary, authority or "", str(executes)])
    if SERVER.stands(state, step, identity):
        return
    # A copy: cargo replaces the original under a running process.
    program = state.directory / "sim" / "databricks-sim"
    program.parent.mkdir(parents=True, exist_ok=True)
    program.unlink(missing_ok=True)
    shutil.copy2(binary, program)
    argv = [str(program), "serve", "--listen", f"127.0.0.1:{state.port(NAME)}"]
    argv += ["--workspace-token", WORKSPACE_TOKEN, "--account-token", ACCOUNT_TOKEN]
    argv += ["--account-id", ACCOUNT_ID, "--workspace-id", WORKSPACE_ID]
    if executes:
        argv += ["--execute"]
    if authority:  # tokens of the cluster's service accounts are verified with keys read from it
        argv += ["--ca-file", str(authority)]
    SERVER.start(state, step, argv)
    SERVER.remember(state, identity)
    step.done(f"databricks-sim at {url(state)}")


def execute(state: State, really: bool) -> None:
    """Whether the next `up` starts one that really runs Python files. Whoever reaches its port can then run programs as
    the user who started it, so nothing but the demo asks for it, until `down`.
    """
    if bool(state.get(NAME, "executes")) != really:
        state.put(NAME, executes=really)


def executing(state: State, step: Step) -> None:
    """`up`, with one that really runs Python files; what another one held is lost."""
    execute(state, True)
    state.cluster_known.set()
    up(state, step)


def environment(state: State) -> dict[str, str]:
    return {
        "DATABRICKS_SIM_URL": url(state),
        "DATABRICKS_SIM_TOKEN": WORKSPACE_TOKEN,
        "DATABRICKS_SIM_WORKSPACE_ID": WORKSPACE_ID,
        "DATABRICKS_SIM_ACCOUNT_URL": url(state),
        "DATABRICKS_SIM_ACCOUNT_ID": ACCOUNT_ID,
        "DATABRICKS_SIM_ACCOUNT_TOKEN": ACCOUNT_TOKEN,
    }


def built() -> Path:
    """Where cargo puts the simulator."""
    return Path(os.environ.get("CARGO_TARGET_DIR") or REPOSITORY / "target") / "debug" / "databricks-sim"


def _build(state: State, step: Step) -> Path:
    given = os.environ.get(BINARY)
    if given:
        return Path(given)
    cargo = need("cargo", "it builds databricks-sim")
    step.say("building databricks-sim")
    log = state.logs / "sim-build.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    # The whole workspace with one binary: dependencies get the features that the tests compile them with, so they are
    # compiled once.
    argv = [cargo, "build", "--locked", "--workspace", "--bin", "databricks-sim", "--color", "never"]
    with log.open("w") as out, subprocess.Popen(
        argv, cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as build:
        for line in build.stdout or []:
            out.write(line)
            out.flush()
            step.detail(f"building databricks-sim: {' '.join(line.split())}")
    if build.returncode != 0:
        raise Failure(f"databricks-sim could not be built\n{tail(log, 40)}")
    return built()
