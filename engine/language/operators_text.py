"""Operators on text, some of which also take lists. Must not know conditions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from engine.catalogue import Example
from engine.language.globs import glob
from engine.language.operators import Change, Check, Constant, Operator, Values
from engine.language.patterns import INLINE, Pattern, PatternList, PatternNames
from engine.language.regex import any_of
from engine.language.values import membership
from engine.options import option


class Contains(Operator, name="contains", textual=True, takes="string|array"):
    """The text has this text in it, or the list this value as an element."""

    value: Constant = option("The text or the element.", whole=True)

    examples: ClassVar = [
        Example("a part of a text", "contains: pass", "my password", True),
        Example("an element of a list", "contains: image", ["text", "image"], True),
        Example("not in the list as a whole element", "contains: ima", ["image"], False, acts=False),
        Example("nothing there", "contains: pass", None, False, acts=False),
    ]

    def compile(self) -> Check:
        return _containing([self.value], self.change)


class ContainsAny(Operator, name="contains_any", textual=True, takes="string|array"):
    """The text has one of these texts in it, or the list one of these values as an element."""

    value: Values = option("The texts or elements, or `{list: name}`.", whole=True)

    examples: ClassVar = [
        Example("one of the words", "contains_any: [key, secret]", "a secret", True),
        Example("an element of a list", "contains_any: [image, audio]", ["text", "audio"], True),
        Example("none of the words", "contains_any: [key, secret]", "nothing", False, acts=False),
    ]

    def compile(self) -> Check:
        return _containing(self.value, self.change)


class StartsWith(Operator, name="starts_with", textual=True, takes="string"):
    """The text starts with this text."""

    value: str = option("The start.", whole=True)

    examples: ClassVar = [
        Example("it does", "starts_with: gpt-", "gpt-4o", True),
        Example("it has it elsewhere", "starts_with: gpt-", "my-gpt-4o", False, acts=False),
        Example("a number has no start", "starts_with: '4'", 4, False, acts=False),
    ]

    def compile(self) -> Check:
        start = self.same(self.value)
        return _on_text(lambda text: text.startswith(start), self.change)


class EndsWith(Operator, name="ends_with", textual=True, takes="string"):
    """The text ends with this text."""

    value: str = option("The end.", whole=True)

    examples: ClassVar = [
        Example("it does", "ends_with: -mini", "gpt-4o-mini", True),
        Example("it does not", "ends_with: -mini", "gpt-4o", False, acts=False),
        Example("nothing there", "ends_with: -mini", None, False, acts=False),
    ]

    def compile(self) -> Check:
        end = self.same(self.value)
        return _on_text(lambda text: text.endswith(end), self.change)


class Glob(Operator, name="glob", textual=True, takes="string"):
    """The whole text fits: `*` is any characters, `?` one code point."""

    value: str = option("The glob.", whole=True)

    examples: ClassVar = [
        Example("a family of models", "glob: gpt-4*", "gpt-4o-mini", True),
        Example("the whole text counts", "glob: gpt-?", "gpt-4o", False, acts=False),
        Example("a star covers line ends too", "glob: a*z", "a\nz", True),
    ]

    def compile(self) -> Check:
        return _on_text(glob(self.same(self.value)), self.change)


class _Matching(Operator):
    """What `matches` and `matches_any` share: patterns searched in a text."""

    def constant(self) -> Any:
        return [(pattern.name, pattern.source) for pattern in self.patterns()]

    def shown(self) -> Any:
        told = [pattern.source if pattern.name == INLINE else pattern.name for pattern in self.patterns()]
        return told[0] if len(told) == 1 else told

    def patterns(self) -> list[Pattern]:
        """The patterns as they are searched."""
        raise NotImplementedError

    def compile(self) -> Check:
        searches = [pattern.changed(self.change).search for pattern in self.patterns()]
        if len(searches) == 1:
            return _on_text(searches[0], self.change)
        return _on_text(lambda text: any(search(text) for search in searches), self.change)


class Matches(_Matching, name="matches", textual=True, takes="string"):
    """The pattern is found in the text: RE2, or the name of a pattern."""

    value: PatternNames = option("RE2, a name of `patterns:`, or a built-in pattern such as `secret.jwt`.", whole=True)

    examples: ClassVar = [
        Example("found anywhere", "matches: 'E-[0-9]{6}'", "I am E-123456.", True),
        Example("not found", "matches: 'E-[0-9]{6}'", "I am E-12.", False, acts=False),
        Example("a built-in pattern", "matches: pii.email", "write to ann@example.com", True),
    ]

    def patterns(self) -> list[Pattern]:
        return list(self.value)


class MatchesAny(_Matching, name="matches_any", textual=True, takes="string"):
    """One of the patterns is found in the text: RE2, names of patterns, groups of built-in ones."""

    value: PatternList = option("A list of RE2, names of patterns, or groups such as `secret.*`.", whole=True)

    examples: ClassVar = [
        Example("one is found", "matches_any: ['[0-9]{3}', secret.*]", "call 911", True),
        Example("none is found", "matches_any: ['[0-9]{3}', secret.*]", "call me", False, acts=False),
    ]

    def patterns(self) -> list[Pattern]:
        return list(self.value)


def _on_text(test: Callable[[str], bool], change: Change | None) -> Check:
    if change is None:
        return lambda value: isinstance(value, str) and test(value)
    return lambda value: isinstance(value, str) and test(change(value))


def _containing(values: list[Any], change: Change | None) -> Check:
    wanted = [change(value) if change and isinstance(value, str) else value for value in values]
    words = [value for value in wanted if isinstance(value, str)]
    among = membership(wanted)
    in_text = any_of(words)
    if change is None:
        return lambda value: (
            in_text(value) if isinstance(value, str) else isinstance(value, list) and any(map(among, value))
        )

    def contains(value: Any) -> bool:
        if isinstance(value, str):
            return in_text(change(value))
        return isinstance(value, list) and any(among(change(one) if isinstance(one, str) else one) for one in value)

    return contains
