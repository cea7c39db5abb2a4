"""The connections that nobody uses just now, by origin. Must not know how they are made or what they carry."""

from __future__ import annotations

import asyncio

from engine.proxy.lean_connection import Connection

_MOST_IDLE = 256  # of one origin


class Pool:
    """Keeps idle connections for `idle` seconds; the one used last is given out first, a lost one leaves at once."""

    def __init__(self, idle: float) -> None:
        self._keep = idle
        self._all: set[Connection] = set()
        self._idle: dict[str, list[Connection]] = {}  # the longest idle ones first
        self._sweeping: asyncio.TimerHandle | None = None

    def welcome(self, connection: Connection) -> None:
        """A new one, made to be used at once."""
        self._all.add(connection)

    def take(self, origin: str) -> Connection | None:
        """A connection that can carry a request."""
        idle = self._idle.get(origin)
        while idle:
            connection = idle.pop()
            if connection.fit(self._keep):
                return connection
            connection.end()
        return None

    def take_back(self, connection: Connection) -> None:
        """It was used and is idle again."""
        idle = self._idle.get(connection.origin)
        if idle is None:
            idle = self._idle[connection.origin] = []
        idle.append(connection)
        if len(idle) > _MOST_IDLE:
            idle.pop(0).end()
        if self._sweeping is None:
            loop = asyncio.get_running_loop()
            self._sweeping = loop.call_later(self._keep, self._sweep, loop)

    def forget(self, connection: Connection) -> None:
        """It is lost."""
        self._all.discard(connection)
        idle = self._idle.get(connection.origin)
        if idle is not None and connection in idle:
            idle.remove(connection)

    def close(self) -> None:
        """End all of them, those in use too."""
        if self._sweeping is not None:
            self._sweeping.cancel()
            self._sweeping = None
        self._idle.clear()
        for connection in list(self._all):
            connection.end()

    def _sweep(self, loop: asyncio.AbstractEventLoop) -> None:
        """End what has been idle for too long; look again when the next one may be."""
        self._sweeping = None
        oldest, now = None, loop.time()
        for origin, idle in list(self._idle.items()):
            while idle and now - idle[0].since >= self._keep:
                idle.pop(0).end()
            if not idle:
                del self._idle[origin]
            elif oldest is None or idle[0].since < oldest:
                oldest = idle[0].since
        if oldest is not None:
            self._sweeping = loop.call_at(oldest + self._keep, self._sweep, loop)
