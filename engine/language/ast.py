"""The tree of an expression, and what can be read off it. Must not know how it was written or how it runs.

Every node is evaluated on a current value: the document at the top, an element inside a filter or projection. Places
(`start`, `end`) do not count when trees are compared.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field, fields, replace
from typing import Any
from typing import Literal as OneOf


@dataclass(frozen=True, slots=True)
class Ast:
    """A node; `start` and `end` are its place in the text, parentheses around it included."""

    start: int = field(compare=False)
    end: int = field(compare=False)


@dataclass(frozen=True, slots=True)
class Field(Ast):
    """A member of the current object. `quoted`: it was written in double quotes."""

    name: str
    quoted: bool = field(default=False, compare=False)


@dataclass(frozen=True, slots=True)
class Literal(Ast):
    """A constant. `raw`: written in single quotes."""

    value: Any
    raw: bool = field(default=False, compare=False)


@dataclass(frozen=True, slots=True)
class Current(Ast):
    """`@`, or nothing where the current value is meant."""


@dataclass(frozen=True, slots=True)
class Whole(Ast):
    """`$`: the whole document, wherever it stands."""


@dataclass(frozen=True, slots=True)
class Index(Ast):
    """`[3]`, `[-1]`: one element of the current list."""

    number: int


@dataclass(frozen=True, slots=True)
class Slice(Ast):
    """`[1:5:2]`: a part of the current list."""

    begin: int | None
    stop: int | None
    step: int | None


@dataclass(frozen=True, slots=True)
class Chain(Ast):
    """Parts one after the other, each evaluated on what the one before gave: `a.b[0]`, `a | b`."""

    parts: tuple[Ast, ...]


@dataclass(frozen=True, slots=True)
class Flatten(Ast):
    """`of[]`: lists inside a list, opened one level."""

    of: Ast


@dataclass(frozen=True, slots=True)
class Project(Ast):
    """`of[*].each`: `each` on every element; nulls are left out."""

    of: Ast
    each: Ast


@dataclass(frozen=True, slots=True)
class Values(Ast):
    """`of.*.each`: `each` on every value of an object; nulls are left out."""

    of: Ast
    each: Ast


@dataclass(frozen=True, slots=True)
class Filter(Ast):
    """`of[?condition].each`: `each` on the elements for which the condition is true; nulls are left out."""

    of: Ast
    condition: Ast
    each: Ast


@dataclass(frozen=True, slots=True)
class Items(Ast):
    """`[a, b]`: a list made from the current value; null on null."""

    items: tuple[Ast, ...]


@dataclass(frozen=True, slots=True)
class Entries(Ast):
    """`{a: b}`: an object made from the current value; null on null."""

    entries: tuple[tuple[str, Ast], ...]


@dataclass(frozen=True, slots=True)
class Not(Ast):
    """`!of`."""

    of: Ast


@dataclass(frozen=True, slots=True)
class And(Ast):
    """`a && b && …`: the first that is not true, else the last."""

    parts: tuple[Ast, ...]


@dataclass(frozen=True, slots=True)
class Or(Ast):
    """`a || b || …`: the first that is true, else the last."""

    parts: tuple[Ast, ...]


@dataclass(frozen=True, slots=True)
class Compare(Ast):
    """`left == right` and its kin."""

    operator: OneOf["==", "!=", "<", "<=", ">", ">="]
    left: Ast
    right: Ast


@dataclass(frozen=True, slots=True)
class Call(Ast):
    """`name(arguments)`; the name stands at `start` up to `name_end`."""

    name: str
    arguments: tuple[Ast, ...]
    name_end: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Reference(Ast):
    """`&of` as an argument: an expression that the function evaluates on each element."""

    of: Ast


Projection = Project | Values | Filter


def chain(left: Ast, right: Ast) -> Ast:
    """`right` on what `left` gives, with what is chained kept flat and projections kept outermost."""
    if isinstance(right, Current):
        return replace(left, end=right.end)
    if isinstance(right, Whole) or (isinstance(right, Chain) and isinstance(right.parts[0], Whole)):
        return replace(right, start=left.start)  # `$` does not look at what stands before it
    if isinstance(right, (Project, Values, Filter, Flatten)):
        return replace(right, start=left.start, of=chain(left, right.of))
    before = left.parts if isinstance(left, Chain) else () if isinstance(left, Current) else (left,)
    after = right.parts if isinstance(right, Chain) else (right,)
    parts = before + after
    return parts[0] if len(parts) == 1 else Chain(left.start, right.end, parts)


def children(node: Ast) -> Iterator[Ast]:
    """The nodes directly below, in the order they are written."""
    for entry in fields(node):
        value = getattr(node, entry.name)
        if isinstance(value, Ast):
            yield value
        elif isinstance(value, tuple):
            for item in value:
                yield item[1] if isinstance(item, tuple) else item


def walk(node: Ast) -> Iterator[Ast]:
    """The node and all below it."""
    yield node
    for child in children(node):
        yield from walk(child)


def plain_path(node: Ast) -> tuple[str | int, ...] | None:
    """`("request", "messages", 0)` for a path of names and positions; None for anything else."""
    steps: list[str | int] = []
    for part in node.parts if isinstance(node, Chain) else (node,):
        if isinstance(part, Field):
            steps.append(part.name)
        elif isinstance(part, Index) and steps:
            steps.append(part.number)
        elif not (isinstance(part, Whole) and isinstance(node, Chain) and part is node.parts[0]):
            return None
    return tuple(steps) or None


def roots(node: Ast) -> frozenset[str]:
    """The roots of the document that an expression reads; `*` when it may read all of it."""
    return frozenset(_roots(node, at_document=True))


def reads(node: Ast) -> frozenset[str]:
    """The roots that an expression reads, with `response.status` and its kin told apart where the member is clear."""
    found = roots(node)
    if "response" not in found:
        return found
    named = sum(isinstance(part, Field) and part.name == "response" for part in walk(node))
    members = [member for part in walk(node) if (member := _member_of_response(part)) is not None]
    return found if len(members) < named else (found - {"response"}) | {f"response.{name}" for name in members}


def _member_of_response(node: Ast) -> str | None:
    path = plain_path(node) if isinstance(node, Chain) else None
    if path is None or path[0] != "response":
        return None
    return str(path[1]) if len(path) > 1 else None


def _roots(node: Ast, *, at_document: bool) -> Iterator[str]:
    """`at_document`: the current value is the document, not something inside it."""
    if isinstance(node, Whole) or (isinstance(node, (Current, Slice, Index)) and at_document):
        yield "*"
    elif isinstance(node, Field):
        if at_document:
            yield node.name
    elif isinstance(node, Chain):
        yield from _chain_roots(node.parts, at_document=at_document)
    elif isinstance(node, (Project, Values, Filter)):
        yield from _roots(node.of, at_document=at_document)
        yield from _roots(node.each, at_document=False)
        if isinstance(node, Filter):
            yield from _roots(node.condition, at_document=False)
    elif isinstance(node, Reference):
        yield from _roots(node.of, at_document=False)
    elif isinstance(node, Call) and node.name == "now":
        yield "time"
    else:
        for child in children(node):
            yield from _roots(child, at_document=at_document)


def _chain_roots(parts: tuple[Ast, ...], *, at_document: bool) -> Iterator[str]:
    first, *rest = parts
    if isinstance(first, Whole):
        first, *rest = rest
        at_document = True
    yield from _roots(first, at_document=at_document)
    for part in rest:
        yield from _roots(part, at_document=False)


def canonical(node: Ast) -> str:
    """One fixed spelling of a tree, for sharing: equal texts mean the same, whatever the author's spacing and order."""
    if isinstance(node, Compare):
        return _canonical_comparison(node)
    return f"({type(node).__name__}{''.join(map(_spelt, _values(node)))})"


_MIRRORED = {">": "<", ">=": "<=", "==": "==", "!=": "!="}


def _canonical_comparison(node: Compare) -> str:
    left, right, operator = canonical(node.left), canonical(node.right), str(node.operator)
    if operator in (">", ">=") or (operator in ("==", "!=") and right < left):
        left, right, operator = right, left, _MIRRORED[operator]
    return f"({operator} {left} {right})"


def _values(node: Ast) -> Iterator[Any]:
    return (getattr(node, entry.name) for entry in fields(node) if entry.compare)


def _spelt(value: Any) -> str:
    if isinstance(value, Ast):
        return " " + canonical(value)
    if isinstance(value, tuple):
        return " [" + "".join(map(_spelt, value)) + "]"
    return " " + json.dumps(value, sort_keys=True)
