"""Conditions: the option type that reads every form an author may choose into one tree of tests.

Must not know rules.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

from engine.catalogue import BAD, Scope
from engine.language.condition_reader import ElementReader, Reader
from engine.language.condition_several import AllOf, AnyOf, Negated, all_of, any_of, negated
from engine.language.condition_tree import Always, Finding, Never, Test, Tree, Truth
from engine.source import Node

if TYPE_CHECKING:
    from engine.document.exchange import Exchange


class Condition:
    """What must hold. `tree`: its tests; `roots`: what of the document they read."""

    __slots__ = ("roots", "tree")

    def __init__(self, tree: Tree) -> None:
        self.tree = tree
        self.roots = tree.roots

    @classmethod
    def schema(cls) -> dict[str, Any]:
        return {
            "anyOf": [
                {"type": "string", "minLength": 1},
                {"type": "object", "minProperties": 1},
                {"type": "array", "minItems": 1},
            ]
        }

    @classmethod
    def read(cls, node: Node, scope: Scope) -> Any:
        """A condition about the document, or BAD after noting every mistake in it."""
        tree = Reader(scope).tree(node)
        return BAD if tree is BAD else cls(tree)

    @classmethod
    def read_element(cls, node: Node, scope: Scope) -> Any:
        """A condition about an element of a list: `@` is the element, `$` the document."""
        tree = ElementReader(scope).tree(node)
        return BAD if tree is BAD else cls(tree)

    def compile(self) -> Callable[[Exchange], bool]:
        """The verdict on an exchange as a function; EvaluationError when a function meets a wrong type."""
        return cast("Callable[[Exchange], bool]", self.tree.code())

    def explain(self, exchange: Exchange) -> Finding:
        """The verdict on an exchange and how it came about, part by part."""
        return self.tree.explain(exchange)


__all__ = [
    "AllOf",
    "Always",
    "AnyOf",
    "Condition",
    "Finding",
    "Negated",
    "Never",
    "Test",
    "Tree",
    "Truth",
    "all_of",
    "any_of",
    "negated",
]
