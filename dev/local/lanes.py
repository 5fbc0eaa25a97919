"""The lanes of `make test`: what each runs, and the table of times at the end.

A lane that fails does not hold up the others; only what needs the stack is left out when the stack does not start.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from . import contract, simulator, stack
from .failure import Failure, need
from .state import REPOSITORY, State

CHART = REPOSITORY / "charts" / "lockstep"
CONTRACT_TESTS = REPOSITORY / "sim" / "tests" / "contract"
# Everything, as it is released.
WHOLE = ("--workspace", "--locked", "--features", "lockstep/aws")


class Skipped(Exception):
    """The lane has nothing to run, and says why. In CI that is a failure."""


@dataclass(frozen=True)
class Lane:
    name: str
    about: str
    run: Callable[[], None]
    needs_stack: bool = False


def format_check() -> None:
    _cargo("fmt", "--all", "--check")


def clippy() -> None:
    _cargo("clippy", *WHOLE, "--all-targets", "--", "--deny", "warnings")


def unit() -> None:
    _cargo("test", *WHOLE, "--lib", "--bins")
    _cargo("test", *WHOLE, "--doc")


def dev() -> None:
    _run(sys.executable, "-B", "-m", "unittest", "discover", "--start-directory", "dev/tests", "--top-level-directory", "dev")


def up() -> None:
    stack.up(State.default(), list(stack.SYSTEMS))


def scenarios() -> None:
    _cargo("test", *WHOLE, "--no-fail-fast", "--test", "*", stack=True)


def contract_tests() -> None:
    if not CONTRACT_TESTS.is_dir():
        raise Skipped(f"{CONTRACT_TESTS.relative_to(REPOSITORY)} does not exist")
    _run(str(contract.interpreter()), "-B", "-m", "pytest", "-q", "-p", "no:cacheprovider", str(CONTRACT_TESTS), stack=True)


def chart() -> None:
    if not CHART.is_dir():
        raise Skipped(f"{CHART.relative_to(REPOSITORY)} does not exist")
    tools = State.default() / "bin"
    helm, kubectl = str(tools / "helm"), str(tools / "kubectl")
    _run(helm, "lint", "--strict", str(CHART), stack=True)
    rendered = subprocess.run(
        [helm, "template", "lockstep", str(CHART), "--namespace", "default"], capture_output=True, env=_environment(True)
    )
    if rendered.returncode != 0:
        raise Failure(f"helm template failed\n{rendered.stderr.decode()}")
    # The real API server judges every object, and keeps none.
    _run(kubectl, "apply", "--dry-run=server", "--namespace", "default", "--filename", "-", stack=True, given=rendered.stdout)


LANES = [
    Lane("format", "cargo fmt --check", format_check),
    Lane("clippy", "clippy over everything, warnings are errors", clippy),
    Lane("unit", "tests without any system: libraries, binaries, examples in the docs", unit),
    Lane("dev", "tests of the local stack's own code", dev),
    Lane("up", "start the local stack, building what the cache lacks", up),
    Lane("scenarios", "tests/ and sim/tests/ against the real systems", scenarios, needs_stack=True),
    Lane("contract", "the vendor's Python client against the simulator", contract_tests, needs_stack=True),
    Lane("chart", "lint the Helm chart, and let the real API server judge what it renders", chart, needs_stack=True),
]


def run(names: list[str]) -> bool:
    """Run the named lanes in their order; true when none failed."""
    chosen = [lane for lane in LANES if lane.name in names]
    results: list[tuple[str, str, float]] = []
    began = time.monotonic()
    stack_failed = False
    for lane in chosen:
        if lane.needs_stack and stack_failed:
            results.append((lane.name, "NOT RUN", 0.0))
            continue
        print(f"\n== {lane.name}: {lane.about}", flush=True)
        start = time.monotonic()
        result = _outcome(lane)
        results.append((lane.name, result, time.monotonic() - start))
        stack_failed |= lane.run is up and result != "ok"
    print(f"\n{'lane':<12} {'result':<8} {'seconds':>8}")
    for name, result, seconds in results:
        print(f"{name:<12} {result:<8} {seconds:8.1f}")
    print(f"{'total':<12} {'':<8} {time.monotonic() - began:8.1f}", flush=True)
    return all(result in ("ok", "skipped") for _, result, _ in results)


def _outcome(lane: Lane) -> str:
    try:
        lane.run()
    except Skipped as why:
        print(f"{lane.name}: {why}", flush=True)
        return "MISSING" if os.environ.get("CI") == "true" else "skipped"
    except Failure as failure:
        print(f"{lane.name}: {failure}", flush=True)
        return "FAILED"
    except Exception:  # a slip of ours must not hide how the other lanes fared
        traceback.print_exc()
        return "FAILED"
    return "ok"


def _cargo(*arguments: str, stack: bool = False) -> None:
    _run(need("cargo", "it builds and tests everything in Rust"), *arguments, stack=stack)


def _run(*argv: str, stack: bool = False, given: bytes | None = None) -> None:
    done = subprocess.run(argv, cwd=REPOSITORY, env=_environment(stack), input=given)
    if done.returncode != 0:
        raise Failure(f"exit {done.returncode} from {Path(argv[0]).name} {' '.join(argv[1:4])} ...")


def _environment(with_stack: bool) -> dict[str, str]:
    if not with_stack:
        return dict(os.environ)
    state = State(State.default())
    tools = f"{state.directory / 'bin'}:{os.environ.get('PATH', os.defpath)}"
    own = {"LOCKSTEP_STATE_DIR": str(state.directory), simulator.BINARY: str(simulator.built()), "PATH": tools}
    return {**os.environ, **stack.environment(state), **own}
