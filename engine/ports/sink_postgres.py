"""`postgres`: records as rows of a table. Must not know what a row says."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from engine.catalogue import Example, Scope
from engine.options import Advice, option
from engine.ports.extras import check_installed
from engine.ports.postgres_form import Row, creation, insertion, quoted, row_of
from engine.ports.sink_http import CONNECT, TOTAL, shown_url
from engine.ports.sinks import Sink, SinkDown, SinkRefused
from engine.source import Node

if TYPE_CHECKING:
    import asyncpg

_OF_THE_ROW = ("22", "23", "54")  # classes of SQLSTATE: data, constraints, sizes; all else can be mended
_HINT = "write it like `postgresql://user:password@host:5432/database`"


class Postgres(Sink, name="postgres"):
    """Write each record as a row of a table in PostgreSQL, which is made where it is missing.

    A row has what is asked most as columns and the whole record in `record` (jsonb). A record that comes again is
    written once: `uid` tells it from all others, also where clients choose the `id`. Needs the extra `postgres`.
    """

    gather = 0.2

    url: str = option("Address of the database, best as `os.environ/NAME`.", short=True)
    table: str = option(
        "Name of the table, or `schema.table`.",
        "records",
        pattern=r"^[a-z_][a-z0-9_]{0,62}(\.[a-z_][a-z0-9_]{0,62})?$",
        examples=["records"],
        advice=Advice("write it in lower case, without quotes: `records`, or `audit.records`"),
    )

    examples = [
        Example("a database named by the environment", "audit: {postgres: os.environ/DATABASE_URL}"),
        Example(
            "a table of one's own",
            "audit: {postgres: {url: 'postgresql://gateway@db.internal/llm', table: audit.records}}",
        ),
    ]

    def check(self, places: dict[str, Node], node: Node, scope: Scope) -> None:
        place = places["url"].span
        check_installed(scope, place, "a sink in PostgreSQL", "asyncpg", "postgres")
        if wrong := _wrong_with(self.url):
            scope.problem("bad-url", wrong, place, help=_HINT)
        else:
            self.label = f"postgres {shown_url(self.url)}"
        self._connection: asyncpg.Connection | None = None
        self._runner: asyncio.Runner | None = None
        super().check(places, node, scope)

    def write(self, lines: list[bytes]) -> int:
        rows = [row_of(line) for line in lines]
        if self._runner is None:
            self._runner = asyncio.Runner()  # a loop of this thread; the gateway's own never waits for a database
        self._runner.run(self._write(rows))
        return len(lines)

    def disconnect(self) -> None:
        if self._runner is not None:
            self._runner.run(self._drop())
            self._runner.close()
            self._runner = None

    async def _write(self, rows: list[Row]) -> None:
        """Insert all rows or none. A connection that was kept may have ended meanwhile: then a new one is tried."""
        if self._connection is not None:
            try:
                await self._insert(self._connection, rows)
            except SinkDown:
                await self._drop()
            else:
                return
        try:
            await self._insert(await self._connected(), rows)
        except SinkDown:
            await self._drop()
            raise

    async def _connected(self) -> asyncpg.Connection:
        import asyncpg

        try:
            async with asyncio.timeout(CONNECT):
                self._connection = await asyncpg.connect(self.url, timeout=CONNECT, statement_cache_size=0)
                if await self._connection.fetchval("SELECT to_regclass($1)", quoted(self.table)) is None:
                    await self._connection.execute(creation(self.table))
        except Exception as wrong:  # noqa: BLE001  whatever the library raises, the records wait
            raise _down(wrong) from None
        return self._connection

    async def _insert(self, connection: asyncpg.Connection, rows: list[Row]) -> None:
        try:
            async with asyncio.timeout(TOTAL):
                await connection.executemany(insertion(self.table), rows)
        except Exception as wrong:  # noqa: BLE001  told apart by SQLSTATE
            state = getattr(wrong, "sqlstate", None) or ""
            if state[:2] in _OF_THE_ROW:  # the server's words may repeat what the row says
                raise SinkRefused(f"{type(wrong).__name__} (SQLSTATE {state})") from None
            raise _down(wrong) from None

    async def _drop(self) -> None:
        """End the connection, in a moment or by force."""
        connection, self._connection = self._connection, None
        if connection is None:
            return
        try:
            await connection.close(timeout=1)
        except Exception:  # noqa: BLE001  what is closed has no use for why it did not close well
            connection.terminate()
        await asyncio.sleep(0)  # lets the transport go


def _down(wrong: Exception) -> SinkDown:
    if isinstance(wrong, TimeoutError):
        return SinkDown("it did not answer in time")
    told = str(wrong.args[0]) if wrong.args and isinstance(wrong.args[0], str) else str(wrong)
    return SinkDown(f"{type(wrong).__name__}: {told}")


def _wrong_with(url: str) -> str:
    """What keeps a URL from being used; empty when nothing does. Never tells the URL, which may hold a password."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return "a URL whose host or port cannot be read"
    if parts.scheme not in ("postgresql", "postgres"):
        return "a URL that does not begin with `postgresql://`"
    return ""
