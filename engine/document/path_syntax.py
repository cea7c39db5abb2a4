"""How paths are written: names, quoted names and indices. Must not know bodies."""

from __future__ import annotations

import json
import re

Key = str | int
_BARE = re.compile(r"[^\W\d][\w-]*")
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"')
_INDEX = re.compile(r"\[\s*(-?[0-9]{1,9})\s*\]")
EXAMPLES = 'write it like `metadata.team`, `messages[0].content` or `metadata."a.b"`'


class PathError(Exception):
    """A path that cannot be read, or a place that cannot be written: an error of the rule.

    `help` says what to write instead; `start` and `end` bound the part of the path's text that is at fault.
    """

    def __init__(self, message: str, help: str = "", start: int = 0, end: int = 0) -> None:
        super().__init__(message)
        self.message = message
        self.help = help
        self.start = start
        self.end = end


def keys_of(text: str) -> tuple[Key, ...]:
    """The names and indices that a path is written with; PathError with the place of the mistake."""
    keys: list[Key] = []
    at = 0
    while at < len(text) or not keys:
        if text.startswith("[", at):
            index = _INDEX.match(text, at)
            if index is None:
                raise _bad_bracket(text, at)
            if not keys:
                raise PathError("a path starts with the name of a field, not with an index", EXAMPLES, 0, index.end())
            keys.append(int(index[1]))
            at = index.end()
            continue
        if keys and text[at] != ".":
            raise PathError(f"expected `.` or `[` in a path, found `{text[at]}`", _advice(text, at), at, at + 1)
        name, at = _name(text, at + 1 if keys else at)
        keys.append(name)
    return tuple(keys)


def _name(text: str, at: int) -> tuple[str, int]:
    quoted = _QUOTED.match(text, at)
    if quoted:
        try:
            return json.loads(quoted[0]), quoted.end()
        except ValueError:
            raise PathError(f"{quoted[0]} is not a name in JSON's quotes", EXAMPLES, at, quoted.end()) from None
    bare = _BARE.match(text, at)
    if bare:
        return bare[0], bare.end()
    if at >= len(text):
        raise PathError("a path ends with a name or an index", EXAMPLES, max(at - 1, 0), at)
    digits = re.compile(r"[0-9]+").match(text, at)
    if digits:
        instead = f'an index is written `[{digits[0]}]`, a name in quotes: `."{digits[0]}"`'
        raise PathError(f"`{digits[0]}` is neither a name nor an index", instead, at, digits.end())
    raise PathError(f"expected the name of a field, found `{text[at]}`", _advice(text, at), at, at + 1)


def _advice(text: str, at: int) -> str:
    if text[at] == "'":
        return 'names are quoted with double quotes: `metadata."a.b"`'
    return f"a name with `{text[at]}` in it is written in double quotes; {EXAMPLES}"


def _bad_bracket(text: str, at: int) -> PathError:
    end = text.find("]", at) + 1 or len(text)
    inside = text[at + 1 : end].rstrip("]").strip()
    if inside.strip("'\"") != inside:
        instead = f'write `."{inside.strip(chr(39) + chr(34))}"`'
    elif inside in ("", "*") or ":" in inside or inside.startswith("?"):
        instead = "a path names one place; lists as a whole are set with a template"
    else:
        instead = "an index is a whole number: `messages[0]`, `messages[-1]`"
    return PathError(f"`{text[at:end]}` is not an index", instead, at, end)
