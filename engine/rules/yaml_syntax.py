"""What the author most likely did where the YAML parser gave up, and what to write instead. Must not know rules."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import yaml

from engine.errors import Problem
from engine.rules.yaml_characters import quoted
from engine.rules.yaml_spot import ENTRY, Finding, Spot, uncommented
from engine.source import Source, Span


def syntax_problem(source: Source, error: yaml.YAMLError, shift: int) -> Problem:
    """Where the parser gave up, as a problem with a cure. `shift`: characters before the text that the parser saw."""
    complaint = " ".join(str(part) for part in (getattr(error, "context", ""), getattr(error, "problem", "")) if part)
    mark, context = getattr(error, "problem_mark", None), getattr(error, "context_mark", None)
    end = len(source.text.rstrip())
    offset = min(mark.index + shift, end) if mark else 0
    spot = Spot(source, offset, context.index + shift if context else offset, "}" if "'}'" in complaint else "]")
    diagnose = next((diagnose for words, diagnose in _DIAGNOSES if re.search(words, complaint)), None)
    finding = diagnose(spot) if diagnose else None
    if finding is None:
        finding = Finding(complaint or "this is not YAML", spot.offset, spot.offset + 1, "")
    return Problem("yaml-syntax", finding.message, Span(source, finding.start, finding.end), finding.help)


def _forbidden_start(spot: Spot) -> Finding | None:
    if spot.char() == "\t":
        return _tab(spot)
    return _needs_quotes(spot, spot.offset)


def _tab(spot: Spot) -> Finding:
    tab = spot.text.find("\t", spot.start)
    start = tab if 0 <= tab < spot.line_end(spot.start) else spot.offset
    return Finding("a tab stands where YAML wants spaces", start, start + 1, "indent with spaces")


def _needs_quotes(spot: Spot, offset: int | None = None) -> Finding | None:
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
    return Finding(
        f"a {what} cannot start with {name} unless it is quoted", start, start + max(len(value), 1), f"write {write}"
    )


_FIELD = re.compile(r"[a-z_][\w.\[\]-]*: [^:]*\Z")  # what reads like the name of a field and its value


def _second_colon(spot: Spot) -> Finding:
    """A `: ` where no key can end: inside a value, or on a line that continues the value above."""
    if spot.key is None or spot.offset != spot.colon:
        help = f"put quotes around the value: {spot.cured(quoted(spot.value))}"
        if spot.key and _FIELD.match(spot.value):
            help += f"; if `{spot.key}` takes fields: {spot.cured('{' + spot.value + '}')}"
        if spot.value[:1] in ("", "{", "["):
            help = "put quotes around the value that has it"
        return Finding("`: ` inside a value that is not quoted", spot.offset, spot.offset + 1, help)
    if spot.colon - spot.start > 1024:
        return _long_key(spot.start, spot.colon)
    before = next((line for line in reversed(spot.above) if line.strip()), "")
    entry = ENTRY.match(before)
    start = spot.start + len(spot.line) - len(spot.line.lstrip())
    if entry and entry["key"]:
        return Finding(
            f"this line is indented deeper than `{entry['key']}`, which already has a value",
            start,
            spot.colon,
            f"begin it below `{entry['key']}`, in the same column",
        )
    name = before.strip().removeprefix("- ")
    found = spot.text.rfind(name, 0, spot.start)
    start = found if found >= 0 else start
    return Finding(f"there is no `:` after `{name}`", start, start + len(name), f"write `{name}:`")


def _list_in_line(spot: Spot) -> Finding:
    return Finding(
        "a list cannot begin on the line of its key",
        spot.offset,
        spot.offset + 1,
        "put each `- …` on a line of its own below the key, or write the list in brackets: `[a, b]`",
    )


def _unclosed_quote(spot: Spot) -> Finding:
    quote = spot.text[spot.context : spot.context + 1]
    inside = "''" if quote == "'" else '\\"'
    return Finding(
        "this quote is never closed",
        spot.context,
        spot.line_end(spot.context),
        f"close it with `{quote}`; inside the text that character is written `{inside}`",
    )


def _escape(spot: Spot) -> Finding:
    start = spot.text.rfind("\\", spot.start, spot.offset + 1)
    start = spot.offset if start < 0 else start
    found = spot.text[start : start + 2]
    return Finding(
        f"`{found}` means nothing in double quotes",
        start,
        start + 2,
        f"use single quotes, where `\\` stands for itself, or write `\\{found}`",
    )


def _block_header(spot: Spot) -> Finding | None:
    if spot.char() == "\t":
        return _tab(spot)
    char = spot.text[spot.context : spot.context + 1]
    if spot.context != spot.value_start or spot.value[1:2] in ("|", "=", " "):
        return _needs_quotes(spot, spot.value_start)
    return Finding(
        f"after `{char}` the text begins on the next line",
        spot.offset,
        spot.offset + 1,
        f"begin a new line there, or put quotes around the value: {spot.cured(quoted(spot.value))}",
    )


def _unclosed_bracket(spot: Spot) -> Finding:
    opening = spot.text[spot.context : spot.context + 1]
    opened_at = spot.text.rfind("\n", 0, spot.context) + 1
    opened = spot.text[opened_at : spot.line_end(spot.context)]
    ended = spot.offset >= len(spot.text.rstrip())
    if ended or (spot.start != opened_at and spot.indent(spot.line) <= spot.indent(opened)):
        comment = re.search(rf"\s(#.*\{spot.bracket}.*)", opened)
        if comment is not None:
            at = opened_at + comment.start(1)
            return Finding(
                f"` #` begins a comment, which hides the closing `{spot.bracket}`",
                at,
                opened_at + comment.end(1),
                "put quotes around the value that has the `#`",
            )
        return Finding(
            f"this `{opening}` is never closed", spot.context, spot.context + 1, f"close it with `{spot.bracket}`"
        )
    if spot.char() == ":":
        return Finding(
            "`: ` inside a value that is not quoted",
            spot.offset,
            spot.offset + 1,
            "put quotes around the value that has it",
        )
    return Finding(
        f"`,` or `{spot.bracket}` is missing before this",
        spot.offset,
        spot.offset + 1,
        "put quotes around a key or value that has spaces, commas, colons or brackets of its own",
    )


def _open_at_the_end(spot: Spot) -> Finding:
    """The innermost bracket that is still open where the file ends."""
    closed = 0
    for offset in range(len(spot.text) - 1, -1, -1):
        char = spot.text[offset]
        closed += (char in "]}") - (char in "[{")
        if closed < 0:
            return Finding(
                f"this `{char}` is never closed", offset, offset + 1, f"close it with `{']' if char == '[' else '}'}`"
            )
    return Finding("the file ends in the middle of a value", spot.offset, spot.offset + 1, "close what is open")


def _no_value(spot: Spot) -> Finding:
    if spot.offset >= len(spot.text.rstrip()):
        return _open_at_the_end(spot)
    return Finding(
        f"`{spot.char()}` stands where a value should be",
        spot.offset,
        spot.offset + 1,
        "take it out, or put quotes around the value if it is text",
    )


def _broken_block(spot: Spot) -> Finding:
    """A mapping or list whose next line, or whose value's end, is not what it should be."""
    indent = spot.indent(spot.line)
    if spot.offset - spot.start > indent:
        return _text_after_value(spot) or _unexpected(spot)
    dash = spot.line[indent:].startswith("-")
    end = spot.start + len(spot.line.rstrip())
    levels = list(_levels(spot.above))
    same = [name for column, name in levels if column == indent]
    if same and dash:
        return Finding(
            "a list entry stands among the keys of a mapping", spot.offset, end, "indent it below the key it belongs to"
        )
    if "-" in same:
        return Finding(
            "a list entry was expected here",
            spot.offset,
            end,
            "begin it with `- `, or indent it like the keys that it belongs to",
        )
    if same or not levels:
        return _unexpected(spot)
    levels = [level for level in levels if dash == (level[1] == "-")] or levels
    deeper = [f"by {column} spaces to stand below `{name}`" for column, name in levels if column > indent][-1:]
    outer = [f"by {column} to stand below `{name}`" for column, name in levels if column < indent][:1]
    spaces = "1 space" if indent == 1 else f"{indent} spaces"
    return Finding(
        f"this line is indented by {spaces}, and what it belongs to is not",
        spot.offset,
        end,
        "indent it " + (", or ".join(deeper + outer) or "like the lines above"),
    )


def _unexpected(spot: Spot) -> Finding:
    return Finding(
        f"`{spot.char()}` was not expected here",
        spot.offset,
        spot.offset + 1,
        "take it out, or put quotes around the value that it belongs to",
    )


def _levels(above: list[str]) -> Iterator[tuple[int, str]]:
    """Column and name of the keys and entries that are open after these lines, the innermost first."""
    limit = 10_000
    for line in reversed(above):
        entry = ENTRY.match(line)
        if entry is None or not line.strip() or line.lstrip().startswith("#"):
            continue
        name = entry["key"] or uncommented(entry["value"])[:20]
        columns = [(entry.end("before"), name), *((dash.start(), "-") for dash in re.finditer("-", entry["before"]))]
        for column, word in columns:
            if column < limit and word:
                limit = column
                yield column, word


def _text_after_value(spot: Spot, offset: int | None = None) -> Finding | None:
    """`key: "quoted" more`, `key: [list] more`, `key: it's closed' too early`."""
    value, first = spot.value, spot.value[:1]
    offset = spot.offset if offset is None else offset
    char = spot.text[offset : offset + 1]
    end = spot.value_start + len(value)
    if value.startswith("{{"):
        return Finding(
            "a value that starts with `{{` needs quotes", spot.value_start, end, f"write {spot.cured(quoted(value))}"
        )
    colon = spot.value_start + value.find(": ")
    if spot.key is None and (first.isalnum() or first == "(") and spot.value_start <= colon < offset:
        return Finding(
            "`: ` inside a value that is not quoted",
            colon,
            colon + 1,
            f"put quotes around the value: {spot.cured(quoted(value))}",
        )
    if first not in ("'", '"', "[", "{", "&", "*") or not spot.value_start < offset < end:
        return None
    what = {"[": "bracket", "{": "brace"}.get(first, "quote" if first in "\"'" else "mark")
    help = f"put quotes around the whole value: {spot.cured(quoted(value))}"
    if first == "'" and value.endswith("'") and spot.text[offset - 1] == "'" and char.isalnum():
        inside = "'" + value[1:-1].replace("'", "''") + "'"
        help = f"inside single quotes a quote is written twice: {spot.cured(inside)}"
    elif char in ("}", "]") and offset + 1 == end:
        help = f"take `{char}` out"
    return Finding(f"text after the closing {what}", offset, end, help)


def _no_colon(spot: Spot) -> Finding:
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
    return Finding("this line has no `: ` between key and value", spot.context, end, help)


def _long_key(start: int, end: int) -> Finding:
    return Finding("a key is at most 1,024 characters long", start, end, "write a shorter one")


def _after_the_end(spot: Spot) -> Finding:
    return Finding(
        "the value of the file has already ended above this",
        spot.offset,
        spot.line_end(spot.offset),
        "a rules file is one mapping; begin its keys in the first column",
    )


def _directive(spot: Spot) -> Finding:
    return Finding(
        "a line that starts with `%` is a directive to YAML",
        spot.context,
        spot.line_end(spot.context),
        "put quotes around it if text is meant",
    )


# What the parser says (in C, and in Python) → what it means; the first that fits.
_DIAGNOSES: list[tuple[str, Callable[[Spot], Finding | None]]] = [
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
