"""Reaches upstreams over direct connections, with or without TLS, behind the `Transport` of `engine.ports.wire`.

asyncio's protocols and llhttp with as little between them as correctness allows; what it does not do, such as HTTP
proxies, is aiohttp's. Must not know dialects, models or rules, what a request says, nor whether another upstream could
be asked.
"""

from __future__ import annotations

import asyncio
from ssl import SSLContext

from engine.ports.wire import Arrival, Call, Transport
from engine.proxy.lean_alarm import NEVER
from engine.proxy.lean_answer import Raced
from engine.proxy.lean_connection import Connection
from engine.proxy.lean_dial import Dialer
from engine.proxy.lean_pool import Pool
from engine.proxy.lean_request import head
from engine.proxy.url import destination


class LeanTransport:
    """Upstreams over connections of our own: no redirects, no cookies, no decompression; connections are kept.

    `trust_env` takes HTTP proxies from the environment, as curl does; `ssl` replaces the system's certificates; `idle`
    is for how many seconds a connection is kept without a request.
    """

    def __init__(self, *, trust_env: bool = False, ssl: SSLContext | None = None, idle: float = 30.0) -> None:
        self._trust_env, self._ssl, self._idle = trust_env, ssl, idle
        self._pool = Pool(idle)
        self._dialer = Dialer(ssl)
        self._other: Transport | None = None

    async def send(self, call: Call) -> Arrival:
        to = destination(call.url, trust_env=self._trust_env)
        if to.proxy is not None:
            return await self._baseline().send(call)
        request = head(call, to)
        most = call.patience.total
        total = NEVER if most is None else asyncio.get_running_loop().time() + most
        kept = self._pool.take(to.origin)
        if kept is not None:
            try:
                return await kept.ask(call, to, request, total)
            except Raced:
                pass
        loop = asyncio.get_running_loop()
        made = await self._dialer.dial(to, call.patience, total, lambda: Connection(self._pool, to.origin, loop))
        return await made.ask(call, to, request, total)

    async def close(self) -> None:
        self._pool.close()
        if self._other is not None:
            await self._other.close()

    def _baseline(self) -> Transport:
        """What aiohttp does; most gateways never need it, and it takes its time to be loaded."""
        if self._other is None:
            from engine.proxy.upstream import AiohttpTransport

            self._other = AiohttpTransport(trust_env=self._trust_env, ssl=self._ssl, idle=self._idle)
        return self._other
