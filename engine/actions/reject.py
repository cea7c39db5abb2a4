"""`reject`: an error in the client's shape instead of an answer. Must not know the dialects' shapes."""

from __future__ import annotations

from engine.actions.base import Action, Apply, Effect
from engine.actions.options import HeaderName, HeaderValue, NullableText, header_value, text_maker
from engine.catalogue import Example
from engine.document.answers import Refusal
from engine.document.exchange import Exchange
from engine.language.template import Template
from engine.options import Advice, option
from engine.phases import ATTEMPT, FAILURE, MODERATION, REQUEST, RESPONSE, STREAM, Phase

_REFUSALS = Advice(
    meant=dict.fromkeys(
        ("200", "201", "204"), "a refusal is an error: to answer with 200 write `reject_with_message` or `respond`"
    )
)


PHASES = frozenset({REQUEST, ATTEMPT, MODERATION, RESPONSE, STREAM, FAILURE})


class Reject(Action, name="reject", phases=PHASES, ends=True):
    """Refuse the exchange with an error in the shape of the client's API.

    In phase `attempt` that call is not made, and no other is tried. Inside a stream that has begun, the error is an
    event and the stream ends there.
    """

    message: Template = option("What the client is told.", short=True)
    status: int = option("HTTP status.", 400, advice=_REFUSALS, minimum=400, maximum=599)
    type: NullableText | None = option("Type of the error; default by status.", None)
    code: NullableText | None = option("Code of the error.", "rule_rejected")
    param: NullableText | None = option("Field of the request that is at fault.", None)
    headers: dict[HeaderName, HeaderValue] = option("Headers of the answer.", {})

    examples = [
        Example(
            "a request is refused",
            "match: {prompt_text: {contains: password}}\nactions: [{reject: No credentials in prompts}]",
            {"request": {"body": {"model": "gpt-4o", "messages": [{"role": "user", "content": "my password is x"}]}}},
            {
                "sent": None,
                "response": {
                    "status": 400,
                    "error": {
                        "message": "No credentials in prompts",
                        "type": "invalid_request_error",
                        "code": "rule_rejected",
                    },
                },
            },
        ),
        Example(
            "with a status and a header of its own",
            "actions: [{reject: {message: 'Not for {{ headers.\"x-team\" }}', status: 403, code: wrong_team, "
            "headers: {x-contact: '#platform'}}}]",
            {
                "request": {
                    "headers": {"x-team": "core"},
                    "body": {"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}]},
                }
            },
            {
                "sent": None,
                "response": {
                    "status": 403,
                    "headers": {"x-contact": "#platform"},
                    "error": {"message": "Not for core", "type": "permission_error", "code": "wrong_team"},
                },
            },
        ),
        Example(
            "a request that the match does not mean passes",
            "match: {prompt_text: {contains: password}}\nactions: [{reject: No credentials in prompts}]",
            {"request": {"body": {"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}]}}},
            {"response": {"status": 200}},
            acts=False,
        ),
    ]

    def compile(self, phase: Phase) -> Apply:
        status = self.status
        message, type_, code, param = map(text_maker, (self.message, self.type, self.code, self.param))
        headers = [(name, value.text) for name, value in self.headers.items()]

        def apply(x: Exchange) -> Effect:
            sent = tuple((name, header_value(text(x), name)) for name, text in headers)
            return Refusal(status, message(x) or "", type_(x), code(x), param(x), sent, source="rule")

        return apply
