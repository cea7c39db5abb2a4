"""Files of lines that are appended to, by one process or several: locks, whole lines or none. Must not know of what."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from io import FileIO
from pathlib import Path

try:
    from fcntl import LOCK_EX, LOCK_NB, flock
except ImportError:  # there are no such locks on this system
    CAN_LOCK = False
else:
    CAN_LOCK = True


def lock(file: int, path: Path, wait: bool) -> bool:
    """Lock an open file until it is closed; False when another has it (unless that is waited for), or it is elsewhere.

    Somebody may have moved or removed what was at `path` when it was opened.
    """
    if not CAN_LOCK:
        return wait  # who waits for a turn writes without one; who wants a claim gets none
    try:
        flock(file, LOCK_EX if wait else LOCK_EX | LOCK_NB)
    except OSError:  # another has it, or the file system has no locks
        if not wait:
            return False
    return is_at(file, path)


def is_at(file: int, path: Path) -> bool:
    """Whether an open file is the one at `path`."""
    try:
        return os.path.samestat(os.fstat(file), os.stat(path))
    except OSError:
        return False


def fitting(lines: Sequence[bytes], room: int) -> Sequence[bytes]:
    """The first lines that fit into so many bytes with their ends, one at least."""
    if sum(map(len, lines)) + len(lines) <= room:
        return lines
    for number, line in enumerate(lines):
        room -= len(line) + 1
        if room < 0 and number:
            return lines[:number]
    return lines


def append(file: FileIO, lines: Sequence[bytes], size: int) -> int:
    """Append lines to a file of that size, all or none; the bytes. A torn line would spoil what comes after it."""
    text = b"\n".join([*lines, b""])
    rest = memoryview(text)
    try:
        while rest:
            rest = rest[file.write(rest) :]
    except OSError:
        if stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            file.truncate(size)
        raise
    return len(text)
