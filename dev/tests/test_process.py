"""Only a process that we started, and that is still the same one, is ever stopped."""

import subprocess
import tempfile
import time
import unittest
from pathlib import Path

from local import process
from local.failure import Failure


class Process(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.log = Path(directory.name) / "log"

    def test_what_was_started_is_stopped(self):
        started = process.start(["sleep", "60"], self.log)
        self.assertTrue(started.alive())
        process.stop("sleep", started)
        self.assertFalse(started.alive())

    def test_a_recycled_pid_is_left_alone(self):
        with subprocess.Popen(["sleep", "60"]) as somebody:
            process.stop("sleep", process.Recorded(somebody.pid, started=1))
            self.assertIsNone(somebody.poll())
            somebody.kill()

    def test_a_process_that_ends_is_noticed_at_once_with_its_last_words(self):
        started = process.start(["sh", "-c", "sleep 0.1; echo no such flag; exit 1"], self.log)
        began = time.monotonic()
        with self.assertRaisesRegex(Failure, "no such flag"):
            process.wait_ready("it", started, self.log, 30, lambda: False)
        self.assertLess(time.monotonic() - began, 5)
