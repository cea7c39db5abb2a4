"""The transports of a process, and which one serves which upstream. Must not know what is asked."""

from __future__ import annotations

from importlib.metadata import version

from engine.ports.wire import Transport
from engine.proxy.demo import Demo
from engine.proxy.lean import LeanTransport
from engine.proxy.places import Places
from engine.rules.models import Upstream


class Ways:
    """The embedded demo, and one client for all else; an upstream that takes only so many calls at once has a line."""

    transport = f"lean on httptools {version('httptools')}"  # as the log and the benches name it

    def __init__(self) -> None:
        self._demo: Transport = Demo()
        self._network: Transport = LeanTransport(trust_env=True)
        self._lines: dict[tuple[str, Transport], Places] = {}  # they outlive a reload, as calls do

    def __call__(self, upstream: Upstream | None) -> Transport:
        if upstream is None:
            return self._network
        transport = self._demo if upstream.kind == "demo" else self._network
        return transport if upstream.concurrent is None else self._line(upstream.name, transport, upstream.concurrent)

    async def close(self) -> None:
        """Close idle connections."""
        await self._network.close()

    def _line(self, name: str, transport: Transport, most: int) -> Places:
        line = self._lines.get((name, transport))
        if line is None:
            line = self._lines[name, transport] = Places(transport, most)
        line.most = most
        return line
