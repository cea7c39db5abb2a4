"""What every transport must hold, against a scripted upstream on real sockets: the suite is the contract."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import re
import shutil
import socket
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager

import pytest

from engine.errors import UpstreamError
from engine.ports.wire import Arrival, Call, Patience, Transport
from engine.proxy.lean import LeanTransport
from engine.proxy.upstream import AiohttpTransport
from tests.running import eventually
from tests.scripted import Scripted, Talk, chunk, raw, scripted, stream, whole

MIB = 1 << 20
TRANSPORTS: dict[str, Callable[[], Transport]] = {"aiohttp": AiohttpTransport, "lean": LeanTransport}
LENGTH = b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
UNTIL_CLOSED = b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n"


@pytest.fixture(params=TRANSPORTS.values(), ids=TRANSPORTS)
async def transport(request: pytest.FixtureRequest, caplog: pytest.LogCaptureFixture) -> AsyncIterator[Transport]:
    made: Transport = request.param()
    yield made
    await made.close()
    await asyncio.sleep(0)
    gc.collect(1)
    assert [record.getMessage() for record in caplog.records] == [], "nothing is left for the loop to complain of"


def call(
    upstream: Scripted,
    body: bytes = b'{"a": 1}',
    *,
    path: str = "/v1/x",
    method: str = "POST",
    headers: tuple[tuple[str, str], ...] = (),
    **patience: float | None,
) -> Call:
    patience = {"connect": 5.0, "first_byte": 5.0, "between_bytes": 5.0, **patience}
    return Call(method, upstream.url + path, headers, body, Patience(**patience))


async def asked(transport: Transport, upstream: Scripted, **options: object) -> tuple[int, bytes]:
    arrival = await transport.send(call(upstream, **options))  # type: ignore[arg-type]
    return arrival.status, await arrival.read()


async def fails(transport: Transport, upstream: Scripted, **options: object) -> tuple[str, str]:
    """The source and message of the error that a whole call ends with; the upstream's port left out."""
    with pytest.raises(UpstreamError) as caught:
        await asyncio.wait_for(asked(transport, upstream, **options), 10)
    return caught.value.source, caught.value.message.replace(f":{upstream.port}", "")


@asynccontextmanager
async def deaf() -> AsyncIterator[int]:
    """A port that takes no connection: its queue is full, and nobody accepts."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        await asyncio.sleep(0.05)
        yield listener.getsockname()[1]


# --- what goes out, what comes back -----------------------------------------------------------------------------------


async def test_a_request_goes_out_as_it_is_given(transport: Transport) -> None:
    async with scripted(whole()) as upstream:
        headers = (("X-One", "1"), ("x-one", "2"), ("Authorization", "Bearer k"), ("ACCEPT-encoding", "identity"))
        await asked(transport, upstream, path="/v1/a%2Fb%20c?q=%41&r=a+b", headers=headers)
    request = upstream.requests[0]
    assert request.line == "POST /v1/a%2Fb%20c?q=%41&r=a+b HTTP/1.1"
    assert request.body == b'{"a": 1}'
    own = [("host", f"127.0.0.1:{upstream.port}"), ("content-length", "8")]
    assert sorted((name.lower(), value) for name, value in request.headers) == sorted(
        [*own, *((name.lower(), value) for name, value in headers)]
    ), "and nothing else of the transport's own"


async def test_framing_of_another_connection_is_not_passed_on(transport: Transport) -> None:
    headers = (
        ("content-length", "999"),
        ("transfer-encoding", "chunked"),
        ("connection", "close"),
        ("expect", "100-continue"),
        ("te", "trailers"),
    )
    async with scripted(whole()) as upstream:
        assert await asked(transport, upstream, headers=headers) == (200, b"{}")
        assert await asked(transport, upstream, headers=headers) == (200, b"{}")
    assert upstream.connections == 1
    assert {name.lower() for name, _ in upstream.requests[0].headers} == {"host", "content-length"}


@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE", "OPTIONS"])
async def test_requests_without_a_body(transport: Transport, method: str) -> None:
    async with scripted(raw(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")) as upstream:
        for _ in range(2):
            assert await asked(transport, upstream, method=method, body=b"") == (200, b"")
    assert upstream.requests[0].line.startswith(method)
    assert upstream.connections == 1


async def test_an_answer_comes_as_it_was_sent(transport: Transport) -> None:
    head = "X-Two: a\r\nx-two: b\r\nSet-Cookie: s=1\r\nx-utf8: ü\r\n".encode() + b"x-latin: \xfc\r\n"
    answer = b"HTTP/1.1 429 Slow Down\r\n" + head + b"content-encoding: gzip\r\ncontent-length: 3\r\n\r\n\x1f\x8b!"
    async with scripted(raw(answer), whole()) as upstream:
        arrival = await transport.send(call(upstream))
        assert arrival.status == 429
        assert list(arrival.headers) == [
            ("x-two", "a"),
            ("x-two", "b"),
            ("set-cookie", "s=1"),
            ("x-utf8", "ü"),
            ("x-latin", "ü"),
            ("content-encoding", "gzip"),
            ("content-length", "3"),
        ]
        assert await arrival.read() == b"\x1f\x8b!", "nothing is unpacked"
        await asked(transport, upstream)
    assert "cookie" not in {name.lower() for name, _ in upstream.requests[1].headers}


async def test_redirects_are_not_followed(transport: Transport) -> None:
    async with scripted(raw(b"HTTP/1.1 307 Go\r\nlocation: /there\r\ncontent-length: 0\r\n\r\n")) as upstream:
        assert await asked(transport, upstream) == (307, b"")
    assert len(upstream.requests) == 1


@pytest.mark.parametrize(
    "pieces",
    [
        [LENGTH, b"hello", b"world"],
        [CHUNKED, b"5\r\nhello\r\n5;x=y\r\nwor", b"ld\r", b"\n0\r\nX-Trailer: z\r\n\r\n"],
        [UNTIL_CLOSED, b"hello", b"world"],
        [b"HTTP/1.0 200 OK\r\n\r\n", b"hello", b"world"],
        [b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n", LENGTH, b"helloworld"],
        [bytes([byte]) for byte in LENGTH + b"helloworld"],
    ],
    ids=["length", "chunked", "until closed", "HTTP/1.0", "1xx", "byte by byte"],
)
async def test_bodies_of_every_framing(transport: Transport, pieces: list[bytes]) -> None:
    ends_by_closing = b"length" not in b"".join(pieces) and b"chunked" not in b"".join(pieces)
    async with scripted(raw(*pieces, pause=0.003, then="close" if ends_by_closing else "keep")) as upstream:
        for _ in range(2):
            assert await asked(transport, upstream) == (200, b"helloworld")
    assert upstream.connections == (2 if ends_by_closing else 1)


@pytest.mark.parametrize("framing", ["length", "chunks", "until closed"])
async def test_a_large_body_may_come_with_its_head(transport: Transport, framing: str) -> None:
    body = b"ab" * MIB
    answer = {
        "length": b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body),
        "chunks": CHUNKED + chunk(body) + b"0\r\n\r\n",
        "until closed": UNTIL_CLOSED + body,
    }[framing]
    async with scripted(raw(answer, then="close" if framing == "until closed" else "keep")) as upstream:
        assert await asked(transport, upstream) == (200, body)


@pytest.mark.parametrize("status", ["204 No Content", "304 Not Modified"])
async def test_answers_without_a_body(transport: Transport, status: str) -> None:
    async with scripted(raw(f"HTTP/1.1 {status}\r\n\r\n".encode())) as upstream:
        for _ in range(2):
            assert await asked(transport, upstream) == (int(status[:3]), b"")
    assert upstream.connections == 1


@pytest.mark.parametrize(
    ("method", "answer", "status"),
    [
        ("HEAD", b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n", 200),
        ("HEAD", b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", 200),
        ("GET", b"HTTP/1.1 304 Not Modified\r\ncontent-length: 10\r\n\r\n", 304),
    ],
)
async def test_a_length_that_is_of_another_answer(
    transport: Transport, method: str, answer: bytes, status: int
) -> None:
    """What would have been sent, had it been asked for otherwise, is not waited for."""
    async with scripted(raw(answer), whole(b"mine")) as upstream:
        assert await asked(transport, upstream, method=method, body=b"") == (status, b"")
        assert await asked(transport, upstream) == (200, b"mine")
    assert upstream.connections == 1


async def test_trailers_belong_to_no_answer(transport: Transport) -> None:
    trailing = CHUNKED + b"2\r\n{}\r\n0\r\nX-Trailer: secret\r\nX-More: z\r\n\r\n"
    async with scripted(raw(trailing), whole(headers="x-own: 1\r\n")) as upstream:
        first = await transport.send(call(upstream))
        assert [name for name, _ in first.headers] == ["transfer-encoding"]
        assert await first.read() == b"{}"
        second = await transport.send(call(upstream))
        assert [name for name, _ in second.headers] == ["x-own", "content-length"]
        await second.read()
    assert upstream.connections == 1


async def test_an_answer_may_be_read_after_its_connection_serves_another(transport: Transport) -> None:
    async with scripted(whole(b"first"), whole(b"second")) as upstream:
        first = await transport.send(call(upstream))
        second = await transport.send(call(upstream))
        assert (await second.read(), await first.read()) == (b"second", b"first")
        await first.close()
        await second.close()


@pytest.mark.parametrize("value", ["a\r\nx-more: b", "a\nb", "a\rb", "a\0b"])
async def test_no_header_ends_its_line_early(transport: Transport, value: str) -> None:
    async with scripted(whole()) as upstream:
        with pytest.raises(ValueError, match=r"(?i)header"):
            await transport.send(call(upstream, headers=(("x-one", value),)))
        assert await asked(transport, upstream) == (200, b"{}")
    assert len(upstream.requests) == 1


async def test_a_host_may_be_named_by_a_header(transport: Transport) -> None:
    async with scripted(whole()) as upstream:
        await asked(transport, upstream, headers=(("host", "virtual.test"),))
    assert [value for name, value in upstream.requests[0].headers if name.lower() == "host"] == ["virtual.test"]


async def test_events_arrive_one_by_one(transport: Transport) -> None:
    taken = asyncio.Event()

    async def script(talk: Talk) -> None:
        await talk.send(CHUNKED + chunk(b"data: 1\n\n"))
        await taken.wait()
        await talk.send(chunk(b"data: 2\n\n") + b"0\r\n\r\n")

    async with scripted(script) as upstream:
        arrival = await transport.send(call(upstream))
        events = arrival.chunks()
        assert await asyncio.wait_for(anext(events), 10) == b"data: 1\n\n"
        taken.set()
        assert [event async for event in events] == [b"data: 2\n\n"]


# --- connections ------------------------------------------------------------------------------------------------------


async def test_connections_are_kept_and_as_many_as_are_needed(transport: Transport) -> None:
    both = asyncio.Barrier(3)

    async def meet(talk: Talk) -> None:
        await both.wait()
        await whole()(talk)

    async with scripted(meet, meet, meet, whole()) as upstream:
        await asyncio.gather(*(asked(transport, upstream) for _ in range(3)))
        for _ in range(3):
            await asked(transport, upstream)
    assert upstream.connections == 3


async def test_a_connection_closed_while_idle_is_not_used(transport: Transport) -> None:
    async with scripted(raw(LENGTH + b"helloworld", then="close")) as upstream:
        for _ in range(3):
            assert await asked(transport, upstream) == (200, b"helloworld")
            await upstream_saw_close(upstream)
    assert len(upstream.requests) == 3


async def upstream_saw_close(upstream: Scripted) -> None:
    await asyncio.sleep(0.02)


SURPLUS = {
    "another answer": LENGTH + b"helloworld" + LENGTH + b"not for us",
    "garbage": LENGTH + b"helloworldGARBAGE",
    "half an answer": LENGTH + b"helloworldHTTP/1.1 200 OK\r\ncont",
    "after no content": b"HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nbad",
    "after chunks": CHUNKED + chunk(b"helloworld") + b"0\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nbad",
}


@pytest.mark.parametrize("later", [False, True], ids=["at once", "later"])
@pytest.mark.parametrize("answer", SURPLUS.values(), ids=SURPLUS)
async def test_what_follows_an_answer_is_nobodys(transport: Transport, answer: bytes, later: bool) -> None:
    """A next call gets its own answer. aiohttp fails the call whose answer is followed, or trusts half an answer."""
    at = max(answer.find(b"helloworld") + 10, answer.find(b"204 No Content\r\n\r\n") + 18)
    if answer.startswith(CHUNKED):
        at = answer.find(b"0\r\n\r\n") + 5
    pieces = [answer[:at], answer[at:]] if later else [answer]
    lean = isinstance(transport, LeanTransport)
    async with scripted(raw(*pieces, pause=0.02), whole(b"own")) as upstream:
        with contextlib.nullcontext() if lean else contextlib.suppress(UpstreamError):
            assert (await asked(transport, upstream))[1] in (b"helloworld", b"")
        await asyncio.sleep(0.04 if later else 0)
        assert await asked(transport, upstream) == (200, b"own")
    assert upstream.connections == 2 or not lean


async def test_upstreams_share_no_connection(transport: Transport) -> None:
    async with scripted(whole(b"one")) as one, scripted(whole(b"two")) as two:
        for _ in range(2):
            assert await asked(transport, one) == (200, b"one")
            assert await asked(transport, two) == (200, b"two")
    assert (one.connections, two.connections) == (1, 1)


@pytest.mark.parametrize("make", [AiohttpTransport, LeanTransport])
async def test_idle_connections_are_closed_after_a_while(make: Callable[..., Transport]) -> None:
    transport = make(idle=0.1)
    async with scripted(whole()) as upstream:
        await asked(transport, upstream)
        await asyncio.wait_for(upstream.left.wait(), 10)
        assert await asked(transport, upstream) == (200, b"{}")
        await transport.close()
    assert upstream.connections == 2


async def test_a_name_leads_to_the_address_that_answers(transport: Transport) -> None:
    """`localhost` is two addresses on most machines, and only one of them is served here."""
    async with scripted(whole()) as upstream:
        arrival = await transport.send(Call("POST", f"http://localhost:{upstream.port}/v1", (), b"{}"))
        assert await arrival.read() == b"{}"


async def test_addresses_of_version_6(transport: Transport) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(LENGTH + b"helloworld")
        await writer.drain()
        writer.close()

    heard: list[bytes] = []
    try:
        server = await asyncio.start_server(serve, "::1", 0)
    except OSError:
        pytest.skip("this machine has no IPv6")
    async with server:
        port = server.sockets[0].getsockname()[1]
        arrival = await transport.send(Call("GET", f"http://[::1]:{port}/x", (), b""))
        assert await arrival.read() == b"helloworld"
        await asyncio.sleep(0.01)
    assert f"host: [::1]:{port}\r\n".encode() in heard[0].lower()


async def test_closing_the_transport_ends_what_is_under_way(transport: Transport) -> None:
    async with scripted(raw(then="hang")) as upstream:
        asking = asyncio.create_task(fails(transport, upstream))
        await eventually(lambda: bool(upstream.requests))
        await transport.close()
        assert (await asyncio.wait_for(asking, 10))[0] == "connection"


class Slow:
    """An upstream that does nothing by itself, so that a test says in which order two ends do what they do."""

    def __init__(self, stack: contextlib.ExitStack) -> None:
        self.stack = stack
        self.listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        self.listener.setblocking(False)
        self.port = self.listener.getsockname()[1]
        self.scripted = Scripted([], port=self.port)

    async def accepted(self) -> socket.socket:
        talk, _ = await asyncio.wait_for(asyncio.get_running_loop().sock_accept(self.listener), 10)
        return self.stack.enter_context(talk)

    async def heard(self, talk: socket.socket) -> bytes:
        """A whole request's body."""
        loop, got = asyncio.get_running_loop(), b""
        while b"\r\n\r\n" not in got:
            got += await asyncio.wait_for(loop.sock_recv(talk, MIB), 10)
        head, _, body = got.partition(b"\r\n\r\n")
        size = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0] or 0)
        while len(body) < size:
            body += await asyncio.wait_for(loop.sock_recv(talk, MIB), 10)
        return body

    async def say(self, talk: socket.socket, data: bytes = LENGTH + b"helloworld") -> None:
        await asyncio.get_running_loop().sock_sendall(talk, data)

    async def kept(self, transport: Transport) -> socket.socket:
        """A connection that has served once."""
        asking = asyncio.create_task(asked(transport, self.scripted))
        talk = await self.accepted()
        await self.heard(talk)
        await self.say(talk)
        assert await asking == (200, b"helloworld")
        return talk


@pytest.fixture
def slow() -> Iterator[Slow]:
    with contextlib.ExitStack() as stack:
        yield Slow(stack)


NO_ANSWER = ("connection", "http://127.0.0.1 closed the connection without an answer")
known_on_linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells what a peer acknowledged")


@known_on_linux
@pytest.mark.parametrize("body", [b"{}", b"x" * MIB], ids=["small", "large"])
async def test_a_race_with_an_idle_connection_closing_is_won(transport: Transport, slow: Slow, body: bytes) -> None:
    """The upstream ends a kept connection just as the next request goes out on it; nothing has told us so far."""
    (await slow.kept(transport)).close()
    asking = asyncio.create_task(asked(transport, slow.scripted, body=body))
    fresh = await slow.accepted()
    assert await slow.heard(fresh) == body
    await slow.say(fresh)
    assert await asking == (200, b"helloworld")


@known_on_linux
async def test_a_race_is_run_once(transport: Transport, slow: Slow) -> None:
    (await slow.kept(transport)).close()
    asking = asyncio.create_task(fails(transport, slow.scripted))
    (await slow.accepted()).close()
    assert await asking == NO_ANSWER
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(asyncio.get_running_loop().sock_accept(slow.listener), 0.05)


@pytest.mark.parametrize("how", ["close", "reset"])
async def test_a_call_that_an_upstream_had_is_not_made_again(transport: Transport, how: str) -> None:
    """An upstream that dies over a request may have done, and charged, what it asks for; however soon it dies."""
    async with scripted(whole(), raw(then=how), whole(b"again")) as upstream:
        await asked(transport, upstream)
        assert await fails(transport, upstream) == NO_ANSWER
    assert len(upstream.requests) == 2


@pytest.mark.parametrize("how", ["close", "reset"])
@pytest.mark.parametrize(
    ("method", "headers"), [("GET", ()), ("PUT", ()), ("POST", (("Idempotency-Key", "k1"),))], ids=["GET", "PUT", "key"]
)
async def test_what_may_be_made_twice_is_made_again(
    transport: Transport, method: str, headers: tuple[tuple[str, str], ...], how: str
) -> None:
    async with scripted(whole(), raw(then=how), whole(b"again")) as upstream:
        await asked(transport, upstream)
        assert await asked(transport, upstream, method=method, headers=headers) == (200, b"again")
    assert [request.connection for request in upstream.requests] == [1, 1, 2]
    assert upstream.requests[1].body == upstream.requests[2].body


async def test_an_answer_that_has_begun_is_not_asked_for_again(transport: Transport) -> None:
    async with scripted(whole(), raw(b"HTTP/1.1 200 OK\r\ncont", then="close", pause=0.01), whole()) as upstream:
        await asked(transport, upstream)
        assert (await fails(transport, upstream))[0] == "connection"
    assert len(upstream.requests) == 2


async def test_a_request_on_a_fresh_connection_is_made_once(transport: Transport) -> None:
    async with scripted(raw(then="close")) as upstream:
        assert await fails(transport, upstream) == NO_ANSWER
    assert len(upstream.requests) == 1


# --- time-outs --------------------------------------------------------------------------------------------------------


async def test_connecting_takes_too_long(transport: Transport) -> None:
    async with deaf() as port:
        upstream = Scripted([], port=port)
        assert await fails(transport, upstream, connect=0.1) == (
            "timeout",
            "no connection to http://127.0.0.1 within 0.1 s",
        )


async def test_the_whole_may_take_less_than_connecting(transport: Transport) -> None:
    async with deaf() as port:
        assert await fails(transport, Scripted([], port=port), connect=5.0, total=0.1) == (
            "timeout",
            "the answer of http://127.0.0.1 was not complete within 0.1 s",
        )


async def test_cancelling_while_connecting(transport: Transport) -> None:
    async with deaf() as port:
        task = asyncio.create_task(asked(transport, Scripted([], port=port)))
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


HANGS = {
    "nothing": raw(then="hang"),
    "half a head": raw(b"HTTP/1.1 200 OK\r\ncontent-", then="hang"),
    "a trickling head": raw(b"HTTP/1.1 200 OK\r\n", *[b"x: y\r\n"] * 100, pause=0.02),
    "only 1xx": raw(*[b"HTTP/1.1 102 Processing\r\n\r\n"] * 100, pause=0.02),
}


@pytest.mark.parametrize("script", HANGS.values(), ids=HANGS)
async def test_no_answer_comes(transport: Transport, script: object) -> None:
    async with scripted(whole(), script) as upstream:  # type: ignore[arg-type]
        await asked(transport, upstream)  # the same on a kept connection
        for _ in range(2):
            assert await fails(transport, upstream, first_byte=0.15) == (
                "timeout",
                "no answer from http://127.0.0.1 within 0.15 s",
            )
        await asyncio.wait_for(upstream.left.wait(), 10)


async def test_an_upstream_that_does_not_take_the_request(transport: Transport) -> None:
    async with scripted(raw(then="keep"), read_body=False) as upstream:
        upstream.scripts = [_stay]
        assert (await fails(transport, upstream, body=b"x" * (32 * MIB), first_byte=0.2))[0] == "timeout"


async def _stay(talk: Talk) -> None:
    await asyncio.sleep(60)


async def test_first_byte_may_be_later_than_the_pause_between_bytes(transport: Transport) -> None:
    async with scripted(raw(b"", LENGTH + b"helloworld", pause=0.3)) as upstream:
        assert await asked(transport, upstream, between_bytes=0.1) == (200, b"helloworld")


@pytest.mark.parametrize("head", [LENGTH, CHUNKED, UNTIL_CLOSED, LENGTH + b"hello", CHUNKED + chunk(b"hello")])
async def test_an_answer_stalls(transport: Transport, head: bytes) -> None:
    async with scripted(raw(head, then="hang")) as upstream:
        assert await fails(transport, upstream, between_bytes=0.1) == (
            "timeout",
            "the answer of http://127.0.0.1 stalled for 0.1 s",
        )
        await asyncio.wait_for(upstream.left.wait(), 10)


async def test_a_long_answer_that_goes_on_does_not_stall(transport: Transport) -> None:
    async with scripted(stream(["x"] * 10, pause=0.05)) as upstream:
        status, body = await asked(transport, upstream, between_bytes=0.3, first_byte=0.3)
        assert (status, body.count(b"data: x")) == (200, 10)


async def test_the_pause_of_our_own_reader_is_not_the_upstreams(transport: Transport) -> None:
    async with scripted(raw(CHUNKED + chunk(b"one"), chunk(b"two") + b"0\r\n\r\n", pause=0.05)) as upstream:
        arrival = await transport.send(call(upstream, between_bytes=0.2))
        pieces = arrival.chunks()
        assert await anext(pieces) == b"one"
        await asyncio.sleep(0.4)
        assert [piece async for piece in pieces] == [b"two"]


@pytest.mark.parametrize(
    "script",
    [raw(then="hang"), stream(["x"] * 100, pause=0.03), raw(LENGTH, then="hang")],
    ids=["no head", "a stream", "no body"],
)
async def test_the_whole_takes_too_long(transport: Transport, script: object) -> None:
    async with scripted(script) as upstream:  # type: ignore[arg-type]
        assert await fails(transport, upstream, total=0.2) == (
            "timeout",
            "the answer of http://127.0.0.1 was not complete within 0.2 s",
        )
        await asyncio.wait_for(upstream.left.wait(), 10)


# --- what breaks ------------------------------------------------------------------------------------------------------

CUT = "http://127.0.0.1 broke off in the middle of its answer"


@pytest.mark.parametrize(
    ("script", "read"),
    [
        (raw(LENGTH, b"hello", then="close", pause=0.01), b"hello"),
        (raw(LENGTH, b"hello", then="reset", pause=0.01), b"hello"),
        (raw(LENGTH, then="close"), b""),
        (raw(CHUNKED, chunk(b"hello"), then="close", pause=0.01), b"hello"),
        (raw(CHUNKED, chunk(b"hello"), b"5\r\nwo", then="close", pause=0.01), b"hellowo"),
        (raw(CHUNKED, chunk(b"hello"), then="reset", pause=0.01), b"hello"),
        (raw(CHUNKED, chunk(b"hello"), b"zz\r\n", then="hang", pause=0.01), b"hello"),
        (raw(UNTIL_CLOSED, b"hello", then="reset", pause=0.01), b"hello"),
    ],
    ids=[
        "length close",
        "length reset",
        "length nothing",
        "chunked close",
        "chunk close",
        "chunked reset",
        "chunked garbage",
        "until closed reset",
    ],
)
async def test_a_body_that_is_cut_short_is_an_error(transport: Transport, script: object, read: bytes) -> None:
    async with scripted(script) as upstream:  # type: ignore[arg-type]
        arrival = await transport.send(call(upstream))
        got = bytearray()
        with pytest.raises(UpstreamError) as caught:
            await asyncio.wait_for(collect(arrival, got), 10)
        assert (caught.value.source, caught.value.message.replace(f":{upstream.port}", "")) == ("connection", CUT)
        assert got in (read, b"")
        assert await fails(transport, upstream) == ("connection", CUT)


async def collect(arrival: Arrival, into: bytearray) -> None:
    async for piece in arrival.chunks():
        into += piece


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (b"SSH-2.0-OpenSSH_9.6\r\n\r\n", "something that is not HTTP"),
        (b"HTTP/1.1 abc OK\r\n\r\n", "something that is not HTTP"),
        (b"HTTP/1.1 200 OK\r\nno colon here\r\n\r\n", "something that is not HTTP"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\ncontent-length: 4\r\n\r\nabc", "something that is not HTTP"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: -3\r\n\r\nabc", "something that is not HTTP"),
        (b"HTTP/1.1 200 OK\r\nx: " + b"y" * 200_000 + b"\r\n\r\n", "a header that is too long"),
        (b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 5000 + b"\r\n", "too many headers"),
    ],
)
async def test_answers_that_are_no_http(transport: Transport, answer: bytes, message: str) -> None:
    async with scripted(raw(answer, then="hang")) as upstream:
        assert await fails(transport, upstream) == ("connection", f"http://127.0.0.1 sent {message}")
        await asyncio.wait_for(upstream.left.wait(), 10)


OK = b"HTTP/1.1 200 OK\r\n"
TWO_WAYS = {
    "two equal lengths": OK + b"content-length: 3\r\ncontent-length: 3\r\n\r\nabc",
    "a list of lengths": OK + b"content-length: 3, 3\r\n\r\nabc",
    "a signed length": OK + b"content-length: +3\r\n\r\nabc",
    "no length": OK + b"content-length:\r\n\r\nabc",
    "a length without end": OK + b"content-length: 99999999999999999999999\r\n\r\nabc",
    "length and chunks": OK + b"content-length: 3\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    "chunks and length": OK + b"transfer-encoding: chunked\r\ncontent-length: 3\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    "a coding nobody asked for": OK + b"transfer-encoding: gzip\r\n\r\nabc",
    "a coding under chunks": OK + b"transfer-encoding: gzip, chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    "chunks that are not last": OK + b"transfer-encoding: chunked, gzip\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    "nearly chunks": OK + b"transfer-encoding: xchunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    "a folded header": OK + b"x: a\r\n b\r\ncontent-length: 3\r\n\r\nabc",
    "a folded length": OK + b"content-length:\r\n 3\r\n\r\nabc",
    "a header that begins with a space": OK + b" x: a\r\ncontent-length: 3\r\n\r\nabc",
    "a space before the colon": OK + b"content-length : 3\r\n\r\nabc",
    "bare line feeds": b"HTTP/1.1 200 OK\ncontent-length: 3\n\nabc",
    "a bare line feed": OK + b"x: a\ny: b\r\ncontent-length: 3\r\n\r\nabc",
    "a bare return": OK + b"x: a\rcontent-length: 0\r\ncontent-length: 3\r\n\r\nabc",
    "a NUL": OK + b"x: a\0b\r\ncontent-length: 3\r\n\r\nabc",
    "a header without a name": OK + b": a\r\ncontent-length: 3\r\n\r\nabc",
    "a status below 100": b"HTTP/1.1 099 No\r\ncontent-length: 3\r\n\r\nabc",
    "a chunk's size in two ways": CHUNKED + b"0x3\r\nabc\r\n0\r\n\r\n",
    "a chunk of negative size": CHUNKED + b"-3\r\nabc\r\n0\r\n\r\n",
    "a chunk with bare line feeds": CHUNKED + b"3\nabc\n0\n\n",
    "a chunk longer than it says": CHUNKED + b"3\r\nabcd\r\n0\r\n\r\n",
    "a chunk of endless size": CHUNKED + b"fffffffffffffffff\r\nabc\r\n0\r\n\r\n",
    "a length among the trailers": CHUNKED + b"3\r\nabc\r\n0\r\ncontent-length: 5\r\n\r\n",
}


@pytest.mark.parametrize("answer", TWO_WAYS.values(), ids=TWO_WAYS)
async def test_what_two_readers_could_take_for_two_answers_is_none(transport: Transport, answer: bytes) -> None:
    """aiohttp lets some of it pass, as browsers do; neither ever lets it reach a next call."""
    async with scripted(whole(), raw(answer + b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nbad"), whole(b"own")) as up:
        await asked(transport, up)
        if isinstance(transport, LeanTransport):
            assert await fails(transport, up) == ("connection", "http://127.0.0.1 sent something that is not HTTP")
        else:
            with contextlib.suppress(UpstreamError):
                await asked(transport, up, between_bytes=0.1)
        assert await asked(transport, up) == (200, b"own")
    assert up.connections == 2


ENDLESS = {
    "header": (OK + b"x: ", b"y" * 65536),
    "name of a header": (OK, b"y" * 65536),
    "reason": (b"HTTP/1.1 200 ", b"y" * 65536),
    "head": (OK, b"x: y\r\n" * 10_000),
    "chunk extension": (CHUNKED + b"3;", b"y" * 65536),
    "trailer": (CHUNKED + b"0\r\nx: ", b"y" * 65536),
    "trailers": (CHUNKED + b"0\r\n", b"x: y\r\n" * 10_000),
}


@pytest.mark.parametrize(("start", "more"), ENDLESS.values(), ids=ENDLESS)
async def test_what_has_no_end_is_ended(transport: Transport, start: bytes, more: bytes) -> None:
    async def script(talk: Talk) -> None:
        await talk.send(start)
        with contextlib.suppress(ConnectionError):
            for _ in range(1000):
                await talk.send(more)
        talk.close()

    async with scripted(script) as upstream:
        assert (await fails(transport, upstream))[0] == "connection"
        if isinstance(transport, LeanTransport):  # aiohttp reads on where it need not keep what it reads
            assert sum(len(sent) for _, sent in upstream.sent) < 32 * MIB


async def test_a_long_header_within_reason_is_taken(transport: Transport) -> None:
    async with scripted(whole(headers=f"csp: {'x' * 40_000}\r\n")) as upstream:
        assert await asked(transport, upstream) == (200, b"{}")


async def test_a_protocol_that_was_not_asked_for(transport: Transport) -> None:
    answer = b"HTTP/1.1 101 Switching\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n"
    async with scripted(raw(answer, then="hang")) as upstream:
        assert await fails(transport, upstream) == (
            "connection",
            "http://127.0.0.1 changed to another protocol without being asked",
        )


async def test_nobody_listens(transport: Transport) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        assert await fails(transport, Scripted([], port=taken.getsockname()[1])) == (
            "connection",
            "could not connect to http://127.0.0.1: connection refused",
        )


async def test_a_name_that_is_none(transport: Transport) -> None:
    with pytest.raises(UpstreamError, match=r"connect to http://nowhere\.invalid: its name cannot be resolved"):
        await transport.send(Call("POST", "http://nowhere.invalid/v1", (), b"{}"))


async def test_an_upstream_that_does_not_speak_tls(transport: Transport) -> None:
    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(plain, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(UpstreamError) as caught:
            await transport.send(Call("POST", f"https://127.0.0.1:{port}/v1", (), b"{}"))
    assert caught.value.message == f"could not connect to https://127.0.0.1:{port}: no TLS connection came about"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """Files of a certificate for `localhost` that nobody vouches for, and of its key."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("makes its certificate with openssl")
    folder = tmp_path_factory.mktemp("tls")
    made, key = str(folder / "made.pem"), str(folder / "key.pem")
    subprocess.run(
        [
            openssl,
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-days",
            "2",
            "-subj",
            "/CN=localhost",
            "-addext",
            "subjectAltName=DNS:localhost",
            "-out",
            made,
            "-keyout",
            key,
        ],
        check=True,
        capture_output=True,
    )
    return made, key


@pytest.mark.parametrize("make", [AiohttpTransport, LeanTransport])
@pytest.mark.parametrize(
    ("trusted", "host", "message"),
    [
        (True, "localhost", None),
        (True, "127.0.0.1", "could not connect to https://127.0.0.1: its certificate is not trusted"),
        (False, "localhost", "could not connect to https://localhost: its certificate is not trusted"),
    ],
)
async def test_certificates_are_checked(
    make: Callable[..., Transport], certificate: tuple[str, str], trusted: bool, host: str, message: str | None
) -> None:
    served = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    served.load_cert_chain(*certificate)
    transport = make(ssl=ssl.create_default_context(cafile=certificate[0]) if trusted else None)
    async with scripted(whole(), tls=served) as upstream:
        asks = Call("POST", f"https://{host}:{upstream.port}/v1", (), b"{}")
        if message is None:
            assert await (await transport.send(asks)).read() == b"{}"
        else:
            with pytest.raises(UpstreamError) as caught:
                await transport.send(asks)
            assert caught.value.message.replace(f":{upstream.port}", "") == message
        await transport.close()
    assert len(upstream.requests) == (message is None)


@pytest.mark.parametrize("url", ["", "/v1", "ftp://a/", "http://", "http://a:b/", "a b"])
async def test_urls_that_are_none(transport: Transport, url: str) -> None:
    with pytest.raises(UpstreamError, match="base_url"):
        await transport.send(Call("POST", url, (), b"{}"))


async def test_secrets_of_a_url_are_sent_but_never_told(transport: Transport) -> None:
    async with scripted(whole(), raw(then="close")) as upstream:
        url = f"http://us%3Aer:pa%40ss@127.0.0.1:{upstream.port}/v1?key=hidden"
        await (await transport.send(Call("POST", url, (), b"{}"))).read()
        with pytest.raises(UpstreamError) as caught:
            await transport.send(Call("POST", url, (("authorization", "Bearer k"),), b"{}"))
    sent = [
        value for request in upstream.requests for name, value in request.headers if name.lower() == "authorization"
    ]
    assert sent == ["Basic dXM6ZXI6cGFAc3M=", "Bearer k"]
    assert re.search("us|pa|hidden|key", caught.value.message.replace("upstream", "")) is None


# --- early ends and slow ends -----------------------------------------------------------------------------------------


async def test_an_answer_before_the_request_was_taken(transport: Transport) -> None:
    """An upstream may refuse a large body by its head alone."""

    async def refuse(talk: Talk) -> None:
        await whole(b"too large", "413 Content Too Large")(talk)
        await asyncio.sleep(60)

    async with scripted(refuse, read_body=False) as upstream:
        assert await asyncio.wait_for(asked(transport, upstream, body=b"x" * (32 * MIB)), 10) == (413, b"too large")


async def test_a_connection_whose_request_was_not_taken_is_not_used_again(transport: Transport) -> None:
    async with scripted(whole(b"too large", "413 Content Too Large"), read_body=False) as upstream:
        asking = asked(transport, upstream, body=b"x" * (32 * MIB))
        assert await asyncio.wait_for(asking, 10) == (413, b"too large")
        upstream.read_body = True
        assert (await asked(transport, upstream))[0] == 413
    assert upstream.connections == 2


async def test_an_answer_that_begins_early_may_take_the_rest_of_the_request(transport: Transport) -> None:
    got = bytearray()

    async def echo(talk: Talk) -> None:
        await talk.send(CHUNKED + chunk(b"early"))
        while len(got) < 8 * MIB:
            got.extend(await talk.reader.read(MIB))
        await talk.send(chunk(b"late") + b"0\r\n\r\n")

    async with scripted(echo, read_body=False) as upstream:
        arrival = await transport.send(call(upstream, body=b"ab" * (4 * MIB)))
        assert await arrival.read() == b"earlylate"
    assert bytes(got) == b"ab" * (4 * MIB)


async def test_closing_an_unread_body_ends_its_connection(transport: Transport) -> None:
    async with scripted(stream(["x" * 1000] * 100_000)) as upstream:
        arrival = await transport.send(call(upstream))
        await arrival.close()
        await arrival.close()
        await asyncio.wait_for(upstream.left.wait(), 10)


async def test_closing_a_read_body_keeps_its_connection(transport: Transport) -> None:
    async with scripted(whole()) as upstream:
        for _ in range(2):
            arrival = await transport.send(call(upstream))
            await arrival.read()
            await arrival.close()
    assert upstream.connections == 1


@pytest.mark.parametrize("script", [raw(then="hang"), raw(CHUNKED, then="hang")], ids=["head", "body"])
async def test_cancelling_ends_the_connection(transport: Transport, script: object) -> None:
    async with scripted(script) as upstream:  # type: ignore[arg-type]
        task = asyncio.create_task(asked(transport, upstream))
        await asyncio.sleep(0.1)
        assert len(upstream.requests) == 1
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.wait_for(upstream.left.wait(), 10)


async def test_cancelling_a_request_that_nobody_takes_ends_the_connection(transport: Transport) -> None:
    cancelled, ended = asyncio.Event(), asyncio.Event()

    async def ignore(talk: Talk) -> None:
        await cancelled.wait()
        with contextlib.suppress(ConnectionError):
            while await talk.reader.read(MIB):
                pass
        ended.set()

    async with scripted(ignore, read_body=False) as upstream:
        asking = asyncio.create_task(asked(transport, upstream, body=b"x" * (32 * MIB)))
        await eventually(lambda: bool(upstream.requests))
        await asyncio.sleep(0.1)  # every buffer fills
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        cancelled.set()
        await asyncio.wait_for(ended.wait(), 10)


async def test_reading_slowly_holds_the_upstream_back(transport: Transport) -> None:
    async with scripted(raw(CHUNKED, *[chunk(b"x" * 65536)] * 512, b"0\r\n\r\n")) as upstream:
        arrival = await transport.send(call(upstream))
        before = -1
        while len(upstream.sent) != before:  # until nothing moves any more
            before = len(upstream.sent)
            await asyncio.sleep(0.2)
        assert before < 512
        assert len(await arrival.read()) == 32 * MIB


async def test_a_slow_upstream_holds_the_request_back_and_gets_it_whole(transport: Transport) -> None:
    got = bytearray()

    async def slowly(talk: Talk) -> None:
        while len(got) < 8 * MIB:
            got.extend(await talk.reader.read(MIB))
            await asyncio.sleep(0.002)
        await whole()(talk)

    async with scripted(slowly, read_body=False) as upstream:
        assert await asked(transport, upstream, body=b"ab" * (4 * MIB)) == (200, b"{}")
    assert bytes(got) == b"ab" * (4 * MIB)


async def test_closing_the_transport_closes_idle_connections() -> None:
    for make in TRANSPORTS.values():
        transport = make()
        async with scripted(whole()) as upstream:
            await asked(transport, upstream)
            await transport.close()
            await asyncio.wait_for(upstream.left.wait(), 10)


# --- beyond what a lean transport must do -----------------------------------------------------------------------------


@pytest.mark.parametrize("make", [AiohttpTransport, LeanTransport])
async def test_a_proxy_of_the_environment_is_used_when_allowed(
    make: Callable[..., Transport], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with scripted(whole(b"proxied")) as proxy:
        outside, inside = f"outside-{proxy.port}.test", f"inside-{proxy.port}.test"  # what a URL means is remembered
        monkeypatch.setenv("http_proxy", f"http://me:secret@127.0.0.1:{proxy.port}")
        monkeypatch.setenv("no_proxy", inside)
        transport = make(trust_env=True)
        arrival: Arrival = await transport.send(Call("POST", f"http://{outside}/v1/x?q=1", (), b"{}"))
        assert await arrival.read() == b"proxied"
        with pytest.raises(UpstreamError, match=re.escape(f"{inside}: its name cannot be resolved")):
            await transport.send(Call("POST", f"http://{inside}/v1", (), b"{}"))
        await transport.close()
    assert [request.line for request in proxy.requests] == [f"POST http://{outside}/v1/x?q=1 HTTP/1.1"]
    assert ("Proxy-Authorization", "Basic bWU6c2VjcmV0") in proxy.requests[0].headers
