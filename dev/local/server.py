"""One process of the stack that listens on a port of its own: started once, recognised later, replaced when it is another
than is wanted now.
"""

from __future__ import annotations

import urllib.error
import urllib.request
from dataclasses import dataclass

from . import process
from .progress import Step
from .state import State


@dataclass(frozen=True)
class Server:
    # In the state, and of its log.
    name: str
    # As people call it.
    title: str
    # Answered with 200 by one that serves.
    health: str
    start_seconds: float

    def url(self, state: State) -> str:
        return f"http://127.0.0.1:{state.port(self.name)}"

    def answers(self, state: State) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url(state)}{self.health}", timeout=5) as answer:
                return answer.status == 200
        except (urllib.error.URLError, OSError):
            return False

    def ready(self, state: State) -> bool:
        running = state.process(self.name)
        return bool(running and running.alive() and self.answers(state))

    def stands(self, state: State, step: Step, identity: str) -> bool:
        """Whether the very one that is wanted serves already; any other is stopped."""
        running = state.process(self.name)
        if not (running and running.alive()):
            return False
        if state.get(self.name, "identity") == identity and self.answers(state):
            step.done(f"already at {self.url(state)}")
            return True
        step.say("replacing one that does not answer, of another build, or of another cluster")
        process.stop(self.title, running)
        return False

    def start(self, state: State, step: Step, argv: list[str], env: dict[str, str] | None = None) -> None:
        """Start it and wait until it answers. It has no identity before `remember`: one half set up is replaced."""
        step.say("starting")
        log = state.logs / f"{self.name}.log"
        started = process.start(argv, log, env=env)
        state.record(self.name, started)
        state.put(self.name, identity=None)
        process.wait_ready(self.title, started, log, self.start_seconds, lambda: self.answers(state))

    def remember(self, state: State, identity: str, **more: str) -> None:
        state.put(self.name, identity=identity, **more)

    def down(self, state: State, kill: bool = False) -> None:
        running = state.process(self.name)
        if running:
            process.stop(self.title, running, kill=kill)
            state.record(self.name, None)
