"""What hooks in LiteLLM's form are given of an exchange: the body, the caller, the name of the call, the answer.

Everything is a copy: what a hook does to it counts only where its contract says so. Must not know methods.
"""

from __future__ import annotations

import hashlib
from typing import Any

from engine.document.credentials import credential
from engine.document.exchange import Exchange
from engine.ports.context import copied
from engine.ports.litellm_open import Open, UserAPIKeyAuth

CALL_TYPE = {"messages": "anthropic_messages", "audio_speech": "aspeech"}  # the others go by the language's own names


def call_type(x: Exchange) -> str:
    """LiteLLM's documented name of the endpoint."""
    return CALL_TYPE.get(x.call_type or "", x.call_type or "")


class Data(dict[str, Any]):
    """A request's body; what LiteLLM adds to it can be read as well, but is no part of it."""

    def __init__(self, body: dict[str, Any], added: dict[str, Any]) -> None:
        super().__init__(body)
        self._added = added
        self._had_metadata = "metadata" in body

    def __missing__(self, name: str) -> Any:
        if name == "metadata":  # always there in LiteLLM: hooks write into it without asking
            self["metadata"] = {}
            return self["metadata"]
        return self._added[name]

    def get(self, name: str, default: Any = None) -> Any:
        """A member, one that LiteLLM adds, or `default`."""
        return self[name] if name in self else self._added.get(name, default)

    def settled(self) -> dict[str, Any]:
        """The body, without a `metadata` that was only looked into."""
        if not self._had_metadata and self.get("metadata") == {}:
            return {name: value for name, value in self.items() if name != "metadata"}
        return self


def data_of(x: Exchange) -> Data:
    """The body of the request, to be changed in place."""
    return Data(
        copied(x.request or {}, "request"), {"proxy_server_request": proxy_server_request(x), "litellm_call_id": x.id}
    )


def proxy_server_request(x: Exchange) -> dict[str, Any]:
    """What came from the client, without its credential."""
    host = x.headers.get("host", "")
    query = f"?{x.query_string}" if x.query_string else ""
    return {
        "url": f"http://{host}{x.path}{query}",
        "method": x.method,
        "headers": dict(x.headers),
        "body": copied(x.original, "original"),
    }


def caller(x: Exchange) -> UserAPIKeyAuth:
    """Who calls; without `keys` in the rules file, only what the client itself says."""
    key = x.key or {}
    hashed = hashed_key(x)
    body = x.request or {}
    return UserAPIKeyAuth(
        {
            "api_key": hashed,
            "token": hashed,
            "user_id": key.get("user"),
            "team_id": key.get("team"),
            "key_alias": key.get("name"),
            "metadata": copied(key.get("metadata") or {}, "key.metadata"),
            "models": copied(key.get("models") or [], "key.models"),
            "end_user_id": body.get("user"),
            "request_route": x.path,
        }
    )


def hashed_key(x: Exchange) -> str | None:
    """SHA-256 of the key that the client sent, in hex."""
    sent = credential(x.raw_headers)
    return None if sent is None else hashlib.sha256(sent.encode("utf-8", "surrogateescape")).hexdigest()


def answer_of(body: Any) -> Any:
    """An answer's body whose members read and write by attribute and by key."""
    return Open(copied(body, "response")) if isinstance(body, dict) else copied(body, "response")
