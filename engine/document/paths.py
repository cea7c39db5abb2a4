"""Paths into a body: where `set`, `default`, `remove`, `cap` and `require_field` write and look.

A path names exactly one place (`metadata.team`, `messages[-1].role`, `metadata."a.b"`), seen from the phase's body.
Bodies are values: every write is a copy along the path. Must not know actions or phases.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from engine.document.path_syntax import EXAMPLES, Key, PathError, keys_of
from engine.options import BAD, MISSING, found
from engine.source import Node, Scalar

if TYPE_CHECKING:
    from engine.catalogue import Scope

Put = Callable[[Any, Any], Any]


class Path:
    """One place in a body.

    `keys`: names and list indices (negative ones count from the end). `get(body)`: the value or MISSING.
    `put(body, value)`: a body with the value there; objects that are missing (or null) on the way are made; the same
    body when an equal value is there already; PathError when an index is out of range or the way leads through
    something that holds nothing. `drop(body)`: a body without that place; the same body when there is nothing.
    """

    __slots__ = ("drop", "get", "keys", "put", "text")

    def __init__(self, text: str, keys: tuple[Key, ...]) -> None:
        self.text = text
        self.keys = keys
        self.get: Callable[[Any], Any] = _getter(keys)
        self.put: Put = _putter(keys, text)
        self.drop: Callable[[Any], Any] = _dropper(keys)

    @classmethod
    def schema(cls) -> dict[str, Any]:
        return {"type": "string", "minLength": 1}

    @classmethod
    def parse(cls, text: str) -> Path:
        """The path a text means; PathError with the place of the mistake."""
        return cls(text, keys_of(text))

    @classmethod
    def read(cls, node: Node, scope: Scope) -> Any:
        """An option's value: a Path, or BAD after noting why not."""
        if not isinstance(node, Scalar) or not isinstance(node.value, str):
            scope.problem("wrong-type", f"expected a path, found {found(node)}", node.span, help=EXAMPLES)
            return BAD
        text = node.value
        try:
            path = cls.parse(text)
        except PathError as error:
            scope.problem("bad-path", error.message, node.inner(error.start, error.end), help=error.help)
            return BAD
        inside = _within_body(text)
        if inside != text:
            scope.problem(
                "path-prefix",
                f"a path starts at the body, not at the document: `{text}`",
                node.inner(0, len(text) - len(inside)),
                help=f"write `{inside}`",
            )
            return BAD
        return path

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Path) and other.keys == self.keys

    def __hash__(self) -> int:
        return hash(self.keys)

    def __repr__(self) -> str:
        return f"<Path {self.text}>"


def same(left: Any, right: Any) -> bool:
    """True when two JSON values are equal: numbers by value, `true` is not 1. Takes values of any depth."""
    pairs = [(left, right)]
    while pairs:
        a, b = pairs.pop()
        if a is b:
            continue
        if isinstance(a, bool) or isinstance(b, bool):
            return False
        if isinstance(a, dict) and isinstance(b, dict):
            if a.keys() != b.keys():
                return False
            pairs.extend((value, b[name]) for name, value in a.items())
        elif isinstance(a, list) and isinstance(b, list):
            if len(a) != len(b):
                return False
            pairs.extend(zip(a, b, strict=True))
        elif a != b:
            return False
    return True


def _within_body(text: str) -> str:
    """The text without a leading root of the document."""
    for prefix in ("request.", "response.body.", "response."):
        if text.startswith(prefix):
            return text.removeprefix(prefix)
    return text


# --- looking ---------------------------------------------------------------------------------------------------------


def _getter(keys: tuple[Key, ...]) -> Callable[[Any], Any]:
    if len(keys) == 1:
        only = keys[0]
        return lambda body: body.get(only, MISSING) if isinstance(body, dict) else MISSING
    if len(keys) == 2 and isinstance(keys[1], str):
        return _two_names(keys[0], keys[1])

    def get(body: Any) -> Any:
        for key in keys:
            if isinstance(key, str):
                body = body.get(key, MISSING) if isinstance(body, dict) else MISSING
            else:
                body = body[key] if isinstance(body, list) and -len(body) <= key < len(body) else MISSING
            if body is MISSING:
                break
        return body

    return get


def _two_names(first: Key, second: str) -> Callable[[Any], Any]:
    def get(body: Any) -> Any:
        if isinstance(body, dict):
            inner = body.get(first)
            if isinstance(inner, dict):
                return inner.get(second, MISSING)
        return MISSING

    return get


# --- writing ---------------------------------------------------------------------------------------------------------


def _putter(keys: tuple[Key, ...], text: str) -> Put:
    put: Put = _replaced
    for depth in range(len(keys) - 1, -1, -1):
        key, place = keys[depth], (text, keys[:depth])
        put = _put_name(key, put, place) if isinstance(key, str) else _put_index(key, put, place)
    return put


def _replaced(old: Any, value: Any) -> Any:
    """The end of a path: what stood there, unless the new value equals it."""
    return old if old is not MISSING and same(old, value) else value


def _put_name(name: str, rest: Put, place: tuple[str, tuple[Key, ...]]) -> Put:

    def put(holder: Any, value: Any) -> Any:
        if holder is None or holder is MISSING:
            holder = {}
        elif not isinstance(holder, dict):
            raise _unwritable(place, f"is {_sort(holder)}, not an object")
        old = holder.get(name, MISSING)
        new = rest(old, value)
        if new is old:
            return holder
        return {**holder, name: new}

    return put


def _put_index(index: int, rest: Put, place: tuple[str, tuple[Key, ...]]) -> Put:
    def put(holder: Any, value: Any) -> Any:
        if not isinstance(holder, list):
            raise _unwritable(place, f"is {_sort(holder)}, not a list")
        if not -len(holder) <= index < len(holder):
            raise _unwritable(place, f"has {len(holder)} elements")
        old = holder[index]
        new = rest(old, value)
        if new is old:
            return holder
        copy = holder.copy()
        copy[index] = new
        return copy

    return put


def _dropper(keys: tuple[Key, ...]) -> Callable[[Any], Any]:
    return _drop_step(keys[0], _dropper(keys[1:]) if len(keys) > 1 else None)


def _drop_step(key: Key, rest: Callable[[Any], Any] | None) -> Callable[[Any], Any]:
    def drop(holder: Any) -> Any:
        if isinstance(key, str):
            if not isinstance(holder, dict) or key not in holder:
                return holder
        elif not isinstance(holder, list) or not -len(holder) <= key < len(holder):
            return holder
        if rest is None:
            copy = holder.copy()
            del copy[key]
            return copy
        old = holder[key]
        new = rest(old)
        if new is old:
            return holder
        copy = holder.copy()
        copy[key] = new
        return copy

    return drop


def _unwritable(place: tuple[str, tuple[Key, ...]], why: str) -> PathError:
    text, way = place
    parts = "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in way)
    holder = f"`{parts.removeprefix('.')}`" if way else "the body"
    return PathError(f"cannot write `{text}`: {holder} {why}")


def _sort(value: Any) -> str:
    if value is None or value is MISSING:
        return "missing"
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, str):
        return "text"
    if isinstance(value, (int, float)):
        return "a number"
    return "a list" if isinstance(value, list) else "an object"


__all__ = ["Path", "PathError", "same"]
