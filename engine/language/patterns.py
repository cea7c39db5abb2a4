"""Patterns: what a text is searched for, by name or as RE2.

A name of the `patterns:` section wins, then the built-in `pii.*` and `secret.*`, else the text is RE2. Must not know
who searches.
"""

from __future__ import annotations

import math
import re
from difflib import get_close_matches
from typing import Any, cast

from engine.catalogue import BAD, CATALOGUE, Scope
from engine.errors import did_you_mean
from engine.language.folding import fold, ignoring_case
from engine.language.operators import Change
from engine.language.patterns_builtin import BuiltIn
from engine.language.regex import Accept, Regex, Span, folded_source, regex
from engine.language.regex_syntax import RegexError
from engine.options import found, from_environment
from engine.source import Node, Scalar, Sequence

DEFAULT_SPAN = 256
INLINE = "redacted"  # the name of a pattern that has none
RESERVED = ("pii.", "secret.")
_NAME = re.compile(r"[A-Za-z][\w.-]*\Z")
_SLASHES = re.compile(r"/((?:[^/\\]|\\.)+)/((?:([dgimsuvy])(?!.*\3))+)", re.DOTALL)
"""A pattern as other languages write it, with flags behind: text between slashes alone may well be a path."""


class Pattern:
    """Something to find in text.

    `name`: of the section or the catalogue, `redacted` for inline RE2. `source`: the RE2. `max_span`: characters in
    its longest match, where the syntax bounds it. `search` and `spans` count a match only after its checksum,
    `accept`; `tail` is RE2 for what may follow a match while `accept` cannot tell yet.
    """

    __slots__ = ("accept", "max_span", "name", "regex", "source", "tail")

    def __init__(
        self, name: str, compiled: Regex, accept: Accept | None = None, max_span: int = 0, tail: str = ""
    ) -> None:
        self.name = name
        self.source = compiled.source
        self.regex = compiled
        self.accept = accept
        self.tail = tail
        bounded = max(1, int(compiled.longest)) if compiled.longest < math.inf else DEFAULT_SPAN
        self.max_span = max_span or bounded

    def search(self, text: str) -> bool:
        """True when the text has it; never raises."""
        return self.regex.search(text) if self.accept is None else self.regex.finds(text, self.accept)

    def spans(self, text: str) -> list[Span]:
        """Where the text has it: start and end in characters, from the left, not overlapping, none empty."""
        return self.regex.spans(text, self.accept)

    def changed(self, change: Change | None) -> Pattern:
        """The pattern for text that was put through `fold` or `ignoring_case`."""
        if change is None:
            return self
        source = folded_source(self.source) if change is fold else self.source
        return Pattern(self.name, regex(source, ignore_case=True), self.accept, self.max_span, self.tail)

    @property
    def checked(self) -> bool:
        """True when a match must also pass a checksum; then RE2 alone cannot decide."""
        return self.accept is not None

    def __repr__(self) -> str:
        return f"<Pattern {self.name}>"


class PatternRef:
    """Option type: one pattern, by name or as RE2."""

    @classmethod
    def schema(cls) -> dict[str, Any]:
        return {"type": "string", "minLength": 1}

    @classmethod
    def read(cls, node: Node, scope: Scope) -> Any:
        """A Pattern, or BAD after noting why not."""
        patterns = PatternNames.read(node, scope)
        if patterns is not BAD and len(patterns) > 1:
            scope.problem(
                "wrong-type",
                f"`{node.plain()}` names {len(patterns)} patterns, expected one",
                node.span,
                help="name one of them: " + ", ".join(pattern.name for pattern in patterns),
            )
            return BAD
        return patterns if patterns is BAD else patterns[0]


class PatternNames(list[Pattern]):
    """Option type: one pattern, by name or as RE2, or a group of built-in ones; read as a list."""

    @classmethod
    def schema(cls) -> dict[str, Any]:
        return {"type": "string", "minLength": 1}

    @classmethod
    def read(cls, node: Node, scope: Scope) -> Any:
        """A list of patterns, or BAD after noting why not."""
        text = from_environment(node, scope)
        if text is BAD:
            return BAD
        if not isinstance(text, str) or not isinstance(node, Scalar):
            cure = "several are written with `matches_any`" if isinstance(node, Sequence) else "put it in quotes"
            scope.problem("wrong-type", f"expected RE2 or the name of a pattern, found {found(node)}", node.span, cure)
            return BAD
        if text in scope.tables.get("pattern", {}):
            return [scope.find("pattern", text, node.span)]
        if text.startswith(RESERVED):
            return _built_in(text, node, scope)
        _hint_name(text, node, scope)
        pattern = compiled(INLINE, node, text, scope)
        return BAD if pattern is BAD else [pattern]


class PatternList(list[Pattern]):
    """Option type: patterns, by name, as RE2 or by group; one alone needs no brackets. Read as a flat list."""

    @classmethod
    def schema(cls) -> dict[str, Any]:
        one = PatternNames.schema()
        return {"anyOf": [one, {"type": "array", "items": one, "minItems": 1}]}

    @classmethod
    def read(cls, node: Node, scope: Scope) -> Any:
        """A list of patterns, or BAD after noting what is wrong with each."""
        items = node.items if isinstance(node, Sequence) else [node]
        if not items:
            scope.problem(
                "empty-list",
                "a list of patterns without a pattern matches nothing",
                node.span,
                help="name one, such as `secret.*`",
            )
            return BAD
        groups = [PatternNames.read(item, scope) for item in items]
        if any(group is BAD for group in groups):
            return BAD
        return list(dict.fromkeys(pattern for group in groups for pattern in group))


def read_named(key: Scalar, node: Node, scope: Scope) -> Any:
    """A Pattern of the `patterns:` section, or BAD after noting why not."""
    name = str(key.value)
    if name.startswith(RESERVED):
        scope.problem(
            "reserved-name",
            f"`{name}`: names that start with `pii.` or `secret.` are built in",
            key.span,
            help="choose another name",
        )
        return BAD
    text = from_environment(node, scope)
    if text is BAD:
        return BAD
    if not isinstance(text, str) or not isinstance(node, Scalar):
        scope.problem("wrong-type", f"expected RE2 as text, found {found(node)}", node.span)
        return BAD
    return compiled(name, node, text, scope)


def compiled(name: str, node: Scalar, text: str, scope: Scope) -> Any:
    """The Pattern of an RE2 text, or BAD after noting what RE2 refuses and where."""
    try:
        expression = regex(text)
    except RegexError as error:
        inside = text == node.value  # not so when it came from the environment
        scope.problem(
            "bad-pattern", error.message, node.inner(error.start, error.end) if inside else node.span, help=error.help
        )
        return BAD
    between = _SLASHES.fullmatch(text)
    if between:
        flags = "".join(flag for flag in "ims" if flag in between[2])
        cured = (f"(?{flags})" if flags else "") + between[1].replace("\\/", "/")
        scope.problem(
            "pattern-in-slashes",
            "slashes around a pattern, and letters behind them, are searched as they stand",
            node.span,
            help=f"write `{cured}`",
            severity="warning",
        )
    if expression.matches_empty:
        scope.problem(
            "empty-match",
            "this pattern matches the empty text, and so is found in every text",
            node.span,
            help="let it need at least one character: `+` instead of `*`",
            severity="warning",
        )
    return Pattern(name, expression)


def built_in(name: str) -> Pattern:
    """The built-in pattern of that name; KeyError when there is none."""
    entry = cast(type[BuiltIn], CATALOGUE["pattern"][name])
    if name not in _MADE:
        _MADE[name] = Pattern(name, regex(entry.source), entry.accept, entry.max_span, entry.tail)
    return _MADE[name]


_MADE: dict[str, Pattern] = {}  # compiled when first asked for; RE2 needs a while for some of them


def group(prefix: str) -> list[Pattern]:
    """All built-in patterns whose name starts so."""
    return [built_in(name) for name in CATALOGUE["pattern"] if name.startswith(prefix)]


def _built_in(text: str, node: Scalar, scope: Scope) -> Any:
    if text in CATALOGUE["pattern"]:
        return [built_in(text)]
    if text.endswith(".*") and text[:-1] in RESERVED:
        return group(text[:-1])
    scope.problem(
        "unknown-pattern",
        f"unknown pattern `{text}`",
        node.span,
        help=did_you_mean(text, [*CATALOGUE["pattern"], "pii.*", "secret.*"]),
    )
    return BAD


def _hint_name(text: str, node: Node, scope: Scope) -> None:
    known = [*scope.tables.get("pattern", {}), *CATALOGUE["pattern"]]
    near = get_close_matches(text, known, n=1, cutoff=0.8) if _NAME.match(text) else []
    if near:
        scope.problem(
            "maybe-pattern-name",
            f"`{text}` is no name of a pattern, so it is searched as it stands",
            node.span,
            help=f"did you mean the pattern `{near[0]}`?",
            severity="warning",
        )


__all__ = ["Pattern", "PatternList", "PatternNames", "PatternRef", "built_in", "group", "ignoring_case", "read_named"]
