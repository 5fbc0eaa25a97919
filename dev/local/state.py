"""What a state directory holds: which processes run, on which ports, and the files that others read.

    stack.json   ports and processes, rewritten whole on every change
    env          `export` lines for the shell, the tests and the demo; for its owner only, since it holds tokens
    bin/         kubectl and helm, bound to this stack
    logs/        one file per process, appended
    kubernetes/  gerrit/  sim/  vault/    what each system keeps
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import random
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

from .failure import Failure
from .process import Recorded

REPOSITORY = Path(__file__).resolve().parent.parent.parent
# Below the range that the kernel hands out by itself: a recorded port stays ours while its system is stopped.
PORTS = range(20000, 32000)


class State:
    """One state directory. Methods are safe to call from the threads that start the systems."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._file = directory / "stack.json"
        self._guard = threading.Lock()
        self._data: dict[str, dict] = {}
        # Set once the cluster's CA is on disk, or will not come: the simulator wants it, and everything else at once.
        self.cluster_known = threading.Event()
        # Set once the cluster serves, or will not: Vault asks it about tokens.
        self.cluster_started = threading.Event()
        if self._file.exists():
            self._data = json.loads(self._file.read_text())

    @staticmethod
    def default() -> Path:
        chosen = os.environ.get("LOCKSTEP_STATE_DIR")
        return Path(chosen).absolute() if chosen else REPOSITORY / "dev" / ".state"

    @property
    def logs(self) -> Path:
        return self.directory / "logs"

    @contextlib.contextmanager
    def locked(self) -> Iterator[State]:
        """One command at a time per directory; a second one waits, then sees what the first has left."""
        self.directory.mkdir(parents=True, exist_ok=True)
        with (self.directory / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield State(self.directory)

    def systems(self) -> list[str]:
        return list(self._data)

    def get(self, system: str, key: str):
        with self._guard:
            return self._data.get(system, {}).get(key)

    def put(self, system: str, **values) -> None:
        with self._guard:
            self._data.setdefault(system, {}).update(values)
            self._save()

    def forget(self, system: str) -> None:
        with self._guard:
            self._data.pop(system, None)
            self._save()

    def process(self, system: str) -> Recorded | None:
        recorded = self.get(system, "process")
        return Recorded(**recorded) if recorded else None

    def record(self, system: str, process: Recorded | None) -> None:
        self.put(system, process=None if process is None else vars(process))

    def port(self, system: str) -> int:
        """The system's port, the same for the life of the directory: others hold URLs with it."""
        port = self.get(system, "port")
        if port is None:
            port = free_port()
            self.put(system, port=port)
        return port

    def write(self, name: str, text: str, mode: int = 0o644) -> Path:
        """Replace a file whole, so that nobody reads half of it."""
        path = self.directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = path.with_name(path.name + ".new")
        fresh.unlink(missing_ok=True)
        # Never readable by more people than in the end: some files hold tokens.
        with open(fresh, "x", opener=lambda name, flags: os.open(name, flags, mode)) as out:
            out.write(text)
        fresh.chmod(mode)
        fresh.rename(path)
        return path

    def _save(self) -> None:
        self.write("stack.json", json.dumps(self._data, indent=2) + "\n", mode=0o600)


def free_port() -> int:
    for port in random.sample(PORTS, 200):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise Failure(f"no free port on 127.0.0.1 between {PORTS.start} and {PORTS.stop}")
