"""What makes two requests equal for the cache: one short text. Must not know what is kept under it."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import Any

import msgspec

from engine.document.exchange import Exchange
from engine.document.headers import CREDENTIALS
from engine.ports.caching import Caching
from engine.ports.wire import Call

FORM = 1  # of what is kept: another number finds nothing that was kept before
_NOT_ASKED = frozenset({"stream", "stream_options"})  # how an answer comes is no part of what it is
_TELLING = CREDENTIALS | {"anthropic-beta", "anthropic-version", "openai-beta", "openai-organization", "openai-project"}
"""Headers under which an upstream gives other answers: on whose account it is asked, and in which version."""

_sorted = msgspec.json.Encoder(order="sorted").encode


def key_of(x: Exchange, call: Call, caching: Caching) -> str | None:
    """The key of a call that is ready to be made; None when the author's expressions find nothing at all.

    EvaluationError when one of them fails. Whatever they are, no key is shared by two ways upstream, two models or two
    credentials.
    """
    if caching.parts:
        asked: Any = [part(x) for part in caching.parts]
        if all(value is None for value in asked):
            return None
    else:
        body = x.sent
        asked = [_caller(x), {name: value for name, value in body.items() if name not in _NOT_ASKED}]
    model = x.upstream["model"] if x.upstream is not None else None
    told = sorted([name, value] for name, value in call.headers if name in _TELLING)
    return f"answer/{FORM}/{sha256(_spelled([x.call_type, call.url, model, told, asked])).hexdigest()}"


def _caller(x: Exchange) -> list[str] | None:
    """Who may be given the answer: the caller's team, else the caller alone; None where anybody may call."""
    if x.key is None:
        return None
    team = x.key["team"]
    return ["team", team] if team else ["name", x.key["name"]]


def _spelled(value: Any) -> bytes:
    """JSON that is the same for equal values."""
    try:
        return _sorted(value)
    except UnicodeEncodeError:  # half a surrogate pair, which a rule brought in
        return json.dumps(value, sort_keys=True).encode()
