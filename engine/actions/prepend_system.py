"""`prepend_system`: system text before everything else. Must not know how dialects keep it."""

from __future__ import annotations

from typing import Literal

from engine.actions.base import NOOP, Action, Apply, Effect
from engine.actions.options import CONVERSATION
from engine.catalogue import Example
from engine.document.exchange import Exchange
from engine.language.template import Template
from engine.options import option
from engine.phases import CONVERSATIONS, REQUEST, Phase


class PrependSystem(Action, name="prepend_system", phases=frozenset({REQUEST}), call_types=CONVERSATIONS):
    """Put system text before everything the model reads.

    In chat it is a message of its own, the first one; where there is one system text (`system`, `instructions`, a
    prompt) it stands before it, followed by a blank line. A text that comes out empty changes nothing.
    """

    text: Template = option("What the model reads first.", short=True)
    position: Literal["start", "after_cached"] = option(
        "`after_cached` leaves a prefix that the provider caches (Anthropic's `cache_control`) as it is.", "start"
    )
    writes = CONVERSATION

    examples = [
        Example(
            "the system message stands first",
            "match: request.prompt_id == '1234'\nactions: [{prepend_system: Be a good Bot!}]",
            {
                "request": {
                    "body": {"model": "gpt-4o", "prompt_id": "1234", "messages": [{"role": "user", "content": "hi"}]}
                }
            },
            {
                "sent": {
                    "messages": [{"role": "system", "content": "Be a good Bot!"}, {"role": "user", "content": "hi"}],
                    "prompt_id": None,
                }
            },
        ),
        Example(
            "text that comes out empty adds no message",
            "actions: [{prepend_system: '{{ metadata.style }}'}]",
            {"request": {"body": {"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}]}}},
            {"sent": {"messages": [{"role": "user", "content": "hi"}]}},
            acts=False,
        ),
    ]

    def compile(self, phase: Phase) -> Apply:
        text = self.text.text
        if self.position == "after_cached":
            return _after_cached(self.text)

        def apply(x: Exchange) -> Effect:
            added = text(x)
            if not added or x.request is None:
                return NOOP
            x.request = x.dialect.prepend_system(x.request, added)
            return None

        return apply


def _after_cached(template: Template) -> Apply:
    """Only system blocks before the last `cache_control` are a cached prefix; without one the text goes first."""
    text = template.text

    def apply(x: Exchange) -> Effect:
        added = text(x)
        if not added or x.request is None:
            return NOOP
        system = x.request.get("system")
        blocks = system if isinstance(system, list) else []
        cached = [at for at, block in enumerate(blocks) if isinstance(block, dict) and block.get("cache_control")]
        if cached:
            end = cached[-1] + 1
            x.request = {**x.request, "system": [*blocks[:end], {"type": "text", "text": added}, *blocks[end:]]}
        else:
            x.request = x.dialect.prepend_system(x.request, added)
        return None

    return apply
