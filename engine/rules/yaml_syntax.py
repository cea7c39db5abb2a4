"""What the author most likely did where the YAML parser gave up, and what to write instead. Must not know rules."""

from __future__ import annotations

import re
from collections.abc import Callable

import yaml

from engine.errors import Problem
from engine.rules.yaml_characters import quoted
from engine.rules.yaml_spot import ENTRY, Finding, Spot
from engine.rules.yaml_syntax_blocks import broken_block, open_at_the_end, text_after_value, unclosed_bracket
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
        return text_after_value(spot, start)
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


def _no_value(spot: Spot) -> Finding:
    if spot.offset >= len(spot.text.rstrip()):
        return open_at_the_end(spot)
    return Finding(
        f"`{spot.char()}` stands where a value should be",
        spot.offset,
        spot.offset + 1,
        "take it out, or put quotes around the value if it is text",
    )


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
    ("expected ',' or", unclosed_bracket),
    ("node content", _no_value),
    ("expected ':'", _no_colon),
    ("document start", _after_the_end),
    ("directive", _directive),
    ("block (mapping|collection)", broken_block),
]
