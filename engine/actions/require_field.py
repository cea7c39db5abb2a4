"""`require_field`: refuse a request that lacks a field. Must not know what the field means."""

from __future__ import annotations

from engine.actions.base import NOOP, Action, Apply, Effect
from engine.actions.options import NullableText, text_maker
from engine.catalogue import Example, Scope
from engine.document.answers import Refusal
from engine.document.exchange import Exchange
from engine.document.paths import Path
from engine.language.checks_paths import check_read
from engine.language.template import Template
from engine.options import MISSING, option
from engine.phases import REQUEST, Phase
from engine.source import Node


class RequireField(Action, name="require_field", phases=frozenset({REQUEST})):
    """Refuse a request that lacks a field: it is absent, null or the empty text.

    The answer is 400 `invalid_request_error` with `param` = the path. With `status: 401` and `type: auth_error` it
    has the form of LiteLLM's `enforce_user_param`: `param` null, `code` "401".
    """

    field: Path = option("The field that must be there.", short=True)
    message: Template | None = option("What the client is told; default `Missing required parameter: '…'.`", None)
    status: int = option("HTTP status of the refusal.", 400, minimum=400, maximum=499)
    type: NullableText | None = option("Type of the error; default by status.", None)

    examples = [
        Example(
            "a request without user is refused",
            "actions: [{require_field: user}]",
            {"request": {"body": {"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}]}}},
            {
                "sent": None,
                "response": {
                    "status": 400,
                    "error": {
                        "message": "Missing required parameter: 'user'.",
                        "type": "invalid_request_error",
                        "param": "user",
                    },
                },
            },
        ),
        Example(
            "LiteLLM's form",
            "actions: [{require_field: {field: user, status: 401, type: auth_error, message: user not passed in}}]",
            {"request": {"body": {"model": "gpt-4o", "user": "", "messages": [{"role": "user", "content": "hi"}]}}},
            {
                "sent": None,
                "response": {
                    "status": 401,
                    "error": {"message": "user not passed in", "type": "auth_error", "param": None, "code": "401"},
                },
            },
        ),
        Example(
            "a request with user passes",
            "actions: [{require_field: user}]",
            {"request": {"body": {"model": "gpt-4o", "user": "bob", "messages": [{"role": "user", "content": "hi"}]}}},
            {"sent": {"user": "bob"}, "response": {"status": 200}},
            acts=False,
        ),
    ]

    def check(self, places: dict[str, Node], node: Node, scope: Scope) -> None:
        check_read(places["field"], scope, scope.phases & type(self).phases)

    def compile(self, phase: Phase) -> Apply:
        get, name, status = self.field.get, self.field.text, self.status
        message = text_maker(self.message or f"Missing required parameter: '{name}'.")
        kind = text_maker(self.type)

        def refusal(x: Exchange) -> Refusal:
            type_, text = kind(x), message(x) or ""
            if status == 401 and type_ == "auth_error":
                return Refusal(401, text, type=type_, code="401", source="rule")
            return Refusal(status, text, type=type_, code="missing_required_parameter", param=name, source="rule")

        def apply(x: Exchange) -> Effect:
            value = get(x.request)
            return refusal(x) if value is MISSING or value is None or value == "" else NOOP

        return apply
