"""Start a process that outlives us, recognise it later, and stop it, and never another one.

A pid alone proves nothing: it may have been given to somebody else since. We record the pid together with the moment
the kernel started it; only a process that matches both is ours.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from .failure import Failure, tail

POLL_SECONDS = 0.05
TERM_GRACE_SECONDS = 15.0
KILL_GRACE_SECONDS = 5.0


@dataclass(frozen=True)
class Recorded:
    """A process that we started. `started` is in clock ticks since boot (proc(5), stat, field 22)."""

    pid: int
    started: int

    def alive(self) -> bool:
        return _start_time(self.pid) == self.started


def start(argv: list[str], log: Path, env: dict[str, str] | None = None, cwd: Path | None = None) -> Recorded:
    """Start a process in a session of its own, so that Ctrl-C in the caller's terminal does not reach it."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as out:
        child = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
            cwd=cwd,
            env={**os.environ, **(env or {})},
        )
    started = _start_time(child.pid)
    if started is None:
        raise Failure(f"{argv[0]} ended at once\n{tail(log)}")
    _children[child.pid] = child
    return Recorded(child.pid, started)


def wait_ready(what: str, process: Recorded, log: Path, seconds: float, ready) -> None:
    """Poll `ready` until it is true; a process that ends first, or the limit, is a failure with the end of its log."""
    deadline = time.monotonic() + seconds
    while not ready():
        if not process.alive():
            raise Failure(f"{what} ended before it was ready\n{tail(log)}")
        if time.monotonic() > deadline:
            raise Failure(f"{what} was not ready in {seconds:.0f} s\n{tail(log)}")
        time.sleep(POLL_SECONDS)


def stop(what: str, process: Recorded, grace: float = TERM_GRACE_SECONDS, kill: bool = False) -> None:
    """Ask politely, insist later; with `kill`, end it as a crash would.

    Does nothing when the process is gone or its pid belongs to somebody else.
    """
    politely = [] if kill else [(signal.SIGTERM, grace)]
    for name, patience in (*politely, (signal.SIGKILL, KILL_GRACE_SECONDS)):
        if not process.alive():
            return
        try:
            os.kill(process.pid, name)
        except ProcessLookupError:
            return
        deadline = time.monotonic() + patience
        while process.alive() and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
    if process.alive():
        raise Failure(f"{what} (pid {process.pid}) does not end")


_children: dict[int, subprocess.Popen[bytes]] = {}


def _start_time(pid: int) -> int | None:
    child = _children.get(pid)
    if child is not None:
        child.poll()  # reaps: a zombie of ours would look alive
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    # The command name may hold blanks and brackets: fields count from after the last bracket.
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] in "ZX" else int(fields[19])
