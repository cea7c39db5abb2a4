"""A bounded load generator on raw sockets: so many connections, one request under way on each, for so many seconds."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field

import uvloop

_PROMPT = "Tell me in a few words what a gateway in front of language models is good for, and name three rules it has. "


@dataclass(frozen=True)
class Manner:
    """What a gateway wants to find in a chat request: the path, the name of its model, headers of its own."""

    path: str = "/v1/chat/completions"
    model: str = "bench"
    headers: tuple[tuple[str, str], ...] = ()


PLAIN = Manner()


def request(port: int, *, stream: bool = False, manner: Manner = PLAIN) -> bytes:
    """A chat request of 330 bytes of JSON, as a client sends it."""
    start = f'{{"model":"{manner.model}","user":"bench",' + ('"stream":true,' if stream else "")
    start += '"messages":[{"role":"user","content":"'
    body = (start + (_PROMPT * 3)[: 330 - len(start) - 4] + '"}]}').encode()
    own = "".join(f"{name}: {value}\r\n" for name, value in manner.headers)
    head = (
        f"POST {manner.path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUser-Agent: bench\r\nAccept: */*\r\n{own}"
        f"Authorization: Bearer sk-bench\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


@dataclass
class Tally:
    """What one run saw: seconds per answer, answers that were not 200, bytes and seconds in all."""

    took: list[float] = field(default_factory=list)
    failed: int = 0
    size: int = 0
    seconds: float = 0.0

    @property
    def per_second(self) -> float:
        return len(self.took) / self.seconds

    def percentile(self, share: float) -> float:
        """Microseconds within which this share of the answers came."""
        ordered = sorted(self.took)
        return ordered[min(int(share * len(ordered)), len(ordered) - 1)] * 1e6


class _Connection(asyncio.Protocol):
    """Sends the next request as soon as an answer is whole."""

    def __init__(self, message: bytes, tally: Tally, until: float) -> None:
        self.message, self.tally, self.until = message, tally, until
        self.done = asyncio.get_running_loop().create_future()
        self.buffer = b""
        self.begun = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self._next()

    def _next(self) -> None:
        self.begun = time.perf_counter()
        if self.begun >= self.until:
            self.transport.close()
            return
        self.transport.write(self.message)

    def data_received(self, data: bytes) -> None:
        self.buffer = self.buffer + data if self.buffer else data
        if not _whole(self.buffer):
            return
        self.tally.took.append(time.perf_counter() - self.begun)
        self.tally.size += len(self.buffer)
        self.tally.failed += not self.buffer.startswith(b"HTTP/1.1 200")
        self.buffer = b""
        self._next()

    def connection_lost(self, exc: Exception | None) -> None:
        if time.perf_counter() < self.until:
            self.tally.failed += 1
        if not self.done.done():
            self.done.set_result(None)


def _whole(answer: bytes) -> bool:
    head = answer.find(b"\r\n\r\n")
    if head < 0:
        return False
    fields = answer[:head].lower()
    at = fields.find(b"content-length:")
    if at < 0:
        return answer.endswith(b"\r\n0\r\n\r\n")
    return len(answer) >= head + 4 + int(fields[at + 15 :].split(b"\r\n", 1)[0])


def load(port: int, seconds: float, connections: int, *, stream: bool = False, manner: Manner = PLAIN) -> Tally:
    """Keep a server busy and count; a connection that is lost before its time counts as failed."""
    return uvloop.run(_load(port, seconds, connections, request(port, stream=stream, manner=manner)))


async def _load(port: int, seconds: float, connections: int, message: bytes) -> Tally:
    tally = Tally()
    began = time.perf_counter()
    loop = asyncio.get_running_loop()
    made = [
        await loop.create_connection(lambda: _Connection(message, tally, began + seconds), "127.0.0.1", port)
        for _ in range(connections)
    ]
    await asyncio.wait_for(asyncio.gather(*(protocol.done for _, protocol in made)), seconds + 30)
    tally.seconds = time.perf_counter() - began
    if not tally.took:
        raise RuntimeError(f"no answer came from port {port}")
    return tally
