"""The key that a client sends. Must not know which keys there are."""

from __future__ import annotations

from collections.abc import Iterable


def credential(headers: Iterable[tuple[str, str]]) -> str | None:
    """The client's key, from `Authorization: Bearer` or `x-api-key`."""
    for name, value in headers:
        if name == "authorization" and value[:7].lower() == "bearer ":
            return value[7:].strip()
        if name == "x-api-key":
            return value.strip()
    return None
