"""Clients and upstreams that are slow, gone, too many or without end: right errors, bounded use, nobody else notices.

Every test is for both servers, and has well-behaved callers beside it (`neighbours.py`).
"""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
import resource
import socket
import struct
import time
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import on_aiohttp
import pytest
import running as running_module
from neighbours import asked_for, asking, besieged, connected, gone, statuses, until
from processes import serving
from running import AUDIT, CHAT, LOG, Running, delta, eventually
from scripted import Script, Talk, chunk, raw, scripted, stream, whole

from engine.proxy import entry
from engine.proxy.room import open_more
from engine.proxy.taking import notice_silence

LISTEN = {"lean": entry.listen, "aiohttp": on_aiohttp.listen}
MIB = 1 << 20
CHUNKED = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
HEAD = b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
MANY = {entry.listen: 1000, on_aiohttp.listen: 100}


@pytest.fixture(params=LISTEN.values(), ids=LISTEN, autouse=True)
def accepted(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test is for both servers."""
    monkeypatch.setattr(running_module, "listen", request.param)


@pytest.fixture
def lean(accepted: None, request: pytest.FixtureRequest) -> None:
    """What only the server that the gateway uses can do."""
    if running_module.listen is not entry.listen:
        pytest.skip("the server that serves a gateway does it")


def endless(head: bytes, piece: bytes) -> Script:
    """An answer without end."""

    async def script(talk: Talk) -> None:
        await talk.send(head)
        while True:
            talk.writer.write(piece)
            await talk.writer.drain()

    return script


async def settled(run: Running) -> None:
    """Only the connections of the callers beside are left."""
    await eventually(lambda: run.listening.connections <= 3)


# --- slow clients -----------------------------------------------------------------------------------------------------

UNFINISHED = {
    "nothing": (b"", []),
    "a line": (b"POST /v1/chat/comp", []),
    "a head": (HEAD + b"X-A: b", []),
    "a body of known length": (HEAD + b'Content-Length: 100\r\n\r\n{"model": ', [400]),
    "a chunk": (HEAD + b"Transfer-Encoding: chunked\r\n\r\n64\r\n{", [400]),
    "a chunk as large as none is": (HEAD + b"Transfer-Encoding: chunked\r\n\r\nffffffffffffff\r\n{", [400]),
    "no last chunk": (HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n", [400]),
    "a body that was asked for": (HEAD + b"Content-Length: 100\r\nExpect: 100-continue\r\n\r\n", [100, 400]),
    "another request": (asking("seen") + b"POST ", [200]),
}


@pytest.mark.parametrize("drips", [False, True], ids=["stops", "drips"])
@pytest.mark.parametrize(("begun", "answers"), UNFINISHED.values(), ids=UNFINISHED)
async def test_who_does_not_finish_a_request_is_not_waited_for(
    begun: bytes, answers: list[int], drips: bool, tmp_path: Path
) -> None:
    """Neither when nothing comes any more, nor when a byte comes now and then, for ever."""
    drop = b" " if begun else b"\r\n"
    async with besieged(tmp_path, {}, "client_timeout: 150ms, keep_alive: 300ms") as (run, up):
        async with connected(run) as (reader, writer):
            writer.write(begun)
            coming = asyncio.create_task(gone(reader))
            while drips and not coming.done():
                await asyncio.sleep(0.05)
                with contextlib.suppress(ConnectionError, RuntimeError):
                    writer.write(drop if b"\r\n\r\n" not in begun or b"Length" in begun else b"")
            assert statuses(await coming) == answers
        assert [model for model in asked_for(up) if model != "seen"] == []
        await settled(run)


async def test_a_body_that_comes_slowly_but_comes_is_taken(tmp_path: Path) -> None:
    async with besieged(tmp_path, {}, "client_timeout: 150ms") as (run, up), connected(run) as (reader, writer):
        sent = asking("seen").replace(b'"hi"', b'"' + b"h" * 4000 + b'"')
        size = len(sent.partition(b"\r\n\r\n")[2])
        sent = b"%b%d\r\nConnection: close\r\n\r\n%b" % (
            HEAD + b"Content-Length: ",
            size,
            sent.partition(b"\r\n\r\n")[2],
        )
        for at in range(0, len(sent), 500):
            writer.write(sent[at : at + 500])
            await asyncio.sleep(0.05)
        assert statuses(await gone(reader)) == [200]
        assert asked_for(up) == ["seen"]


SLOW = '{"line": {"concurrent": 1, "first_byte": "8s"}}'
STALLED = {
    "a stream": (endless(CHUNKED, chunk(f"data: {delta('x' * 1000)}\n\n".encode() * 60)), True),
    "a whole answer": (whole(json.dumps({"choices": [], "pad": "x" * (24 * MIB)}).encode()), False),
}


@pytest.mark.parametrize(("script", "streamed"), STALLED.values(), ids=STALLED)
async def test_who_takes_nothing_of_an_answer_does_not_hold_it(script: Script, streamed: bool, tmp_path: Path) -> None:
    """Its connection ends, and with it the upstream's: the next in line gets the place. The record tells why."""
    bounds, rules = "client_timeout: 200ms", "rules: [{name: a, phase: log, actions: [{log_to: audit}]}]\n" + AUDIT
    async with besieged(tmp_path, {"line": script}, bounds, SLOW, rules=rules) as (run, up):
        async with connected(run, buffer=4096) as (reader, writer):
            reader._transport.pause_reading()  # type: ignore[attr-defined]
            writer.write(asking("line", streamed=streamed))
            await eventually(lambda: asked_for(up) == ["line"])
            async with connected(run) as (_, second):
                second.write(asking("line", streamed=True))
                await eventually(lambda: asked_for(up) == ["line", "line"])
            records = run.folder / "audit.jsonl"
            for said in b'"client_too_slow"', b'"the client took nothing of its answer for 0.2 s"':
                await eventually(lambda said=said: records.exists() and said in records.read_bytes())
        await settled(run)


async def test_who_takes_an_answer_slowly_gets_it_whole(tmp_path: Path) -> None:
    answer = json.dumps({"choices": [], "pad": "x" * (4 * MIB)}).encode()
    async with besieged(tmp_path, {"large": whole(answer)}, "client_timeout: 200ms") as (run, _):
        async with connected(run, buffer=65536) as (reader, writer):
            writer.write(asking("large", fields="Connection: close\r\n"))
            came = b""
            while piece := await reader.read(65536):
                came += piece
                await asyncio.sleep(0.01)
        assert came.partition(b"\r\n\r\n")[2] == answer


# --- clients that are gone --------------------------------------------------------------------------------------------

STAGES = {
    "before a byte": b"",
    "within a head": HEAD,
    "within a body": HEAD + b"Content-Length: 100\r\n\r\n{",
    "before the answer": asking("silent"),
    "within a stream": asking("endless", streamed=True),
    "with requests ahead": asking("silent") * 10,
}


@pytest.mark.parametrize("how", ["closes", "resets", "ends its side"])
@pytest.mark.parametrize("sent", STAGES.values(), ids=STAGES)
async def test_clients_that_leave_leave_nothing_behind(sent: bytes, how: str, tmp_path: Path) -> None:
    scripts = {
        "silent": raw(then="hang"),
        "endless": endless(CHUNKED, chunk(f"data: {delta('x' * 1000)}\n\n".encode())),
    }
    async with besieged(tmp_path, scripts) as (run, up):
        for _ in range(10):
            async with connected(run) as (_, writer):
                writer.write(sent)
                await asyncio.sleep(0.02)
                if how == "ends its side":
                    writer.write_eof()
                elif how == "resets":
                    raw_socket = writer.get_extra_info("socket")
                    raw_socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                else:
                    writer.close()
                    await asyncio.sleep(0.01)
        await settled(run)
        await eventually(lambda: up.gone >= len(asked_for(up)))


async def test_a_machine_that_is_gone_without_a_word_is_noticed(tmp_path: Path) -> None:
    """The system asks who said nothing for a minute; what is accepted inherits that from the socket that listens."""
    async with besieged(tmp_path, {}) as (run, _):
        (listening,) = run.listening._accepting.sockets
        assert listening.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
    with socket.create_server(("127.0.0.1", 0)) as server:
        notice_silence(server)
        with socket.create_connection(server.getsockname()), server.accept()[0] as accepted:
            assert accepted.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 60


# --- too many ---------------------------------------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def opened(run: Running, count: int) -> AsyncIterator[list[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]:
    """So many connections at once."""
    async with contextlib.AsyncExitStack() as stack:
        yield [await stack.enter_async_context(connected(run)) for _ in range(count)]


async def test_a_thousand_idle_streams(tmp_path: Path) -> None:
    open_more()
    gate, many = asyncio.Event(), MANY[running_module.listen]
    async with besieged(tmp_path, {"idle": until(gate)}) as (run, up):
        before = memory()
        async with opened(run, many) as clients:
            for _, writer in clients:
                writer.write(asking("idle", streamed=True, fields="Connection: close\r\n"))
            for reader, _ in clients:
                assert b"first" in await asyncio.wait_for(reader.readuntil(b"\n\n"), 30)
            assert memory() - before < 150 * MIB, "client, gateway and upstream of a stream are all here"
            began = time.monotonic()
            assert (await run.post()).status_code == 200
            assert time.monotonic() - began < 5
            gate.set()
            for reader, _ in clients:
                assert (await gone(reader)).endswith(b"data: [DONE]\n\n\r\n0\r\n\r\n")
        assert asked_for(up).count("idle") == many
        await settled(run)


def memory() -> int:
    """Bytes resident."""
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


async def test_a_storm_of_connections_that_ask(tmp_path: Path) -> None:
    async with besieged(tmp_path, {}) as (run, up), opened(run, 300) as clients:
        for _, writer in clients:
            writer.write(asking("seen", fields="Connection: close\r\n"))
        assert [statuses(await gone(reader)) for reader, _ in clients] == [[200]] * 300
        assert len(asked_for(up)) == 300


@pytest.mark.usefixtures("lean")
async def test_a_storm_of_connections_that_say_nothing(tmp_path: Path) -> None:
    """The oldest of those go that never asked; who asks, or did, stays."""
    async with besieged(tmp_path, {}, "connections: 20") as (run, _), opened(run, 200) as clients:
        assert run.listening.connections <= 22
        for _ in range(3):
            assert (await run.post()).status_code == 200
        reader, writer = clients[-1]
        writer.write(asking("seen", fields="Connection: close\r\n"))
        assert statuses(await gone(reader)) == [200]


@pytest.mark.usefixtures("lean")
async def test_one_more_than_may_be_at_work_is_told_so(tmp_path: Path) -> None:
    gate = asyncio.Event()
    async with besieged(tmp_path, {"idle": until(gate)}, "connections: 20") as (run, up):
        async with opened(run, 18) as clients:
            for _, writer in clients:
                writer.write(asking("idle", streamed=True, fields="Connection: close\r\n"))
            await eventually(lambda: len(asked_for(up)) == 18)
            async with opened(run, 100) as more:
                for _, writer in more:
                    with contextlib.suppress(ConnectionError, RuntimeError):
                        writer.write(asking("idle"))
                told = [await gone(reader) for reader, _ in more]
            assert {*map(tuple, map(statuses, told))} <= {(503,), ()}
            assert any(b'"code": "too_many_connections"' in each for each in told)
            gate.set()
            assert [statuses(await gone(reader)) for reader, _ in clients] == [[200]] * 18
        assert len(asked_for(up)) == 18


@pytest.mark.usefixtures("lean")
@pytest.mark.parametrize("workers", ["1", "2"])
async def test_a_change_of_limits_holds_for_who_comes_then(workers: str, tmp_path: Path) -> None:
    rules = "server: {keep_alive: %s, admin: 'off'}\nrules: []\n"
    async with serving(tmp_path, rules % "75s", "--workers", workers) as (server, http):
        before = (await http.get("/v1/models")).headers["x-pointsman-version"]
        server.file.write_text(rules % "200ms")
        for _ in range(3):  # of either worker
            await server.until(http, "/v1/models", lambda answer: answer.headers["x-pointsman-version"] != before)
        for _ in range(4):
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            assert await asyncio.wait_for(reader.read(), 10) == b""
            writer.close()


@pytest.mark.usefixtures("lean")
async def test_files_that_run_out_end_no_exchange(tmp_path: Path) -> None:
    """A process that may open few takes few clients, and has files left for their upstreams."""
    async with scripted(whole(b'{"choices": []}')) as up:
        rules = f"upstreams: {{main: {{base_url: '{up.url}/v1'}}}}\nserver: {{admin: 'off'}}\nrules: []\n"
        async with serving(tmp_path, rules) as (server, http), contextlib.AsyncExitStack() as stack:
            answer = await http.post("/v1/chat/completions", json=CHAT)
            before = answer.headers["x-pointsman-version"]
            resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, (200, 200))
            server.file.write_text(f"{rules}\nlists: {{a: [b]}}\n")
            await server.until(http, "/v1/models", lambda answer: answer.headers["x-pointsman-version"] != before)
            for _ in range(300):
                await stack.enter_async_context(connected(server))
            async with httpx.AsyncClient(base_url=server.url, timeout=10) as other:
                for caller in (http, other) * 5:
                    assert (await caller.post("/v1/chat/completions", json=CHAT)).status_code == 200


LARGE = {
    "a body that says so": (HEAD + b"Content-Length: 100000000\r\n\r\n{", b"", [413]),
    "a body in chunks": (HEAD + b"Transfer-Encoding: chunked\r\n\r\n", chunk(b"x" * 65536), [413]),
    "one chunk": (HEAD + b"Transfer-Encoding: chunked\r\n\r\nffffffffff\r\n", b"x" * 65536, [413]),
    "a compressed body": (
        HEAD + b"Content-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n",
        chunk(gzip.compress(b"x" * (32 * MIB))),
        [413],
    ),
    "a line": (b"POST /v1/", b"x" * 65536, [431]),
    "a header": (HEAD + b"X-A: ", b"x" * 65536, [431]),
    "the name of a header": (HEAD, b"x" * 65536, [431]),
    "the extension of a chunk": (HEAD + b"Transfer-Encoding: chunked\r\n\r\n5;", b"x" * 65536, [400]),
    "trailers": (HEAD + b"Transfer-Encoding: chunked\r\n\r\n0\r\n", b"x: y\r\n" * 10_000, [400]),
}


@pytest.mark.parametrize(("start", "more", "answers"), LARGE.values(), ids=LARGE)
async def test_what_has_no_end_is_refused_while_it_comes(
    start: bytes, more: bytes, answers: list[int], tmp_path: Path
) -> None:
    if start.endswith(b"5;") and running_module.listen is on_aiohttp.listen:
        pytest.skip("aiohttp reads on, and keeps nothing of it")
    async with (
        besieged(tmp_path, {}, "body_limit: 1MiB, client_timeout: 1s") as (run, up),
        connected(run) as (reader, writer),
    ):
        coming = asyncio.create_task(gone(reader))
        writer.write(start)
        sent = 0
        with contextlib.suppress(ConnectionError, RuntimeError):
            while not coming.done() and sent < 64 * MIB:
                writer.write(more)
                await writer.drain()
                sent += len(more)
                await asyncio.sleep(0)
        assert statuses(await coming) == answers
        assert asked_for(up) == []


@pytest.mark.usefixtures("lean")
async def test_headers_that_are_many_and_long_are_too_long_together(tmp_path: Path) -> None:
    async with besieged(tmp_path, {}) as (run, up), connected(run) as (reader, writer):
        writer.write(HEAD + b"".join(b"X-%d: %b\r\n" % (number, b"x" * 12_000) for number in range(100)))
        assert statuses(await gone(reader)) == [431]
        assert asked_for(up) == []


def large(model: str, *, packed: bool = False, path: str = "/v1/chat/completions") -> bytes:
    """A request for a stream with a body of 800 KiB, once it is unfolded."""
    pad = [{"role": "user", "content": "x" * (800 * 1024)}]
    body = json.dumps({**CHAT, "model": model, "stream": True, "max_tokens": 9, "messages": pad}).encode()
    fields = "Content-Encoding: gzip\r\n" if packed else ""
    body = gzip.compress(body) if packed else body
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nConnection: close\r\n{fields}"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "packed"])
async def test_large_bodies_that_are_too_many_together_are_refused(packed: bool, tmp_path: Path) -> None:
    """Who comes when the room is taken is told to come again; small requests find room, and later a large one does."""
    gate = asyncio.Event()
    bounds, rules = "body_limit: 1MiB, bodies_limit: 2MiB", f"rules:{LOG}{AUDIT}"
    async with besieged(tmp_path, {"idle": until(gate)}, bounds, rules=rules) as (run, up), opened(run, 2) as clients:
        for _, writer in clients:
            writer.write(large("idle", packed=packed))
        await eventually(lambda: len(asked_for(up)) == 2)
        for path, kind in ("/v1/chat/completions", b'"code":"overloaded"'), ("/v1/messages", b'{"type":"error"'):
            async with connected(run) as (reader, writer):
                writer.write(large("seen", packed=packed, path=path))
                told = await gone(reader)
            assert statuses(told) == [503]
            assert b"\r\nretry-after: 1\r\n" in told.lower()
            assert kind in told
            assert b"`server.bodies_limit`" in told
        assert (await run.post(body={**CHAT, "model": "seen"})).status_code == 200
        gate.set()
        for reader, _ in clients:
            await asyncio.wait_for(reader.readuntil(b"[DONE]"), 10)
        await eventually(lambda: held(run) == 0)
        async with connected(run) as (reader, writer):
            writer.write(large("seen", packed=packed))
            assert (await reader.readline()).startswith(b"HTTP/1.1 200 ")
        assert asked_for(up) == ["idle", "idle", "seen", "seen"]
        records = run.folder / "audit.jsonl"
        await run.gateway.settled()
        await eventually(records.exists)
        await eventually(lambda: sum(b'"overloaded"' in line for line in records.read_bytes().splitlines()) == 2)


def held(run: Running) -> int:
    """Bytes of large bodies that are counted."""
    return run.listening.serving.bodies.held


async def test_what_a_client_began_to_send_is_given_back_when_it_leaves(tmp_path: Path) -> None:
    async with besieged(tmp_path, {}, "body_limit: 1MiB, bodies_limit: 1MiB") as (run, _):
        async with connected(run) as (_, writer):
            writer.write(large("seen")[:-100])
            await eventually(lambda: held(run) > 700 * 1024)
        await eventually(lambda: held(run) == 0)


async def test_a_large_body_alone_always_finds_room(tmp_path: Path) -> None:
    async with besieged(tmp_path, {}, "body_limit: 1MiB, bodies_limit: 1KiB") as (run, up):
        async with connected(run) as (reader, writer):
            writer.write(large("seen"))
            assert (await reader.readline()).startswith(b"HTTP/1.1 200 ")
        assert asked_for(up) == ["seen"]


# --- upstreams --------------------------------------------------------------------------------------------------------


async def test_slow_upstreams_keep_only_their_own_callers_waiting(tmp_path: Path) -> None:
    silent = '{"silent": {"first_byte": "300ms"}, "stalls": {"between_bytes": "300ms"}}'
    scripts = {"silent": raw(then="hang"), "stalls": raw(CHUNKED + chunk(b"data: "), then="hang")}
    async with besieged(tmp_path, scripts, upstreams=silent) as (run, _), opened(run, 100) as clients:
        for number, (_, writer) in enumerate(clients):
            model = "stalls" if number % 2 else "silent"
            writer.write(asking(model, streamed=True, fields="Connection: close\r\n"))
        came = [await gone(reader) for reader, _ in clients]
        assert [statuses(each) for each in came] == [[504], [200]] * 50
        assert not any(each.endswith(b"0\r\n\r\n") for each in came[1::2]), "what stalls within an event is not whole"


def every_third(good: Script, bad: Script) -> Script:
    """Good twice, then bad, and so on."""
    asked = 0

    async def script(talk: Talk) -> None:
        nonlocal asked
        asked += 1
        await (good if asked % 3 else bad)(talk)

    return script


RESETS = {
    "before its answer": raw(then="reset"),
    "within a head": raw(b"HTTP/1.1 200 OK\r\ncont", then="reset"),
    "within a body": raw(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{", pause=0.02, then="reset"),
}


@pytest.mark.parametrize("bad", RESETS.values(), ids=RESETS)
async def test_an_upstream_that_resets_every_third_request(bad: Script, tmp_path: Path) -> None:
    """Those who are hit are told; with one more try nobody is."""
    answer = whole(json.dumps({"choices": []}).encode())
    scripts = {"flaky": every_third(answer, bad), "retried": every_third(answer, bad)}
    retry = "rules: [{name: again, match: {request.model: retried}, actions: [{route: {retries: 2}}]}]\n"
    doors = '{"flaky": {}, "retried": {}}'
    async with besieged(tmp_path, scripts, upstreams=doors, rules=retry) as (run, _):
        told = [await run.post(body={**CHAT, "model": "flaky"}) for _ in range(9)]
        assert [answer.status_code for answer in told] == [200, 200, 502] * 3
        assert told[2].json()["error"]["code"] == "upstream_connection"
        again = [await run.post(body={**CHAT, "model": "retried"}) for _ in range(9)]
        assert [answer.status_code for answer in again] == [200] * 9


async def test_streams_that_are_reset_every_third_time_are_never_whole(tmp_path: Path) -> None:
    good = stream([delta("a"), delta("b", "stop")])
    bad = raw(CHUNKED, chunk(f"data: {delta('a')}\n\n".encode()), pause=0.02, then="reset")
    async with besieged(tmp_path, {"flaky": every_third(good, bad)}, upstreams='{"flaky": {}}') as (run, _):
        told = [(await run.post(body={**CHAT, "model": "flaky", "stream": True})).content for _ in range(9)]
        assert [b"[DONE]" in each for each in told] == [True, True, False] * 3
        assert [b'"error"' in each for each in told] == [False, False, True] * 3


JSON = b"HTTP/1.1 %b\r\ncontent-type: application/json\r\n%btransfer-encoding: chunked\r\n\r\n"
NO_END = {
    "an answer": endless(JSON % (b"200 OK", b""), chunk(b" " * 65536)),
    "an answer until it closes": endless(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n", b" " * 65536),
    "an error": endless(JSON % (b"400 Bad", b""), chunk(b" " * 65536)),
    "a compressed answer": raw(
        JSON % (b"200 OK", b"content-encoding: gzip\r\n"), chunk(gzip.compress(b" " * (64 * MIB))), b"0\r\n\r\n"
    ),
    "an answer that says so": raw(b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n" + b" " * MIB, then="hang"),
}


@pytest.mark.parametrize("script", NO_END.values(), ids=NO_END)
async def test_an_answer_without_end_is_given_up(script: Script, tmp_path: Path) -> None:
    async with besieged(tmp_path, {"endless": script}, "answer_limit: 1MB", '{"endless": {}}') as (run, up):
        answer = await run.post(body={**CHAT, "model": "endless"})
        assert (answer.status_code, answer.json()["error"]["code"]) == (502, "upstream_answer")
        assert "larger than 1000000 bytes (`server.answer_limit`)" in answer.json()["error"]["message"]
        if script is not NO_END["a compressed answer"]:  # which has an end
            await eventually(lambda: up.gone > 0)
