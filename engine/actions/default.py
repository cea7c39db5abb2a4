"""`default`: values for fields that the client left out. Must not know what the fields mean."""

from __future__ import annotations

from engine.actions.base import NOOP, Action, Apply, Effect
from engine.actions.options import body_of, written_roots
from engine.catalogue import Example, Scope
from engine.document.exchange import Exchange
from engine.document.paths import Path
from engine.language.checks_paths import check_written
from engine.language.template import Value
from engine.options import MISSING, option
from engine.phases import ATTEMPT, REQUEST, Phase
from engine.source import Node


class Default(Action, name="default", phases=frozenset({REQUEST, ATTEMPT})):
    """Write values only where the body has none: `{path: value}`. A null counts as none.

    A template that finds nothing writes nothing.
    """

    values: dict[Path, Value] = option("Path in the body and the value it gets when it has none.", whole=True)

    examples = [
        Example(
            "a field that the client left out is written",
            "actions: [{default: {temperature: 0.2}}]",
            {"request": {"body": {"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}]}}},
            {"sent": {"temperature": 0.2}},
        ),
        Example(
            "the client's own value stays, also when it is false",
            "actions: [{default: {store: true}}]",
            {"request": {"body": {"model": "gpt-4o", "store": False, "messages": [{"role": "user", "content": "hi"}]}}},
            {"sent": {"store": False}},
            acts=False,
        ),
    ]

    def check(self, places: dict[str, Node], node: Node, scope: Scope) -> None:
        phases = scope.phases & type(self).phases
        self.writes = written_roots(phases, list(self.values))
        check_written(node, scope, phases)

    def compile(self, phase: Phase) -> Apply:
        read, write = body_of(phase)
        fields = [(path.get, path.put, value.fill) for path, value in self.values.items()]

        def apply(x: Exchange) -> Effect:
            before = body = read(x)
            for get, put, fill in fields:
                there = get(body)
                if there is None or there is MISSING:
                    value = fill(x)
                    body = body if value is None else put(body, value)
            if body is before:
                return NOOP
            write(x, body)
            return None

        return apply
