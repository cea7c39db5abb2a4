"""`redis`: state in Redis or Valkey, shared by every process that names it. Must not know what is counted."""

from __future__ import annotations

import asyncio
import math
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from engine.catalogue import Example, Scope
from engine.options import Advice, Duration, option
from engine.ports.extras import check_installed
from engine.ports.redis_client import RedisClient
from engine.ports.redis_scripts import ADD, RENEW, SETTLE, TAKE
from engine.ports.store_returns import Returns
from engine.ports.stores import LEASE, Claim, OpenStore, Rate, Slots, Standing, Store, StoreError, Used, taken
from engine.source import Node

if TYPE_CHECKING:
    from engine.document.moments import Clock

_KEYS_A_RENEWAL = 100


class Redis(Store, name="redis", shared=True):
    """State in Redis or Valkey, shared by all processes and machines that name the same server and `prefix`.

    An exchange asks once, in one round trip, and the server's clock decides. Slots of a process that was killed come
    back within 30 seconds. A server that fails is left alone for a second; meanwhile every call fails at once.
    """

    meant = {
        **dict.fromkeys(
            ("host", "port", "password", "username", "db", "database", "ssl", "tls"),
            "it is part of the URL: `url: rediss://user:password@host:6379/0`",
        ),
        **dict.fromkeys(("namespace", "key_prefix"), "it is called `prefix`"),
        **dict.fromkeys(("max_connections", "pool_size"), "it is called `connections`"),
    }

    url: str = option("`redis://`, `rediss://` (TLS) or `unix://`, with credentials and database.", short=True)
    prefix: str = option(
        "What every key begins with.",
        "pointsman",
        pattern=r"^[^{}\s]{1,100}$",
        advice=Advice("at most 100 characters, without spaces and braces"),
    )
    timeout: Duration = option("How long an exchange waits for the server.", 0.5)
    connections: int = option("Connections of each process; what comes while all are busy shares them.", 8, minimum=1)
    cluster: bool = option("The URL leads to a cluster; limits and budgets stay on one of its nodes.", False)

    examples = [
        Example("a server named by the environment", "shared: {redis: os.environ/REDIS_URL}"),
        Example(
            "beside others on one server",
            "shared: {redis: {url: 'redis://127.0.0.1:6379/1', prefix: team-a, timeout: 200ms}}",
        ),
    ]

    def check(self, places: dict[str, Node], node: Node, scope: Scope) -> None:
        self.address = f"redis {self.url} {self.prefix} {self.timeout} {self.connections} {self.cluster}"
        place = places["url"].span
        installed = check_installed(scope, place, "a store in Redis", "redis", "redis")
        if installed and (wrong := _wrong_with(self.url)):
            scope.problem("bad-url", wrong, place, help="write it like `redis://user:password@host:6379/0`")
        elif installed and urlsplit(self.url).password and places["url"].plain() == self.url:
            scope.problem(
                "secret-in-file",
                "a URL with its password",
                place,
                help="write `os.environ/REDIS_URL` here, set that variable, and replace the password",
                severity="warning",
            )
        if self.timeout <= 0:
            scope.problem("wrong-type", "expected a time above 0", places["timeout"].span, help="write it like `500ms`")

    def open(self, clock: Clock) -> OpenStore:
        return RedisStore(RedisClient(self.url, self.timeout, self.connections, cluster=self.cluster), self.prefix)


def _wrong_with(url: str) -> str:
    """What keeps a URL from being used; empty when nothing does. Never tells the URL, which may hold a password."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return "a URL whose host or port cannot be read"
    if parts.scheme not in {"redis", "rediss", "unix"}:
        return "a URL that begins with neither `redis://` nor `rediss://` nor `unix://`"
    if parts.scheme == "unix":
        return "" if parts.path.strip("/") else "a URL without the path of a socket"
    if not parts.hostname or port == 0:
        return "a URL without a host" if not parts.hostname else "a URL with port 0"
    if parts.path.strip("/") and not parts.path.strip("/").isdecimal():
        return "a URL whose path is not the number of a database"
    return _wrong_with_options(url) if parts.query else ""


def _wrong_with_options(url: str) -> str:
    """What the library says of the part behind the `?`; only such URLs need it at load."""
    from redis.asyncio import ConnectionPool
    from redis.exceptions import RedisError

    try:
        pool: Any = ConnectionPool.from_url(url)
        pool.make_connection()
    except (ValueError, TypeError, RedisError):
        return "a URL with an option behind its `?` that the library does not take"
    return ""


class RedisStore:
    """Asks by scripts. Slots are leases: a task renews those held here, as long as there are any.

    `now` takes the place of the server's clock in tests.
    """

    def __init__(
        self, client: RedisClient, prefix: str, lease: float = LEASE, now: Callable[[], float] = float
    ) -> None:
        import msgspec

        self._client = client
        self._encode = msgspec.msgpack.Encoder().encode
        self._decode = msgspec.msgpack.Decoder().decode
        self._counts = f"{{{prefix}}}:"  # the braces keep all that one script reads on one node of a cluster
        self._values = f"{prefix}:value:"
        self._lease = lease
        self._now = now
        self._me = os.urandom(8).hex()
        self._held: dict[str, set[str]] = {}  # slots: holders by key
        self._renewing: asyncio.Task[None] | None = None
        self._returns = Returns(self.settle)
        self._take, self._settle = client.script(TAKE), client.script(SETTLE)
        self._renew, self._add = client.script(RENEW), client.script(ADD)

    async def take(self, claims: Sequence[Claim], holder: str) -> list[Standing]:
        keys: list[str] = []
        asked = [self._asked(claim, keys) for claim in claims]
        message = self._encode((self._now(), self._member(holder), self._lease, asked))
        answer = self._client.call(self._take, keys, message)
        standings = await self._returns.standings(answer, self._standings, claims, holder)
        if taken(claims, standings):
            for claim, standing in zip(claims, standings, strict=True):
                if isinstance(claim, Slots) and standing.fits:
                    self._hold(self._slots(claim), self._member(holder))
        return standings

    async def settle(self, uses: Sequence[Used], holder: str) -> None:
        keys: list[str] = []
        told: list[tuple[Any, ...]] = []
        for use in uses:
            claim = use.claim
            if isinstance(claim, Rate):
                keys.append(self._rate(claim))
                told.append(("rate", claim.limit, claim.period, float(use.used) - min(claim.cost, claim.limit)))
            elif isinstance(claim, Slots):
                keys.append(self._slots(claim))
                told.append(("slots",))
                self._let_go(keys[-1], self._member(holder))
            else:
                ends = dict(claim.windows).get(use.window)
                if ends is not None:
                    keys.append(self._spend(claim, use.window))
                    told.append(("spend", float(claim.cost), float(use.used), ends))
        if told:
            await self._client.call(self._settle, keys, self._encode((self._now(), self._member(holder), told)))

    async def get(self, key: str) -> bytes | None:
        found: bytes | None = await self._client.ask("GET", self._values + key)
        return found

    async def put(self, key: str, value: bytes, ttl: float) -> None:
        if ttl > 0:
            await self._client.ask("SET", self._values + key, value, "PX", math.ceil(ttl * 1000))
        else:
            await self._client.ask("DEL", self._values + key)

    async def add(self, key: str, amount: float, ttl: float) -> float:
        ends = max(1, math.ceil(ttl * 1000))
        return float(await self._client.call(self._add, [self._values + key], repr(float(amount)), ends))

    async def close(self) -> None:
        if self._renewing is not None:
            self._renewing.cancel()
            await asyncio.wait([self._renewing])
        await self._returns.finished()
        held, self._held = self._held, {}
        with suppress(StoreError):  # their leases run out
            await asyncio.gather(*[self._client.ask("ZREM", key, *holders) for key, holders in held.items()])
        await self._client.close()

    # --- claims and standings on the wire -----------------------------------------------------------------------------

    def _asked(self, claim: Claim, keys: list[str]) -> tuple[Any, ...]:
        k = len(keys) + 1  # of its first key, as Lua counts
        if isinstance(claim, Rate):
            keys.append(self._rate(claim))
            return ("rate", k, claim.shadow, claim.limit, claim.period, float(min(claim.cost, claim.limit)))
        if isinstance(claim, Slots):
            keys.append(self._slots(claim))
            return ("slots", k, claim.shadow, claim.limit)
        keys += [self._spend(claim, label) for label, _ in claim.windows]
        return ("spend", k, claim.shadow, claim.limit, claim.windows, float(claim.cost))

    def _standings(self, answer: bytes) -> list[Standing]:
        try:
            return [
                Standing(fits == 1, remaining, retry_after, reset, window)
                for fits, remaining, retry_after, reset, window in self._decode(answer)
            ]
        except (ValueError, TypeError) as error:  # msgspec's own is a ValueError
            raise StoreError("what answers in the place of a Redis store is none") from error

    def _rate(self, claim: Claim) -> str:
        return f"{self._counts}rate:{claim.key}"

    def _slots(self, claim: Claim) -> str:
        return f"{self._counts}slots:{claim.key}"

    def _spend(self, claim: Claim, window: str) -> str:
        return f"{self._counts}spend:{window}:{claim.key}"

    def _member(self, holder: str) -> str:
        return f"{self._me}:{holder}"

    # --- slots --------------------------------------------------------------------------------------------------------

    def _hold(self, key: str, member: str) -> None:
        self._held.setdefault(key, set()).add(member)
        if self._renewing is None or self._renewing.done():
            self._renewing = asyncio.get_running_loop().create_task(self._keep_renewed())

    def _let_go(self, key: str, member: str) -> None:
        held = self._held.get(key)
        if held is not None:
            held.discard(member)
            if not held:
                del self._held[key]

    async def _keep_renewed(self) -> None:
        """While anything is held, renew all of it three times in a lease; failures are tried again next time."""
        while True:
            await asyncio.sleep(self._lease / 3)
            if not self._held:
                return
            held = [(key, list(members)) for key, members in self._held.items()]
            for start in range(0, len(held), _KEYS_A_RENEWAL):
                try:
                    await self._renewed(held[start : start + _KEYS_A_RENEWAL])
                except StoreError:
                    break

    async def _renewed(self, held: list[tuple[str, list[str]]]) -> None:
        """Renew; what was let go meanwhile may have been put back by it, and is let go again."""
        members = [members for _, members in held]
        message = self._encode((self._now(), self._lease, members))
        await self._client.call(self._renew, [key for key, _ in held], message)
        for key, members_then in held:
            if gone := set(members_then) - self._held.get(key, set()):
                await self._client.ask("ZREM", key, *gone)
