"""The functions that rules add to JMESPath's own; same names and meanings as the operators. Must not know rules."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from typing import Any

from engine.catalogue import Example
from engine.language.functions import UNKNOWN, Function
from engine.language.globs import glob
from engine.language.patterns import built_in, group
from engine.language.regex import regex
from engine.language.regex_syntax import RegexError
from engine.language.values import EvaluationError, membership, percent_of, utf8


class Lower(Function, name="lower", takes="text: string", returns="string"):
    """The text in lower case."""

    examples = [
        Example("a name", "lower('GPT-4o')", then="gpt-4o"),
        Example("null stays null", "lower(t)", {}, acts=False),
    ]
    call = staticmethod(str.lower)


class Upper(Function, name="upper", takes="text: string", returns="string"):
    """The text in upper case."""

    examples = [Example("a name", "upper('eu')", then="EU"), Example("null stays null", "upper(t)", {}, acts=False)]
    call = staticmethod(str.upper)


class Trim(Function, name="trim", takes="text: string", returns="string"):
    """The text without white space at both ends."""

    examples = [Example("spaces", "trim('  a b ')", then="a b"), Example("null stays null", "trim(t)", {}, acts=False)]
    call = staticmethod(str.strip)


class Split(Function, name="split", takes="text: string, separator: string", returns="array"):
    """The parts of a text between separators; an empty separator gives the code points."""

    examples = [
        Example("by a comma", "split('a,b', ',')", then=["a", "b"]),
        Example("by nothing", "split('ab', '')", then=["a", "b"]),
        Example("null stays null", "split(t, ',')", {}, acts=False),
    ]

    @staticmethod
    def call(text: str, separator: str) -> list[str]:
        return text.split(separator) if separator else list(text)


class Replace(Function, name="replace", takes="text: string, old: string, new: string", returns="string"):
    """The text with each occurrence of `old` replaced; an empty `old` replaces nothing."""

    examples = [
        Example("a word", "replace('a-b', '-', '_')", then="a_b"),
        Example("nothing to find", "replace('ab', '', '_')", then="ab"),
        Example("null stays null", "replace(t, 'a', 'b')", {}, acts=False),
    ]

    @staticmethod
    def call(text: str, old: str, new: str) -> str:
        return text.replace(old, new) if old else text


class Matches(Function, name="matches", takes="text: string, pattern: string", returns="boolean"):
    """True when the regular expression (RE2), or the pattern of that name, is found in the text."""

    examples = [
        Example("a number plate", "matches(t, '[A-Z]{2}-[0-9]+')", {"t": "see AB-12"}, True),
        Example("null stays null", "matches(t, 'a')", {}, acts=False),
    ]

    @staticmethod
    def call(text: str, pattern: str) -> bool:
        try:
            return regex(pattern).search(text)
        except RegexError as error:
            raise EvaluationError(f"matches(): {error}", "invalid-value") from error

    @classmethod
    def prepare(cls, arguments: Sequence[Any], names: Mapping[str, Mapping[str, Any]]) -> Callable[..., Any]:
        source = arguments[1]
        if not isinstance(source, str):
            return cls.call
        searches = [pattern.search for pattern in _patterns(source, names.get("pattern", {}))]
        if len(searches) == 1:
            search = searches[0]
            return lambda text, _: search(text)
        return lambda text, _: any(search(text) for search in searches)


def _patterns(text: str, named: Mapping[str, Any]) -> list[Any]:
    """What `matches` searches for: a pattern of the rules, a built-in one or a group of them, else RE2."""
    if text in named:
        return [named[text]]
    if text.startswith(("pii.", "secret.")):
        return group(text[:-1]) if text.endswith(".*") else [built_in(text)]
    return [regex(text)]


class Glob(Function, name="glob", takes="text: string, pattern: string", returns="boolean"):
    """True when the pattern covers the whole text: `*` is any characters, `?` one code point."""

    examples = [
        Example("a family of models", "glob('gpt-4o-mini', 'gpt-4*')", then=True),
        Example("the whole text, not a part", "glob('my-gpt-4', 'gpt-*')", then=False),
        Example("null stays null", "glob(t, '*')", {}, acts=False),
    ]

    @staticmethod
    def call(text: str, pattern: str) -> bool:
        return glob(pattern)(text)

    @classmethod
    def prepare(cls, arguments: Sequence[Any], names: Mapping[str, Mapping[str, Any]]) -> Callable[..., Any]:
        if not isinstance(arguments[1], str):
            return cls.call
        covers = glob(arguments[1])
        return lambda text, _: covers(text)


class ParseJson(Function, name="parse_json", takes="text: string", returns="any"):
    """The value of a JSON text; null when it is none."""

    examples = [
        Example("an object", "parse_json(t).a", {"t": '{"a": 1}'}, 1),
        Example("no JSON", "parse_json('{')", acts=False),
    ]

    @staticmethod
    def call(text: str) -> Any:
        try:
            return json.loads(text, parse_constant=_no_json)
        except (ValueError, RecursionError):
            return None


def _no_json(word: str) -> None:
    raise ValueError(f"{word} is no JSON")


class Sha256(Function, name="sha256", takes="text: string", returns="string"):
    """The SHA-256 of a text's UTF-8, in hexadecimal."""

    examples = [
        Example("a short text", "sha256('a')", then="ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"),
        Example("null stays null", "sha256(t)", {}, acts=False),
    ]

    @staticmethod
    def call(text: str) -> str:
        return sha256(utf8(text)).hexdigest()


class InList(Function, name="in_list", takes="value: any, list: string", returns="boolean"):
    """True when the value is in the list of that name; the name is a text in quotes, looked up at load."""

    examples = [
        Example("in it", "in_list('alice', 'vip')", then=True),
        Example("null is in no list", "in_list(n, 'vip')", {}, False, acts=False),
    ]

    @staticmethod
    def call(value: Any, list: str) -> bool:
        raise EvaluationError("in_list(): the name of the list is not known at load", "invalid-value")

    @classmethod
    def prepare(cls, arguments: Sequence[Any], names: Mapping[str, Mapping[str, Any]]) -> Callable[..., Any]:
        listed = names.get("list", {}).get(arguments[1]) if arguments[1] is not UNKNOWN else None
        if listed is None:
            return cls.call
        is_member = membership(listed)
        return lambda value, _: is_member(value)


class TextOf(Function, name="text_of", takes="content: string|array", returns="string"):
    """The text of a message's content, be it a text or a list of parts; parts are joined with a newline."""

    examples = [
        Example("parts", "text_of(c)", {"c": [{"type": "text", "text": "a"}, {"type": "image_url"}, "b"]}, "a\nb"),
        Example("null stays null", "text_of(c)", {}, acts=False),
    ]

    @staticmethod
    def call(content: Any) -> str:
        if isinstance(content, str):
            return content
        found = [part.get("text") if isinstance(part, dict) else part for part in content]
        return "\n".join(text for text in found if isinstance(text, str))


class ApproxTokens(Function, name="approx_tokens", takes="text: string", returns="number"):
    """About how many tokens a text has: its bytes in UTF-8 divided by 4, rounded up."""

    examples = [
        Example("nine letters", "approx_tokens('ninechars')", then=3),
        Example("no text", "approx_tokens('')", then=0, acts=False),
    ]

    @staticmethod
    def call(text: str) -> int:
        return (len(utf8(text)) + 3) // 4


class PercentOf(Function, name="percent_of", takes="value: any", returns="number"):
    """A number in 0 ≤ n < 100 that is always the same for the same value: for splitting traffic by a name."""

    examples = [
        Example("of a name", "percent_of('alice') < `100`", then=True),
        Example("null counts as the empty text", "percent_of(n) == percent_of('')", {}, True, acts=False),
    ]
    call = staticmethod(percent_of)


class Now(Function, name="now", takes="", returns="string", means="$.time.now"):
    """The time of the exchange as RFC 3339, the same as `time.now`."""

    examples = [
        Example("the year", "starts_with(now(), '20')", then=True),
        Example("always there", "now() == `null`", then=False, acts=False),
    ]

    @staticmethod
    def call() -> str:
        raise EvaluationError("now(): there is no exchange to tell the time of", "invalid-value")
