"""The Python that the contract tests run with: a virtual environment in the cache, holding the vendor's client."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from . import cache
from .failure import INSTALL, Failure
from .progress import Board
from .state import REPOSITORY

REQUIREMENTS = REPOSITORY / "sim" / "tests" / "contract" / "requirements.txt"
CONSTRAINTS = REPOSITORY / "dev" / "contract-constraints.txt"


def python() -> Path:
    """The interpreter of the environment. Programs of it are run with `-m`: the environment was renamed into place."""
    inputs = [REQUIREMENTS, CONSTRAINTS, sys.version, sys.base_prefix]
    return cache.entry("contract", inputs, _make) / "bin" / "python"


def _make(into: Path) -> None:
    with Board() as board:
        step = board.step("contract")
        step.say("making a Python environment (once per machine)")
        _run([sys.executable, "-m", "venv", str(into)])
        step.say("fetching the vendor's client from PyPI (once per machine)")
        pip = [str(into / "bin" / "python"), "-m", "pip", "install", "--quiet"]
        _run([*pip, "--requirement", str(REQUIREMENTS), "--constraint", str(CONSTRAINTS)])
        step.done("environment ready")


def _run(argv: list[str]) -> None:
    done = subprocess.run(argv, capture_output=True, text=True)
    if done.returncode != 0:
        said = (done.stdout + done.stderr).strip()
        raise Failure(f"the Python environment of the contract tests could not be made:\n{said}\n  {INSTALL['pip']}")
