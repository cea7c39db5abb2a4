"""Commands to Redis or Valkey: a few connections for any number of exchanges, and no exchange waits for long.

What is asked while all connections are busy goes together over the next one that is free. After a failure the server
is left alone for a moment; then one command goes as a probe. Must not know what is kept there.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections import deque
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from engine.ports.stores import StoreError

log = logging.getLogger("pointsman.stores")

REST = 1.0  # seconds after a failure in which the server is not asked
_TOGETHER = 100  # commands that go as one

Word = str | bytes | int
Words = tuple[Word, ...]


class RedisClient:
    """Asks a server. Connects when first asked, again after failures, and never tells credentials."""

    def __init__(self, url: str, timeout: float = 0.5, connections: int = 8, *, cluster: bool = False) -> None:
        self._url = url
        self._timeout = timeout
        self._most = connections
        self._cluster = cluster
        self._where = shown(url)
        import redis.asyncio  # noqa: F401  here, where it takes nothing from an exchange's time

        self._redis: Any = None
        self._waiting: deque[tuple[float, Words, asyncio.Future[Any]]] = deque()
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
        now = loop.time()
        if self._down and not self._is_probe(now):
            answer.set_exception(StoreError(self._down))
            return answer
        self._waiting.append((now, (words[0], *map(_as_bytes, words[1:])), answer))
        if len(self._lanes) < self._most:
            lane = loop.create_task(self._run())
            self._lanes.add(lane)
            lane.add_done_callback(self._lanes.discard)
        return answer

    async def close(self) -> None:
        """Wait for what is under way, and close all connections."""
        if self._lanes:
            await asyncio.wait(self._lanes)
        if self._redis is not None:
            await self._redis.aclose()
            self._redis = None

    def _is_probe(self, now: float) -> bool:
        if now < self._rests_until:
            return False
        self._rests_until = now + self._timeout + REST  # all others rest on until this one knows
        return True

    async def _run(self) -> None:
        """One connection's worth of work: send what waits, until nothing does."""
        while self._waiting:
            batch = [self._waiting.popleft() for _ in range(min(len(self._waiting), _TOGETHER))]
            try:
                async with asyncio.timeout_at(batch[0][0] + self._timeout):
                    answers = await self._sent([words for _, words, _ in batch])
            except Exception as error:  # noqa: BLE001  whatever the library raises, every exchange gets an answer
                self._rest(error)
                batch += self._waiting
                self._waiting.clear()
                answers = [StoreError(self._down) for _ in batch]
            else:
                self._awake()
            for (_, _, answer), value in zip(batch, answers, strict=True):
                if answer.done():
                    continue
                if isinstance(value, Exception):
                    answer.set_exception(self._refused(value))
                else:
                    answer.set_result(value)

    async def _sent(self, commands: list[Words]) -> list[Any]:
        answers = await self._sent_once(commands)
        lacking = [n for n, answer in enumerate(answers) if _is_unknown_script(answer)]
        if lacking:
            whole = [("EVAL", self._scripts[commands[n][1]], *commands[n][2:]) for n in lacking]
            for n, answer in zip(lacking, await self._sent_once(whole), strict=True):
                answers[n] = answer
        return answers

    async def _sent_once(self, commands: list[Words]) -> list[Any]:
        """An answer or an exception for each; raises when the connection fails."""
        from redis.exceptions import ResponseError

        redis = self._connected()
        if len(commands) == 1:
            try:
                return [await redis.execute_command(*commands[0])]
            except ResponseError as error:
                return [error]
        if self._cluster:  # whose pipelines take no scripts
            return [(await self._sent_once([command]))[0] for command in commands]
        pipeline = redis.pipeline(transaction=False)
        for command in commands:
            pipeline.execute_command(*command)
        answers: list[Any] = await pipeline.execute(raise_on_error=False)
        return answers

    def _connected(self) -> Any:
        """The library's client; it connects by itself."""
        if self._redis is None:
            from redis.asyncio import ConnectionPool, Redis, RedisCluster
            from redis.asyncio.retry import Retry
            from redis.backoff import NoBackoff

            once: dict[str, Any] = {"retry": Retry(NoBackoff(), 0), "socket_timeout": None, "protocol": 2}
            if self._cluster:
                self._redis = RedisCluster.from_url(self._url, **once)
            else:
                pool = ConnectionPool.from_url(self._url, **once)
                pool.connection_kwargs["decode_responses"] = False  # whatever the URL says: values are bytes
                self._redis = Redis.from_pool(pool)  # which closes it, too
        return self._redis

    def _rest(self, error: Exception) -> None:
        told = f"no answer within {self._timeout:g} s" if isinstance(error, TimeoutError) else self._told(error)
        if not self._down:
            log.warning("store %s is down: %s", self._where, told)
        self._down = f"store {self._where} is down: {told}"
        self._rests_until = asyncio.get_running_loop().time() + REST

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


def _is_unknown_script(answer: Any) -> bool:
    from redis.exceptions import NoScriptError

    return isinstance(answer, NoScriptError)
