"""The syntax of regular expressions, as far as authors must be told what RE2 lacks and how long a match can be.

Reads patterns only; must not know what they are matched against.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass

MAX_REPEAT = 1000  # RE2's own limit

_TOKEN = re.compile(
    r"""(?P<quoted>\\Q(?s:.*?)(?:\\E|\Z))
      | (?P<escape>\\(?:[pP](?:\{[^}]*\}|.)|x\{[^}]*\}|x[0-9A-Fa-f]{2}|u[0-9A-Fa-f]{4}|[0-7]{2,3}|k<[^>]*>|(?s:.)))
      | (?P<class>\[\^?\]?(?:\[:\^?[a-z]*:\]|\\(?s:.)|[^\]\\])*\])
      | (?P<flags>\(\?[A-Za-z]*-?[A-Za-z]*\))
      | (?P<open>\((?:\?(?:P?<[^>=!][^>]*>|[A-Za-z]*-?[A-Za-z]*:|P=|P>|<=|<!|P|.)?)?)
      | (?P<close>\))
      | (?P<repeat>(?:[*+?]|\{[0-9]+(?:,[0-9]*)?\})\??)
      | (?P<bar>\|)
      | (?P<edge>[\^$])
      | (?P<one>(?s:.))""",
    re.VERBOSE,
)
_GROUP_NAME = re.compile(r"\(\?P?<([^>]*)>\Z")

_TWO_CONDITIONS = "write two conditions, one with `matches` and one inside `not:`"
_GROUPS: dict[str, tuple[str, str]] = {
    "(?=": ("look-ahead `(?=…)`", "match the following text too, or write two conditions under `all:`"),
    "(?!": ("negative look-ahead `(?!…)`", _TWO_CONDITIONS),
    "(?<=": ("look-behind `(?<=…)`", "match the preceding text too, or write two conditions under `all:`"),
    "(?<!": ("negative look-behind `(?<!…)`", _TWO_CONDITIONS),
    "(?>": ("atomic group `(?>…)`", "write `(?:…)`: RE2 never backtracks"),
    "(?#": ("comment `(?#…)`", "write a YAML comment beside the pattern"),
    "(?(": ("conditional group `(?(…)`", "write the cases with `|`"),
    "(?P=": (
        "back-reference `(?P=…)`",
        "RE2 cannot compare one part of the text with another; write the alternatives out",
    ),
    "(?P>": ("recursion `(?P>…)`", "write the levels out"),
    "(?&": ("recursion `(?&…)`", "write the levels out"),
    "(?R": ("recursion `(?R)`", "write the levels out"),
}
_ESCAPES: dict[str, tuple[str, str]] = {
    "Z": ("`\\Z`", "the end of the text is `\\z`"),
    "h": ("`\\h`", "write `[ \\t]`"),
    "R": ("`\\R`", "write `\\r?\\n`"),
    "X": ("`\\X`", "one code point is `.`"),
    "C": ("`\\C`", "one code point is `.`; text is never matched by the byte"),
    "G": ("`\\G`", "the start of the text is `\\A`"),
    "K": ("`\\K`", "`redact` replaces the whole match; narrow the pattern"),
    "N": ("`\\N`", "any character but a line end is `.`"),
    "e": ("`\\e`", "write `\\x1b`"),
    "k": ("back-reference `\\k`", "RE2 cannot compare one part of the text with another; write the alternatives out"),
    "g": ("back-reference `\\g`", "RE2 cannot compare one part of the text with another; write the alternatives out"),
}


class RegexError(Exception):
    """A pattern that cannot be used; `help` says what to write, `start` and `end` bound the part at fault."""

    def __init__(self, message: str, help: str, start: int, end: int) -> None:
        super().__init__(message)
        self.message = message
        self.help = help
        self.start = start
        self.end = end


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of a pattern: its sort (a group name of the scanner), its text and where it stands."""

    sort: str
    text: str
    start: int

    @property
    def end(self) -> int:
        return self.start + len(self.text)


def tokens(source: str) -> Iterator[Token]:
    """The pieces of a pattern in order; every character belongs to exactly one."""
    for match in _TOKEN.finditer(source):
        yield Token(match.lastgroup or "one", match[0], match.start())


def refuse_unsupported(source: str) -> None:
    """Raise RegexError for what other engines have and RE2 has not, and for a group name used twice."""
    names: set[str] = set()
    before: Token | None = None
    for token in tokens(source):
        if token.sort in ("open", "flags"):
            _check_group(token, names)
        elif token.sort == "escape":
            _check_escape(token.text, token.start)
        elif token.sort == "class":
            for escape in re.finditer(r"\\(?s:u[0-9A-Fa-f]{4}|.)", token.text):
                _check_escape(escape[0], token.start + escape.start())
        elif token.sort == "repeat":
            _check_repeat(token, before)
        before = token


def _check_group(token: Token, names: set[str]) -> None:
    for opening, (what, instead) in _GROUPS.items():
        if token.text.startswith(opening):
            raise RegexError(f"RE2 has no {what}", instead, token.start, token.end)
    flags = re.match(r"\(\?([A-Za-z-]+)[:)]\Z", token.text)
    odd = set(flags[1]) - set("imsU-") if flags else set()
    if odd:
        instead = "write the pattern without spaces and comments" if "x" in odd else "flags are `i`, `m`, `s` and `U`"
        raise RegexError(f"RE2 has no flag `{min(odd)}`", instead, token.start, token.end)
    name = _GROUP_NAME.match(token.text)
    if name:
        if name[1] in names:
            raise RegexError(
                f"two groups are named `{name[1]}`", "give each group its own name", token.start, token.end
            )
        names.add(name[1])


def _check_escape(text: str, start: int) -> None:
    letter = text[1:2]
    if letter in "123456789" and letter:
        raise RegexError(
            f"RE2 has no back-references (`{text}`)",
            "RE2 cannot compare one part of the text with another; write the alternatives out",
            start,
            start + len(text),
        )
    if letter == "u":
        code = text[2:] if len(text) == 6 else "2026"
        raise RegexError(f"RE2 has no `{text}`", f"write `\\x{{{code}}}`", start, start + len(text))
    if letter in _ESCAPES:
        what, instead = _ESCAPES[letter]
        raise RegexError(f"RE2 has no {what}", instead, start, start + len(text))


def _check_repeat(token: Token, before: Token | None) -> None:
    if before is not None and before.sort == "repeat" and token.text[0] == "+":
        raise RegexError(
            f"RE2 has no possessive repetition (`{before.text}+`)",
            f"write `{before.text}`: RE2 never backtracks",
            before.start,
            token.end,
        )
    if before is not None and before.sort == "repeat":
        raise RegexError(
            f"a repetition of a repetition: `{before.text}{token.text}`",
            "put the inner one into a group: `(?:…)`",
            before.start,
            token.end,
        )
    if before is None or before.sort in ("open", "bar", "flags"):
        raise RegexError(
            f"`{token.text}` repeats nothing",
            f"the character itself is written `\\{token.text[0]}`",
            token.start,
            token.end,
        )
    low, high = repeat_bounds(token.text)
    largest = low if high == math.inf else high
    if largest > MAX_REPEAT:
        raise RegexError(
            f"a repetition of more than {MAX_REPEAT} is too large: `{token.text}`",
            f"write at most {{{MAX_REPEAT}}}, or `*`",
            token.start,
            token.end,
        )


def repeat_bounds(text: str) -> tuple[float, float]:
    """How often a repetition repeats: least and most."""
    if text[0] != "{":
        return {"*": (0, math.inf), "+": (1, math.inf), "?": (0, 1)}[text[0]]
    low, comma, high = text.rstrip("?")[1:-1].partition(",")
    least = _number(low)
    return least, (_number(high) if high else math.inf) if comma else least


def _number(digits: str) -> float:
    return float(digits[:20])  # beyond that, any number is as much too large


def longest_match(source: str) -> float:
    """How many characters the longest match of a pattern has; infinity when its syntax does not bound it."""
    levels = [_Level()]
    for token in tokens(source):
        level = levels[-1]
        if token.sort == "open":
            levels.append(_Level())
        elif token.sort == "close" and len(levels) > 1:
            inner = levels.pop().longest()
            levels[-1].add(inner)
        elif token.sort == "bar":
            level.alternative()
        elif token.sort == "repeat":
            most = repeat_bounds(token.text)[1]
            level.atom = level.atom * most if level.atom and most else 0
        elif token.sort == "quoted":
            for _ in token.text.removeprefix("\\Q").removesuffix("\\E"):
                level.add(1)
        elif token.sort not in ("flags", "edge"):
            level.add(0 if token.text in ("\\b", "\\B", "\\A", "\\z") else 1)
    while len(levels) > 1:  # a group that is not closed: RE2 refuses the pattern
        inner = levels.pop().longest()
        levels[-1].add(inner)
    return levels[0].longest()


class _Level:
    """Lengths inside one group: the best alternative, the sequence at hand, its last element."""

    __slots__ = ("atom", "best", "sequence")

    def __init__(self) -> None:
        self.best: float = 0
        self.sequence: float = 0
        self.atom: float = 0

    def add(self, length: float) -> None:
        self.sequence += self.atom
        self.atom = length

    def alternative(self) -> None:
        self.best = self.longest()
        self.sequence = self.atom = 0

    def longest(self) -> float:
        return max(self.best, self.sequence + self.atom)
