"""`set_var`: notes from one rule to later ones. Must not know who reads them."""

from __future__ import annotations

from engine.actions.base import NOOP, Action, Apply, Effect
from engine.catalogue import Example, Scope
from engine.document.exchange import Exchange
from engine.document.paths import same
from engine.language.template import Value
from engine.options import MISSING, option
from engine.phases import ALL, Phase
from engine.source import Node


class SetVar(Action, name="set_var", phases=ALL):
    """Keep values for later rules of this exchange: `{name: value}`, read as `vars.name` in any phase."""

    values: dict[str, Value] = option("Name of the variable and its value.", whole=True)

    examples = [
        Example(
            "a later rule reads what an earlier action kept",
            "actions: [{set_var: {words: '{{ length(split(last_user_text, '' '')) }}'}}, "
            "{set: {metadata.words: '{{ vars.words }}'}}]",
            {"request": {"body": {"model": "gpt-4o", "messages": [{"role": "user", "content": "one two"}]}}},
            {"sent": {"metadata": {"words": 2}}},
        ),
        Example(
            "a match that does not hold keeps nothing",
            "match: {request.model: other}\nactions: [{set_var: {seen: true}}]",
            {"request": {"body": {"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}]}}},
            {"matched": []},
            acts=False,
        ),
    ]

    def check(self, places: dict[str, Node], node: Node, scope: Scope) -> None:
        self.writes = tuple(f"vars.{name}" for name in self.values)

    def compile(self, phase: Phase) -> Apply:
        fields = [(name, value.fill) for name, value in self.values.items()]

        def apply(x: Exchange) -> Effect:
            effect: Effect = NOOP
            for name, fill in fields:
                value = fill(x)
                if not same(x.vars.get(name, MISSING), value):
                    x.vars[name] = value
                    effect = None
            return effect

        return apply
