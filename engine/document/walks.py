"""Ways through a JSON value: which of its strings a dialect means, said once for reading and for changing them.

A walk takes a value and a text change and gives back the value with every string it means put through the change;
what did not change is shared, so an untouched value comes back as the very same object. Must not know dialects.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

TextChange = Callable[[str], str]
Walk = Callable[[Any, TextChange], Any]

_DEEPEST = 64  # levels taken one by one; what lies deeper is taken as one text
_UNREAD = frozenset(
    {"type", "id", "role", "status", "encrypted_content", "signature", "cache_control", "media_type", "mime_type"}
)
_TYPE_NAMES = frozenset({"object", "string", "number", "integer", "boolean", "array", "null"})
_NAMING = frozenset({"properties", "patternProperties", "$defs", "definitions", "dependentSchemas"})
_WORDS_OF_SCHEMA = """
    type title description default examples enum const format pattern items prefixItems additionalItems contains
    additionalProperties unevaluatedProperties unevaluatedItems propertyNames required dependentRequired minItems
    maxItems uniqueItems minContains maxContains minProperties maxProperties minLength maxLength minimum maximum
    exclusiveMinimum exclusiveMaximum multipleOf allOf anyOf oneOf not if then else nullable deprecated readOnly
    writeOnly strict $ref $schema $id $anchor $comment $dynamicRef $dynamicAnchor contentEncoding contentMediaType
    contentSchema
"""
_KEYWORDS = _NAMING | frozenset(_WORDS_OF_SCHEMA.split())


def strings(walk: Walk, value: Any) -> list[str]:
    """Every string that `walk` means, in its order; empty ones are left out."""
    found: list[str] = []

    def keep(text: str) -> str:
        found.append(text)
        return text

    walk(value, keep)
    return found


def nothing(value: Any, change: TextChange) -> Any:
    """No string at all."""
    return value


def text(value: Any, change: TextChange) -> Any:
    """The value itself, where it is a string."""
    if not isinstance(value, str) or not value:
        return value
    new = change(value)
    return value if new == value else new


def fields(walks: Mapping[str, Walk]) -> Walk:
    """The named fields of an object, in the order of the table."""
    table = tuple(walks.items())

    def walk(value: Any, change: TextChange) -> Any:
        if not isinstance(value, dict):
            return value
        changed = value
        for name, inner in table:
            old = value.get(name)
            if old is None:
                continue
            new = inner(old, change)
            if new is not old:
                changed = {**changed, name: new}
        return changed

    return walk


def items(inner: Walk) -> Walk:
    """Each element of a list."""

    def walk(value: Any, change: TextChange) -> Any:
        if not isinstance(value, list):
            return value
        new = [inner(item, change) for item in value]
        return new if any(a is not b for a, b in zip(new, value, strict=True)) else value

    return walk


def text_or(inner: Walk) -> Walk:
    """A string as it stands, anything else by `inner`."""

    def walk(value: Any, change: TextChange) -> Any:
        return text(value, change) if isinstance(value, str) else inner(value, change)

    return walk


def kinds(table: Mapping[str, Walk], other: Walk) -> Walk:
    """An object by its `type`."""

    def walk(value: Any, change: TextChange) -> Any:
        kind = value.get("type") if isinstance(value, dict) else None
        return (table.get(kind, other) if isinstance(kind, str) else other)(value, change)

    return walk


# --- values of any shape ----------------------------------------------------------------------------------------------


def anything(value: Any, change: TextChange) -> Any:
    """Every string value at any depth but types, ids and what is no text (`encrypted_content`, base64 data)."""
    return _anything(value, change, 0)


def _anything(value: Any, change: TextChange, depth: int) -> Any:
    if isinstance(value, str):
        return value if value.startswith("data:") else text(value, change)
    if depth > _DEEPEST:
        return _deep(value, change)
    if isinstance(value, list):
        return _rebuilt_list(value, [_anything(item, change, depth + 1) for item in value])
    if isinstance(value, dict) and value.get("type") != "base64":
        return _rebuilt(
            value,
            {
                name: item if name in _UNREAD or name.endswith("_id") else _anything(item, change, depth + 1)
                for name, item in value.items()
            },
        )
    return value


def arguments(value: Any, change: TextChange) -> Any:
    r"""Arguments of a tool call: an object (each name, string and number), or JSON text.

    JSON text without escapes is one string as it stands; with escapes its decoded names, strings and numbers count,
    so that nothing hides behind `\u0073`, and it is encoded anew only if one of them changed.
    """
    if not isinstance(value, str):
        return _spelled(value, change, 0)
    if "\\" not in value:
        return text(value, change)
    try:
        decoded = msgspec.json.decode(value)
    except (ValueError, RecursionError):
        return text(value, change)
    new = _spelled(decoded, change, 0)
    return value if new is decoded else msgspec.json.encode(new).decode()


def _spelled(value: Any, change: TextChange, depth: int) -> Any:
    if isinstance(value, str):
        return text(value, change)
    if isinstance(value, int | float) and not isinstance(value, bool):
        spelled = repr(value)
        new = text(spelled, change)
        return value if new == spelled else new
    if depth > _DEEPEST:
        return _deep(value, change)
    if isinstance(value, list):
        return _rebuilt_list(value, [_spelled(item, change, depth + 1) for item in value])
    if isinstance(value, dict):
        pairs = [(text(name, change), _spelled(item, change, depth + 1)) for name, item in value.items()]
        return _rebuilt(value, _unique(pairs))
    return value


def schema(value: Any, change: TextChange) -> Any:
    """A JSON Schema: every string and name in it but the words of JSON Schema itself."""
    return _schema(value, change, 0, naming=False)


def _schema(value: Any, change: TextChange, depth: int, *, naming: bool) -> Any:
    if isinstance(value, str):
        return text(value, change)
    if depth > _DEEPEST:
        return _deep(value, change)
    if isinstance(value, list):
        return _rebuilt_list(value, [_schema(item, change, depth + 1, naming=False) for item in value])
    if not isinstance(value, dict):
        return value
    pairs = []
    for name, item in value.items():
        if not naming and name == "type" and _is_type(item):
            pairs.append((name, item))
            continue
        new = name if not naming and name in _KEYWORDS else text(name, change)
        pairs.append((new, _schema(item, change, depth + 1, naming=not naming and name in _NAMING)))
    return _rebuilt(value, _unique(pairs))


def _is_type(value: Any) -> bool:
    names = value if isinstance(value, list) else [value]
    return all(isinstance(name, str) and name in _TYPE_NAMES for name in names)


def _deep(value: Any, change: TextChange) -> Any:
    """A subtree too deep to take apart: all its strings and names as one text, which replaces it when changed."""
    found: list[str] = []
    stack = [value]
    while stack:
        top = stack.pop()
        if isinstance(top, str):
            found.append(top)
        elif isinstance(top, list):
            stack.extend(reversed(top))
        elif isinstance(top, dict):
            for name, item in reversed(top.items()):
                stack.extend((item, name))
    whole = "\n".join(found)
    new = text(whole, change)
    return value if new == whole else new


def _rebuilt(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    if len(old) == len(new) and all(name in new and new[name] is item for name, item in old.items()):
        return old
    return new


def _rebuilt_list(old: list[Any], new: list[Any]) -> list[Any]:
    return new if any(a is not b for a, b in zip(new, old, strict=True)) else old


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of pairs; names that a change made equal are kept apart."""
    made: dict[str, Any] = {}
    for name, item in pairs:
        free = name
        while free in made:
            free += "_"
        made[free] = item
    return made
