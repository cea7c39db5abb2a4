"""How an exchange can end before, or instead of, an upstream's answer. Dialects give these their wire form.

Must not know dialects or HTTP libraries.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

TYPES_BY_STATUS = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
}


def type_by_status(status: int) -> str:
    """The error type that OpenAI and Anthropic clients expect with a status."""
    return TYPES_BY_STATUS.get(status) or ("api_error" if status >= 500 else "invalid_request_error")


@dataclass(frozen=True, slots=True)
class Refusal:
    """An error in the client's shape.

    `source` is what the `failure` phase sees as `error.source`: `rule`, `rule_error`, `upstream`, `timeout`,
    `connection`, `auth`, `client`. `rule` names the rule that refused.
    """

    status: int
    message: str
    type: str | None = None  # None: by status
    code: str | None = None
    param: str | None = None
    headers: tuple[tuple[str, str], ...] = ()
    source: str = "client"
    rule: str | None = None

    def as_error(self) -> dict[str, Any]:
        """The `error` root of the document."""
        return {
            "status": self.status,
            "type": self.type or type_by_status(self.status),
            "code": self.code,
            "message": self.message,
            "source": self.source,
            "param": self.param,
        }


@dataclass(frozen=True, slots=True)
class Assistant:
    """A text given to the client as if the model had said it (`reject_with_message`), whole or streamed."""

    text: str
    rule: str | None = None


@dataclass(frozen=True, slots=True)
class Given:
    """A status and a body exactly as the author wrote them (`respond`)."""

    status: int
    body: Any
    rule: str | None = None


@dataclass(frozen=True, slots=True)
class Passed:
    """An upstream's own error, passed on as it came: its status, its headers, its bytes."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes
    rule: str | None = None


@dataclass(frozen=True, slots=True)
class Again:
    """Not for the client: the upstream, or another one, is asked again (`retry`, `fallback`).

    `times` attempts at most; before each a pause that begins at `backoff` seconds and doubles. `model` or `upstream`
    name another target; None keeps the one that failed.
    """

    times: int = 1
    backoff: float = 0.0
    model: str | None = None
    upstream: str | None = None
    rule: str | None = None


Answer = Refusal | Assistant | Given | Passed
"""What a client can be given."""


class Refused(Exception):
    """Carries a refusal out of the reception of a request: bad key, bad JSON, unknown endpoint.

    Raised in a rule it is an error of the rule that the client is told as the refusal says; `why` is for the record.
    """

    def __init__(self, refusal: Refusal, why: str = "") -> None:
        super().__init__(why or refusal.message)
        self.refusal = refusal
