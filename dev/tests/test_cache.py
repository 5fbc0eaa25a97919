"""A cache entry is made once, whole, or not at all."""

import os
import tempfile
import threading
import time
import unittest
from pathlib import Path
from unittest import mock

from local import cache


class Cache(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        patch = mock.patch.dict(os.environ, XDG_CACHE_HOME=directory.name)
        patch.start()
        self.addCleanup(patch.stop)

    def test_two_at_once_make_it_once(self):
        made = []

        def make(into: Path) -> None:
            made.append(into)
            time.sleep(0.1)
            (into / "tool").write_text("tool")

        threads = [threading.Thread(target=cache.entry, args=("tool", ["1"], make)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(len(made), 1)
        self.assertEqual((cache.entry("tool", ["1"], make) / "tool").read_text(), "tool")

    def test_a_failed_maker_leaves_nothing(self):
        def make(into: Path) -> None:
            (into / "half").write_text("half")
            raise RuntimeError

        with self.assertRaises(RuntimeError):
            cache.entry("tool", ["1"], make)
        self.assertEqual([path for path in cache.root().iterdir() if path.is_dir()], [])

    def test_what_a_killed_maker_left_is_swept(self):
        final = cache.root() / f"tool-{cache.digest(['1'])}"
        left = cache.root() / f".{final.name}.killed"
        left.mkdir(parents=True)
        cache.entry("tool", ["1"], lambda into: None)
        self.assertFalse(left.exists())
        self.assertTrue(final.is_dir())

    def test_a_changed_input_is_another_entry(self):
        nothing = lambda into: None  # noqa: E731
        self.assertNotEqual(cache.entry("tool", ["1"], nothing), cache.entry("tool", ["2"], nothing))

    def test_inputs_do_not_run_together(self):
        self.assertNotEqual(cache.digest(["ab", "c"]), cache.digest(["a", "bc"]))
