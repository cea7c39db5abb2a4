"""Accepts clients' connections and hands each request to an exchange, on asyncio's protocols and llhttp.

Must not know rules, dialects or upstreams: an exchange gets a `Client` and does with it what it likes.
"""

from __future__ import annotations

import asyncio
from ssl import SSLContext
from typing import Any

from engine.proxy.entry_connection import Connection
from engine.proxy.entry_request import Limits
from engine.proxy.serving import Exchange, Serving


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


class Listening:
    """A server that takes requests until it is closed."""

    server = "lean on httptools"  # as the log and the benches name it

    def __init__(self, exchange: Exchange, limits: Limits) -> None:
        self.limits = limits
        self.serving = Serving(exchange)
        self.connections: set[Connection] = set()

    async def open(self, host: str, port: int, **options: Any) -> None:
        """Begin to accept; the options are those of `loop.create_server`."""
        loop = asyncio.get_running_loop()
        self._accepting = await loop.create_server(lambda: Connection(self, loop), host, port, backlog=1024, **options)
        self.port: int = self._accepting.sockets[0].getsockname()[1]

    async def close(self, drain_seconds: float = 0.0) -> None:
        """Accept nothing more, let what runs go on for `drain_seconds`, then cancel it."""
        self.serving.draining = True
        self._accepting.close()
        for connection in list(self.connections):
            connection.finish()
        await self.serving.drain(drain_seconds)
        for connection in list(self.connections):
            connection.close()
        for _ in range(10):  # what was written leaves; who does not take it in a moment will not
            if not self.connections:
                return
            await asyncio.sleep(0.01)
        for connection in list(self.connections):
            connection.transport.abort()
        await asyncio.sleep(0)
