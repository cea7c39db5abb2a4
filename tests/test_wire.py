"""The client's end of the wire, on real sockets: every request here is written byte by byte."""

from __future__ import annotations

import asyncio
import gzip
import json
import logging
import shutil
import ssl
import subprocess
import sys
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import on_aiohttp
import pytest

from engine.ports.wire import BrokenBody, Client, TooLarge, UnknownCoding
from engine.proxy import entry
from engine.proxy.entry import Listening
from engine.proxy.entry_request import Limits

MIB = 1 << 20
LIMIT = 4 * MIB
LISTEN = {"lean": entry.listen, "aiohttp": on_aiohttp.listen}
listen: Callable[..., Awaitable[Listening]] = entry.listen
PLAIN = [("content-type", "text/plain")]


@pytest.fixture(params=LISTEN.values(), ids=LISTEN, autouse=True)
def accepted(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test is for both servers."""
    monkeypatch.setattr(sys.modules[__name__], "listen", request.param)


async def echo(client: Client) -> None:
    """Answers with what it saw."""
    body = await client.read(LIMIT)
    seen = {
        "method": client.method,
        "target": client.target,
        "query": client.query_string,
        "peer": client.peer,
        "headers": [list(pair) for pair in client.headers],
        "body": body.decode("latin-1"),
    }
    await client.reply(200, [("content-type", "application/json")], json.dumps(seen).encode())


@asynccontextmanager
async def serving(
    exchange: Callable[[Client], Awaitable[None]], limits: Limits | None = None
) -> AsyncIterator[Listening]:
    listening = await listen(exchange, "127.0.0.1", 0, limits=limits)
    try:
        yield listening
    finally:
        await listening.close()


class Wire:
    """A client that says exactly what it is told and reads one answer at a time."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def say(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def head(self) -> tuple[int, dict[str, str]]:
        raw = await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), 10)
        first, *rows = raw.decode("latin-1").strip().split("\r\n")
        fields = [row.partition(": ") for row in rows]
        return int(first.split(" ")[1]), {name.lower(): value for name, _, value in fields}

    async def answer(self) -> tuple[int, dict[str, str], bytes]:
        status, headers = await self.head()
        if headers.get("transfer-encoding") == "chunked":
            return status, headers, await self.chunked()
        return (
            status,
            headers,
            await asyncio.wait_for(self.reader.readexactly(int(headers.get("content-length", 0))), 10),
        )

    async def chunked(self) -> bytes:
        body = bytearray()
        while size := int(await asyncio.wait_for(self.reader.readuntil(b"\r\n"), 10), 16):
            body += await self.reader.readexactly(size)
            await self.reader.readexactly(2)
        await self.reader.readexactly(2)
        return bytes(body)

    async def rest(self) -> bytes:
        return await asyncio.wait_for(self.reader.read(), 10)


@asynccontextmanager
async def wire(port: int) -> AsyncIterator[Wire]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=8 * MIB)
    try:
        yield Wire(reader, writer)
    finally:
        writer.transport.abort()


def post(body: bytes, *fields: str, target: str = "/x") -> bytes:
    head = [f"POST {target} HTTP/1.1", "Host: here", f"Content-Length: {len(body)}", *fields]
    return "\r\n".join(head).encode("latin-1") + b"\r\n\r\n" + body


async def asked(exchange: Callable[[Client], Awaitable[None]], request: bytes) -> tuple[int, dict[str, str], bytes]:
    async with serving(exchange) as server, wire(server.port) as client:
        await client.say(request)
        return await client.answer()


async def seen(request: bytes) -> dict[str, object]:
    status, _, body = await asked(echo, request)
    assert status == 200, body
    found: dict[str, object] = json.loads(body)
    return found


# --- what an exchange sees --------------------------------------------------------------------------------------------


async def test_a_request_comes_through_as_it_was_sent() -> None:
    found = await seen(post(b"hello", "X-Two: a", "x-two: b", target="/v1/a%2Fb%20c?q=1&r=%20?"))
    assert (found["method"], found["target"], found["query"]) == ("POST", "/v1/a%2Fb%20c", "q=1&r=%20?")
    assert found["body"] == "hello"
    assert found["peer"] == "127.0.0.1"
    assert found["headers"] == [["host", "here"], ["content-length", "5"], ["x-two", "a"], ["x-two", "b"]]


@pytest.mark.parametrize(
    ("target", "path", "query"),
    [
        ("http://there/v1/x?y=z", "/v1/x", "y=z"),
        ("HTTP://there:80?y", "/", "y"),
        ("http://there", "/", ""),
        ("//a/../b", "//a/../b", ""),
        ("/?", "/", ""),
    ],
)
async def test_targets_are_given_undecoded_without_host(target: str, path: str, query: str) -> None:
    found = await seen(post(b"", target=target))
    assert (found["target"], found["query"]) == (path, query)


async def test_header_bytes_that_are_not_utf8_stay_readable() -> None:
    found = await seen(post(b"", "X-Latin: caf\xe9"))
    assert ["x-latin", "café"] in found["headers"]  # type: ignore[operator]


async def test_a_connection_serves_many_requests() -> None:
    async with serving(echo) as server, wire(server.port) as client:
        for number in range(3):
            await client.say(post(b"%d" % number))
            status, headers, body = await client.answer()
            assert (status, json.loads(body)["body"]) == (200, str(number))
            assert "date" in headers
            assert headers["server"] == "pointsman"
        await client.say(post(b"first") + post(b"second"))
        assert [json.loads((await client.answer())[2])["body"] for _ in range(2)] == ["first", "second"]


async def test_requests_sent_ahead_are_answered_in_their_order() -> None:
    """As many as a client likes, or it is told that they were too many; never one for another."""
    async with serving(echo) as server, wire(server.port) as client:
        await client.say(b"".join(post(b"%d" % number) for number in range(500)))
        for number in range(500):
            status, headers, body = await client.answer()
            if status == 400:
                assert number > 50
                assert headers["connection"] == "close"
                assert await client.rest() == b""
                return
            assert json.loads(body)["body"] == str(number)


async def test_a_request_ahead_waits_for_the_body_before_it() -> None:
    async with serving(echo) as server, wire(server.port) as client:
        first, second = post(b"first"), post(b"second")
        await client.say(first[:-2])
        await asyncio.sleep(0.02)
        await client.say(first[-2:] + second[:20])
        await asyncio.sleep(0.02)
        await client.say(second[20:])
        assert [json.loads((await client.answer())[2])["body"] for _ in range(2)] == ["first", "second"]


async def test_a_client_that_goes_on_sending_gets_to_read_its_refusal() -> None:
    async def refuse(client: Client) -> None:
        await client.reply(401, PLAIN, b"no")

    async with serving(refuse) as server, wire(server.port) as client:
        await client.say(post(b"x" * (4 * MIB)))
        status, headers, body = await client.answer()
        assert (status, headers["connection"], body) == (401, "close", b"no")
        assert await client.rest() == b""


async def test_a_client_that_wants_no_more_is_closed() -> None:
    async with serving(echo) as server, wire(server.port) as client:
        await client.say(post(b"a", "Connection: close"))
        status, headers, body = await client.answer()
        assert (status, json.loads(body)["body"]) == (200, "a")
        assert headers.get("connection") == "close" or listen is on_aiohttp.listen, "aiohttp just does it"
        assert await client.rest() == b""


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """Files of a certificate for `localhost` and of its key."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("makes its certificate with openssl")
    folder = tmp_path_factory.mktemp("tls")
    made, key = str(folder / "made.pem"), str(folder / "key.pem")
    new = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    alternative = ["-addext", "subjectAltName=DNS:localhost"]
    subprocess.run([openssl, *new, *alternative, "-out", made, "-keyout", key], check=True, capture_output=True)
    return made, key


async def test_clients_may_come_over_tls(certificate: tuple[str, str]) -> None:
    served = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    served.load_cert_chain(*certificate)
    trusting = ssl.create_default_context(cafile=certificate[0])
    listening = await listen(echo, "127.0.0.1", 0, ssl=served)
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", listening.port, ssl=trusting, server_hostname="localhost", limit=8 * MIB
    )
    client = Wire(reader, writer)
    for body in (b"one", b"x" * (2 * MIB)):
        await client.say(post(body))
        assert json.loads((await client.answer())[2])["body"].encode() == body
    await client.say(b"GET / HTTP/1.1\r\n\r\n")
    assert (await client.answer())[0] == 400
    writer.transport.abort()
    await listening.close()


async def test_http_1_0_is_answered_and_closed() -> None:
    async with serving(echo) as server, wire(server.port) as client:
        await client.say(b"GET /x HTTP/1.0\r\n\r\n")
        assert (await client.answer())[0] == 200
        assert await client.rest() == b""


# --- bodies -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("framing", ["announced", "chunked"])
async def test_a_large_body_may_come_with_its_head(framing: str) -> None:
    body = b"ab" * MIB
    chunked = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n200000\r\n" + body + b"\r\n0\r\n\r\n"
    found = await seen(post(body) if framing == "announced" else chunked)
    assert found["body"] == body.decode()


async def test_a_body_in_many_pieces_and_chunks() -> None:
    async with serving(echo) as server, wire(server.port) as client:
        await client.say(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        for piece in (b"3\r\nab", b"c\r\n", b"2\r\nde\r\n0\r\n", b"X-Trailer: y\r\n\r\n"):
            await asyncio.sleep(0.01)
            await client.say(piece)
        assert json.loads((await client.answer())[2])["body"] == "abcde"


@pytest.mark.parametrize("framing", ["announced", "chunked"])
async def test_a_body_over_the_limit_is_refused(framing: str) -> None:
    sizes: list[str] = []

    async def exchange(client: Client) -> None:
        try:
            await client.read(10)
        except TooLarge as error:
            sizes.append(str(error))
            await client.reply(413, PLAIN, b"too large")

    request = (
        post(b"x" * 11)
        if framing == "announced"
        else (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nb\r\nxxxxxxxxxxx\r\n0\r\n\r\n")
    )
    status, _, body = await asked(exchange, request)
    assert (status, body) == (413, b"too large")
    assert sizes == ["the body is larger than 10 bytes"]


async def test_a_body_without_end_is_counted_as_it_comes() -> None:
    async def exchange(client: Client) -> None:
        with pytest.raises(TooLarge):
            await client.read(3 * MIB)
        await client.reply(413, PLAIN, b"")

    async with serving(exchange) as server, wire(server.port) as client:
        await client.say(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(4):
            await client.say(b"100000\r\n" + b"x" * MIB + b"\r\n")
        status, headers, _ = await client.answer()
        assert (status, headers["connection"]) == (413, "close")


def raw_deflate(data: bytes) -> bytes:
    squeeze = zlib.compressobj(wbits=-15)
    return squeeze.compress(data) + squeeze.flush()


@pytest.mark.parametrize(
    ("coding", "packed"),
    [
        pytest.param("gzip", gzip.compress(b"hello" * 1000, mtime=0), id="squeezed"),
        pytest.param(
            "x-gzip", gzip.compress(b"hello" * 500, mtime=0) + gzip.compress(b"hello" * 500, mtime=0), id="squeezed"
        ),
        pytest.param("GZIP", gzip.compress(b"hello" * 1000, mtime=0), id="squeezed"),
        ("deflate", zlib.compress(b"hello" * 1000)),
        ("deflate", raw_deflate(b"hello" * 1000)),
        ("identity", b"hello" * 1000),
    ],
)
async def test_compressed_bodies_are_undone(coding: str, packed: bytes) -> None:
    assert (await seen(post(packed, f"Content-Encoding: {coding}")))["body"] == "hello" * 1000


@pytest.mark.parametrize("squeeze", [gzip.compress, zlib.compress, raw_deflate])
@pytest.mark.parametrize("spare", [0, 1])
async def test_the_limit_counts_what_a_body_unfolds_to(squeeze: Callable[[bytes], bytes], spare: int) -> None:
    async def exchange(client: Client) -> None:
        body = await client.read(MIB)
        await client.reply(200, PLAIN, str(len(body)).encode())

    status, _, body = await asked(
        exchange,
        post(
            squeeze(b"\0" * (MIB + 1 - spare)),
            "Content-Encoding: " + ("gzip" if squeeze is gzip.compress else "deflate"),
        ),
    )
    assert (status, body if spare else None) == ((200, b"1048576") if spare else (413, None))


BOMB = gzip.compress(gzip.compress(b"\0" * (64 * MIB), mtime=0) + b"\0" * (64 * MIB))


@pytest.mark.parametrize(
    ("fields", "body", "status", "words"),
    [
        ("Content-Encoding: gzip", BOMB, 413, "The body is larger than"),
        ("Content-Encoding: br", b"x", 415, "content-encoding 'br' is not supported"),
        ("Content-Encoding: gzip, deflate", b"x", 415, "'gzip, deflate' is not supported"),
        ("Content-Encoding: gzip", b"not gzip", 400, "damaged"),
        ("Content-Encoding: gzip", gzip.compress(b"hello", mtime=0)[:-4], 400, "ends before its end"),
        ("Content-Encoding: deflate", zlib.compress(b"hello") + b"more", 400, "goes on after its end"),
    ],
)
async def test_bodies_that_cannot_be_had(fields: str, body: bytes, status: int, words: str) -> None:
    """What an exchange does not catch is answered by the server."""
    found, _, said = await asked(echo, post(body, fields))
    error = json.loads(said)["error"]
    assert (found, error["code"]) == (status, "invalid_body")
    assert words.lower() in error["message"].lower()


async def test_an_exchange_may_answer_unknown_codings_itself() -> None:
    async def exchange(client: Client) -> None:
        with pytest.raises(UnknownCoding):
            await client.read(LIMIT)
        await client.reply(415, PLAIN, b"mine")

    status, _, body = await asked(exchange, post(b"x", "Content-Encoding: zstd"))
    assert (status, body) == (415, b"mine")


async def test_a_client_that_waits_to_be_asked_is_asked() -> None:
    async with serving(echo) as server, wire(server.port) as client:
        await client.say(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
        assert (await client.head())[0] == 100
        await client.say(b"hello")
        status, _, body = await client.answer()
        assert (status, json.loads(body)["body"]) == (200, "hello")


async def test_a_refusal_before_the_body_was_asked_for_closes() -> None:
    async def refuse(client: Client) -> None:
        await client.reply(401, PLAIN, b"")

    async with serving(refuse) as server, wire(server.port) as client:
        await client.say(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
        status, headers, _ = await client.answer()
        assert (status, headers["connection"]) == (401, "close")


@pytest.mark.parametrize("late", [b"zz\r\nabc\r\n", b"3\r\nabcd\r\n", b"3\nabc\n0\n\n"])
async def test_framing_that_breaks_midway_ends_the_wait(late: bytes) -> None:
    async with serving(echo) as server, wire(server.port) as client:
        await client.say(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n")
        await asyncio.sleep(0.05)
        await client.say(late)
        status, _, body = await client.answer()
        assert (status, json.loads(body)["error"]["code"]) == (400, "invalid_body")
        assert await client.rest() == b""


async def test_a_body_that_stops_coming_is_given_up() -> None:
    async with serving(echo, Limits(pause=0.05)) as server, wire(server.port) as client:
        await client.say(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nab")
        status, headers, body = await client.answer()
        assert (status, headers["connection"]) == (400, "close")
        assert "no byte of the body came for 0.05 s" in json.loads(body)["error"]["message"].lower()


async def test_an_open_connection_without_a_request_is_closed() -> None:
    async with serving(echo, Limits(idle=0.05)) as server, wire(server.port) as client:
        await client.say(b"POST / HTTP/1.1\r\nHos")
        assert await client.rest() == b""


# --- what is no HTTP --------------------------------------------------------------------------------------------------

HOST = b"Host: a\r\n"
MALFORMED = {
    "length and chunked": b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
    "chunked and length": b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n",
    "two lengths": b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
    "one length twice": b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
    "length with a sign": b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: +3\r\n\r\nabc",
    "length below zero": b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: -3\r\n\r\nabc",
    "length in hex": b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 0x3\r\n\r\nabc",
    "folded header": b"POST / HTTP/1.1\r\n" + HOST + b"X: a\r\n b\r\nContent-Length: 0\r\n\r\n",
    "bare CR in a header": b"POST / HTTP/1.1\r\n" + HOST + b"X: a\rb\r\nContent-Length: 0\r\n\r\n",
    "bare LF as line end": b"POST / HTTP/1.1\nHost: a\nContent-Length: 0\n\n",
    "NUL in a header": b"POST / HTTP/1.1\r\n" + HOST + b"X: a\0b\r\nContent-Length: 0\r\n\r\n",
    "space before the colon": b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length : 0\r\n\r\n",
    "chunked not alone": b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "chunked not last": b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "unknown transfer coding": b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "chunked twice": (
        b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    ),
    "chunked in HTTP/1.0": b"POST / HTTP/1.0\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunk size that is none": (b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n"),
    "bare LF in a chunk extension": (
        b"POST / HTTP/1.1\r\n" + HOST + b'Transfer-Encoding: chunked\r\n\r\n3;a="b\nc"\r\nabc\r\n0\r\n\r\n'
    ),
    "no host": b"GET / HTTP/1.1\r\n\r\n",
    "two hosts": b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    "unknown method": b"BREW / HTTP/1.1\r\n" + HOST + b"\r\n",
    "unknown version": b"GET / HTTP/1.2\r\n" + HOST + b"\r\n",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01",
    "a space in the path": b"GET /a b HTTP/1.1\r\n" + HOST + b"\r\n",
    "bytes over ASCII in the path": b"GET /\xe9 HTTP/1.1\r\n" + HOST + b"\r\n",
    "a port that is none": b"GET http://a:99999999/ HTTP/1.1\r\n" + HOST + b"\r\n",
    "tunnels": b"CONNECT a:1 HTTP/1.1\r\n" + HOST + b"\r\n",
    "too many headers": b"GET / HTTP/1.1\r\n" + HOST + b"X: a\r\n" * 200 + b"\r\n",
}
LONG = {
    "target": b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\n" + HOST + b"\r\n",
    "header": b"GET / HTTP/1.1\r\n" + HOST + b"X: " + b"a" * 20_000 + b"\r\n\r\n",
}


@pytest.mark.parametrize("request_", MALFORMED.values(), ids=MALFORMED)
async def test_what_is_no_http_never_reaches_an_exchange(request_: bytes) -> None:
    async def never(client: Client) -> None:
        await client.read(LIMIT)
        pytest.fail("a body that cannot be trusted was read")

    async with serving(never) as server, wire(server.port) as client:
        await client.say(request_)
        status, headers, body = await client.answer()
        error = json.loads(body)["error"]
        assert (status, error["type"]) == (400, "invalid_request_error")
        assert headers["server"] == "pointsman"
        assert "\n" not in error["message"]
        assert await client.rest() == b"", "the connection is closed: nobody knows where a next request begins"


@pytest.mark.parametrize("request_", LONG.values(), ids=LONG)
async def test_lines_that_are_too_long(request_: bytes) -> None:
    status, _, body = await asked(echo, request_)
    assert (status, json.loads(body)["error"]["code"]) == (431, "too_long")


async def test_a_websocket_is_not_opened_and_its_request_served() -> None:
    found = await seen(post(b"hello", "Connection: upgrade", "Upgrade: websocket"))
    assert found["body"] == "hello"


@pytest.mark.parametrize("framing", ["Content-Length: 5", "Transfer-Encoding: chunked"])
async def test_nor_is_what_follows_it_lost(framing: str) -> None:
    if listen is on_aiohttp.listen:
        pytest.skip("aiohttp takes what follows for another protocol")
    body = b"hello" if "5" in framing else b"5\r\nhello\r\n0\r\n\r\n"
    wanting = f"POST /x HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: h2c\r\n{framing}\r\n\r\n".encode() + body
    async with serving(echo) as server, wire(server.port) as client:
        for request in (wanting + post(b"next"), wanting[:-3], wanting[-3:]):
            await client.say(request)
            await asyncio.sleep(0.01)
        said = [json.loads((await client.answer())[2])["body"] for _ in range(3)]
        assert said == ["hello", "next", "hello"]


# --- answers ----------------------------------------------------------------------------------------------------------


async def test_framing_that_an_exchange_passes_on_is_left_out() -> None:
    async def exchange(client: Client) -> None:
        framing = [("Content-Length", "999"), ("transfer-encoding", "chunked"), ("Connection", "close")]
        await client.reply(200, [*framing, ("X-A", "1"), ("x-a", "2"), ("server", "theirs")], b"body")

    async with serving(exchange) as server, wire(server.port) as client:
        await client.say(post(b""))
        raw = (await client.reader.readuntil(b"body")).decode().lower()
        assert "content-length: 4\r\n" in raw
        assert "x-a: 1\r\nx-a: 2\r\n" in raw
        assert "server: theirs" in raw
        assert "999" not in raw
        assert "chunked" not in raw
        await client.say(post(b""))
        assert (await client.head())[0] == 200


async def test_head_has_no_body() -> None:
    async def exchange(client: Client) -> None:
        if client.target == "/whole":
            await client.reply(200, PLAIN, b"hello")
            return
        await client.start(200, PLAIN)
        await client.write(b"hello")
        await client.end()

    async with serving(exchange) as server, wire(server.port) as client:
        for target in ("/whole", "/stream", "/whole"):
            await client.say(f"HEAD {target} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
            status, headers = await client.head()
            assert status == 200
            assert headers.get("content-length") == ("5" if target == "/whole" else None)
        client.writer.write_eof()
        assert await client.rest() == b""


async def test_a_stream_leaves_piece_by_piece() -> None:
    taken = asyncio.Event()

    async def exchange(client: Client) -> None:
        await client.start(200, PLAIN)
        assert client.started
        await client.write(b"one")
        await taken.wait()
        await client.write(b"")
        await client.write(b"two")
        await client.end()

    async with serving(exchange) as server, wire(server.port) as client:
        await client.say(post(b""))
        assert (await client.head())[1]["transfer-encoding"] == "chunked"
        assert await client.reader.readexactly(8) == b"3\r\none\r\n"
        taken.set()
        assert await client.chunked() == b"two"
        await client.say(post(b""))  # and the connection is good for another
        assert (await client.answer())[2] == b"onetwo"


async def broken(client: Client) -> None:
    """Begins a stream and breaks it off."""
    await client.start(200, PLAIN)
    await client.write(b"half")
    await client.end(clean=False)
    await asyncio.sleep(0)


async def failing(client: Client) -> None:
    """Begins a stream and fails."""
    await client.start(200, PLAIN)
    await client.write(b"half")
    raise ValueError("secret")


@pytest.mark.parametrize("exchange", [broken, failing])
async def test_a_broken_stream_cannot_be_taken_for_whole(exchange: Callable[[Client], Awaitable[None]]) -> None:
    async with serving(exchange) as server, wire(server.port) as client:
        await client.say(post(b""))
        await client.head()
        assert await client.rest() == b"4\r\nhalf\r\n", "what was written arrives, the last chunk does not"


async def test_a_broken_stream_resets_where_only_the_end_of_the_connection_ends_it() -> None:
    async with serving(broken) as server, wire(server.port) as client:
        await client.say(b"GET / HTTP/1.0\r\n\r\n")
        with pytest.raises(ConnectionResetError):
            await client.rest()


async def test_an_exchange_goes_on_after_breaking_off() -> None:
    after = asyncio.Event()

    async def exchange(client: Client) -> None:
        await broken(client)
        await asyncio.sleep(0.05)
        after.set()

    async with serving(exchange) as server, wire(server.port) as client:
        await client.say(post(b""))
        await client.head()
        await asyncio.wait_for(after.wait(), 10)


@pytest.mark.parametrize("how", ["raises", "returns", "cancels itself", "sends a header that is none"])
async def test_an_exchange_that_fails_is_500_and_logged(how: str, caplog: pytest.LogCaptureFixture) -> None:
    async def exchange(client: Client) -> None:
        if how == "raises":
            raise ValueError("secret")
        if how == "cancels itself":
            raise asyncio.CancelledError
        if how == "sends a header that is none":
            await client.reply(200, [("x", "a\r\nsecret: b")], b"")

    with caplog.at_level(logging.ERROR, "pointsman"):
        status, _, body = await asked(exchange, post(b"", target="/here"))
    assert status == 500
    assert json.loads(body)["error"] == {
        "message": "Internal error.",
        "type": "api_error",
        "param": None,
        "code": "internal_error",
    }
    assert [record.getMessage().startswith("POST /here ") for record in caplog.records] == [True]


async def test_a_second_answer_is_an_error_of_the_exchange() -> None:
    async def exchange(client: Client) -> None:
        await client.reply(200, PLAIN, b"one")
        with pytest.raises(RuntimeError, match="already has an answer"):
            await client.reply(200, PLAIN, b"two")

    assert (await asked(exchange, post(b"")))[2] == b"one"


# --- clients that leave, servers that close ---------------------------------------------------------------------------


class Stay:
    """An exchange that waits until it is cancelled, and says so."""

    def __init__(self) -> None:
        self.begun, self.cancelled = asyncio.Event(), asyncio.Event()

    async def __call__(self, client: Client) -> None:
        self.begun.set()
        try:
            await self.wait(client)
        except (asyncio.CancelledError, ConnectionError):
            self.cancelled.set()
            raise

    async def wait(self, client: Client) -> None:
        await asyncio.sleep(60)


class StayReading(Stay):
    async def wait(self, client: Client) -> None:
        await client.read(LIMIT)


class StayWriting(Stay):
    async def wait(self, client: Client) -> None:
        await client.start(200, PLAIN)
        while True:
            await client.write(b"x" * 65536)


class StayReplying(Stay):
    async def wait(self, client: Client) -> None:
        await client.reply(200, PLAIN, b"x" * (64 * MIB))


@pytest.mark.parametrize("stay", [Stay, StayReading, StayWriting, StayReplying])
async def test_a_client_that_leaves_ends_its_exchange(stay: type[Stay], caplog: pytest.LogCaptureFixture) -> None:
    exchange = stay()
    async with serving(exchange) as server:
        async with wire(server.port) as client:
            await client.say(
                b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nabc" if stay is StayReading else post(b"")
            )
            await asyncio.wait_for(exchange.begun.wait(), 10)
            await asyncio.sleep(0.05)
            assert not exchange.cancelled.is_set()
        await asyncio.wait_for(exchange.cancelled.wait(), 10)
    assert caplog.records == []


async def test_writing_waits_for_a_slow_client() -> None:
    written = 0

    async def exchange(client: Client) -> None:
        nonlocal written
        await client.start(200, PLAIN)
        for _ in range(512):
            await client.write(b"x" * 65536)
            written += 65536
        await client.end()

    async with serving(exchange) as server, wire(server.port) as client:
        await client.say(post(b""))
        before = -1
        while written != before:  # until nothing moves any more
            before = written
            await asyncio.sleep(0.2)
        assert written < 32 * MIB
        await client.head()
        assert len(await client.chunked()) == 32 * MIB


async def test_closing_lets_what_runs_finish() -> None:
    go = asyncio.Event()

    async def exchange(client: Client) -> None:
        await client.start(200, PLAIN)
        await go.wait()
        await client.write(b"done")
        await client.end()

    listening = await listen(exchange, "127.0.0.1", 0)
    async with wire(listening.port) as client, wire(listening.port) as idle:
        await client.say(post(b""))
        await client.head()
        closing = asyncio.create_task(listening.close(30))
        assert await idle.rest() == b""
        with pytest.raises(OSError):
            await asyncio.open_connection("127.0.0.1", listening.port)
        assert not closing.done()
        go.set()
        assert await client.chunked() == b"done"
        assert await client.rest() == b""
        await asyncio.wait_for(closing, 10)


async def test_an_answer_while_closing_says_that_the_connection_ends() -> None:
    begun, go = asyncio.Event(), asyncio.Event()

    async def exchange(client: Client) -> None:
        begun.set()
        await go.wait()
        await client.reply(200, PLAIN, b"done")

    listening = await listen(exchange, "127.0.0.1", 0)
    async with wire(listening.port) as client:
        await client.say(post(b""))
        await begun.wait()
        closing = asyncio.create_task(listening.close(30))
        await asyncio.sleep(0)
        go.set()
        _, headers, body = await client.answer()
        assert (headers["connection"], body) == ("close", b"done")
        await asyncio.wait_for(closing, 10)


async def test_closing_cancels_what_does_not_finish() -> None:
    exchange = Stay()
    listening = await listen(exchange, "127.0.0.1", 0)
    async with wire(listening.port) as client:
        await client.say(post(b""))
        await exchange.begun.wait()
        await asyncio.wait_for(listening.close(0.05), 10)
        assert exchange.cancelled.is_set()
        assert (await client.rest()).startswith(b"HTTP/1.1 503 ")


def test_broken_body_is_no_other_refusal() -> None:
    assert not issubclass(BrokenBody, TooLarge | UnknownCoding)
