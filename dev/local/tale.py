"""How the demo speaks: chapters, steps that tick while they wait, and facts shown side by side.

A terminal gets colour and a spinner; a pipe gets plain lines, the same words.
"""

from __future__ import annotations

import itertools
import os
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from typing import TypeVar

from .failure import Failure
from .progress import SPINNER

T = TypeVar("T")
LIVE = sys.stdout.isatty() and os.environ.get("TERM") != "dumb"
COLOUR = LIVE and "NO_COLOR" not in os.environ
WIDTH = 92
LOOK_SECONDS = 0.2
CHAPTERS = itertools.count(1)


def paint(code: str, text: str) -> str:
    return f"\x1b[{code}m{text}\x1b[0m" if COLOUR else text


def chapter(title: str) -> None:
    print(f"\n{paint('1;36', f'{next(CHAPTERS)}  {title}')}", flush=True)


def say(text: str) -> None:
    for line in textwrap.wrap(text, WIDTH):
        print(f"   {line}", flush=True)


def fact(name: str, value: object) -> None:
    print(f"   {paint('2', f'{name:<34}')} {value}", flush=True)


def command(text: str) -> None:
    print(f"   {paint('33', '$ ' + text)}", flush=True)


def quote(text: str, most: int = 14) -> None:
    """What a command printed, set apart."""
    lines = text.rstrip().splitlines()
    for line in lines[:most]:
        print(f"     {paint('2', '│')} {line}", flush=True)
    if len(lines) > most:
        print(f"     {paint('2', f'│ ... {len(lines) - most} more lines')}", flush=True)


def wait(text: str, look: Callable[[], T | None], seconds: float, why: Callable[[], str] = lambda: "") -> T:
    """Look until there is something, ticking; the line that stays says how long it took."""
    began, frame = time.monotonic(), 0
    while True:
        seen = look()
        elapsed = time.monotonic() - began
        if seen is not None:
            _line("\x1b[32m✔\x1b[0m" if COLOUR else "-", text, elapsed, end="\n")
            return seen
        if elapsed > seconds:
            _line("\x1b[31m✘\x1b[0m" if COLOUR else "x", text, elapsed, end="\n")
            raise Failure(f"not within {seconds:.0f} s: {text}\n{why()}")
        if LIVE:
            _line(SPINNER[frame % len(SPINNER)], text, elapsed, end="")
        frame += 1
        time.sleep(LOOK_SECONDS)


def work(text: str, job: Callable[[Callable[[str], None]], T]) -> T:
    """Do something in this thread while another shows that it goes on."""
    began, done, detail = time.monotonic(), threading.Event(), [""]

    def tick() -> None:
        frame = 0
        while not done.wait(LOOK_SECONDS):
            if LIVE:
                shown = f"{text}  {detail[0]}"[:WIDTH]
                _line(SPINNER[frame % len(SPINNER)], shown, time.monotonic() - began, end="")
            elif frame and frame % 75 == 0:
                print(f"   ... {text}: {detail[0]} ({time.monotonic() - began:.0f} s)", flush=True)
            frame += 1

    ticking = threading.Thread(target=tick, daemon=True)
    ticking.start()
    try:
        result = job(lambda words: detail.__setitem__(0, words))
    finally:
        done.set()
        ticking.join()
    _line("\x1b[32m✔\x1b[0m" if COLOUR else "-", text, time.monotonic() - began, end="\n")
    return result


class Told:
    """The step of the stack's display, told as part of the tale."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self.say = self.detail = self.done = say


def _line(mark: str, text: str, elapsed: float, end: str) -> None:
    start = "\r\x1b[2K" if LIVE else ""
    print(f"{start}   {mark} {text} {paint('2', f'({elapsed:.1f} s)')}", end=end, flush=True)
