"""What a person sees while waiting: one line per system, live on a terminal, plain lines in a log.

A log gets a line when something changes and a heartbeat now and then, so that ten silent minutes of a compiler are
never mistaken for a hang.
"""

from __future__ import annotations

import os
import sys
import threading
import time

HEARTBEAT_SECONDS = 15.0
REDRAW_SECONDS = 0.1
SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
MARKS = {"done": ("✔", "32"), "failed": ("✘", "31")}


class Step:
    """One line of the display. `say` is safe from any thread and cheap enough to call in a loop."""

    def __init__(self, board: Board, name: str) -> None:
        self._board = board
        self.name = name
        self.began = time.monotonic()
        self.ended: float | None = None
        self.state = "running"
        self.text = "waiting"
        self.spoken = self.began

    @property
    def elapsed(self) -> float:
        return (self.ended or time.monotonic()) - self.began

    def say(self, text: str) -> None:
        """What the system is doing now. Repeating the same text is silent."""
        self._board.update(self, "running", text)

    def detail(self, text: str) -> None:
        """Like `say` for what changes all the time: a log shows it with the next heartbeat only."""
        self._board.update(self, "running", text, loud=False)

    def done(self, text: str) -> None:
        self._board.update(self, "done", text)

    def failed(self, text: str) -> None:
        self._board.update(self, "failed", text)


class Board:
    """All lines together; a context manager, so that the last state is always drawn."""

    def __init__(self, stream=sys.stderr) -> None:
        self._stream = stream
        self._live = stream.isatty() and os.environ.get("TERM") != "dumb"
        self._colour = self._live and "NO_COLOR" not in os.environ
        self._lock = threading.Lock()
        self._steps: list[Step] = []
        self._drawn = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Board:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        with self._lock:
            if self._live:
                self._draw()

    def step(self, name: str) -> Step:
        with self._lock:
            step = Step(self, name)
            self._steps.append(step)
            return step

    def update(self, step: Step, state: str, text: str, loud: bool = True) -> None:
        with self._lock:
            if (step.state, step.text) == (state, text):
                return
            step.state, step.text = state, text
            if state != "running":
                step.ended = time.monotonic()
            if not self._live and loud:
                self._print(step)

    def _run(self) -> None:
        while not self._stop.wait(REDRAW_SECONDS):
            with self._lock:
                if self._live:
                    self._draw()
                else:
                    self._heartbeat()

    def _heartbeat(self) -> None:
        for step in self._steps:
            if step.state == "running" and time.monotonic() - step.spoken > HEARTBEAT_SECONDS:
                self._print(step)

    def _print(self, step: Step) -> None:
        step.spoken = time.monotonic()
        print(f"{step.name:<10} {step.elapsed:6.1f} s  {_mark(step)}{step.text}", file=self._stream, flush=True)

    def _draw(self) -> None:
        width = os.get_terminal_size(self._stream.fileno()).columns or 100  # some terminals do not know
        out = [f"\x1b[{self._drawn}A"] if self._drawn else []
        for step in self._steps:
            mark, colour = MARKS.get(step.state, (SPINNER[int(step.elapsed / REDRAW_SECONDS) % len(SPINNER)], "36"))
            line = f"{step.name:<10} {step.elapsed:6.1f} s  {step.text}"[: max(width - 3, 10)]
            painted = f"\x1b[{colour}m{mark}\x1b[0m" if self._colour else mark
            out.append(f"\r\x1b[2K{painted} {line}\n")
        self._stream.write("".join(out))
        self._stream.flush()
        self._drawn = len(self._steps)


def _mark(step: Step) -> str:
    return "FAILED: " if step.state == "failed" else ""
