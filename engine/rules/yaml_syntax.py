"""What the author most likely did where the YAML parser gave up, and what to write instead. Must not know rules."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import yaml

from engine.errors import Problem
from engine.source import Source, Span

_REFUSED = re.compile("[^\t\n\r -~\xa0-\u2027\u202a-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]|\r(?!\n)")
_ENTRY = re.compile(
    r"""(?P<before>\s*(?:-[ ]+)*)(?:(?P<key>"[^"]*"|'[^']*'|[^\s"'#][^:#]*?)[ ]*:(?:[ ]+|$))?(?P<value>.*)"""
)


def quoted(text: str) -> str:
    """Text as one would write it between quotes in YAML, in the way that needs the fewest escapes."""
    if "'" not in text:
        return f"'{text}'"
    if '"' not in text and "\\" not in text:
        return f'"{text}"'
    return "'" + text.replace("'", "''") + "'"


def refused_character(source: Source) -> Problem | None:
    """The first character that has no place in a rules file."""
    found = _REFUSED.search(source.text)
    if found is None:
        return None
    code = ord(found[0])
    name = f"U+{code:04X}"
    span = Span(source, found.start(), found.end())
    if 0xD800 <= code <= 0xDFFF:
        return Problem("bad-character", f"half of a surrogate pair ({name}) is no character", span, "take it out")
    if code in (0x85, 0x2028, 0x2029):
        return Problem("bad-character", f"{name} is an invisible line break that YAML readers take differently", span,
                       f'write an ordinary line break, or `"\\u{code:04x}"` in double quotes')
    if code == 13:
        return Problem("bad-character", "a carriage return without a line feed", span, "end lines with a line feed")
    return Problem("bad-character", f"the control character {name} cannot stand in a file", span,
                   f'take it out, or write `"\\x{code:02x}"` in double quotes' if code < 256 else "take it out")


def syntax_problem(source: Source, error: yaml.YAMLError, shift: int) -> Problem:
    """Where the parser gave up, as a problem with a cure. `shift`: characters before the text that the parser saw."""
    complaint = " ".join(str(part) for part in (getattr(error, "context", ""), getattr(error, "problem", "")) if part)
    mark, context = getattr(error, "problem_mark", None), getattr(error, "context_mark", None)
    end = len(source.text.rstrip())
    offset = min(mark.index + shift, end) if mark else 0
    spot = _Spot(source, offset, context.index + shift if context else offset, "}" if "'}'" in complaint else "]")
    diagnose = next((diagnose for words, diagnose in _DIAGNOSES if re.search(words, complaint)), None)
    finding = diagnose(spot) if diagnose else None
    if finding is None:
        finding = _Finding(complaint or "this is not YAML", spot.offset, spot.offset + 1, "")
    return Problem("yaml-syntax", finding.message, Span(source, finding.start, finding.end), finding.help)


@dataclass(frozen=True, slots=True)
class _Finding:
    message: str
    start: int
    end: int
    help: str


class _Spot:
    """The place where the parser gave up, its line, and where what it was reading had begun."""

    def __init__(self, source: Source, offset: int, context: int, bracket: str) -> None:
        self.source = source
        self.text = source.text
        self.offset = offset
        self.context = context
        self.bracket = bracket  # that would close the list or mapping at `context`
        self.number, column = source.position(offset)
        self.start = offset - column + 1
        self.line = source.line(self.number)
        self.above = [source.line(number) for number in range(max(1, self.number - 500), self.number)]
        entry = _ENTRY.match(self.line)
        self.key = entry["key"] if entry else None
        self.key_start = self.start + (entry.end("before") if entry else 0)
        self.colon = self.start + (entry.end("key") if entry and entry["key"] else 0)
        self.value = _uncommented(entry["value"]) if entry else ""
        self.value_start = self.start + (entry.start("value") if entry else 0)

    def cured(self, value: str) -> str:
        """What the line says with another value."""
        return f"`{self.key}: {value}`" if self.key else f"`{value}`"

    def char(self) -> str:
        return self.text[self.offset : self.offset + 1]

    def line_end(self, offset: int) -> int:
        found = self.text.find("\n", offset)
        return len(self.text.rstrip()) if found < 0 else found

    def indent(self, line: str) -> int:
        return len(line) - len(line.lstrip(" "))


def _uncommented(text: str) -> str:
    return re.split(r"\s#", text, maxsplit=1)[0].rstrip()


def _forbidden_start(spot: _Spot) -> _Finding | None:
    if spot.char() == "\t":
        return _tab(spot)
    return _needs_quotes(spot, spot.offset)


def _tab(spot: _Spot) -> _Finding:
    tab = spot.text.find("\t", spot.start)
    start = tab if 0 <= tab < spot.line_end(spot.start) else spot.offset
    return _Finding("a tab stands where YAML wants spaces", start, start + 1, "indent with spaces")


def _needs_quotes(spot: _Spot, offset: int | None = None) -> _Finding | None:
    start = spot.context if offset is None else offset
    before = spot.value[: max(start - spot.value_start, 0)]
    if before[:1] in ("[", "{") and sum(map(before.count, "[{")) == sum(map(before.count, "]}")):
        return _text_after_value(spot, start)
    if start == spot.value_start and spot.value:
        value, write = spot.value, spot.cured(quoted(spot.value))
    elif start == spot.key_start and spot.key:
        value, write = spot.key, f"`{quoted(spot.key)}: …`"
    else:
        rest = spot.text[start : spot.line_end(start)]
        value = re.split(r"[,\]}]|\s#", rest, maxsplit=1)[0].rstrip()
        write = f"`{quoted(value)}`"
    char = spot.text[start : start + 1]
    name = "a backtick" if char == "`" else f"`{char}`"
    what = "key" if start == spot.key_start and spot.key else "value"
    return _Finding(f"a {what} cannot start with {name} unless it is quoted", start, start + max(len(value), 1),
                    f"write {write}")


def _second_colon(spot: _Spot) -> _Finding:
    """A `: ` where no key can end: inside a value, or on a line that continues the value above."""
    if spot.key is None or spot.offset != spot.colon:
        help = f"put quotes around the value: {spot.cured(quoted(spot.value))}"
        if spot.value[:1] in ("", "{", "["):
            help = "put quotes around the value that has it"
        return _Finding("`: ` inside a value that is not quoted", spot.offset, spot.offset + 1, help)
    if spot.colon - spot.start > 1024:
        return _long_key(spot.start, spot.colon)
    before = next((line for line in reversed(spot.above) if line.strip()), "")
    entry = _ENTRY.match(before)
    start = spot.start + len(spot.line) - len(spot.line.lstrip())
    if entry and entry["key"]:
        return _Finding(f"this line is indented deeper than `{entry['key']}`, which already has a value", start,
                        spot.colon, f"begin it below `{entry['key']}`, in the same column")
    name = before.strip().removeprefix("- ")
    found = spot.text.rfind(name, 0, spot.start)
    start = found if found >= 0 else start
    return _Finding(f"there is no `:` after `{name}`", start, start + len(name), f"write `{name}:`")


def _list_in_line(spot: _Spot) -> _Finding:
    return _Finding("a list cannot begin on the line of its key", spot.offset, spot.offset + 1,
                    "put each `- …` on a line of its own below the key, or write the list in brackets: `[a, b]`")


def _unclosed_quote(spot: _Spot) -> _Finding:
    quote = spot.text[spot.context : spot.context + 1]
    inside = "''" if quote == "'" else '\\"'
    return _Finding("this quote is never closed", spot.context, spot.line_end(spot.context),
                    f"close it with `{quote}`; inside the text that character is written `{inside}`")


def _escape(spot: _Spot) -> _Finding:
    start = spot.text.rfind("\\", spot.start, spot.offset + 1)
    start = spot.offset if start < 0 else start
    found = spot.text[start : start + 2]
    return _Finding(f"`{found}` means nothing in double quotes", start, start + 2,
                    f"use single quotes, where `\\` stands for itself, or write `\\{found}`")


def _block_header(spot: _Spot) -> _Finding | None:
    if spot.char() == "\t":
        return _tab(spot)
    char = spot.text[spot.context : spot.context + 1]
    if spot.context != spot.value_start or spot.value[1:2] in ("|", "=", " "):
        return _needs_quotes(spot, spot.value_start)
    return _Finding(f"after `{char}` the text begins on the next line", spot.offset, spot.offset + 1,
                    f"begin a new line there, or put quotes around the value: {spot.cured(quoted(spot.value))}")


def _unclosed_bracket(spot: _Spot) -> _Finding:
    opening = spot.text[spot.context : spot.context + 1]
    opened_at = spot.text.rfind("\n", 0, spot.context) + 1
    opened = spot.text[opened_at : spot.line_end(spot.context)]
    ended = spot.offset >= len(spot.text.rstrip())
    if ended or (spot.start != opened_at and spot.indent(spot.line) <= spot.indent(opened)):
        return _Finding(f"this `{opening}` is never closed", spot.context, spot.context + 1,
                        f"close it with `{spot.bracket}`")
    if spot.char() == ":":
        return _Finding("`: ` inside a value that is not quoted", spot.offset, spot.offset + 1,
                        "put quotes around the value that has it")
    return _Finding(f"`,` or `{spot.bracket}` is missing before this", spot.offset, spot.offset + 1,
                    "put quotes around a value that has spaces, commas, colons or brackets of its own")


def _no_value(spot: _Spot) -> _Finding:
    return _Finding(f"`{spot.char()}` stands where a value should be", spot.offset, spot.offset + 1,
                    "take it out, or put quotes around the value if it is text")


def _broken_block(spot: _Spot) -> _Finding | None:
    """A mapping or list whose next line, or whose value's end, is not what it should be."""
    indent = spot.indent(spot.line)
    if spot.offset - spot.start > indent:
        return _text_after_value(spot)
    dash = spot.line[indent:].startswith("-")
    end = spot.start + len(spot.line.rstrip())
    levels = list(_levels(spot.above))
    same = [name for column, name in levels if column == indent]
    if same and dash:
        return _Finding("a list entry stands among the keys of a mapping", spot.offset, end,
                        "indent it below the key it belongs to")
    if "-" in same:
        return _Finding("a list entry was expected here", spot.offset, end,
                        "begin it with `- `, or indent it like the keys that it belongs to")
    levels = [level for level in levels if dash == (level[1] == "-")] or levels
    deeper = [f"by {column} spaces to stand below `{name}`" for column, name in levels if column > indent][-1:]
    outer = [f"by {column} to stand below `{name}`" for column, name in levels if column < indent][:1]
    spaces = "1 space" if indent == 1 else f"{indent} spaces"
    return _Finding(f"this line is indented by {spaces}, and what it belongs to is not", spot.offset, end,
                    "indent it " + (", or ".join(deeper + outer) or "like the lines above"))


def _levels(above: list[str]) -> Iterator[tuple[int, str]]:
    """Column and name of the keys and entries that are open after these lines, the innermost first."""
    limit = 10_000
    for line in reversed(above):
        entry = _ENTRY.match(line)
        if entry is None or not line.strip() or line.lstrip().startswith("#"):
            continue
        name = entry["key"] or _uncommented(entry["value"])[:20]
        columns = [(entry.end("before"), name), *((dash.start(), "-") for dash in re.finditer("-", entry["before"]))]
        for column, word in columns:
            if column < limit and word:
                limit = column
                yield column, word


def _text_after_value(spot: _Spot, offset: int | None = None) -> _Finding | None:
    """`key: "quoted" more`, `key: [list] more`, `key: it's closed' too early`."""
    value, first = spot.value, spot.value[:1]
    offset = spot.offset if offset is None else offset
    char = spot.text[offset : offset + 1]
    end = spot.value_start + len(value)
    if value.startswith("{{"):
        return _Finding("a value that starts with `{{` needs quotes", spot.value_start, end,
                        f"write {spot.cured(quoted(value))}")
    if first not in ("'", '"', "[", "{", "&", "*") or not spot.value_start < offset < end:
        return None
    what = {"[": "bracket", "{": "brace"}.get(first, "quote" if first in "\"'" else "mark")
    help = f"put quotes around the whole value: {spot.cured(quoted(value))}"
    if first == "'" and value.endswith("'") and spot.text[offset - 1] == "'" and char.isalnum():
        inside = "'" + value[1:-1].replace("'", "''") + "'"
        help = f"inside single quotes a quote is written twice: {spot.cured(inside)}"
    elif char in ("}", "]") and offset + 1 == end:
        help = f"take `{char}` out"
    return _Finding(f"text after the closing {what}", offset, end, help)


def _no_colon(spot: _Spot) -> _Finding:
    end = spot.line_end(spot.context)
    line = spot.text[spot.context : end].strip()
    if len(line) > 1024:
        return _long_key(spot.context, end)
    tight = re.fullmatch(r"([\w.-]+):(\S.*)", line)
    key, _, value = line.partition(" ")
    help = f"write `{key.rstrip(':')}: {value}`" if value else f"write `{line}:`"
    if tight:
        help = f"write `{tight[1]}: {tight[2]}`, with a space"
    before = spot.source.line(spot.source.position(spot.context)[0] - 1)
    if spot.indent(before) > spot.source.position(spot.context)[1] - 1:
        help = f"if it belongs to the text above, indent it as deep; else {help}"
    return _Finding("this line has no `: ` between key and value", spot.context, end, help)


def _long_key(start: int, end: int) -> _Finding:
    return _Finding("a key is at most 1,024 characters long", start, end, "write a shorter one")


def _after_the_end(spot: _Spot) -> _Finding:
    return _Finding("the value of the file has already ended above this", spot.offset, spot.line_end(spot.offset),
                    "a rules file is one mapping; begin its keys in the first column")


def _directive(spot: _Spot) -> _Finding:
    return _Finding("a line that starts with `%` is a directive to YAML", spot.context, spot.line_end(spot.context),
                    "put quotes around it if text is meant")


# What the parser says (in C, and in Python) → what it means; the first that fits.
_DIAGNOSES: list[tuple[str, Callable[[_Spot], _Finding | None]]] = [
    ("tab character", _tab),
    ("cannot start any token", _forbidden_start),
    ("scanning an? (alias|anchor)|a tag|tag handle|tag URI|mapping keys are not allowed", _needs_quotes),
    ("mapping values are not allowed", _second_colon),
    ("sequence entries are not allowed", _list_in_line),
    ("escape|hex", _escape),
    ("quoted scalar", _unclosed_quote),
    ("block scalar", _block_header),
    ("expected ',' or", _unclosed_bracket),
    ("node content", _no_value),
    ("expected ':'", _no_colon),
    ("document start", _after_the_end),
    ("directive", _directive),
    ("block (mapping|collection)", _broken_block),
]
