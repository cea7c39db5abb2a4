"""`add_message`: one more message at a place of the author's choice. Must not know how dialects keep messages."""

from __future__ import annotations

from typing import Any

from engine.actions.base import NOOP, Action, Apply, Effect
from engine.actions.options import CONVERSATION
from engine.catalogue import Example, Scope
from engine.document.exchange import Exchange
from engine.language.template import Template, Value
from engine.options import BAD, found, option
from engine.phases import REQUEST, Phase
from engine.source import Node


class At(int):
    """`start`, `end` or an index; read as an index, None for the end."""

    @classmethod
    def schema(cls) -> dict[str, Any]:
        return {"anyOf": [{"enum": ["start", "end"]}, {"type": "integer"}]}

    @classmethod
    def read(cls, node: Node, scope: Scope) -> Any:
        value = node.plain()
        if value in ("start", "end"):
            return 0 if value == "start" else None
        if isinstance(value, int) and not isinstance(value, bool):
            return value
        scope.problem(
            "wrong-type",
            f"expected a place for the message, found {found(node)}",
            node.span,
            help="`start`, `end`, or the index it shall have: `at: 1`",
        )
        return BAD


class AddMessage(
    Action,
    name="add_message",
    phases=frozenset({REQUEST}),
    call_types=frozenset({"completion", "responses", "messages"}),
):
    """Add a message: `{role, content, at}`.

    `content` is text or a list of content parts; content that comes out null adds nothing. An index beyond the
    last message means the end, a negative one counts from there.
    """

    role: Template = option("Whose message it is, such as `user`.")
    content: Value = option("Text, or a list of content parts.")
    at: At | None = option("`start`, `end`, or the index that the message shall have.", None)
    writes = CONVERSATION

    examples = [
        Example(
            "a reminder follows the conversation",
            "actions: [{add_message: {role: user, content: Answer as JSON.}}]",
            {"request": {"body": {"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}]}}},
            {"sent": {"messages": [{"role": "user", "content": "hi"}, {"role": "user", "content": "Answer as JSON."}]}},
        ),
        Example(
            "content that is not there adds no message",
            "actions: [{add_message: {role: user, content: '{{ metadata.reminder }}', at: start}}]",
            {"request": {"body": {"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}]}}},
            {"sent": {"messages": [{"role": "user", "content": "hi"}]}},
            acts=False,
        ),
    ]

    def compile(self, phase: Phase) -> Apply:
        role, content, at = self.role.text, self.content.fill, self.at

        def apply(x: Exchange) -> Effect:
            said = content(x)
            if said is None or x.request is None:
                return NOOP
            if not isinstance(said, (str, list)):
                raise TypeError("the content of a message is text or a list of parts")
            x.request = x.dialect.add_message(x.request, role(x), said, at)
            return None

        return apply
