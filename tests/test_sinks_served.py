"""Whole processes whose sinks are down while they are killed, reloaded and started again: every record is counted."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
from processes import Process, serving
from running import CHAT, eventually

RULES = """
server: {{drain: 2s}}
sinks:
  hook: {{webhook: {{url: 'http://127.0.0.1:{port}/in', batch: 50, retry: {{backoff: 50ms}}}}}}
  audit: {{file: audit.jsonl}}
rules:
  - {{name: log, phase: log, actions: [{{log_to: [hook, audit]}}]}}
"""


class Receiver:
    """A receiver of webhooks that may be started, stopped and told what to answer."""

    def __init__(self) -> None:
        self.port = 0
        self.status = 200
        self.taken: list[str] = []
        self.asked = 0
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port, limit=1 << 24)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()
            self._server = None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n", 1)[0])
            body = await reader.readexactly(length)
            self.asked += 1
            if self.status == 200:
                self.taken += [record["id"] for record in json.loads(body)]
            writer.write(b"HTTP/1.1 %d .\r\ncontent-length: 0\r\nconnection: close\r\n\r\n" % self.status)
            await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def receiver(*, up: bool = True) -> AsyncIterator[Receiver]:
    one = Receiver()
    await one.start()
    if not up:
        await one.stop()
    try:
        yield one
    finally:
        await one.stop()


async def asked(http: httpx.AsyncClient, count: int) -> list[str]:
    """The ids of exchanges, each of which was answered."""

    async def some(number: int) -> list[str]:
        return [(await http.post("/v1/chat/completions", json=CHAT)).headers["x-request-id"] for _ in range(number)]

    return [one for ids in await asyncio.gather(*[some(count // 10) for _ in range(10)]) for one in ids]


def lines(path: Path) -> list[str]:
    return [json.loads(line)["id"] for line in path.read_text().splitlines()]


def spooled(folder: Path) -> list[str]:
    return [one for file in sorted(folder.rglob("*.jsonl")) if file.name != "audit.jsonl" for one in lines(file)]


async def stopped(server: Process, sign: signal.Signals = signal.SIGTERM) -> str:
    server.process.send_signal(sign)
    error = await server.error()
    await server.ended()
    return error


async def test_after_sigterm_every_record_is_in_its_sink_or_in_the_spool(tmp_path: Path) -> None:
    async with receiver(up=False) as hook:
        rules = RULES.format(port=hook.port)
        async with serving(tmp_path, rules) as (server, http):
            ids = await asked(http, 150)
            error = await stopped(server)
            assert server.process.returncode == 0
        assert sorted(spooled(tmp_path)) == sorted(ids)
        assert sorted(lines(tmp_path / "audit.jsonl")) == sorted(ids)
        assert error.count("is down, records wait") == 1
        assert "lost" not in error
        await hook.start()
        async with serving(tmp_path, rules) as (server, http):
            more = await asked(http, 10)
            await eventually(lambda: len(hook.taken) == 160)
            assert "150 records that an ended process left" in await stopped(server)
        assert sorted(hook.taken) == sorted(ids + more)
        assert set(hook.taken[:150]) == set(ids)  # what waited comes first
        assert spooled(tmp_path) == []


async def test_after_sigkill_only_what_was_in_memory_is_gone(tmp_path: Path) -> None:
    async with receiver() as hook:
        hook.status = 500
        rules = RULES.format(port=hook.port)
        async with serving(tmp_path, rules) as (server, http):
            ids = await asked(http, 150)
            await eventually(lambda: len(spooled(tmp_path)) == 150)
            more = await asked(http, 50)
            server.process.kill()
            await server.ended()
        kept = spooled(tmp_path)
        assert set(ids) <= set(kept) <= {*ids, *more}
        hook.status = 200
        async with serving(tmp_path, rules) as (server, http):
            await eventually(lambda: len(hook.taken) == len(kept))
            await stopped(server)
        assert sorted(hook.taken) == sorted(kept)
        assert spooled(tmp_path) == []


async def test_ten_minutes_of_errors_slow_no_exchange_and_lose_no_record(tmp_path: Path) -> None:
    async with receiver() as hook:
        hook.status = 503
        async with serving(tmp_path, RULES.format(port=hook.port)) as (server, http):
            ids = await asked(http, 100)
            await eventually(lambda: hook.asked > 3)
            server.file.write_text(RULES.format(port=hook.port) + "# a reload keeps the sink\n")
            ids += await asked(http, 50)
            hook.status = 200
            await eventually(lambda: len(hook.taken) == 150)
            error = await stopped(server)
        assert sorted(hook.taken) == sorted(ids)
        assert "is up again" in error
        assert spooled(tmp_path) == []


async def test_a_sink_that_is_mended_by_an_edit_delivers_what_waited(tmp_path: Path) -> None:
    async with receiver(up=False) as wrong, receiver() as right:
        rules = RULES.replace("2s", "100ms")
        async with serving(tmp_path, rules.format(port=wrong.port)) as (server, http):
            ids = await asked(http, 50)
            await eventually(lambda: len(spooled(tmp_path)) == 50)
            server.file.write_text(rules.format(port=right.port))
            await eventually(lambda: len(right.taken) == 50)
            await stopped(server)
        assert sorted(right.taken) == sorted(ids)
        assert spooled(tmp_path) == []


async def test_several_processes_share_a_file_and_a_spool(tmp_path: Path) -> None:
    async with receiver(up=False) as hook:
        rules = RULES.format(port=hook.port).replace("audit.jsonl", "{path: audit.jsonl, max_mb: 0.02, keep: 20}")
        async with serving(tmp_path, rules) as (one, http), serving(tmp_path, rules) as (two, http2):
            both = await asyncio.gather(asked(http, 100), asked(http2, 100))
            await asyncio.gather(stopped(one), stopped(two))
        ids = sorted(both[0] + both[1])
        written = [lines(tmp_path / name) for name in os.listdir(tmp_path) if name.startswith("audit")]
        assert sorted(one for some in written for one in some) == ids
        assert len(written) > 2
        await hook.start()
        async with serving(tmp_path, rules) as (one, _):
            await eventually(lambda: len(hook.taken) == 200)
            await stopped(one)
        assert sorted(hook.taken) == ids
