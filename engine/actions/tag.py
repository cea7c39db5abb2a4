"""`tag`: labels on the exchange. Must not know who reads them."""

from __future__ import annotations

from typing import Any

from engine.actions.base import NOOP, Action, Apply, Effect
from engine.catalogue import Example
from engine.document.exchange import Exchange
from engine.language.template import Template, text_of_value
from engine.options import OneOrMany, option
from engine.phases import ALL, Phase


class Tag(Action, name="tag", phases=ALL, writes=("tags",)):
    """Label the exchange: a name or a list. Later rules see `tags`; a label that is there already is not repeated."""

    names: OneOrMany[Template] = option("One label or a list of them.", whole=True)

    examples = [
        Example(
            "a later rule sees the label",
            "actions: [{tag: [pilot, '{{ request.model }}']}, {set: {metadata.tags: '{{ join('','', tags) }}'}}]",
            {"request": {"body": {"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}]}}},
            {"sent": {"metadata": {"tags": "pilot,gpt-4o"}}},
        ),
        Example(
            "a label that comes out empty is none",
            "actions: [{tag: '{{ request.user }}'}]",
            {"request": {"body": {"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}]}}},
            {"sent": {"model": "gpt-4o"}},
            acts=False,
        ),
    ]

    def compile(self, phase: Phase) -> Apply:
        if len(self.names) == 1 and self.names[0].constant:
            return _constant(self.names[0])
        texts = [template.text for template in self.names]

        def apply(x: Exchange) -> Effect:
            effect: Effect = NOOP
            for text in texts:
                label = text(x)
                if label and label not in x.tags:
                    x.tags.append(label)
                    effect = None
            return effect

        return apply


def _constant(template: Template) -> Apply:
    """The commonest form, at half the time."""
    fill: Any = template.fill  # a constant one asks no exchange
    label = text_of_value(fill(None))

    def apply(x: Exchange) -> Effect:
        if not label or label in x.tags:
            return NOOP
        x.tags.append(label)
        return None

    return apply
