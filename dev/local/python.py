"""Virtual environments in the cache, made once per machine from files that pin what they hold."""

from __future__ import annotations

import subprocess
import sys
from contextlib import AbstractContextManager
from pathlib import Path

from . import cache
from .failure import INSTALL, Failure
from .progress import Step


def interpreter(name: str, install: list[str], files: list[Path], making: AbstractContextManager[Step]) -> Path:
    """The interpreter of the environment `name`, which `pip install` fills with the arguments `install`; `files` are what
    they name. `making` is entered when it has to be made. Programs are run with `-m`: it was renamed into place.
    """

    def make(into: Path) -> None:
        with making as step:
            step.say("making a Python environment (once per machine)")
            _run(name, [sys.executable, "-m", "venv", str(into)])
            step.say("fetching from PyPI (once per machine)")
            _run(name, [str(into / "bin" / "python"), "-m", "pip", "install", "--quiet", *install])

    return cache.entry(name, [*files, sys.version, sys.base_prefix], make) / "bin" / "python"


def _run(name: str, argv: list[str]) -> None:
    done = subprocess.run(argv, capture_output=True, text=True)
    if done.returncode != 0:
        said = (done.stdout + done.stderr).strip()
        raise Failure(f"the Python environment {name} could not be made:\n{said}\n  {INSTALL['pip']}")
