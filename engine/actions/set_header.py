"""`set_header`: headers written to the upstream, or to the client. Must not know how they are sent."""

from __future__ import annotations

from typing import Any

from engine.actions.base import NOOP, Action, Apply, Effect
from engine.actions.options import HeaderName, HeaderValue, MakeText, header_value
from engine.catalogue import Example
from engine.document.exchange import Exchange
from engine.language.template import text_of_value
from engine.options import option
from engine.phases import ATTEMPT, REQUEST, RESPONSE, Phase


class SetHeader(Action, name="set_header", phases=frozenset({REQUEST, ATTEMPT, RESPONSE})):
    """Write headers: `{name: value}`.

    In `request` and `attempt` they go to the upstream, in `response` to the client. A template that finds nothing
    writes nothing; a value with a line break is an error of the rule.
    """

    headers: dict[HeaderName, HeaderValue] = option("Name of the header and its value.", whole=True)

    examples = [
        Example(
            "the upstream learns who is calling",
            "actions: [{set_header: {x-user: '{{ request.user }}'}}]",
            {"request": {"body": {"model": "gpt-4o", "user": "bob", "messages": [{"role": "user", "content": "hi"}]}}},
            {"sent_headers": {"x-user": "bob"}},
        ),
        Example(
            "the client gets a header",
            "phase: response\nactions: [{set_header: {x-served-by: gateway}}]",
            {"request": {"body": {"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}]}}},
            {"response": {"status": 200, "headers": {"x-served-by": "gateway"}}},
        ),
        Example(
            "a template that finds nothing writes nothing",
            "actions: [{set_header: {x-user: '{{ request.user }}'}}]",
            {"request": {"body": {"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}]}}},
            {"sent_headers": {"x-user": None}},
            acts=False,
        ),
    ]

    def compile(self, phase: Phase) -> Apply:
        fields = [(name, _text(value, name)) for name, value in self.headers.items()]
        to_client = phase is RESPONSE
        if len(fields) == 1 and isinstance(fields[0][1], str) and not to_client:
            return _one(fields[0][0], fields[0][1])

        def apply(x: Exchange) -> Effect:
            edits = x.to_client if to_client else x.to_upstream
            effect: Effect = NOOP
            for name, text in fields:
                value = text if isinstance(text, str) else text(x)
                if value is not None and edits.get(name) != value:
                    edits[name] = value
                    effect = None
            return effect

        return apply


def _one(name: str, value: str) -> Apply:
    """What most rules write: one header to the upstream that is always the same."""

    def apply(x: Exchange) -> Effect:
        edits = x.to_upstream
        if edits.get(name) == value:
            return NOOP
        edits[name] = value
        return None

    return apply


def _text(value: HeaderValue, name: str) -> str | MakeText:
    """The header's text where it is constant, checked once; else what makes it."""
    fill: Any = value.fill
    if value.constant:
        return header_value(text_of_value(fill(None)), name)

    def text(x: Exchange) -> str | None:
        found = fill(x)
        return None if found is None else header_value(text_of_value(found), name)

    return text
