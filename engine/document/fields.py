"""The fields that bodies are known to have, for the static checks. Must not know expressions or rules.

They come from the types of the official client packages (`field_tables.json`, made by `engine.tools.field_tables`)
and from `engine.document.fields_added`. The tables are loaded when the first body is asked about.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, NamedTuple

import msgspec

from engine.document import fields_added as added

Side = Literal["request", "response", "stream", "log"]
"""What a body is: the request; the answer; while it streams, when the pieces count too; when it may be an error."""

_TABLES = Path(__file__).with_name("field_tables.json")
_ROOTS = {"request": ("request",), "response": ("response",), "stream": ("response", "chunk"), "log": ("response",)}
_KINDS = frozenset({"string", "number", "boolean", "object"})
_FORMS = frozenset({"audio_transcription", "image_generation"})
"""Call types whose requests may be forms, in which every field is text, or several, whatever it stands for. A field
that JSON bodies have too is checked as theirs: what an author writes for both is JSON."""


class _Tables(NamedTuple):
    """The tables with names resolved: a name of an object has become the object, which may contain itself."""

    objects: dict[str, dict[str, Any]]
    roots: dict[str, dict[str, Any]]


@lru_cache(maxsize=256)
def members(call_types: frozenset[str], side: Side) -> dict[str, Any] | None:
    """The fields of a body that any of these call types may have, in the words of `Root.shape`; None: open.

    A mapping has the members that are known (`*`: any other name), a one-element list the shape of its elements, a
    tuple the shapes that a value may have, a set the texts it may be. A field that no call type of the rule has is a
    likely mistake, no certain one: APIs grow. The result is the same object for the same arguments.
    """
    bodies = [body for call_type in sorted(call_types - _FORMS) for body in _bodies(call_type, side)]
    forms = [body for call_type in sorted(call_types & _FORMS) for body in _bodies(call_type, side)]
    if not bodies and not forms:
        return None
    if side != "request":
        return together([*bodies, *forms, *([added.ERROR] if side == "log" else [])])
    found = together([*bodies, *forms])
    only = together(forms).keys() - together(bodies).keys()
    found.update((name, either([found[name], "string", [None]])) for name in only)
    for call_type in call_types:
        for name, words in added.vendors(call_type).items():
            found.setdefault(name, words)
    return found


@lru_cache(maxsize=256)
def described(call_types: frozenset[str], side: Side) -> frozenset[str]:
    """The names of the fields that the APIs themselves have, without what servers and routers add."""
    return frozenset(name for call_type in call_types for body in _bodies(call_type, side) for name in body)


def owners(name: str, side: Side) -> list[str]:
    """The call types of whose API a field of that name is, in alphabetical order."""
    types = sorted(_tables().roots[_ROOTS[side][0]])
    return [one for one in types if name in described(frozenset({one}), side)]


def together(bodies: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """The members of a value that is one of several objects."""
    every = list(bodies)
    names = dict.fromkeys(name for body in every for name in body)
    return {
        name: either([body.get(name, body.get("*")) for body in every if name in body or "*" in body]) for name in names
    }


def either(choices: Iterable[Any]) -> Any:
    """The words for a value that is one of several; None when it may be anything."""
    found: list[Any] = []
    values: frozenset[str] = frozenset()
    for choice in _flat(choices):
        if choice is None:
            return None
        if isinstance(choice, frozenset):
            values |= choice
        elif not any(choice is one or (isinstance(choice, str) and choice == one) for one in found):
            found.append(choice)  # objects are compared by identity: they may contain themselves
    if values and "string" not in found:
        found.append(values)
    return found[0] if len(found) == 1 else tuple(found)


def _flat(choices: Iterable[Any]) -> Iterable[Any]:
    for choice in choices:
        if isinstance(choice, tuple):
            yield from _flat(choice)
        else:
            yield choice


# --- reading the tables -----------------------------------------------------------------------------------------------


def _bodies(call_type: str, side: Side) -> list[Mapping[str, Any]]:
    """The objects that a body of one call type may be."""
    roots = _tables().roots
    found = [body for root in _ROOTS[side] for body in _flat([roots[root].get(call_type, ())])]
    if side != "request":
        return found
    known = {name for body in found for name in body}
    return [*found, added.OWN, {name: None for name in added.LOOSE - known if name in added.vendors(call_type)}]


@lru_cache(maxsize=1)
def _tables() -> _Tables:
    raw = msgspec.json.decode(_TABLES.read_bytes())
    described: dict[str, Any] = raw["objects"]
    objects: dict[str, dict[str, Any]] = {name: {} for name in described}
    for name, found in described.items():
        objects[name].update((member, _words(words, objects)) for member, words in found.items())
    for name, extra in added.MEMBERS.items():
        objects[name].update(extra)
    roots = {
        root: {call_type: _words(words, objects) for call_type, words in raw[root].items()}
        for root in ("request", "response", "chunk")
    }
    roots["request"]["rerank"], roots["response"]["rerank"] = added.RERANK, added.RERANKED
    return _Tables(objects, roots)


def _words(words: Any, objects: Mapping[str, dict[str, Any]]) -> Any:
    """Words as they are in memory, from those of the file."""
    if isinstance(words, str):
        if words in _KINDS:
            return words
        return None if words == "any" else added.FILE if words == "file" else objects[words]
    if isinstance(words, list):
        return [_words(words[0], objects)]
    if "values" in words:
        return frozenset(words["values"])
    return tuple(_words(choice, objects) for choice in words["any_of"])
