"""What `down` and `reset` take with them, and what `stop` leaves running."""

import io
import json
import sys
import tempfile
import unittest
from pathlib import Path
from unittest import mock

from local import operator, process, simulator, stack
from local.progress import Board
from local.state import State


class Down(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.directory = Path(directory.name) / "state"
        self.directory.mkdir()
        self.state = State(self.directory)
        log = self.directory / "logs" / "operator.log"
        self.operator = process.start([sys.executable, "-c", "import time; time.sleep(60)"], log)
        self.addCleanup(process.stop, "operator", self.operator, 1, True)
        self.state.record(operator.NAME, self.operator)
        quiet = mock.patch.object(stack, "Board", lambda: Board(io.StringIO()))
        quiet.start()
        self.addCleanup(quiet.stop)

    def recorded(self):
        return json.loads((self.directory / "stack.json").read_text())[operator.NAME]["process"]

    def test_down_stops_the_operator_of_the_demo(self):
        stack.down(self.directory, list(stack.SYSTEMS))
        self.assertFalse(self.operator.alive())
        self.assertIsNone(self.recorded())

    def test_it_stops_before_its_cluster(self):
        self.state.put("kubernetes", port=1)
        alive = []
        with mock.patch.object(stack.SYSTEMS["kubernetes"], "down", lambda *_: alive.append(self.operator.alive())):
            stack.down(self.directory, list(stack.SYSTEMS))
        self.assertEqual(alive, [False])

    def test_down_takes_back_that_the_simulator_runs_programs(self):
        for names, executes in ((["gerrit"], True), (["sim"], False)):
            simulator.execute(State(self.directory), True)
            stack.down(self.directory, names)
            self.assertEqual(State(self.directory).get("sim", "executes"), executes)

    def test_reset_stops_it_and_forgets_it(self):
        stack.reset(self.directory)
        self.assertFalse(self.operator.alive())
        self.assertFalse(self.directory.exists())

    def test_a_system_that_is_stopped_alone_leaves_it_running(self):
        stack.stop(self.directory, ["kubernetes"])
        stack.down(self.directory, ["gerrit", "sim"])
        self.assertTrue(self.operator.alive())

    def test_a_recycled_pid_is_left_alone(self):
        self.state.record(operator.NAME, process.Recorded(self.operator.pid, started=1))
        stack.down(self.directory, list(stack.SYSTEMS))
        self.assertTrue(self.operator.alive())


class Files(unittest.TestCase):
    def test_what_holds_tokens_is_never_readable_by_others(self):
        with tempfile.TemporaryDirectory() as directory:
            state = State(Path(directory))
            state.write("token", "first\n")
            path = state.write("token", "second\n", mode=0o600)
            self.assertEqual(path.stat().st_mode & 0o777, 0o600)
            self.assertEqual(path.read_text(), "second\n")
            state.put("vault", port=1)
            stack._write_environment(state)
            self.assertEqual((Path(directory) / "env").stat().st_mode & 0o777, 0o600)

    def test_the_root_token_of_vault_stays(self):
        with tempfile.TemporaryDirectory() as directory:
            state = State(Path(directory))
            state.put("vault", port=1)
            first, second = (stack.environment(state)["VAULT_TOKEN"] for _ in range(2))
            self.assertEqual(first, second)
            self.assertGreater(len(first), 30)
