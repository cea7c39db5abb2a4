"""The admin address: metrics, health, reload detail, for operators and never on the public port.

On a loopback address it answers only what was asked under a name of this machine, so that no web page reads it;
anywhere else only who brings `server.admin_key`. Must not know whether one process serves or many.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import logging
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from engine.document.credentials import credential
from engine.ports.wire import Client, Headers
from engine.proxy.body import encode
from engine.proxy.entry import Listening, listen
from engine.proxy.exposition import exposition, wanted
from engine.proxy.receive import host_of, is_here
from engine.proxy.reply import JSON
from engine.rules.section_options import host_and_port
from engine.rules.sections import is_loopback
from engine.runtime.families import Figures

log = logging.getLogger("pointsman")


class Told(Protocol):
    """What is told of: a process that serves, or all that do."""

    @property
    def server(self) -> Any:
        """The section `server` of the rules that serve."""

    async def figures(self) -> Figures:
        """Everything that is measured, as of now."""

    def readiness(self) -> tuple[int, dict[str, Any]]:
        """Status and body for whoever decides whether to send requests here."""

    def reloading(self) -> dict[str, Any]:
        """Which rules serve, since when, and what is wrong with others that were tried."""


async def open_admin(told: Told, *, chosen: bool) -> Listening | None:
    """Listen on the admin address; None where there is none.

    OSError when it cannot be had although somebody chose it. The default address may be another gateway's: that is
    said, and this one goes on without.
    """
    if told.server.admin == "off":
        return None
    host, port = host_and_port(told.server.admin)
    admin = Admin(told, host)
    try:
        return await listen(admin.answer, host, port)
    except OSError as wrong:
        if chosen:
            raise
        log.warning(
            "no metrics: cannot listen on %s: %s; choose another address with --admin, or `--admin off`",
            told.server.admin,
            wrong.strerror or wrong,
        )
        return None


class Admin:
    """Answers on the admin address."""

    def __init__(self, told: Told, host: str) -> None:
        self._told = told
        self._host = host
        self._pages: dict[str, Callable[[Client], Awaitable[None]]] = {
            "/": self._home,
            "/metrics": self._metrics,
            "/reload": self._reload,
            "/health/live": self._live,
            "/health/liveliness": self._live,
            "/health/liveness": self._live,
            "/health/ready": self._ready,
            "/health/readiness": self._ready,
        }

    async def answer(self, client: Client) -> None:
        """Answer one request."""
        path = client.target.rstrip("/") or "/"
        page = self._pages.get(path)
        refusal = self._refusal(client, path)
        if refusal is not None:
            await refusal(client)
        elif page is None:
            await _refuse(404, f"there is no {path} here; try {', '.join(self._pages)}")(client)
        elif client.method not in ("GET", "HEAD"):
            await _refuse(405, f"{path} takes GET, not {client.method}", ("allow", "GET, HEAD"))(client)
        else:
            await page(client)

    def _refusal(self, client: Client, path: str) -> Callable[[Client], Awaitable[None]] | None:
        """What somebody is told who may not ask."""
        if is_loopback(self._host):
            named = [(name, value) for name, value in client.headers if name.lower() in ("host", "origin")]
            for name, value in named:
                host = host_of(value)
                if host is None or not is_here(host, self._host):
                    return _refuse(403, f"{name.lower()} {value!r} is not this machine")
            return None
        if path.startswith("/health/"):
            return None
        given = credential(client.headers)
        if given is None:
            return _refuse(401, "send `Authorization: Bearer KEY`, the key of `server.admin_key`", _ASKS)
        return None if _same(given, self._told.server.admin_key) else _refuse(401, "this is not the admin key", _ASKS)

    async def _metrics(self, client: Client) -> None:
        kind = wanted(", ".join(value for name, value in client.headers if name.lower() == "accept"))
        text = await asyncio.to_thread(exposition, await self._told.figures(), kind)  # megabytes, with many rules
        await client.reply(200, [("content-type", kind)], text)

    async def _live(self, client: Client) -> None:
        await _say(client, 200, {"status": "live"})

    async def _ready(self, client: Client) -> None:
        await _say(client, *self._told.readiness())

    async def _reload(self, client: Client) -> None:
        await _say(client, 200, self._told.reloading())

    async def _home(self, client: Client) -> None:
        await _say(client, 200, {"name": "pointsman", "pages": [path for path in self._pages if path != "/"]})


_ASKS = ("www-authenticate", "Bearer")


def _same(given: str, key: str | None) -> bool:
    """Whether it is the key, found in a time that tells nothing of it. No key opens nothing."""
    first, second = (hashlib.sha256((text or "").encode("utf-8", "surrogatepass")).digest() for text in (given, key))
    return hmac.compare_digest(first, second) and bool(key)


def _refuse(status: int, message: str, *headers: tuple[str, str]) -> Callable[[Client], Awaitable[None]]:
    async def refuse(client: Client) -> None:
        await _say(client, status, {"error": {"message": message}}, headers)

    return refuse


async def _say(client: Client, status: int, body: Any, headers: Headers = ()) -> None:
    await client.reply(status, [JSON, *headers], encode(body))
