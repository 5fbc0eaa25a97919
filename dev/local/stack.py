"""up, down and their smaller siblings, over all systems at once."""

from __future__ import annotations

import shlex
import threading
from pathlib import Path
from types import ModuleType

from . import gerrit, kubernetes, simulator
from .failure import Failure
from .progress import Board, Step
from .state import REPOSITORY, State

SYSTEMS: dict[str, ModuleType] = {system.NAME: system for system in (kubernetes, gerrit, simulator)}


def up(directory: Path, names: list[str], kubeconfig: Path | None = None) -> None:
    """Start the named systems side by side and write `env`; what already answers is left alone."""
    with State(directory).locked() as state, Board() as board:
        failures: list[str] = []
        threads = [
            threading.Thread(target=_guarded, args=(SYSTEMS[name].up, state, board.step(name), failures)) for name in names
        ]
        if kubeconfig:
            use = lambda state, step: kubernetes.tools(state, step, kubeconfig)  # noqa: E731
            threads.append(threading.Thread(target=_guarded, args=(use, state, board.step("kubernetes"), failures)))
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        write_environment(state, kubeconfig)
    if failures:
        raise Failure("\n".join(failures))


def down(directory: Path, names: list[str]) -> None:
    """Stop the named systems; their state and ports stay for the next `up`."""
    if not directory.exists():
        return
    with State(directory).locked() as state, Board() as board:
        failures: list[str] = []
        running = [name for name in names if name in state.systems()]

        def stop(name: str):
            def run(state: State, step: Step) -> None:
                step.say("stopping")
                SYSTEMS[name].down(state)
                step.done("stopped")

            return run

        threads = [threading.Thread(target=_guarded, args=(stop(name), state, board.step(name), failures)) for name in running]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    if failures:
        raise Failure("\n".join(failures))


def status(directory: Path) -> bool:
    """Print a line per system of the directory; true when all of them answer."""
    state = State(directory)
    answers = {name: SYSTEMS[name].ready(state) for name in SYSTEMS if name in state.systems()}
    for name, answer in answers.items():
        print(f"{name:<12} {'ready' if answer else 'not running'}")
    if not answers:
        print(f"nothing was ever started in {directory}")
    return bool(answers) and all(answers.values())


def write_environment(state: State, kubeconfig: Path | None = None) -> None:
    """`env`: what a shell, the tests and the demo need to find this stack."""
    values = {"LOCKSTEP_STATE_DIR": str(state.directory)}
    for name, system in SYSTEMS.items():
        if name in state.systems():
            values |= system.environment(state)
    if kubeconfig:
        values["KUBECONFIG"] = str(kubeconfig)
    for tool in ("kubectl", "helm"):
        path = state.directory / "bin" / tool
        if path.exists():
            values[tool.upper()] = str(path)
    lines = [f"export {key}={shlex.quote(value)}" for key, value in values.items()]
    lines.append(f'export PATH={shlex.quote(str(state.directory / "bin"))}:"$PATH"')
    state.write("env", "\n".join(lines) + "\n")


def _guarded(run, state: State, step: Step, failures: list[str]) -> None:
    try:
        run(state, step)
    except Failure as failure:
        step.failed(str(failure).splitlines()[0])
        failures.append(f"{step.name}: {failure}")
    except BaseException as surprise:
        step.failed(repr(surprise))
        failures.append(f"{step.name}: {surprise!r}")
        raise
