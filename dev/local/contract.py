"""The Python that the contract tests run with, which holds the vendor's client."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from . import python
from .progress import Board, Step
from .state import REPOSITORY

REQUIREMENTS = REPOSITORY / "sim" / "tests" / "contract" / "requirements.txt"
CONSTRAINTS = REPOSITORY / "dev" / "contract-constraints.txt"


def interpreter() -> Path:
    install = ["--requirement", str(REQUIREMENTS), "--constraint", str(CONSTRAINTS)]
    return python.interpreter("contract", install, [REQUIREMENTS, CONSTRAINTS], _shown())


@contextlib.contextmanager
def _shown() -> Iterator[Step]:
    with Board() as board:
        step = board.step("contract")
        yield step
        step.done("environment ready")
