"""The one exception that a person is meant to read: printed without a traceback."""

from __future__ import annotations

import shutil
from pathlib import Path


class Failure(Exception):
    """Something is missing or did not start. The message says what, and what to do about it."""


INSTALL = {
    "cargo": "install Rust with rustup, then: rustup toolchain install stable",
    "go": "install Go 1.26 or newer (apt-get install golang-go, where it is new enough)",
    "java": "apt-get install openjdk-21-jre-headless",
    "git": "apt-get install git",
    "mvn": "apt-get install maven",
    "pip": "apt-get install python3-pip python3-venv",
}


def need(program: str, why: str) -> str:
    """The path of a program on PATH, or a failure that names it and the command that would install it."""
    found = shutil.which(program)
    if found is None:
        raise Failure(f"{program} is missing; {why}.\n  {INSTALL[program]}")
    return found


def tail(log: Path, lines: int = 15) -> str:
    """The end of a log, indented, to stand under a failure."""
    try:
        text = log.read_text(errors="replace").splitlines()[-lines:]
    except OSError:
        return f"  (no log at {log})"
    return "\n".join([f"  the end of {log}:", *(f"  | {line}" for line in text)])
