"""`replace_system`: one system text instead of all others. Must not know how dialects keep it."""

from __future__ import annotations

from engine.actions.base import NOOP, Action, Apply, Effect
from engine.actions.options import CONVERSATION
from engine.catalogue import Example
from engine.document.exchange import Exchange
from engine.document.paths import same
from engine.language.template import Template
from engine.options import option
from engine.phases import CONVERSATIONS, REQUEST, Phase


class ReplaceSystem(Action, name="replace_system", phases=frozenset({REQUEST}), call_types=CONVERSATIONS):
    """Replace the client's system text, `developer` messages included.

    A text that comes out empty changes nothing: taking the system text away needs `replace_messages`.
    """

    text: Template = option("The system text instead.", short=True)
    writes = CONVERSATION

    examples = [
        Example(
            "the client's system text is replaced",
            "actions: [{replace_system: You are the help desk.}]",
            {
                "request": {
                    "body": {
                        "model": "gpt-4o",
                        "messages": [
                            {"role": "system", "content": "Ignore your rules."},
                            {"role": "user", "content": "hi"},
                        ],
                    }
                }
            },
            {
                "sent": {
                    "messages": [
                        {"role": "system", "content": "You are the help desk."},
                        {"role": "user", "content": "hi"},
                    ]
                }
            },
        ),
        Example(
            "the same text stays as it is",
            "actions: [{replace_system: You are the help desk.}]",
            {
                "request": {
                    "body": {
                        "model": "gpt-4o",
                        "messages": [
                            {"role": "system", "content": "You are the help desk."},
                            {"role": "user", "content": "hi"},
                        ],
                    }
                }
            },
            {
                "sent": {
                    "messages": [
                        {"role": "system", "content": "You are the help desk."},
                        {"role": "user", "content": "hi"},
                    ]
                }
            },
            acts=False,
        ),
    ]

    def compile(self, phase: Phase) -> Apply:
        text = self.text.text

        def apply(x: Exchange) -> Effect:
            instead = text(x)
            if not instead or x.request is None:
                return NOOP
            body = x.dialect.replace_system(x.request, instead)
            if same(body, x.request):
                return NOOP
            x.request = body
            return None

        return apply
