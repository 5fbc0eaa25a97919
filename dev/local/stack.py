"""up, down and their smaller siblings, over all systems at once."""

from __future__ import annotations

import os
import shlex
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

from . import aws, gerrit, kubernetes, operator, simulator, vault
from .failure import Failure
from .progress import Board, Step
from .state import State

SYSTEMS: dict[str, ModuleType] = {system.NAME: system for system in (kubernetes, gerrit, simulator, vault, aws)}
# Whatever can be stopped and started alone.
PARTS = [*SYSTEMS, *kubernetes.COMPONENTS]

Work = Callable[[State, Step], None]


def up(directory: Path, names: list[str], kubeconfig: Path | None = None) -> None:
    """Start the named systems side by side and write `env`; what already answers is left alone."""
    work: dict[str, Work] = {name: SYSTEMS[name].up for name in _systems(names)}
    if kubeconfig:
        work[kubernetes.NAME] = kubernetes.use(kubeconfig)
    with State(directory).locked() as state:
        if kubernetes.NAME in work:
            work[kubernetes.NAME] = _announcing(work[kubernetes.NAME])
        else:
            state.cluster_known.set()
            state.cluster_started.set()
        try:
            _side_by_side(state, work)
        finally:
            _write_environment(state)


def down(directory: Path, names: list[str]) -> None:
    """Stop the demo's operator if its cluster goes, then the named systems; state and ports stay for the next `up`."""
    if kubernetes.NAME in names and directory.exists():
        # First, while there is still a lease to give back and a system to end its writes on.
        with State(directory).locked() as state:
            if state.process(operator.NAME):
                _side_by_side(state, {operator.NAME: _stopping(operator.stop)})
    stop(directory, names)
    if simulator.NAME in names and directory.exists():
        with State(directory).locked() as state:
            simulator.execute(state, False)


def stop(directory: Path, names: list[str], kill: bool = False) -> None:
    """Stop the named systems or components alone: whatever works on them sees them go."""
    if not directory.exists():
        return
    with State(directory).locked() as state:
        work: dict[str, Work] = {}
        for name in names:
            if name in state.systems():
                work[name] = _stopping(lambda state, name=name: SYSTEMS[name].down(state, kill))
            elif name in kubernetes.COMPONENTS and kubernetes.NAME in state.systems():
                work[name] = _stopping(lambda state, name=name: kubernetes.down(state, kill, [name]))
        _side_by_side(state, work)


def reset(directory: Path) -> None:
    """Stop everything and forget all of its state, ports included."""
    down(directory, list(SYSTEMS))
    if (directory / "stack.json").exists():  # a directory of ours, not a slip of the keyboard
        shutil.rmtree(directory)


def status(directory: Path) -> bool:
    """Print a line per system of the directory; true when all of them answer."""
    state = State(directory)
    answers = {name: SYSTEMS[name].ready(state) for name in SYSTEMS if name in state.systems()}
    for name, answer in answers.items():
        print(f"{name:<12} {'ready' if answer else 'not running'}")
    if not answers:
        print(f"nothing was ever started in {directory}")
    return bool(answers) and all(answers.values())


def environment(state: State) -> dict[str, str]:
    """What a shell, the tests and the demo need to find this stack."""
    values: dict[str, str] = {}
    for name, system in SYSTEMS.items():
        if name in state.systems():
            values |= system.environment(state)
    for tool in ("kubectl", "helm"):
        path = state.directory / "bin" / tool
        if path.exists():
            values[tool.upper()] = str(path)
    return values


def run(directory: Path, argv: list[str]) -> None:
    """Replace this process by a command that sees the stack. Does not return."""
    state = State(directory)
    path = f"{state.directory / 'bin'}:{os.environ.get('PATH', os.defpath)}"
    found = shutil.which(argv[0], path=path)
    if found is None:
        raise Failure(f"{argv[0]}: no such command")
    os.execve(found, argv, {**os.environ, **environment(state), "PATH": path})


def _write_environment(state: State) -> None:
    lines = [f"export {key}={shlex.quote(value)}" for key, value in environment(state).items()]
    lines.append(f'export PATH={shlex.quote(str(state.directory / "bin"))}:"$PATH"')
    state.write("env", "\n".join(lines) + "\n", mode=0o600)


def _systems(names: list[str]) -> list[str]:
    """The systems that hold the named parts: a component of Kubernetes is started by starting what is missing of it."""
    return list(dict.fromkeys(kubernetes.NAME if name in kubernetes.COMPONENTS else name for name in names))


def _announcing(start: Work) -> Work:
    def work(state: State, step: Step) -> None:
        try:
            start(state, step)
        finally:
            # Whatever came of it, nobody shall wait for ever.
            state.cluster_known.set()
            state.cluster_started.set()

    return work


def _stopping(stop: Callable[[State], None]) -> Work:
    def work(state: State, step: Step) -> None:
        step.say("stopping")
        stop(state)
        step.done("stopped")

    return work


def _side_by_side(state: State, work: dict[str, Work]) -> None:
    failures: list[str] = []

    def guarded(run: Work, step: Step) -> None:
        try:
            run(state, step)
        except Failure as failure:
            step.failed(str(failure).splitlines()[0])
            failures.append(f"{step.name}: {failure}")
        except BaseException as surprise:
            step.failed(repr(surprise))
            failures.append(f"{step.name}: {surprise!r}")
            raise

    with Board() as board:
        # Daemons, so that Ctrl-C ends the waiting at once; what has started is recorded and the next `up` goes on.
        threads = [threading.Thread(target=guarded, args=(run, board.step(name)), daemon=True) for name, run in work.items()]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    if failures:
        raise Failure("\n".join(failures))
