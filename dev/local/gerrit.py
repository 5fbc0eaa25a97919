"""A real Gerrit, headless, from its published jars.

Init and the first start are slow and always give the same: they are done once, and the site is kept in the cache. A
stack copies that site and puts its own port into it.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
import urllib.error
import urllib.request
from pathlib import Path

from . import cache, java, process
from .failure import Failure, need, tail
from .progress import Step
from .state import REPOSITORY, State, free_port

NAME = "gerrit"
SOURCE = REPOSITORY / "dev" / "gerrit"
ADMIN_USER, ADMIN_PASSWORD = "admin", "secret"  # what Gerrit's development mode gives its first user
START_SECONDS = 180.0


class Installation:
    """The jars, our class, and the Java that runs them."""

    def __init__(self, step: Step) -> None:
        self.java_home = java.home(step)
        pom = SOURCE / "pom.xml"
        self.version = _version(pom)
        self._step = step
        self.directory = cache.entry(f"gerrit-{self.version}", [pom, SOURCE / "GerritMain.java"], self._make)
        # Gerrit's own archive has such a resource and the jars have not: without it every request writes hundreds of
        # lines of what only Gerrit's authors want to know, gigabytes in an hour.
        levels = self.directory / "classes" / "log4j.properties"
        if not levels.exists():
            levels.write_text("log4j.rootLogger=INFO\n")

    def command(self, program: str, site: Path, *more: str, archive: str | None = None) -> list[str]:
        """The command line of a Gerrit program; `archive` is a JVM option for class data sharing."""
        return [
            str(self.java_home / "bin" / "java"),
            "-Xmx512m",
            *([archive] if archive else []),
            # On few cores a parallel collector only takes time from the other systems.
            "-XX:+UseSerialGC",
            "--enable-native-access=ALL-UNNAMED",
            *("--add-opens", "java.base/java.net=ALL-UNNAMED"),
            *("--add-opens", "java.base/java.lang.invoke=ALL-UNNAMED"),
            "-Dflogger.backend_factory=com.google.common.flogger.backend.log4j.Log4jBackendFactory#getInstance",
            "-Dflogger.logging_context=com.google.gerrit.server.logging.LoggingContext#getInstance",
            *("-cp", self._class_path(self.directory)),
            *("GerritMain", program, "-d", str(site), *more),
        ]

    def daemon(self, site: Path, archive: str | None = None) -> list[str]:
        return self.command("Daemon", site, "--console-log", "--headless", archive=archive)

    @staticmethod
    def _class_path(directory: Path) -> str:
        # Spelled out and sorted: a shared class archive is only accepted with the class path it was made with.
        return ":".join([str(directory / "classes"), *map(str, sorted((directory / "lib").glob("*.jar")))])

    def _make(self, into: Path) -> None:
        self._step.say(f"fetching Gerrit {self.version}")
        mvn = need("mvn", "it fetches Gerrit's jars")
        lib, classes = into / "lib", into / "classes"
        log = cache.root() / "gerrit-fetch.log"
        _run(
            "the jars of Gerrit could not be fetched",
            [mvn, "-q", "-B", "-f", str(SOURCE / "pom.xml"), "dependency:copy-dependencies"]
            + ["-DexcludeTransitive=true", f"-DoutputDirectory={lib}"],
            log,
        )
        _run(
            "GerritMain.java does not compile",
            [str(self.java_home / "bin" / "java"), "-cp", str(next(lib.glob("ecj-*.jar")))]
            + ["org.eclipse.jdt.internal.compiler.batch.Main", "-source", "17", "-target", "17", "-proc:none"]
            + ["-d", str(classes), str(SOURCE / "GerritMain.java")],
            log,
        )
        # Without this resource the server reports its version as "(dev)".
        stated = classes / "com" / "google" / "gerrit" / "common" / "Version"
        stated.parent.mkdir(parents=True)
        stated.write_text(self.version)


def up(state: State, step: Step) -> None:
    """Start Gerrit on its recorded port, with the site it had, unless it already answers."""
    port = state.port(NAME)
    running = state.process(NAME)
    if running and running.alive():
        _wait(port, running, state)
        step.done(f"already at {url(state)}")
        return
    installation = Installation(step)
    prepared = _prepared(installation, step)
    site = state.directory / "gerrit" / "site"
    if not site.exists():
        _copy(prepared / "site", site, port)
    _submit_whole_topics(site)
    log = state.logs / "gerrit.log"
    step.say("starting")
    archive = prepared / "classes.jsa"
    option = f"-XX:SharedArchiveFile={archive}" if archive.exists() else None
    started = process.start(installation.daemon(site, option), log)
    state.record(NAME, started)
    _wait(port, started, state)
    step.done(f"Gerrit {installation.version} at {url(state)}")


def down(state: State, kill: bool = False) -> None:
    running = state.process(NAME)
    if running:
        process.stop("Gerrit", running, kill=kill)
        state.record(NAME, None)


def ready(state: State) -> bool:
    running = state.process(NAME)
    return bool(running and running.alive() and _answers(state.port(NAME)))


def url(state: State) -> str:
    return f"http://127.0.0.1:{state.port(NAME)}"


def environment(state: State) -> dict[str, str]:
    return {
        "GERRIT_URL": url(state),
        "GERRIT_ADMIN_USER": ADMIN_USER,
        "GERRIT_ADMIN_PASSWORD": ADMIN_PASSWORD,
    }


def _prepared(installation: Installation, step: Step) -> Path:
    """A site after Init and one start, with the archive of the classes that a start loads."""

    def make(into: Path) -> None:
        step.say("preparing a site (once per machine)")
        # The site must not know the directory it is made in: that one is renamed.
        site, log = into / "site", cache.root() / "gerrit-prepare.log"
        log.unlink(missing_ok=True)
        (site / "etc").mkdir(parents=True)
        shutil.copy(SOURCE / "gerrit.config", site / "etc")
        port = free_port()
        _set_port(site, port)
        init = installation.command("Init", site, "--batch", "--no-auto-start", "--skip-plugins")
        _run("Gerrit's Init failed", init, log)
        step.say("first start of the prepared site (once per machine)")
        dump = f"-XX:ArchiveClassesAtExit={into / 'classes.jsa'}"
        first = process.start(installation.daemon(site, dump), log)
        try:
            process.wait_ready("Gerrit", first, log, START_SECONDS, lambda: _answers(port))
        finally:
            step.say("keeping the prepared site (once per machine)")
            process.stop("Gerrit", first, grace=90)  # the archive is written on the way out
        shutil.rmtree(site / "logs", ignore_errors=True)

    inputs = [
        str(installation.directory),
        str(installation.java_home),
        (installation.java_home / "release").read_bytes(),
        SOURCE / "gerrit.config",
    ]
    return cache.entry(f"gerrit-site-{installation.version}", inputs, make)


def _copy(prepared: Path, site: Path, port: int) -> None:
    """Copy beside, then rename: an interrupted copy is never taken for a site."""
    site.parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(dir=site.parent)) / "site"
    shutil.copytree(prepared, fresh, symlinks=True)
    _set_port(fresh, port)
    fresh.rename(site)
    fresh.parent.rmdir()


def _submit_whole_topics(site: Path) -> None:
    """One submission may bring several changes, as on the sites that need it most."""
    config = site / "etc" / "gerrit.config"
    text = config.read_text()
    if "submitWholeTopic" not in text:
        config.write_text(f"{text}[change]\n\tsubmitWholeTopic = true\n")


def _set_port(site: Path, port: int) -> None:
    config = site / "etc" / "gerrit.config"
    here = f"http://127.0.0.1:{port}/"
    text, count = re.subn(r"(?m)^(\s*(?:canonicalWebUrl|listenUrl) = ).*$", rf"\g<1>{here}", config.read_text())
    if count != 2:
        raise Failure(f"{config}: expected two URLs to rewrite, found {count}")
    config.write_text(text)


def _wait(port: int, started: process.Recorded, state: State) -> None:
    process.wait_ready("Gerrit", started, state.logs / "gerrit.log", START_SECONDS, lambda: _answers(port))


def _answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/config/server/version", timeout=5) as answer:
            return answer.status == 200
    except (urllib.error.URLError, OSError):
        return False


def _run(failure: str, argv: list[str], log: Path) -> None:
    with log.open("a") as out:
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
    if done.returncode != 0:
        raise Failure(f"{failure}\n{tail(log)}")


def _version(pom: Path) -> str:
    found = re.search(r"gerrit-plugin-api</artifactId>\s*<version>([^<]+)", pom.read_text())
    if not found:
        raise Failure(f"{pom}: no version of gerrit-plugin-api")
    return found[1]
