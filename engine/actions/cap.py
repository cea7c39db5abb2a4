"""`cap`: numbers kept at or below a bound. Must not know what the fields mean."""

from __future__ import annotations

from typing import Any

from engine.actions.base import NOOP, Action, Apply, Effect
from engine.actions.options import body_of, written_roots
from engine.catalogue import Example, Scope
from engine.cures import cure
from engine.document.answers import Refusal
from engine.document.exchange import Exchange
from engine.document.paths import Path
from engine.language.checks_paths import check_numbers
from engine.language.template import Value
from engine.options import BAD, MISSING, found, option
from engine.phases import ATTEMPT, REQUEST, Phase
from engine.source import Node


class Bound(Value):
    """A number, or a template that gives one."""

    __slots__ = ()

    @classmethod
    def schema(cls) -> dict[str, Any]:
        return {"anyOf": [{"type": "number"}, {"type": "string", "pattern": r"\{\{"}]}

    @classmethod
    def read(cls, node: Node, scope: Scope) -> Any:
        value = Value.read(node, scope)
        if value is not BAD and value.constant and not is_number(value.fill(None)):
            scope.problem(
                "wrong-type", f"expected a number, found {found(node)}", node.span, help=cure(node, {"type": "number"})
            )
            return BAD
        return value


class Cap(Action, name="cap", phases=frozenset({REQUEST, ATTEMPT})):
    """Keep numbers at or below a bound: `{path: number}`.

    An absent or null field stays so. A value that is no number is refused with 400.
    """

    bounds: dict[Path, Bound] = option("Path in the body and its largest value.", whole=True)

    examples = [
        Example(
            "a number over the bound becomes the bound",
            "actions: [{cap: {max_tokens: 1000}}]",
            {
                "request": {
                    "body": {"model": "gpt-4o", "max_tokens": 4000, "messages": [{"role": "user", "content": "hi"}]}
                }
            },
            {"sent": {"max_tokens": 1000}},
        ),
        Example(
            "a number below the bound stays, an absent one too",
            "actions: [{cap: {max_tokens: 1000, n: 4}}]",
            {"request": {"body": {"model": "gpt-4o", "max_tokens": 9, "messages": [{"role": "user", "content": "a"}]}}},
            {"sent": {"max_tokens": 9, "n": None}},
            acts=False,
        ),
        Example(
            "a value that is no number is refused",
            "actions: [{cap: {top_logprobs: 5}}]",
            {
                "request": {
                    "body": {"model": "gpt-4o", "top_logprobs": "lots", "messages": [{"role": "user", "content": "hi"}]}
                }
            },
            {"sent": None, "response": {"status": 400, "error": {"param": "top_logprobs"}}},
        ),
    ]

    def check(self, places: dict[str, Node], node: Node, scope: Scope) -> None:
        phases = scope.phases & type(self).phases
        self.writes = written_roots(phases, list(self.bounds))
        check_numbers(node, scope, phases)

    def compile(self, phase: Phase) -> Apply:
        read, write = body_of(phase)
        fields = [(path, path.get, path.put, bound.fill) for path, bound in self.bounds.items()]

        def apply(x: Exchange) -> Effect:
            before = body = read(x)
            for path, get, put, fill in fields:
                value = get(body)
                if value is None or value is MISSING:
                    continue
                if not is_number(value):
                    return not_a_number(path.text)
                most = fill(x)
                if most is not None and value > bound_of(most, path.text):
                    body = put(body, most)
            if body is before:
                return NOOP
            write(x, body)
            return None

        return apply


def is_number(value: Any) -> bool:
    """True for a JSON number; booleans are none."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def bound_of(value: Any, name: str) -> int | float:
    """A filled bound; ValueError when a template gave something else than a number."""
    if not is_number(value):
        raise ValueError(f"the bound of {name} is no number")
    return value  # type: ignore[no-any-return]


def not_a_number(name: str) -> Refusal:
    """What a client is told whose field should have been a number."""
    message = f"Invalid type for '{name}': expected a number."
    return Refusal(400, message, code="invalid_type", param=name, source="rule")
