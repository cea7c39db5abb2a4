"""Services that keep prompts, on real sockets: Langfuse by the shapes of its public API, and one that says anything.

They can be stopped and begin again on the same port, be slow, and answer nonsense.
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import parse_qsl, unquote, urlsplit

PUBLIC, SECRET = "pk-lf-1", "sk-lf-1"
_PATH = "/api/public/v2/prompts/"


@dataclass
class Service:
    """A service that answers GET; `asked` are the targets in order. `says` is answered instead, whatever was asked."""

    port: int = 0
    asked: list[str] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    says: tuple[int, bytes] | None = None
    go: asyncio.Event = field(default_factory=asyncio.Event)  # cleared: every answer waits
    _server: asyncio.Server | None = None
    _open: dict[asyncio.Task[None], asyncio.StreamWriter] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def start(self) -> None:
        """Begin to listen, on the port of before if there was one."""
        self.go.set()
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Refuse connections from now on, and break off those that are open."""
        assert self._server is not None
        self._server.close()
        self.go.set()
        tasks = list(self._open)
        for writer in self._open.values():
            writer.transport.abort()
        if tasks:
            await asyncio.wait(tasks)

    def answer(self, path: str, query: dict[str, str], headers: dict[str, str]) -> tuple[int, Any]:
        """Status and JSON of the answer."""
        raise NotImplementedError

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open[task] = writer
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
                headers = {name.lower(): value.strip() for name, _, value in (row.partition(":") for row in head[1:])}
                target = head[0].split(" ")[1]
                self.asked.append(target)
                self.headers.append(headers)
                split = urlsplit(target)
                status, said = self.answer(split.path, dict(parse_qsl(split.query)), headers)
                raw = json.dumps(said).encode()
                await self.go.wait()
                if self.says is not None:
                    status, raw = self.says
                writer.write(f"HTTP/1.1 {status} Said\r\ncontent-length: {len(raw)}\r\n\r\n".encode() + raw)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            del self._open[task]
            writer.close()


@dataclass
class Langfuse(Service):
    """A project of Langfuse: prompts in versions, a label names one of them."""

    prompts: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    def put(self, name: str, prompt: Any, config: Any = None, labels: tuple[str, ...] = ("production",)) -> None:
        """A new version, to which the labels move."""
        versions = self.prompts.setdefault(name, [])
        for older in versions:
            older["labels"] = [label for label in older["labels"] if label not in (*labels, "latest")]
        versions.append(
            {
                "name": name,
                "version": len(versions) + 1,
                "type": "text" if isinstance(prompt, str) else "chat",
                "prompt": prompt,
                "config": {} if config is None else config,
                "labels": [*labels, "latest"],
                "tags": [],
                "commitMessage": None,
                "resolutionGraph": None,
            }
        )

    def answer(self, path: str, query: dict[str, str], headers: dict[str, str]) -> tuple[int, Any]:
        wanted = "Basic " + base64.b64encode(f"{PUBLIC}:{SECRET}".encode()).decode()
        if headers.get("authorization") != wanted:
            return 401, {"message": "Invalid credentials. Confirm that you've configured the correct host."}
        name = unquote(path.removeprefix(_PATH))
        if not path.startswith(_PATH) or "/" in path.removeprefix(_PATH):
            return 404, {"message": "Not found", "error": "LangfuseNotFoundError"}
        version, label = query.get("version"), query.get("label", "production")
        for one in self.prompts.get(name, []):
            if str(one["version"]) == version or (version is None and label in one["labels"]):
                return 200, one
        what = f"version {version}" if version else f"label '{label}'"
        return 404, {"message": f"Prompt not found: '{name}' with {what}", "error": "LangfuseNotFoundError"}


@dataclass
class Shelf(Service):
    """A service of one's own, or one that speaks like Humanloop: what stands under a path is the answer."""

    kept: dict[str, Any] = field(default_factory=dict)

    def answer(self, path: str, query: dict[str, str], headers: dict[str, str]) -> tuple[int, Any]:
        found = self.kept.get(path)
        return (404, {"detail": "no such prompt"}) if found is None else (200, found)


S = TypeVar("S", bound=Service)


@asynccontextmanager
async def listening(service: S) -> AsyncIterator[S]:
    """The service, until the block ends."""
    await service.start()
    try:
        yield service
    finally:
        await service.stop()
