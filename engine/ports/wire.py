"""The two ends of an exchange as protocols: the client that asked and the transport that reaches upstreams.

`server.py` is written against these alone, so the same code runs on sockets, in `pointsman test` and embedded. Must not
know aiohttp.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

Headers = Sequence[tuple[str, str]]


class TooLarge(Exception):
    """The client's body is over the limit; 413."""


class Overloaded(Exception):
    """The client's body finds no room beside those of other requests; 503."""


class UnknownCoding(Exception):
    """The client's body has a content coding that is not decoded here; 415."""


class BrokenBody(Exception):
    """The client's body does not come as it was announced: wrong framing, damaged compression; 400."""


class TooSlow(str):
    """In words, that a client takes nothing of its answer: what an exchange is told that is cancelled for it."""

    __slots__ = ()


class Client(Protocol):
    """One request of a client and the way back to it.

    `target` is the undecoded path; `query_string` what stood after `?`; `headers` have their names in lower case;
    `peer` is the address of the other end.
    A client that left shows as `asyncio.CancelledError` or `ConnectionError` from any of the methods; where it was cut
    off since it took nothing, the former has a `TooSlow`.
    """

    method: str
    target: str
    query_string: str
    headers: Headers
    peer: str | None
    started: bool  # the status line has left

    async def read(self, limit: int) -> bytes:
        """The whole body, decompressed; TooLarge beyond `limit` bytes (counted as they come, whatever was announced).

        Overloaded, UnknownCoding and BrokenBody when it cannot be had.
        """

    async def reply(self, status: int, headers: Headers, body: bytes) -> None:
        """A whole answer."""

    async def start(self, status: int, headers: Headers) -> None:
        """Begin a streamed answer."""

    async def write(self, chunk: bytes) -> None:
        """A piece of a streamed answer; waits while the client is slow."""

    async def end(self, *, clean: bool = True) -> None:
        """End a streamed answer; not clean: the connection is broken off, so that nobody takes it for whole."""


@dataclass(frozen=True, slots=True)
class Patience:
    """Time-outs of an upstream call in seconds; None is no limit."""

    connect: float | None = 5.0
    first_byte: float | None = 120.0
    between_bytes: float | None = 120.0
    total: float | None = None


@dataclass(slots=True)  # not frozen, since one is made for each call; nobody changes one
class Call:
    """One HTTP request to make; `headers` have their names in lower case."""

    method: str
    url: str
    headers: Headers
    body: bytes
    patience: Patience = Patience()


class Arrival(Protocol):
    """An upstream's answer whose head has arrived; `headers` have their names in lower case.

    Every method raises UpstreamError when the upstream fails.
    """

    status: int
    headers: Headers

    async def read(self) -> bytes:
        """The rest of the body."""

    def chunks(self) -> AsyncIterator[bytes]:
        """The body as it comes."""

    async def close(self) -> None:
        """Give the connection back, or break it off when the body was not read to its end."""


class Transport(Protocol):
    """What reaches upstreams."""

    async def send(self, call: Call) -> Arrival:
        """Send a request and wait for the head of its answer; UpstreamError when none comes."""

    async def close(self) -> None:
        """Close idle connections."""


class Ways(Protocol):
    """Finds the transport to an upstream of the rules file, or (None) to any other address."""

    def __call__(self, upstream: Any | None, /) -> Transport: ...
