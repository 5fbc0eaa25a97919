"""Tools that are slow to make, kept for every later checkout on this machine.

An entry is a directory named after the digest of everything that went into it, so a changed input makes a new entry
and an old one is never wrong. It is made beside its final name and renamed into place: a crash leaves no half entry.
A lock file lets two checkouts that need the same entry make it once.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path


def root() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "lockstep"


def digest(inputs: Iterable[str | bytes | Path]) -> str:
    """Twelve hex digits over the inputs in order; a path stands for its name and its content."""
    total = hashlib.sha256()
    for item in inputs:
        parts = [item.name.encode(), item.read_bytes()] if isinstance(item, Path) else [item]
        for part in parts:
            data = part.encode() if isinstance(part, str) else part
            # The length keeps ("ab", "c") and ("a", "bc") apart.
            total.update(len(data).to_bytes(8, "big") + data)
    return total.hexdigest()[:12]


def entry(name: str, inputs: Iterable[str | bytes | Path], make: Callable[[Path], None]) -> Path:
    """The directory `<name>-<digest>`; `make` fills it when it does not exist yet."""
    final = root() / f"{name}-{digest(inputs)}"
    if final.is_dir():
        return final
    final.parent.mkdir(parents=True, exist_ok=True)
    with (root() / f".{final.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if final.is_dir():  # somebody made it while we waited
            return final
        _sweep(final)
        fresh = Path(tempfile.mkdtemp(prefix=f".{final.name}.", dir=root()))
        try:
            make(fresh)
            fresh.chmod(0o755)
            fresh.rename(final)
        except BaseException:
            shutil.rmtree(fresh, ignore_errors=True)
            raise
    return final


def _sweep(final: Path) -> None:
    """Remove what a killed maker left; we hold the lock, so nobody is working in it."""
    for left in root().glob(f".{final.name}.*"):
        if left.is_dir():
            shutil.rmtree(left, ignore_errors=True)
