"""From a client's bytes to an exchange that rules can look at: path, key, body. Every failure is a `Refused`.

Must not know upstreams.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any
from urllib.parse import unquote

import msgspec

from engine.document.answers import Refusal, Refused
from engine.document.dialects import DIALECTS, call_type_of
from engine.document.exchange import Exchange
from engine.errors import did_you_mean
from engine.ports.wire import Client, TooLarge, UnknownCoding
from engine.rules.program import Program

_decode = msgspec.json.Decoder().decode
_LOOPBACK = ("localhost", "127.", "[::1]", "::1")
_KNOWN_TYPES: dict[str, tuple[type, ...]] = {
    "model": (str,), "stream": (bool,), "n": (int,), "messages": (list,), "tools": (list,), "max_tokens": (int,),
    "max_completion_tokens": (int,), "max_output_tokens": (int,), "input": (str, list),
}
_NAMES = {str: "a text", bool: "true or false", int: "a whole number", list: "a list"}


def find_endpoint(x: Exchange, client: Client) -> None:
    """Decode the path once and find the API it belongs to; unknown paths are 404, crooked ones 400."""
    path = unquote(client.target)
    if "//" in path or "/../" in f"{path}/" or "\\" in path:
        raise Refused(Refusal(400, f"crooked path {path!r}: write it without `//` and `..`", code="bad_path"))
    x.path = path
    x.call_type = call_type_of(path)
    if x.call_type is None:
        raise Refused(Refusal(404, f"unknown endpoint {x.method} {path}; {_nearest(path)}", code="unknown_endpoint"))
    x.dialect = DIALECTS[x.call_type]
    if client.method != "POST":
        raise Refused(Refusal(405, f"{path} takes POST, not {client.method}", code="method_not_allowed",
                              headers=(("allow", "POST"),)))


def _nearest(path: str) -> str:
    from engine.document.dialects import ENDPOINTS

    full = path if path.startswith("/v1/") else f"/v1{path}"
    return did_you_mean(full, ENDPOINTS, otherwise="known: " + ", ".join(list(ENDPOINTS)[:4]) + ", …")


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
    if server.open:
        return
    for name, value in client.headers:
        name = name.lower()
        host = value.lower().removeprefix("http://").removeprefix("https://")
        if name in ("host", "origin") and not host.startswith(_LOOPBACK) and host.partition(":")[0] != server.host:
            raise Refused(Refusal(403, f"{name} {value!r} is not this machine; define `keys`, or set `server.open: true`",
                                  code="foreign_origin", source="auth"))


async def read_body(x: Exchange, client: Client, limit: int) -> None:
    """The request as a JSON object with fields of the right types; 400 with line and column, 413, 415 otherwise."""
    try:
        raw = await client.read(limit)
    except TooLarge:
        raise Refused(Refusal(413, f"the request body is larger than {limit} bytes (`server.body_limit`)",
                              code="body_too_large")) from None
    except UnknownCoding as coding:
        raise Refused(Refusal(415, f"unknown content coding {coding}; send the body plain, gzip or deflate",
                              code="unknown_coding")) from None
    x.original = x.request = parse_body(raw)
    check_known_fields(x.original)
    model = x.original.get("model")
    x.model_requested = model if isinstance(model, str) else None


def parse_body(raw: bytes) -> dict[str, Any]:
    """A JSON object, or a `Refused` that says what stands where."""
    try:
        body = _decode(raw)
    except (ValueError, RecursionError) as cause:
        raise Refused(_broken(raw, cause)) from None
    if not isinstance(body, dict):
        raise Refused(Refusal(400, f"the request body must be a JSON object, found {_json_sort(body)}",
                              code="invalid_json"))
    return body


def _broken(raw: bytes, cause: Exception) -> Refusal:
    """Where JSON breaks, told by the standard library's slower parser, which knows lines."""
    if not raw.strip():
        return Refusal(400, "the request body is empty; send a JSON object", code="invalid_json")
    if isinstance(cause, RecursionError):
        return Refusal(400, "the request body is nested too deeply", code="invalid_json")
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as wrong:
        return Refusal(400, f"the request body is not UTF-8 (byte {wrong.start})", code="invalid_json")
    try:
        json.loads(text)
    except json.JSONDecodeError as wrong:
        return Refusal(400, f"invalid JSON at line {wrong.lineno} column {wrong.colno}: {_what(text, wrong)}",
                       code="invalid_json")
    except (ValueError, RecursionError):
        return Refusal(400, "the request body holds a number too large or is nested too deeply", code="invalid_json")
    if "\\ud" in text.lower():
        return Refusal(400, "a text in the request body holds half a surrogate pair", code="invalid_unicode")
    return Refusal(400, f"the request body is not JSON: {cause}", code="invalid_json")


def _what(text: str, wrong: json.JSONDecodeError) -> str:
    """The reason in words; a comma before a closing bracket is named, wherever the parser noticed it."""
    before, at = text[: wrong.pos].rstrip(), text[wrong.pos : wrong.pos + 1]
    if at in ("}", "]") and before.endswith(","):
        return f"a comma before `{at}`; take the comma away"
    if at == "," and text[wrong.pos + 1 :].lstrip()[:1] in ("}", "]"):
        return f"a comma before `{text[wrong.pos + 1:].lstrip()[:1]}`; take the comma away"
    if not at:
        return f"{wrong.msg[0].lower()}{wrong.msg[1:]}, found the end of the body"
    return f"{wrong.msg[0].lower()}{wrong.msg[1:]}, found {at!r}"


def check_known_fields(body: dict[str, Any]) -> None:
    """What is lax upstream must not slip past rules here: known fields have their JSON type."""
    for name, allowed in _KNOWN_TYPES.items():
        value = body.get(name)
        if value is None or (isinstance(value, allowed) and (bool in allowed or not isinstance(value, bool))):
            continue
        words = " or ".join(_NAMES[kind] for kind in allowed)
        raise Refused(Refusal(400, f"`{name}` must be {words}, found {_json_sort(value)}", param=name,
                              code="invalid_type"))


def _json_sort(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    return {str: "a text", list: "a list", dict: "an object"}.get(type(value), "a number")
