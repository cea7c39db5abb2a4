"""From a client's bytes to an exchange that rules can look at: path, key, body. Every failure is a `Refused`.

Must not know upstreams.
"""

from __future__ import annotations

import hashlib
import logging
import re
from functools import lru_cache
from ipaddress import ip_address
from typing import Any
from urllib.parse import unquote, urlsplit

from engine.document.answers import Refusal, Refused
from engine.document.credentials import credential
from engine.document.dialect import Dialect
from engine.document.dialects import ENDPOINTS, PASSED, dialect_at
from engine.document.exchange import Exchange
from engine.errors import did_you_mean
from engine.ports.authentication import Authentication
from engine.ports.wire import BrokenBody, Client, Overloaded, TooLarge, UnknownCoding
from engine.proxy.intake import body_from
from engine.rules.models import matches_any
from engine.rules.program import Program
from engine.runtime.seldom import SELDOM

log = logging.getLogger("pointsman")
_DOTS = re.compile(r"/\.\.?(?:[/;]|\Z)")  # a segment that means this folder or the one above
_LAX = re.compile(r"^(?:/v1)+(?=/v1/)|;[^/]*|[\s./]+\Z")  # what some servers leave away from a path


def is_anthropic(x: Exchange) -> bool:
    """Whether a client is one of Anthropic's API, whose errors have a shape of their own."""
    return "anthropic-version" in x.given or "/messages" in x.path


def find_endpoint(x: Exchange, client: Client) -> None:
    """Decode the path once and find the API it belongs to; crooked paths are 400, unknown ones 404.

    What `server.passthrough` names and no API of ours is has no dialect of its own: `x.passed_by` is the glob.
    """
    x.path, dialect = _place(client.target)
    if dialect is None:
        x.passed_by = _passed_by(x.path, x.program.server.passthrough)
        if x.passed_by is not None:
            x.dialect = PASSED[is_anthropic(x)]
            return
        raise Refused(
            Refusal(404, f"unknown endpoint {x.method} {x.path}; {_nearest(x.path)}", code="unknown_endpoint")
        )
    x.dialect, x.call_type = dialect, dialect.call_type
    if client.method != "POST":
        raise Refused(
            Refusal(
                405,
                f"{x.path} takes POST, not {client.method}",
                code="method_not_allowed",
                headers=(("allow", "POST"),),
            )
        )


@lru_cache(256)
def _place(target: str) -> tuple[str, Dialect | None]:
    """The path that a target means, and whose it is. Clients ask for the same few again and again."""
    path = _decoded(target)
    if "//" in path or _DOTS.search(path) or "\\" in path or not path.isprintable():
        raise Refused(
            Refusal(
                400,
                f"crooked path {path!r}: write it without `//`, `..`, backslashes and control characters",
                code="bad_path",
            )
        )
    return path, dialect_at(path)


def _decoded(target: str) -> str:
    try:
        return unquote(target, errors="strict")
    except UnicodeDecodeError:
        raise Refused(Refusal(400, f"the path {target!r} is not UTF-8", code="bad_path")) from None


def _passed_by(path: str, globs: list[str]) -> str | None:
    """The glob that names a path, with or without `/v1`; None for what a lax upstream takes for an API of ours."""
    if dialect_at(_LAX.sub("", path.casefold())) is not None:
        return None
    short = path.removeprefix("/v1")
    return next((glob for glob in globs if matches_any(short, [glob]) or matches_any(f"/v1{short}", [glob])), None)


def _nearest(path: str) -> str:
    full = path if path.startswith("/v1/") else f"/v1{path}"
    names = [name for name in ENDPOINTS if name.startswith("/v1/")]
    return did_you_mean(full, names, otherwise="known: " + ", ".join(names[:5]) + ", …")


async def authenticate(x: Exchange, client: Client, program: Program) -> None:
    """Find out who is calling; where everybody may, accept only what cannot be a foreign web page spending ours."""
    if program.open:
        _check_origin(x.given, program.server)
        return
    given = credential(client.headers)
    if given is not None:
        x.key = program.keys.get(hashlib.sha256(given.encode()).digest())
    if x.key is not None:
        last = program.key_ends.get(x.key["name"])
        if last is not None and x.clock.now().date() > last:
            x.key = None
            raise Refused(Refusal(401, "the API key has expired", code="expired_api_key", source="auth"))
    elif program.server.auth is not None:
        x.key = await _asked(program.server.auth, x, client)
    if x.key is None:
        raise Refused(_stranger(given))


def _stranger(given: str | None) -> Refusal:
    if given is None:
        told = "no API key: send `Authorization: Bearer KEY` or `x-api-key: KEY`"
        return Refusal(401, told, code="missing_api_key", source="auth")
    return Refusal(401, "unknown API key", code="invalid_api_key", source="auth")


async def _asked(auth: Authentication, x: Exchange, client: Client) -> dict[str, Any] | None:
    """Who is calling, by the author's own function; 500 where it fails, since nobody knows then."""
    try:
        return await auth(dict(x.given), x.path)
    except Exception as failed:
        status = getattr(failed, "status_code", None)
        if type(status) is int and 400 <= status <= 599:
            told = str(getattr(failed, "detail", None) or failed)
            raise Refused(Refusal(status, told, code="not_authenticated", source="auth")) from None
        sort = type(failed).__name__
        SELDOM.warn(("auth", sort), f"{x.id}: {auth.name} failed: {sort}: {failed}")
        log.debug("%s failed", auth.name, exc_info=failed)
        told = "who is calling could not be found out"
        raise Refused(Refusal(500, told, code="authentication_failed", source="auth")) from None


def _check_origin(given: dict[str, str], server: Any) -> None:
    """Without keys a foreign web page must not spend the upstream's: neither by its own name nor by one of ours.

    With `server.open` the gateway may go by any name, but a page's origin must still be the host that it calls.
    """
    called, origin = given.get("host"), given.get("origin")
    if called is not None and not server.open and not _is_here(called, server.host):
        raise _foreign("host", called, "define `keys`, or set `server.open: true`")
    if origin is None or _is_here(origin, server.host):
        return
    if not server.open:
        raise _foreign("origin", origin, "define `keys`, or set `server.open: true`")
    if called is None or host_of(origin) is None or host_of(origin) != host_of(called):
        raise _foreign("origin", origin, "define `keys`")


def _foreign(name: str, value: str, hint: str) -> Refused:
    told = f"{name} {value!r} is not this machine; {hint}"
    return Refused(Refusal(403, told, code="foreign_origin", source="auth"))


@lru_cache(256)
def _is_here(value: str, served: str) -> bool:
    host = host_of(value)
    return host is not None and is_here(host, served)


@lru_cache(256)
def host_of(value: str) -> str | None:
    """The host of a `host` or `origin` header; None where there is none."""
    try:
        return urlsplit(value if "://" in value else f"//{value}").hostname
    except ValueError:
        return None


def is_here(host: str, served: str) -> bool:
    """Whether a host that a client named is this machine, or the address that is served."""
    if host in ("localhost", served.strip("[]").lower()) or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


async def read_body(x: Exchange, client: Client, limit: int) -> None:
    """The request as an object with fields of the right types; 400 with what stands where, 413, 415 otherwise."""
    x.original = x.request = body_from(await read(client, limit), x)
    x.model_requested = x.original.get("model")


async def read(client: Client, limit: int) -> bytes:
    """The bytes of a request's body, decompressed."""
    try:
        return await client.read(limit)
    except TooLarge:
        raise Refused(
            Refusal(413, f"the request body is larger than {limit} bytes (`server.body_limit`)", code="body_too_large")
        ) from None
    except Overloaded:
        told = "the gateway holds as many large requests as it may (`server.bodies_limit`); try again"
        raise Refused(Refusal(503, told, code="overloaded", headers=(("retry-after", "1"),))) from None
    except UnknownCoding as wrong:
        raise Refused(Refusal(415, str(wrong), code="unknown_coding")) from None
    except BrokenBody as wrong:
        raise Refused(Refusal(400, str(wrong), code="broken_body")) from None
