"""What an entry of a condition mapping means: a literal to equal, or operators; and what it was probably meant to be.

Must not know how conditions are nested.
"""

from __future__ import annotations

from typing import Any

from engine.catalogue import BAD, Scope
from engine.document.roots import ROOTS
from engine.errors import did_you_mean
from engine.language.operators import Operators, advice, is_operator, operator, refuse_null
from engine.options import from_environment
from engine.source import Mapping, Node, Sequence

COMBINED = ("all", "any", "none", "not", "is")
_OTHER_WORDS = {"and": "all", "or": "any", "nor": "none", "AND": "all", "OR": "any", "NOT": "not"}


def not_a_subject(name: str, value: Node) -> str:
    """What to write when a key is an operator, or a combining word in other words."""
    if name in ROOTS:
        return ""
    if is_operator(name):
        return f"an operator stands behind what it tests: `{{request.model: {{{name}: …}}}}`"
    if name in _OTHER_WORDS:
        return f"write `{_OTHER_WORDS[name]}`"
    if not isinstance(value, Sequence) or not name.isalpha():
        return ""
    near = did_you_mean(name, COMBINED, "-")
    return "" if near == "-" else near


def meant_operators(value: Node, scope: Scope) -> Any:
    """The operators that the value of an entry means; a literal means equality."""
    if isinstance(value, Mapping):
        if any(is_operator(key.value) for key, _ in value):
            return Operators.read(value, scope)
        return _object(value, scope)
    literal = from_environment(value, scope)
    if literal is BAD:
        return BAD
    if literal is None:
        refuse_null(value, scope)
        return BAD
    if isinstance(value, Sequence):
        scope.problem(
            "list-equality",
            "this holds for a list that equals this one",
            value.span,
            help=f"one of these values: `in: {_shown(literal)}`",
            severity="warning",
        )
    return [operator("equals", literal)]


def _object(value: Mapping, scope: Scope) -> Any:
    if not value.entries:
        scope.problem("no-operator", "there is no operator here", value.span, help="`empty: true` is one")
        return BAD
    key = value.entries[0][0]
    instead = advice(str(key.value))
    if key.value in COMBINED or instead.startswith(("did you mean", "put")):
        scope.problem("unknown-operator", f"unknown operator `{key.value}`", key.span, help=instead)
        return BAD
    scope.problem(
        "object-equality",
        "this holds for an object that equals this one, with no other members",
        value.span,
        help=f"to test one member, write its path: `….{key.value}: …`",
        severity="warning",
    )
    return [operator("equals", value.plain())]


def _shown(values: Any) -> str:
    text = ", ".join(str(value) for value in values[:3])
    return f"[{text}, …]" if len(values) > 3 else f"[{text}]"
