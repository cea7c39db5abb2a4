"""`set`: values written into the body. Must not know what the fields mean."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from engine.actions.base import NOOP, Action, Apply, Effect
from engine.actions.options import body_of, written_roots
from engine.catalogue import Example, Scope
from engine.document.exchange import Exchange
from engine.document.paths import Path
from engine.language.checks_paths import check_written
from engine.language.template import Value
from engine.options import option
from engine.phases import ATTEMPT, REQUEST, RESPONSE, Phase
from engine.source import Node


class Set(Action, name="set", phases=frozenset({REQUEST, ATTEMPT, RESPONSE})):
    """Write values into the body: `{path: value}`.

    Objects that are missing on the way are made. A template that finds nothing writes nothing; a null of the file is
    written. All templates see the body as it was before the first of the writes.
    """

    values: dict[Path, Value] = option("Path in the body and the value it gets.", whole=True)

    examples = [
        Example(
            "a field and a nested field are written",
            "actions: [{set: {temperature: 0, metadata.team: '{{ headers.\"x-team\" }}'}}]",
            {
                "request": {
                    "headers": {"x-team": "core"},
                    "body": {"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}]},
                }
            },
            {"sent": {"temperature": 0, "metadata": {"team": "core"}}},
        ),
        Example(
            "a template that finds nothing writes nothing",
            "actions: [{set: {user: '{{ metadata.user_id }}'}}]",
            {"request": {"body": {"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}]}}},
            {"sent": {"user": None}},
            acts=False,
        ),
    ]

    def check(self, places: dict[str, Node], node: Node, scope: Scope) -> None:
        phases = scope.phases & type(self).phases
        self.writes = written_roots(phases, list(self.values))
        check_written(node, scope, phases)

    def compile(self, phase: Phase) -> Apply:
        read, write = body_of(phase)
        changes = [_change(path, value) for path, value in self.values.items()]

        def apply(x: Exchange) -> Effect:
            before = body = read(x)
            for change in changes:
                body = change(x, body)
            if body is before:
                return NOOP
            write(x, body)
            return None

        return apply


def _change(path: Path, value: Value) -> Callable[[Exchange, Any], Any]:
    put, fill = path.put, value.fill
    if value.constant:
        return lambda x, body: put(body, fill(x))  # a null of the file is written

    def change(x: Exchange, body: Any) -> Any:
        filled = fill(x)
        return body if filled is None else put(body, filled)

    return change
