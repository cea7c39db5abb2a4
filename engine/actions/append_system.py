"""`append_system`: system text after the existing one. Must not know how dialects keep it."""

from __future__ import annotations

from engine.actions.base import NOOP, Action, Apply, Effect
from engine.actions.options import CONVERSATION
from engine.catalogue import Example
from engine.document.exchange import Exchange
from engine.language.template import Template
from engine.options import option
from engine.phases import CONVERSATIONS, REQUEST, Phase


class AppendSystem(Action, name="append_system", phases=frozenset({REQUEST}), call_types=CONVERSATIONS):
    """Put system text after the existing system text.

    In chat it is a message after the last leading system message; where there is one system text it is joined by a
    blank line. A text that comes out empty changes nothing.
    """

    text: Template = option("What is added.", short=True)
    writes = CONVERSATION

    examples = [
        Example(
            "the text follows the client's system message",
            "actions: [{append_system: 'Answer in {{ metadata.language }}.'}]",
            {
                "request": {
                    "body": {
                        "model": "gpt-4o",
                        "metadata": {"language": "French"},
                        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "hi"}],
                    }
                }
            },
            {
                "sent": {
                    "messages": [
                        {"role": "system", "content": "Be brief."},
                        {"role": "system", "content": "Answer in French."},
                        {"role": "user", "content": "hi"},
                    ]
                }
            },
        ),
        Example(
            "text that comes out empty adds no message",
            "actions: [{append_system: '{{ metadata.note }}'}]",
            {"request": {"body": {"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}]}}},
            {"sent": {"messages": [{"role": "user", "content": "hi"}]}},
            acts=False,
        ),
    ]

    def compile(self, phase: Phase) -> Apply:
        text = self.text.text

        def apply(x: Exchange) -> Effect:
            added = text(x)
            if not added or x.request is None:
                return NOOP
            x.request = x.dialect.append_system(x.request, added)
            return None

        return apply
