"""`replace_messages`: the author's list of messages instead of the client's. Must not know how dialects keep them."""

from __future__ import annotations

from typing import Any

from engine.actions.base import NOOP, Action, Apply, Effect
from engine.actions.options import CONVERSATION
from engine.catalogue import Example, Scope
from engine.document.exchange import Exchange
from engine.document.paths import same
from engine.language.template import Value
from engine.options import option
from engine.phases import REQUEST, Phase
from engine.source import Mapping, Node, Sequence


class ReplaceMessages(
    Action,
    name="replace_messages",
    phases=frozenset({REQUEST}),
    call_types=frozenset({"completion", "responses", "messages"}),
):
    """Replace the whole list of messages.

    The value is a list of messages, or a template that gives one. Every text in it is a template.
    """

    messages: Value = option(
        "The messages instead: a list of `{role, content}`, or a template that gives one.", whole=True
    )
    writes = CONVERSATION

    examples = [
        Example(
            "the client's messages are replaced",
            "actions: [{replace_messages: [{role: user, content: 'Summarise: {{ last_user_text }}'}]}]",
            {
                "request": {
                    "body": {
                        "model": "gpt-4o",
                        "messages": [
                            {"role": "user", "content": "one"},
                            {"role": "assistant", "content": "two"},
                            {"role": "user", "content": "three"},
                        ],
                    }
                }
            },
            {"sent": {"messages": [{"role": "user", "content": "Summarise: three"}]}},
        ),
        Example(
            "the same messages stay as they are",
            "actions: [{replace_messages: '{{ request.messages }}'}]",
            {"request": {"body": {"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}]}}},
            {"sent": {"messages": [{"role": "user", "content": "hi"}]}},
            acts=False,
        ),
    ]

    def check(self, places: dict[str, Node], node: Node, scope: Scope) -> None:
        items = list(node) if isinstance(node, Sequence) else []
        wrong = next((item for item in items if not isinstance(item, Mapping) or item.get("role") is None), None)
        if wrong is not None or (self.messages.constant and not isinstance(node, Sequence)):
            scope.problem(
                "wrong-type",
                "expected a list of messages, each with a `role`",
                (wrong or node).span,
                help="write it like `[{role: user, content: hi}]`",
            )

    def compile(self, phase: Phase) -> Apply:
        fill = self.messages.fill

        def apply(x: Exchange) -> Effect:
            if x.request is None:
                return NOOP
            body = x.dialect.replace_messages(x.request, _messages(fill(x)))
            if same(body, x.request):
                return NOOP
            x.request = body
            return None

        return apply


def _messages(value: Any) -> list[Any]:
    if isinstance(value, list) and all(isinstance(item, dict) and isinstance(item.get("role"), str) for item in value):
        return value
    raise ValueError("`replace_messages` needs a list of messages, each with a `role`")
