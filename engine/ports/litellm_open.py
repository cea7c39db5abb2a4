"""Objects as callbacks written for LiteLLM know them: members read and write by attribute and by key.

Must not know exchanges.
"""

from __future__ import annotations

import json
from typing import Any, ClassVar

# What LiteLLM's objects always have, and what their code therefore asks for without asking whether it is there.
_OF_ANSWERS = frozenset(
    {
        "audio",
        "choices",
        "content",
        "delta",
        "finish_reason",
        "function_call",
        "logprobs",
        "message",
        "name",
        "reasoning_content",
        "refusal",
        "role",
        "service_tier",
        "system_fingerprint",
        "text",
        "tool_calls",
        "usage",
    }
)


class Open(dict[str, Any]):
    """A JSON object whose members are attributes as well, at every depth. A name with `_` in front is no member."""

    _always: ClassVar[frozenset[str]] = _OF_ANSWERS  # members that are None where they are absent

    def __getitem__(self, name: str) -> Any:
        value = super().__getitem__(name)
        if type(value) is dict:
            value = Open(value)
            super().__setitem__(name, value)
        elif type(value) is list:
            value[:] = [Open(item) if type(item) is dict else item for item in value]
        return value

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        try:
            return self[name]
        except KeyError:
            if name in self._always:
                return None
            raise AttributeError(f"there is no {name!r} here; there are: {', '.join(self)}") from None

    def __setattr__(self, name: str, value: Any) -> None:
        if name.startswith("_"):
            super().__setattr__(name, value)
        else:
            self[name] = value

    def __delattr__(self, name: str) -> None:
        if name not in self:
            raise AttributeError(name)
        del self[name]

    def get(self, name: str, default: Any = None) -> Any:
        """A member, or `default`."""
        return self[name] if name in self else default  # noqa: SIM401  this is `get`

    def model_dump(self, **_: Any) -> dict[str, Any]:
        """A plain copy, all the way down."""
        plain: dict[str, Any] = json.loads(json.dumps(self))
        return plain

    def model_dump_json(self, **_: Any) -> str:
        """The object as JSON."""
        return json.dumps(self)

    dict = model_dump
    json = model_dump_json


class UserAPIKeyAuth(Open):
    """The caller. `api_key` is its hash; what the gateway does not know of a caller is None."""

    _always = frozenset(
        {
            "api_key",
            "token",
            "key_alias",
            "key_name",
            "user_id",
            "user_email",
            "user_role",
            "team_id",
            "team_alias",
            "org_id",
            "end_user_id",
            "metadata",
            "team_metadata",
            "models",
            "tpm_limit",
            "rpm_limit",
            "spend",
            "max_budget",
            "expires",
            "permissions",
            "parent_otel_span",
            "request_route",
        }
    )


class ModelResponseStream(Open):
    """One chunk of a streamed chat answer."""


class StandardCallbackDynamicParams(Open):
    """What LiteLLM lets a request say to its callbacks; here nothing."""
