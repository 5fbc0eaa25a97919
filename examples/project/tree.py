"""Names the files of a directory as git names a tree: equal to `git rev-parse COMMIT:` exactly if all of them are."""

import hashlib
import os

# Lockstep's own list of what it has uploaded.
MANIFEST = ".lockstep-manifest.json"


def digest(directory: str) -> str:
    return _tree(directory).hex()


def _tree(directory: str) -> bytes:
    rows = []
    for entry in os.scandir(directory):
        name = entry.name.encode()
        if entry.is_dir():
            # Git sorts a folder as if its name ended with a slash.
            rows.append((name + b"/", b"40000 " + name + b"\0" + _tree(entry.path)))
        elif entry.name != MANIFEST:
            with open(entry.path, "rb") as file:
                rows.append((name, b"100644 " + name + b"\0" + _object(b"blob", file.read())))
    return _object(b"tree", b"".join(row for _, row in sorted(rows)))


def _object(kind: bytes, content: bytes) -> bytes:
    return hashlib.sha1(b"%s %d\0" % (kind, len(content)) + content).digest()
