"""Child processes of the benches: on which cores they run, where they listen, and what they take of the machine."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from load import PLAIN, Manner, request  # found beside this file

ROOT = Path(__file__).parent.parent


def cores() -> tuple[set[int], set[int]]:
    """One core for the proxy and the others for load and upstream; all for both where there is only one."""
    free = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    if len(free) < 2:
        return set(free), set(free)
    return {free[0]}, {free[1]}


@contextlib.contextmanager
def running(
    command: list[str],
    on: set[int],
    stderr: int | IO[bytes] | None = None,
    *,
    stdout: int | IO[bytes] = subprocess.PIPE,
    cwd: Path = ROOT,
    env: dict[str, str] | None = None,
) -> Iterator[subprocess.Popen[str]]:
    """A child process on these cores, ended with its own children by their ids whatever happens."""
    pin = (lambda: os.sched_setaffinity(0, on)) if on else None
    child = subprocess.Popen(
        command,
        stdout=stdout,
        stderr=stderr,
        text=True,
        cwd=cwd,
        env=env,
        preexec_fn=pin,  # noqa: PLW1509
    )
    try:
        yield child
    finally:
        under = family(child.pid)[1:] if child.poll() is None else []
        child.terminate()
        try:
            child.wait(15)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
            for orphan in under:  # one that ended by itself has taken its children along
                with contextlib.suppress(ProcessLookupError):
                    os.kill(orphan, signal.SIGKILL)


def told_port(child: subprocess.Popen[str]) -> int | None:
    """The port that a child prints as its first line; None if it printed something else or ended."""
    assert child.stdout is not None
    line = child.stdout.readline()
    return int(line) if line.strip().isdigit() else None


def port_of(child: subprocess.Popen[str]) -> int:
    """The same of a child that must start."""
    port = told_port(child)
    if port is None:
        raise SystemExit(f"bench: {child.args} did not start")
    return port


def free_port() -> int:
    """A port of the loopback that nobody listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def answers(port: int, manner: Manner = PLAIN) -> bool:
    """Whether a chat request is answered with 200."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 5) as asked:
        asked.sendall(request(port, manner=manner))
        return asked.recv(12) == b"HTTP/1.1 200"
    return False


def until_answers(child: subprocess.Popen[str], port: int, seconds: float, manner: Manner = PLAIN) -> bool:
    """Wait until a child answers chat requests; false if it ended or took longer."""
    end = time.monotonic() + seconds
    while not answers(port, manner):
        if child.poll() is not None or time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True


def family(pid: int) -> list[int]:
    """A process and all below it, where /proc tells."""
    found = [pid]
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            for child in task.read_text().split():
                found += family(int(child))
    return found


def busy(pid: int) -> float:
    """Seconds of CPU time that a process has used, where /proc tells: what others do on the machine hardly shows."""
    with contextlib.suppress(OSError):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return 0.0


def memory(pid: int) -> float:
    """Megabytes resident, where /proc tells."""
    with contextlib.suppress(OSError):
        found = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
        if found:
            return int(found[1]) / 1024
    return 0.0
