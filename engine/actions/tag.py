"""`tag`: labels on the exchange. Must not know who reads them."""

from __future__ import annotations

from engine.actions.base import NOOP, Action, Apply, Effect
from engine.catalogue import Example
from engine.document.exchange import Exchange
from engine.language.template import Template
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
            return _constant(str(self.names[0].fill(None)))
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


def _constant(label: str) -> Apply:
    """The commonest form, at half the time."""

    def apply(x: Exchange) -> Effect:
        if not label or label in x.tags:
            return NOOP
        x.tags.append(label)
        return None

    return apply
