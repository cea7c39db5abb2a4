"""What a rule wrote: the parts of an exchange that rules can write, and where two moments of them differ.

Must not know rules, or how changes are shown.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from engine.document.exchange import Exchange
from engine.options import MISSING

_BARE = re.compile(r"[^\W\d][\w-]*\Z")


@dataclass(frozen=True, slots=True)
class Change:
    """One place that was written. `before` or `after` is MISSING where there was, or is, nothing.

    `path` begins with `request`, `response`, `tags` or `vars`, or with `header to upstream` or `header to client`.
    """

    path: str
    before: Any
    after: Any


State = dict[str, Any]


def state_of(x: Exchange) -> State:
    """Everything of an exchange that rules can write. Bodies are values, so keeping the reference is enough."""
    answered = x.response["headers"] if x.response is not None else {}
    return {
        "request": x.request,
        "response": x.response,
        "header to upstream": _edited(x.headers, x.to_upstream),
        "header to client": _edited(answered, x.to_client),
        "tags": list(x.tags),
        "vars": dict(x.vars),
    }


def changes(before: State, after: State) -> list[Change]:
    """Every place in which the two differ, each as deep as it can be named."""
    found: list[Change] = []
    for root, value in after.items():
        if root.startswith("header"):
            found += [
                Change(f"{root} {name}", before[root].get(name, MISSING), value.get(name, MISSING))
                for name in {**before[root], **value}
                if before[root].get(name) != value.get(name)
            ]
        else:
            found += _different(root, before[root], value)
    return found


def _edited(headers: dict[str, str], edits: dict[str, str | None]) -> dict[str, str]:
    """Headers as rules have left them; an edit to None takes one away."""
    return {name: value for name, value in {**headers, **edits}.items() if value is not None}


def _different(path: str, before: Any, after: Any) -> Iterator[Change]:
    if before is after:
        return
    if type(before) is dict and type(after) is dict:
        for name in {**before, **after}:
            yield from _different(_member(path, name), before.get(name, MISSING), after.get(name, MISSING))
    elif type(before) is list and type(after) is list:
        yield from _in_list(path, before, after)
    elif type(before) is not type(after) or before != after:
        yield Change(path, before, after)


def _in_list(path: str, before: list[Any], after: list[Any]) -> Iterator[Change]:
    """Elements put in or taken out are told as such, so that one new message is one change and not all of them."""
    head = _equal_ends(before, after)
    tail = _equal_ends(before[head:][::-1], after[head:][::-1])
    old, new = before[head : len(before) - tail], after[head : len(after) - tail]
    for number in range(max(len(old), len(new))):
        one = old[number] if number < len(old) else MISSING
        other = new[number] if number < len(new) else MISSING
        yield from _different(f"{path}[{head + number}]", one, other)


def _equal_ends(one: list[Any], other: list[Any]) -> int:
    """How many elements from the start are the same."""
    for number, (a, b) in enumerate(zip(one, other, strict=False)):
        if a is not b and (type(a) is not type(b) or a != b):
            return number
    return min(len(one), len(other))


def _member(path: str, name: str) -> str:
    return f"{path}.{name if _BARE.match(name) else json.dumps(name, ensure_ascii=False)}"
