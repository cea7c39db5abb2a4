"""Conditions made of conditions: not, all of, any of, kept in their shortest form. Must not know YAML."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from engine.language.closures import TOP, Code
from engine.language.condition_tree import Always, Finding, Never, Tree


@dataclass(frozen=True, slots=True)
class Negated(Tree):
    """Holds when the item does not."""

    item: Tree

    def key(self) -> tuple[Any, ...]:
        return ("not", self.item.key())

    def code(self) -> Code:
        holds = self.item.code()
        return lambda v, x=TOP: not holds(v, x)

    def explain(self, value: Any, document: Any = TOP) -> Finding:
        part = self.item.explain(value, document)
        return Finding("not", not part.holds, parts=(part,))

    def text(self) -> str:
        return f"not ({self.item.text()})"

    @property
    def roots(self) -> frozenset[str]:
        return self.item.roots

    @property
    def size(self) -> int:
        return 1 + self.item.size


@dataclass(frozen=True, slots=True)
class _Several(Tree):
    """Items looked at in order until one decides."""

    items: tuple[Tree, ...]

    @property
    def roots(self) -> frozenset[str]:
        return frozenset().union(*(item.roots for item in self.items))

    @property
    def size(self) -> int:
        return 1 + sum(item.size for item in self.items)

    def key(self) -> tuple[Any, ...]:
        return (type(self).__name__, *(item.key() for item in self.items))

    def _looked_at(self, value: Any, document: Any, decides: bool) -> Iterator[Finding]:
        clear = False
        for item in self.items:
            part = Finding(item.text(), None) if clear else item.explain(value, document)
            clear = clear or part.holds is decides
            yield part


@dataclass(frozen=True, slots=True)
class AllOf(_Several):
    """Holds when every item does; looked at in order until one does not."""

    def code(self) -> Code:
        codes = [item.code() for item in self.items]
        if len(codes) == 2:
            first, second = codes
            return lambda v, x=TOP: first(v, x) and second(v, x)
        if len(codes) == 3:
            first, second, third = codes
            return lambda v, x=TOP: first(v, x) and second(v, x) and third(v, x)

        def holds(v: Any, x: Any = TOP) -> bool:
            for code in codes:  # noqa: SIM110  `all()` over a generator costs three times as much
                if not code(v, x):
                    return False
            return True

        return holds

    def explain(self, value: Any, document: Any = TOP) -> Finding:
        parts = tuple(self._looked_at(value, document, False))
        return Finding("all of", all(part.holds for part in parts), parts=parts)

    def text(self) -> str:
        return " and ".join(f"({item.text()})" for item in self.items)


@dataclass(frozen=True, slots=True)
class AnyOf(_Several):
    """Holds when one item does; looked at in order until one does."""

    def code(self) -> Code:
        codes = [item.code() for item in self.items]
        if len(codes) == 2:
            first, second = codes
            return lambda v, x=TOP: first(v, x) or second(v, x)

        def holds(v: Any, x: Any = TOP) -> bool:
            for code in codes:  # noqa: SIM110  `any()` over a generator costs three times as much
                if code(v, x):
                    return True
            return False

        return holds

    def explain(self, value: Any, document: Any = TOP) -> Finding:
        parts = tuple(self._looked_at(value, document, True))
        return Finding("any of", any(part.holds for part in parts), parts=parts)

    def text(self) -> str:
        return " or ".join(f"({item.text()})" for item in self.items)


# --- putting trees together, without what decides nothing ------------------------------------------------------------


def all_of(items: Iterable[Tree]) -> Tree:
    """The conjunction, flattened; what always holds is left out."""
    flat: list[Tree] = []
    for item in items:
        if isinstance(item, Never):
            return item
        flat.extend(item.items if isinstance(item, AllOf) else () if isinstance(item, Always) else (item,))
    return (flat[0] if len(flat) == 1 else AllOf(tuple(flat))) if flat else Always()


def any_of(items: Iterable[Tree]) -> Tree:
    """The disjunction, flattened; what never holds is left out."""
    flat: list[Tree] = []
    for item in items:
        if isinstance(item, Always):
            return item
        flat.extend(item.items if isinstance(item, AnyOf) else () if isinstance(item, Never) else (item,))
    return (flat[0] if len(flat) == 1 else AnyOf(tuple(flat))) if flat else Never()


def negated(item: Tree) -> Tree:
    """The opposite."""
    if isinstance(item, Negated):
        return item.item
    return Never() if isinstance(item, Always) else Always() if isinstance(item, Never) else Negated(item)
