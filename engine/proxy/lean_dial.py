"""Makes connections: names resolved, addresses tried side by side, TLS with the name checked.

Must not know what is said over a connection.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable
from functools import lru_cache
from typing import Any, TypeVar

from aiohappyeyeballs import AddrInfoType, start_connection

from engine.ports.wire import Patience
from engine.proxy import faults
from engine.proxy.lean_alarm import NEVER
from engine.proxy.url import Destination

_STAGGER = 0.25  # seconds until the next address is tried beside one that does not answer
_NAMES_LAST = 300.0  # seconds for which a resolved name is taken to be right
_MOST_NAMES = 1024
_FAMILIES = (socket.AF_INET, socket.AF_INET6)
Made = TypeVar("Made", bound=asyncio.BaseProtocol)


class Dialer:
    """Connects to origins; `tls` replaces the system's certificates."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self._tls = tls
        self._names: dict[tuple[str, int], tuple[float, list[AddrInfoType]]] = {}

    async def dial(self, to: Destination, patience: Patience, total: float, make: Callable[[], Made]) -> Made:
        """A connection's protocol, connected; UpstreamError when it cannot be. `total` is a deadline."""
        loop = asyncio.get_running_loop()
        latest = loop.time() + patience.connect if patience.connect is not None else NEVER
        by = min(latest, total)
        limit = asyncio.timeout_at(by if by < NEVER else None)
        try:
            async with limit:
                return await self._connect(loop, to, make)
        except TimeoutError as error:
            if not limit.expired():
                raise faults.not_connected(to, error) from error
            late = faults.took_too_long if total < latest else faults.no_connection_yet
            raise late(to, patience) from error
        except (OSError, RuntimeError) as error:  # uvloop raises the latter for some of the former
            raise faults.not_connected(to, error) from error

    async def _connect(self, loop: asyncio.AbstractEventLoop, to: Destination, make: Callable[[], Made]) -> Made:
        made = await start_connection(await self._addresses(loop, to), happy_eyeballs_delay=_STAGGER, loop=loop)
        options: dict[str, Any] = {}
        if to.secure:
            options = {"ssl": self._tls or _system_trust(), "server_hostname": to.host.rstrip(".")}
        try:
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            _, protocol = await loop.create_connection(make, sock=made, **options)
        except BaseException:
            with contextlib.suppress(OSError, RuntimeError):  # the transport may have closed it, or be about to
                made.close()
            raise
        return protocol

    async def _addresses(self, loop: asyncio.AbstractEventLoop, to: Destination) -> list[AddrInfoType]:
        """Where a host listens; names are kept for a while, and their addresses begun with in turn."""
        for family in _FAMILIES:
            with contextlib.suppress(OSError):
                socket.inet_pton(family, to.host)
                return [(family, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (to.host, to.port))]
        key = (to.host, to.port)
        until, known = self._names.get(key, (0.0, []))
        if until < loop.time():
            known = await _resolve(loop, to)
            if len(self._names) >= _MOST_NAMES:
                self._names.clear()
            until = loop.time() + _NAMES_LAST
        self._names[key] = until, [*known[1:], known[0]]
        return known


async def _resolve(loop: asyncio.AbstractEventLoop, to: Destination) -> list[AddrInfoType]:
    try:
        found = await loop.getaddrinfo(to.host, to.port, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
    except (OSError, UnicodeError) as error:
        raise faults.no_name(to) from error
    if not found:
        raise faults.no_name(to)
    return [(family, kind, protocol, name, address) for family, kind, protocol, name, address in found]


@lru_cache(maxsize=1)
def _system_trust() -> ssl.SSLContext:
    """The system's certificates, HTTP/1.1 by ALPN; reading them takes a while, so once."""
    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    return context
