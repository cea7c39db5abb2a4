"""Between authors' exceptions and refusals: one with a status refuses, and an error of ours is shown as one.

Must not know which hook raised.
"""

from __future__ import annotations

from typing import Any

from engine.document.answers import Refusal
from engine.document.exchange import Exchange


class GatewayError(Exception):
    """An error that is about to reach, or has reached, the client, as callbacks see it."""

    def __init__(self, error: dict[str, Any], provider: str | None = None) -> None:
        super().__init__(str(error.get("message") or ""))
        self.status_code: int = error.get("status") or 500
        self.message = str(error.get("message") or "")
        self.detail = {"error": self.message}
        self.type = error.get("type")
        self.code = error.get("code")
        self.param = error.get("param")
        self.source = error.get("source")
        self.llm_provider = provider


def error_of(x: Exchange) -> GatewayError | None:
    """The exchange's error as an exception."""
    if x.error is None:
        return None
    return GatewayError(x.error, x.upstream["name"] if x.upstream else None)


def refusal_of(error: BaseException) -> Refusal | None:
    """What an exception refuses with; None when it carries no status of an error."""
    status = _status(error)
    if status is None:
        return None
    headers = getattr(error, "headers", None)
    given = headers.items() if isinstance(headers, dict) else ()
    kept = tuple((str(name).lower(), str(value)) for name, value in given)
    kind, param = getattr(error, "type", None), getattr(error, "param", None)
    return Refusal(
        status,
        _message(error),
        kind if isinstance(kind, str) else None,
        "rule_rejected",
        param if isinstance(param, str) else None,
        kept,
        source="rule",
    )


def _status(error: BaseException) -> int | None:
    for name in ("status_code", "status", "code"):
        value = getattr(error, name, None)
        if isinstance(value, str) and value.isascii() and value.isdigit():
            value = int(value)
        if isinstance(value, int) and not isinstance(value, bool) and 400 <= value <= 599:
            return int(value)
    return None


def _message(error: BaseException) -> str:
    """The text of `detail`, of its `error` or `message` when it is a mapping, or else of the exception itself."""
    for told in (getattr(error, "detail", None), getattr(error, "message", None)):
        text = _text(told)
        if text is not None:
            return text
    return str(error) or type(error).__name__


def _text(told: Any) -> str | None:
    if isinstance(told, dict):
        inner = told.get("error", told.get("message"))
        return _text(inner) if isinstance(inner, dict) else (str(inner) if inner is not None else str(told))
    return str(told) if told is not None else None
