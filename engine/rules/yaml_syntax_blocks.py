"""What went wrong with brackets and with indentation, where the YAML parser gave up. Must not know rules."""

from __future__ import annotations

import re
from collections.abc import Iterator

from engine.rules.yaml_characters import quoted
from engine.rules.yaml_spot import ENTRY, Finding, Spot, uncommented


def unclosed_bracket(spot: Spot) -> Finding:
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


def broken_block(spot: Spot) -> Finding:
    """A mapping or list whose next line, or whose value's end, is not what it should be."""
    indent = spot.indent(spot.line)
    if spot.offset - spot.start > indent:
        return text_after_value(spot) or _unexpected(spot)
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


def open_at_the_end(spot: Spot) -> Finding:
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


def text_after_value(spot: Spot, offset: int | None = None) -> Finding | None:
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
