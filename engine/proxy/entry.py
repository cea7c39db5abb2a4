"""Accepts clients' connections and hands each request to an exchange, on asyncio's protocols and llhttp.

Must not know rules, dialects or upstreams: an exchange gets a `Client` and does with it what it likes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from ssl import SSLContext
from typing import Any

from engine.proxy.entry_connection import Connection
from engine.proxy.entry_request import Limits
from engine.proxy.entry_syntax import Malformed
from engine.proxy.serving import Exchange, Serving
from engine.proxy.sharing import Sharing
from engine.proxy.taking import notice_silence

_PAUSE = 1.0  # seconds between two requests of one who is still at it
_TOLD = 16  # connections too many that are answered before they end


async def listen(
    exchange: Exchange,
    host: str,
    port: int,
    *,
    limits: Limits | None = None,
    reuse_port: bool = False,
    ssl: SSLContext | None = None,
) -> Listening:
    """Serve `exchange` on an address, port 0 being any free one; OSError when it cannot be had.

    An exchange answers its client and returns: the connection's next request waits for it, so work that goes on after
    the answer belongs into a task of its own. A client that leaves before its answer has left cancels the exchange.
    """
    listening = Listening(exchange, limits or Limits())
    await listening.open(host, port, reuse_port=reuse_port, ssl=ssl)
    return listening


def listen_shared(exchange: Exchange, sharing: Sharing, limits: Limits | None = None) -> Listening:
    """The same on sockets that other processes accept from as well."""
    listening = Listening(exchange, limits or Limits())
    listening.share(sharing)
    return listening


class Listening:
    """A server that takes requests until it is closed."""

    server = "lean on httptools"  # as the log and the benches name it

    def __init__(self, exchange: Exchange, limits: Limits) -> None:
        self.limits = limits
        self.serving = Serving(exchange)
        self.port: int
        self._open: dict[Connection, None] = {}  # the oldest first
        self._lost: Callable[[], None] | None = None
        self._accepting: asyncio.AbstractServer | Sharing

    async def open(self, host: str, port: int, **options: Any) -> None:
        """Begin to accept; the options are those of `loop.create_server`."""
        server: Any = await asyncio.get_running_loop().create_server(self._make, host, port, backlog=1024, **options)
        for sock in server.sockets:
            notice_silence(sock)
        self._accepting = server
        self.port = server.sockets[0].getsockname()[1]

    def share(self, sharing: Sharing) -> None:
        """Begin to accept, with others."""
        self._accepting = sharing
        self._lost = sharing.left
        for sock in sharing.sockets:
            notice_silence(sock)
        sharing.begin(self._make)
        self.port = sharing.sockets[0].getsockname()[1]

    def bound(self, limits: Limits) -> None:
        """Hold clients to other limits from now on."""
        self.limits = limits

    def shed(self, number: int) -> None:
        """Have so many of the next answers end their connections, so that other processes get them."""
        self.serving.too_many = number

    @property
    def running(self) -> int:
        """Requests that are being answered."""
        return self.serving.running

    @property
    def connections(self) -> int:
        """Open connections."""
        return len(self._open)

    def made(self, connection: Connection) -> None:
        """A client has come."""
        self._open[connection] = None
        if len(self._open) > self.limits.connections:
            self._make_room(connection)

    def lost(self, connection: Connection) -> None:
        """It is gone."""
        self._open.pop(connection, None)
        if self._lost is not None:
            self._lost()

    async def close(self, drain_seconds: float = 0.0) -> None:
        """Accept nothing more, let what runs go on for `drain_seconds`, then cancel it."""
        self.serving.draining = True
        self._accepting.close()
        for connection in list(self._open):
            connection.finish()
        await self.serving.drain(drain_seconds)
        for connection in list(self._open):
            connection.close()
        for _ in range(10):  # what was written leaves; who does not take it in a moment will not
            if not self._open:
                return
            await asyncio.sleep(0.01)
        for connection in list(self._open):
            connection.transport.abort()
        await asyncio.sleep(0)

    def _make_room(self, newcomer: Connection) -> None:
        """Too many: the oldest that never asked goes, else one at rest, else the newcomer, told so but in a flood."""
        idle = [each for each in self._open if each.unused(_PAUSE) and each is not newcomer]
        spared = next((each for each in idle if each.fresh), idle[0] if idle else None)
        if spared is not None:
            spared.close()
        elif len(self._open) > self.limits.connections + _TOLD:
            newcomer.transport.abort()
        else:
            newcomer.refuse(Malformed("Too many connections are open; try again later.", 503, "too_many_connections"))

    def _make(self) -> Connection:
        return Connection(self, asyncio.get_running_loop())
