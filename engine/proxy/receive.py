"""From a client's bytes to an exchange that rules can look at: path, key, body. Every failure is a `Refused`.

Must not know upstreams.
"""

from __future__ import annotations

import hashlib
from ipaddress import ip_address
from typing import Any
from urllib.parse import unquote, urlsplit

from engine.document.answers import Refusal, Refused
from engine.document.dialects import ENDPOINTS, dialect_at
from engine.document.exchange import Exchange
from engine.errors import did_you_mean
from engine.ports.wire import BrokenBody, Client, TooLarge, UnknownCoding
from engine.proxy.body import BadJson, parse, sort_of
from engine.rules.program import Program

_KNOWN_TYPES: dict[str, tuple[type, ...]] = {
    "model": (str,), "stream": (bool,), "n": (int,), "messages": (list,), "tools": (list,), "max_tokens": (int,),
    "max_completion_tokens": (int,), "max_output_tokens": (int,), "input": (str, list),
}
_NAMES = {str: "a text", bool: "true or false", int: "a whole number", list: "a list"}


def find_endpoint(x: Exchange, client: Client) -> None:
    """Decode the path once and find the API it belongs to; unknown paths are 404, crooked ones 400."""
    path = unquote(client.target)
    if "//" in path or "/../" in f"{path}/" or "\\" in path or not path.isprintable():
        raise Refused(Refusal(400, f"crooked path {path!r}: write it without `//`, `..`, backslashes and control "
                              "characters", code="bad_path"))
    x.path = path
    dialect = dialect_at(path)
    if dialect is None:
        raise Refused(Refusal(404, f"unknown endpoint {x.method} {path}; {_nearest(path)}", code="unknown_endpoint"))
    x.dialect, x.call_type = dialect, dialect.call_type
    if client.method != "POST":
        raise Refused(Refusal(405, f"{path} takes POST, not {client.method}", code="method_not_allowed",
                              headers=(("allow", "POST"),)))


def _nearest(path: str) -> str:
    full = path if path.startswith("/v1/") else f"/v1{path}"
    names = [name for name in ENDPOINTS if name.startswith("/v1/")]
    return did_you_mean(full, names, otherwise="known: " + ", ".join(names[:5]) + ", …")


def authenticate(x: Exchange, client: Client, program: Program) -> None:
    """Find the caller's key; without `keys`, accept only what cannot be a foreign web page spending ours."""
    if not program.keys:
        _check_origin(client, program.server)
        return
    given = credential(client)
    if given is None:
        raise Refused(Refusal(401, "no API key: send `Authorization: Bearer KEY` or `x-api-key: KEY`",
                              code="missing_api_key", source="auth"))
    x.key = program.keys.get(hashlib.sha256(given.encode()).digest())
    if x.key is None:
        raise Refused(Refusal(401, "unknown API key", code="invalid_api_key", source="auth"))


def credential(client: Client) -> str | None:
    """The client's key, from `Authorization: Bearer` or `x-api-key`."""
    for name, value in client.headers:
        name = name.lower()
        if name == "authorization" and value[:7].lower() == "bearer ":
            return value[7:].strip()
        if name == "x-api-key":
            return value.strip()
    return None


def _check_origin(client: Client, server: Any) -> None:
    """Without keys a foreign web page must not spend the upstream's: neither by its own name nor by one of ours.

    With `server.open` the gateway may go by any name, but a page's origin must still be the host that it calls.
    """
    hosts = [value for name, value in client.headers if name.lower() == "host"]
    origins = [value for name, value in client.headers if name.lower() == "origin"]
    for name, values in ("host", [] if server.open else hosts), ("origin", origins):
        for value in values:
            host = _host_of(value)
            if host is None or not (_is_here(host, server.host) or (server.open and host in map(_host_of, hosts))):
                raise Refused(Refusal(403, f"{name} {value!r} is not this machine; define `keys`"
                                      + ("" if server.open else ", or set `server.open: true`"),
                                      code="foreign_origin", source="auth"))


def _host_of(value: str) -> str | None:
    """The host of a `host` or `origin` header; None where there is none."""
    try:
        return urlsplit(value if "://" in value else f"//{value}").hostname
    except ValueError:
        return None


def _is_here(host: str, served: str) -> bool:
    if host in ("localhost", served.strip("[]").lower()) or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


async def read_body(x: Exchange, client: Client, limit: int) -> None:
    """The request as a JSON object with fields of the right types; 400 with line and column, 413, 415 otherwise."""
    if x.headers.get("content-type", "").lstrip().lower().startswith("multipart/"):
        raise Refused(Refusal(415, f"multipart bodies are not read on {x.path}; send a JSON object",
                              code="unsupported_media_type"))
    x.original = x.request = parse_request(await _read(client, limit))
    check_known_fields(x.original)
    x.model_requested = x.original.get("model")


async def _read(client: Client, limit: int) -> bytes:
    try:
        return await client.read(limit)
    except TooLarge:
        raise Refused(Refusal(413, f"the request body is larger than {limit} bytes (`server.body_limit`)",
                              code="body_too_large")) from None
    except UnknownCoding as wrong:
        raise Refused(Refusal(415, str(wrong), code="unknown_coding")) from None
    except BrokenBody as wrong:
        raise Refused(Refusal(400, str(wrong), code="broken_body")) from None


def parse_request(raw: bytes) -> dict[str, Any]:
    """A JSON object, or a Refused that says what stands where."""
    try:
        body = parse(raw)
    except BadJson as wrong:
        raise Refused(Refusal(400, f"the request body is not valid JSON: {wrong}", code=wrong.code)) from None
    if not isinstance(body, dict):
        raise Refused(Refusal(400, f"the request body must be a JSON object, found {sort_of(body)}",
                              code="invalid_json"))
    return body


def check_known_fields(body: dict[str, Any]) -> None:
    """What is lax upstream must not slip past rules here: known fields have their JSON type."""
    for name, allowed in _KNOWN_TYPES.items():
        value = body.get(name)
        if value is None or (isinstance(value, allowed) and (bool in allowed or not isinstance(value, bool))):
            continue
        words = " or ".join(_NAMES[kind] for kind in allowed)
        raise Refused(Refusal(400, f"`{name}` must be {words}, found {sort_of(value)}", param=name,
                              code="invalid_type"))
