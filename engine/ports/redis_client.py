"""Commands to Redis or Valkey: a few connections for any number of exchanges, and no exchange waits for long.

What is asked while all connections are busy goes together over the next one that is free. After a failure the server
is left alone for a moment; then one command goes as a probe. Must not know what is kept there.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import re
from collections import deque
from contextlib import suppress
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from engine.ports.patience import Patience
from engine.ports.stores import StoreError

log = logging.getLogger("pointsman.stores")

_ONLY_READ = re.compile("READONLY|read only replica")
REST = 1.0  # seconds after a failure in which the server is not asked
_TOGETHER = 100  # commands that go as one

Word = str | bytes | int
Words = tuple[Word, ...]


class RedisClient:
    """Asks a server. Connects when first asked, again after failures, and never tells credentials."""

    def __init__(self, url: str, timeout: float = 0.5, connections: int = 8, *, cluster: bool = False) -> None:
        self._url = url
        self._timeout = timeout
        self._cluster = cluster
        self._where = shown(url)
        self._redis = _cluster(url) if cluster else _server(url)
        self._together = 1 if cluster else _TOGETHER  # pipelines of clusters take no scripts
        self._most = connections if cluster else min(connections, self._redis.connection_pool.max_connections)
        self._waiting: deque[tuple[Words, asyncio.Future[Any]]] = deque()
        self._lanes: set[asyncio.Task[None]] = set()
        self._down = ""  # why, while the server rests
        self._rests_until = 0.0
        self._scripts: dict[Word, str] = {}

    def script(self, text: str) -> str:
        """The name of a script, for `call`."""
        name = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()
        self._scripts[name.encode()] = text
        return name

    def call(self, script: str, keys: list[str], *arguments: Word) -> asyncio.Future[Any]:
        """What a script answers; loaded again where the server does not know it (any more)."""
        return self.ask("EVALSHA", script, len(keys), *keys, *arguments)

    def ask(self, *words: Word) -> asyncio.Future[Any]:
        """What the server answers. Fails with StoreError."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Any] = loop.create_future()
        if self._down and not self._is_probe(loop.time()):
            answer.set_exception(StoreError(self._down))
            return answer
        self._waiting.append(((words[0], *map(_as_bytes, words[1:])), answer))
        if len(self._lanes) < self._most:
            lane = loop.create_task(self._run())
            self._lanes.add(lane)
            lane.add_done_callback(self._lanes.discard)
        return answer

    async def close(self) -> None:
        """Wait for what is under way, and close all connections."""
        if self._lanes:
            await asyncio.wait(self._lanes)
        await self._redis.aclose()

    def _is_probe(self, now: float) -> bool:
        if now < self._rests_until:
            return False
        self._rests_until = now + self._timeout + REST  # all others rest on until this one knows
        return True

    async def _run(self) -> None:
        """One connection's worth of work: send what waits, until nothing does."""
        while self._waiting:
            batch = [self._waiting.popleft() for _ in range(min(len(self._waiting), self._together))]
            try:
                async with Patience(self._timeout):
                    answers = await self._sent([words for words, _ in batch])
            except Exception as error:  # noqa: BLE001  whatever the library raises, every exchange gets an answer
                await self._rest(error)
                batch += self._waiting
                self._waiting.clear()
                answers = [StoreError(self._down) for _ in batch]
            else:
                self._awake()
            for (_, answer), value in zip(batch, answers, strict=True):
                if answer.done():
                    continue
                if isinstance(value, Exception):
                    answer.set_exception(self._refused(value))
                else:
                    answer.set_result(value)

    async def _sent(self, commands: list[Words]) -> list[Any]:
        """An answer or an exception for each; raises when the server cannot be reached, or only be read."""
        answers = await self._sent_once(commands)
        lacking = [n for n, answer in enumerate(answers) if type(answer).__name__ == "NoScriptError"]
        if lacking:
            whole = [("EVAL", self._scripts[commands[n][1]], *commands[n][2:]) for n in lacking]
            for n, answer in zip(lacking, await self._sent_once(whole), strict=True):
                answers[n] = answer
        for answer in answers:
            if isinstance(answer, Exception) and _ONLY_READ.search(str(answer)):  # another is the primary now
                raise answer
        return answers

    async def _sent_once(self, commands: list[Words]) -> list[Any]:
        from redis.exceptions import ResponseError

        if len(commands) == 1:
            try:
                return [await self._redis.execute_command(*commands[0])]
            except ResponseError as error:
                return [error]
        pipeline = self._redis.pipeline(transaction=False)
        for command in commands:
            pipeline.execute_command(*command)
        answers: list[Any] = await pipeline.execute(raise_on_error=False)
        return answers

    async def _rest(self, error: Exception) -> None:
        """Leave the server alone, and begin with new connections then."""
        told = f"no answer within {self._timeout:g} s" if isinstance(error, TimeoutError) else self._told(error)
        if not self._down:
            log.warning("store %s is down: %s", self._where, told)
        self._down = f"store {self._where} is down: {told}"
        self._rests_until = asyncio.get_running_loop().time() + REST
        if not self._cluster:
            with suppress(Exception):  # of a connection that is broken already
                await self._redis.connection_pool.disconnect(inuse_connections=False)

    def _awake(self) -> None:
        if self._down:
            log.warning("store %s is up again", self._where)
            self._down = ""

    def _refused(self, error: Exception) -> StoreError:
        return error if isinstance(error, StoreError) else StoreError(f"store {self._where}: {self._told(error)}")

    def _told(self, error: Exception) -> str:
        """What an exception says, without credentials."""
        text = str(error) or type(error).__name__
        parts = urlsplit(self._url)
        for secret in (parts.password or "", *parse_qs(parts.query).get("password", ())):
            if secret:
                text = text.replace(secret, "…").replace(unquote(secret), "…")
        return text


def shown(url: str) -> str:
    """Where a URL leads, without what stands before an `@` or behind a `?`."""
    parts = urlsplit(url)
    if parts.scheme == "unix":
        return f"unix://{parts.path}"
    host = parts.hostname or "localhost"
    return f"{parts.scheme}://{f'[{host}]' if ':' in host else host}:{parts.port or 6379}{parts.path.rstrip('/')}"


def _as_bytes(word: Word) -> Word:
    """A word as it is sent; half a surrogate pair, which a header may bring into a key, must not stop the others."""
    return word.encode("utf-8", "surrogatepass") if isinstance(word, str) else word


_ONCE = {"socket_timeout": None, "protocol": 2}  # time-outs are ours; the older protocol is all that is needed


def _server(url: str) -> Any:
    """The library's client; it connects by itself."""
    from redis.asyncio import ConnectionPool, Redis

    pool: Any = ConnectionPool.from_url(url, retry=_never(), **_ONCE)
    pool.connection_kwargs["decode_responses"] = False  # whatever the URL says: values are bytes
    return Redis.from_pool(pool)  # which closes it, too


def _cluster(url: str) -> Any:
    from redis.asyncio import RedisCluster

    return RedisCluster.from_url(url, retry=_never(), **_ONCE)


def _never() -> Any:
    from redis.asyncio.retry import Retry
    from redis.backoff import NoBackoff

    return Retry(NoBackoff(), 0)
