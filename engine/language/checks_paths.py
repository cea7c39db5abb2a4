"""Checks the paths of actions against the bodies they lead into. Must not know actions or how paths run.

A path that reads or removes a field which no body has does nothing: a warning. One that writes such a field may well be
meant, since servers take more than the APIs say: a note, and only when the name is nearly that of a known field.
"""

from __future__ import annotations

from collections.abc import Iterable

from engine.catalogue import Scope
from engine.document import fields
from engine.language.ast import Chain, Field
from engine.language.checks import Checker
from engine.language.checks_names import body_shape, field_meant
from engine.language.functions import WORDS
from engine.language.lexer import ExpressionError
from engine.language.parser import parse_key
from engine.language.shapes import ANYTHING, Shape, shape_of
from engine.phases import RESPONSE, Phase
from engine.source import Mapping, Node, Scalar, Sequence


def check_read(paths: Node, scope: Scope, phases: frozenset[Phase]) -> None:
    """Warn of fields that are not known. `paths`: one, a list, or the keys of a mapping."""
    for node in _each(paths):
        _shape(node, Checker(str(node.value), scope, node.inner), phases)


def check_written(paths: Node, scope: Scope, phases: frozenset[Phase]) -> None:
    """Note fields that are probably misspelt."""
    for node in _each(paths):
        _shape(node, _Written(str(node.value), scope, node.inner), phases)


def check_numbers(paths: Node, scope: Scope, phases: frozenset[Phase]) -> None:
    """Refuse fields that never are numbers, and warn of those that are not known."""
    for node in _each(paths):
        shape = _shape(node, Checker(str(node.value), scope, node.inner), phases)
        if not shape.may_be("number"):
            kind = " or ".join(sorted(WORDS[name] for name in shape.types or ()))
            scope.problem("wrong-type", f"expected the path of a number, and `{node.value}` is {kind}", node.span)


class _Written(Checker):
    unknown = "note"

    def unknown_field(self, node: Field, here: Shape) -> Shape:
        meant = field_meant(node.name, here, self.scope.call_types)
        return super().unknown_field(node, here) if meant else ANYTHING


def _each(paths: Node) -> Iterable[Scalar]:
    nodes: Iterable[Node] = [paths]
    if isinstance(paths, Mapping):
        nodes = [key for key, _ in paths]
    elif isinstance(paths, Sequence):
        nodes = paths
    return [node for node in nodes if isinstance(node, Scalar)]


def _shape(node: Scalar, checker: Checker, phases: frozenset[Phase]) -> Shape:
    """The shape of what a path leads to; problems on the way go to the checker."""
    try:
        ast = parse_key(str(node.value))
    except ExpressionError:
        return ANYTHING  # a name in letters that expressions want quoted
    shape = _body(phases, checker.scope.call_types)
    for part in ast.parts if isinstance(ast, Chain) else (ast,):
        shape = checker.member(part, shape) if isinstance(part, Field) else checker.shape(part, shape)
    return shape


def _body(phases: frozenset[Phase], call_types: frozenset[str]) -> Shape:
    """The body that an action works on: the answer in `response`, the request before it."""
    if RESPONSE not in phases:
        return body_shape(call_types, "request", "request")
    if phases == {RESPONSE}:
        return body_shape(call_types, "response", "response.body")
    words = (fields.members(call_types, "request"), fields.members(call_types, "response"))
    return shape_of(words, "body", advisory=True)
