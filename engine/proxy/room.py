"""How much of clients there is room for: what rules say, and how many files a process may have open.

Must not know connections.
"""

from __future__ import annotations

import sys

from engine.proxy.entry_request import Limits
from engine.rules.program import Program

if sys.platform != "win32":
    from resource import RLIM_INFINITY, RLIMIT_NOFILE, getrlimit, setrlimit

_WANTED = 65_536  # open files
_OTHERS = 128  # open files that carry no exchange: sinks, stores, rules, what listens
_FEWEST = 16


def limits_of(program: Program) -> Limits:
    """What clients may take under these rules."""
    server = program.server
    most = server.connections or most_connections()
    bodies = max(server.bodies_limit, server.body_limit)  # there is always room for one
    return Limits(idle=server.keep_alive, pause=server.client_timeout, connections=most, bodies=bodies)


def most_connections() -> int:
    """As many as may each have one to an upstream, of the files that this process may open."""
    if sys.platform == "win32":
        return sys.maxsize
    files, _ = getrlimit(RLIMIT_NOFILE)
    return sys.maxsize if files == RLIM_INFINITY else max((files - _OTHERS) // 2, _FEWEST)


def open_more() -> None:
    """Raise the soft limit of open files, which is low for the sake of old programs, as far as may be and is of use."""
    if sys.platform == "win32":
        return
    soft, hard = getrlimit(RLIMIT_NOFILE)
    wanted = _WANTED if hard == RLIM_INFINITY else min(_WANTED, hard)
    if soft != RLIM_INFINITY and soft < wanted:
        try:
            setrlimit(RLIMIT_NOFILE, (wanted, hard))
        except (OSError, ValueError):  # some systems have a limit below the hard one
            return
