"""Build the Go programs of the stack into the cache, saying how far the compiler is: a cold build takes ten minutes."""

from __future__ import annotations

import os
import re
import subprocess
import threading
from pathlib import Path

from . import cache
from .failure import Failure, need, tail
from .progress import Step
from .state import REPOSITORY


def program(step: Step, folder: str, package: str, name: str, stamps: dict[str, str] | None = None) -> Path:
    """The binary `name`, built from `package` inside the module `dev/<folder>`. `stamps` are linked-in variables."""
    go = need("go", f"it builds {name}")
    module = REPOSITORY / "dev" / folder
    ldflags = " ".join(["-s", "-w", *(f"-X {key}={value}" for key, value in sorted((stamps or {}).items()))])
    sources = [module / "go.mod", module / "go.sum", *sorted(module.rglob("*.go"))]

    def make(into: Path) -> None:
        _Build(go, module, package, ldflags, into / name, step).run()

    return cache.entry(name, [_version(go), package, ldflags, *sources], make) / name


def required(folder: str, module: str) -> str:
    """The version of a module that go.mod requires."""
    text = (REPOSITORY / "dev" / folder / "go.mod").read_text()
    found = re.search(rf"^\s*{re.escape(module)} (\S+)", text, re.MULTILINE)
    if not found:
        raise Failure(f"dev/{folder}/go.mod does not require {module}")
    return found[1]


# The module asks for a Go version; a newer toolchain must not be downloaded behind the user's back.
_ENVIRONMENT = {**os.environ, "GOTOOLCHAIN": "local", "GOWORK": "off"}


def _version(go: str) -> str:
    asked = subprocess.run([go, "env", "GOVERSION", "GOOS", "GOARCH"], capture_output=True, text=True, env=_ENVIRONMENT)
    if asked.returncode != 0:
        raise Failure(f"go env failed: {asked.stderr.strip()}")
    return asked.stdout


class _Build:
    """One `go build`. Its -v output, a line per module fetched or package compiled, becomes progress."""

    def __init__(self, go: str, module: Path, package: str, ldflags: str, out: Path, step: Step) -> None:
        self._argv = [go, "build", "-v", "-mod=readonly", "-ldflags", ldflags, "-o", str(out), package]
        self._go, self._module, self._package, self._name, self._step = go, module, package, out.name, step
        self._total: int | None = None

    def run(self) -> None:
        self._step.say(f"building {self._name}: reading modules")
        log = cache.root() / f"build-{self._name}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        counter = threading.Thread(target=self._count, daemon=True)
        compiled = fetched = 0
        with log.open("w") as out, subprocess.Popen(
            self._argv, cwd=self._module, env=_ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as build:
            for line in build.stdout or []:
                out.write(line)
                out.flush()
                if line.startswith("go: downloading"):
                    fetched += 1
                    self._step.detail(f"building {self._name}: {fetched} modules fetched")
                    continue
                if compiled == 0:
                    counter.start()  # not earlier: it would fetch the modules a second time
                compiled += 1
                of = f" of at most {self._total}" if self._total else ""
                self._step.detail(f"building {self._name}: {compiled}{of} packages compiled")
        if build.returncode != 0:
            raise Failure(f"{self._name} could not be built\n{tail(log)}")

    def _count(self) -> None:
        listed = subprocess.run(
            [self._go, "list", "-mod=readonly", "-deps", self._package],
            cwd=self._module, env=_ENVIRONMENT, capture_output=True, text=True,
        )  # fmt: skip
        if listed.returncode == 0:
            self._total = len(listed.stdout.split())
