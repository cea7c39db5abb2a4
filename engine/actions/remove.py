"""`remove`: fields taken out of the body. Must not know what the fields mean."""

from __future__ import annotations

from engine.actions.base import NOOP, Action, Apply, Effect
from engine.actions.options import body_of, written_roots
from engine.catalogue import Example, Scope
from engine.document.exchange import Exchange
from engine.document.paths import Path
from engine.language.checks_paths import check_read
from engine.options import OneOrMany, option
from engine.phases import ATTEMPT, REQUEST, RESPONSE, Phase
from engine.source import Node


class Remove(Action, name="remove", phases=frozenset({REQUEST, ATTEMPT, RESPONSE}), fallible=False):
    """Take fields out of the body: a list of paths. A path that leads nowhere is fine."""

    paths: OneOrMany[Path] = option("Paths in the body.", whole=True)

    examples = [
        Example(
            "fields are taken out",
            "actions: [{remove: [logit_bias, metadata.internal]}]",
            {
                "request": {
                    "body": {
                        "model": "gpt-4o",
                        "logit_bias": {"50256": -100},
                        "metadata": {"internal": 1, "a": 2},
                        "messages": [{"role": "user", "content": "hi"}],
                    }
                }
            },
            {"sent": {"logit_bias": None, "metadata": {"internal": None, "a": 2}}},
        ),
        Example(
            "nothing is there to remove",
            "actions: [{remove: [logit_bias]}]",
            {"request": {"body": {"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}]}}},
            {"sent": {"model": "gpt-4o", "logit_bias": None}},
            acts=False,
        ),
    ]

    def check(self, places: dict[str, Node], node: Node, scope: Scope) -> None:
        phases = scope.phases & type(self).phases
        self.writes = written_roots(phases, self.paths)
        check_read(node, scope, phases)

    def compile(self, phase: Phase) -> Apply:
        read, write = body_of(phase)
        drops = [path.drop for path in self.paths]

        def apply(x: Exchange) -> Effect:
            before = body = read(x)
            for drop in drops:
                body = drop(body)
            if body is before:
                return NOOP
            write(x, body)
            return None

        return apply
