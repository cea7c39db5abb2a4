"""`python server.py FILE` as a process of its own, for tests of what only a process has: signals, ports, its end."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx

ROOT = Path(__file__).parent.parent


class Process:
    """`python server.py FILE` as a process of its own."""

    def __init__(self, process: asyncio.subprocess.Process, folder: Path) -> None:
        self.process = process
        self.file = folder / "rules.yaml"
        self.said = ""
        self.port = 0

    async def started(self) -> None:
        assert self.process.stdout is not None
        async with asyncio.timeout(20):
            while "print(client" not in self.said:
                line = await self.process.stdout.readline()
                assert line, await self.error()
                self.said += line.decode()
        found = re.search(r":(\d+)/v1", self.said)
        assert found
        self.port = int(found[1])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def error(self) -> str:
        """All that was written to standard error until the end."""
        assert self.process.stderr is not None
        return (await asyncio.wait_for(self.process.stderr.read(), 20)).decode()

    async def ended(self) -> int:
        return await asyncio.wait_for(self.process.wait(), 20)

    async def until(self, http: httpx.AsyncClient, path: str, wanted: Any) -> httpx.Response:
        """Ask again until the answer is as wanted."""
        async with asyncio.timeout(10):
            while not wanted(answer := await http.get(path)):  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        return answer


@asynccontextmanager
async def process(
    folder: Path, rules: str, *options: str, code: Path = ROOT, **environment: str
) -> AsyncIterator[Process]:
    (folder / "rules.yaml").write_text(rules)
    started = await asyncio.create_subprocess_exec(
        sys.executable,
        str(code / "server.py"),
        "rules.yaml",
        *options,
        cwd=folder,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, **environment},
    )
    try:
        yield Process(started, folder)
    finally:
        if started.returncode is None:
            started.kill()
        await started.communicate()


@asynccontextmanager
async def serving(
    folder: Path, rules: str, *options: str, code: Path = ROOT
) -> AsyncIterator[tuple[Process, httpx.AsyncClient]]:
    """`code`: the copy of the program that runs."""
    async with process(folder, rules, "--port", "0", *options, code=code) as server:
        await server.started()
        async with httpx.AsyncClient(base_url=server.url, timeout=10) as http:
            yield server, http
