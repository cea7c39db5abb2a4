"""The gateway on a real socket inside the test's process: rules as text, records as they were written."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

import server
from engine.proxy.entry import Listening, listen
from engine.proxy.gateway import Gateway
from engine.proxy.room import limits_of
from engine.proxy.ways import Ways
from engine.report import as_text
from engine.rules.compile import compile_program
from engine.rules.load import load

AUDIT = """
sinks: {audit: {file: audit.jsonl}}
"""
LOG = """
  - {name: audit, phase: log, actions: [{log_to: {sink: audit, content: full}}]}
"""
CHAT = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}]}


def completion(text: str, **more: Any) -> dict[str, Any]:
    """A whole chat answer."""
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "gpt-4o",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3},
        **more,
    }


def delta(text: str | None = None, finish: str | None = None) -> str:
    """The data of one event of a streamed chat answer."""
    said = {"content": text} if text is not None else {}
    return json.dumps(
        {
            "id": "chatcmpl-1",
            "object": "chat.completion.chunk",
            "created": 1,
            "model": "gpt-4o",
            "choices": [{"index": 0, "delta": said, "finish_reason": finish}],
        }
    )


@dataclass
class Running:
    """A gateway that listens on `port`; `folder` holds its rules and its records."""

    gateway: Gateway
    port: int
    folder: Path
    http: httpx.AsyncClient
    listening: Listening

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def post(self, path: str = "/v1/chat/completions", body: Any = None, **options: Any) -> httpx.Response:
        """A request with a JSON body."""
        if "content" not in options:
            options["json"] = CHAT if body is None else body
        return await self.http.post(path, **options)

    async def records(self, count: int = 1) -> list[dict[str, Any]]:
        """All records, once there are `count`."""
        await self.gateway.settled()
        file = self.folder / "audit.jsonl"
        await eventually(lambda: file.exists() and file.read_bytes().count(b"\n") >= count)
        return [json.loads(line) for line in file.read_text().splitlines()]

    async def record(self) -> dict[str, Any]:
        """The only record."""
        (record,) = await self.records()
        return record

    async def wire(self, data: bytes) -> bytes:
        """Exactly these bytes over a connection of their own, and all that comes back until it closes."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(data)
        try:
            return await asyncio.wait_for(reader.read(), 10)
        finally:
            writer.close()


async def eventually(holds: Callable[[], bool]) -> None:
    """Wait until something holds that nobody announces."""
    async with asyncio.timeout(10):
        while not holds():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


def upstream(url: str, **options: Any) -> str:
    """The section of one upstream at a URL."""
    return f"upstreams: {{main: {json.dumps({'base_url': url + '/v1', **options})}}}\n"


@asynccontextmanager
async def running(rules: str, folder: Path) -> AsyncIterator[Running]:
    """Serve rules until the block ends."""
    file = folder / "rules.yaml"
    file.write_text(rules)
    loaded = load(str(file))
    assert loaded.fine, as_text(loaded.problems)
    ways = Ways()
    gateway = Gateway(compile_program(loaded), ways)
    limits = limits_of(gateway.program)
    listening = await listen(lambda client: server.exchange(client, gateway), "127.0.0.1", 0, limits=limits)
    gateway.start()
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{listening.port}", timeout=10) as http:
            yield Running(gateway, listening.port, folder, http, listening)
    finally:
        await listening.close()
        await gateway.close()
        await ways.close()
