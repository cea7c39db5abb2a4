"""Problems as people and machines read them: text, json, github, sarif. Must not know how problems are found."""

from __future__ import annotations

import json
import os
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import quote

from engine.errors import Problem

LINE_WIDTH = 120  # cells of a source line that are shown; a longer one is cut around the mistake

_COLORS = {"error": "1;31", "warning": "1;33", "note": "1;36", "gutter": "1;34", "message": "1"}
_GITHUB = {"error": "error", "warning": "warning", "note": "notice"}


def report(problems: Iterable[Problem], form: str = "text", *, color: bool = False) -> str:
    """The problems, sorted, in one of FORMS; without a line break at the end."""
    shown = sorted(problems, key=lambda problem: (*problem.sort_key(), problem.message))
    return as_text(shown, color=color) if form == "text" else _MACHINES[form](shown)


def as_text(problems: Iterable[Problem], *, color: bool = False) -> str:
    """Each problem with its line, carets under its span, help and rule; then a line that counts. Empty for none."""
    shown = sorted(problems, key=Problem.sort_key)
    if not shown:
        return ""
    paint = _painted if color else _unpainted
    blocks = [_block(problem, paint) for problem in shown]
    return "\n\n".join([*blocks, summary(shown)])


def summary(problems: Iterable[Problem]) -> str:
    """`2 errors, 1 warning in 1 file`."""
    counts: Counter[str] = Counter()
    files = set()
    for problem in problems:
        counts[problem.severity] += 1
        files.add(problem.span.source.name)
    parts = [_counted(counts[severity], severity) for severity in ("error", "warning", "note") if counts[severity]]
    return f"{', '.join(parts) or 'no problems'} in {_counted(len(files), 'file')}"


def _counted(number: int, word: str) -> str:
    return f"{number} {word}" if number == 1 else f"{number} {word}s"


NOT_QUOTED = frozenset({"secret-in-file"})
"""Problems whose line is not shown: reports are kept where secrets must not be."""

_SECRETS = re.compile(
    r"""\b(?:(?:api|admin|secret)[-_]key|authorization|password)["']?\s*:\s*(?:bearer\s+|basic\s+)?"""
    r"""(?!["']?os\.environ/)("[^"]*"|'[^']*'|[^\s"',{}\[\]#]+)|://[^\s/@:]*:([^\s/@]+)@""",
    re.IGNORECASE,
)
"""Credentials beside a mistake, by the option that they stand behind."""

Paint = Callable[[str, str], str]


def _painted(sort: str, text: str) -> str:
    return f"\x1b[{_COLORS[sort]}m{text}\x1b[0m"


def _unpainted(_: str, text: str) -> str:
    return text


def _block(problem: Problem, paint: Paint) -> str:
    source = problem.span.source
    line, column = source.position(problem.span.start)
    width = len(str(line))
    gutter = " " * width
    head = paint(problem.severity, f"{problem.severity}[{problem.code}]")
    lines = [f"{_visible(source.name)}:{line}:{column}: {head}: {paint('message', _visible(problem.message))}"]
    if source.text and problem.code not in NOT_QUOTED:
        shown, before, length = excerpt(problem)
        carets = " " * before + paint(problem.severity, "^" * length)
        bar = paint("gutter", "|")
        number = paint("gutter", str(line))
        lines += [f"{gutter} {bar}", f"{number} {bar} {shown}".rstrip(), f"{gutter} {bar} {carets}"]
    sign = paint("gutter", "=")
    for row, text in enumerate(problem.help.splitlines()):
        lines.append(f"{gutter} {f'{sign} help:' if row == 0 else ' ' * 7} {_visible(text)}")
    if problem.rule:
        lines.append(f"{gutter} {sign} rule: {_visible(problem.rule)}")
    return "\n".join(lines)


def excerpt(problem: Problem) -> tuple[str, int, int]:
    """The line of a problem as it is shown; then, in cells, what stands before the span, and the span's width.

    Of a span over several lines, the part in the first one. Tabs become four spaces and characters that would
    disturb a terminal a visible sign.
    """
    source = problem.span.source
    number, column = source.position(problem.span.start)
    whole = source.line(number)
    first = max(0, column - 1 - 3 * LINE_WIDTH)  # a line may have megabytes, and a problem in every part
    line = _SECRETS.sub(_stars, whole[first : first + 6 * LINE_WIDTH])
    begin = min(column - 1 - first, len(line))
    finish = min(len(line), max(begin + 1, begin + problem.span.end - problem.span.start))
    cells = [_cell(char) for char in line]
    widths = [_width(char, cell) for char, cell in zip(line, cells, strict=True)]
    left, right = _window(widths, begin, finish)
    cut = first + left > 0
    shown = "…" * cut + "".join(cells[left:right]) + "…" * (first + right < len(whole))
    before = sum(widths[left:begin]) + cut
    return shown, before, max(1, sum(widths[begin : min(finish, right)]))


def _stars(secret: re.Match[str]) -> str:
    """What was found, its last group hidden; as long as before, so that carets stay under what they mean."""
    group = secret.lastindex or 0
    return (
        secret[0][: secret.start(group) - secret.start()]
        + "*" * len(secret[group])
        + secret[0][secret.end(group) - secret.start() :]
    )


def _window(widths: list[int], begin: int, finish: int) -> tuple[int, int]:
    """Which characters of a line are shown: all, or those around the span, a third of the room before it."""
    if sum(widths) <= LINE_WIDTH:
        return 0, len(widths)
    left, room = begin, LINE_WIDTH // 3
    if sum(widths[begin:finish]) < LINE_WIDTH // 3 and sum(widths[finish:]) < LINE_WIDTH // 3:
        room = LINE_WIDTH - sum(widths[begin:])
    while left > 0 and room >= widths[left - 1]:
        left -= 1
        room -= widths[left]
    right, room = left, LINE_WIDTH
    while right < len(widths) and room >= widths[right]:
        room -= widths[right]
        right += 1
    return left, right


def _cell(char: str) -> str:
    if char == "\t":
        return "    "
    category = unicodedata.category(char)
    if category == "Cc":
        return chr(0x2400 + ord(char)) if ord(char) < 32 else "\u2421" if ord(char) == 127 else "\ufffd"
    if category in ("Cs", "Zl", "Zp") or (category == "Cf" and unicodedata.bidirectional(char) != "BN"):
        return "\ufffd"
    return char


def _width(char: str, cell: str) -> int:
    if len(cell) > 1 or cell != char:
        return len(cell)
    if unicodedata.category(char) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def _visible(text: str) -> str:
    """Text from a file in a message: on one line, and harmless to a terminal."""
    return text if text.isprintable() else "".join(_cell(char) for char in text)


def as_json(problems: Iterable[Problem]) -> str:
    """`{"problems": […]}`, positions from 1, the end one past the last character."""
    shown = sorted(problems, key=Problem.sort_key)
    return _json({"problems": [problem.as_json() for problem in shown]})


def as_github(problems: Iterable[Problem]) -> str:
    """Workflow commands of GitHub Actions, one line a problem: they become annotations of the changed files."""
    return _encodable("\n".join(_command(problem) for problem in sorted(problems, key=Problem.sort_key)))


def _command(problem: Problem) -> str:
    told = problem.as_json()
    keys = {"file": "file", "line": "line", "endLine": "end_line", "col": "column", "endColumn": "end_column"}
    places = [f"{key}={_escaped(str(told[name]), ':,')}" for key, name in keys.items()]
    places.append(f"title={_escaped(problem.code, ':,')}")
    message = problem.message + (f"\n{problem.help}" if problem.help else "")
    return f"::{_GITHUB[problem.severity]} {','.join(places)}::{_escaped(message, '')}"


def _escaped(text: str, also: str) -> str:
    for char in "%\r\n" + also:
        text = text.replace(char, f"%{ord(char):02X}")
    return text


def as_sarif(problems: Iterable[Problem]) -> str:
    """SARIF 2.1.0, for code scanning; columns count characters, not UTF-16 units."""
    shown = sorted(problems, key=Problem.sort_key)
    codes = sorted({problem.code for problem in shown})
    driver = {"name": "pointsman", "rules": [{"id": code, "name": code} for code in codes]}
    results = [_result(problem, codes.index(problem.code)) for problem in shown]
    run = {"tool": {"driver": driver}, "columnKind": "unicodeCodePoints", "results": results}
    schema = "https://json.schemastore.org/sarif-2.1.0.json"
    return _json({"$schema": schema, "version": "2.1.0", "runs": [run]})


def _result(problem: Problem, index: int) -> dict[str, Any]:
    told = problem.as_json()
    region = {
        "startLine": told["line"],
        "startColumn": told["column"],
        "endLine": told["end_line"],
        "endColumn": told["end_column"],
    }
    location = {"artifactLocation": {"uri": _uri(problem.span.source.name)}, "region": region}
    return {
        "ruleId": problem.code,
        "ruleIndex": index,
        "level": problem.severity,
        "message": {"text": problem.message + (f"\n{problem.help}" if problem.help else "")},
        "locations": [{"physicalLocation": location}],
    }


def _uri(name: str) -> str:
    path = quote(name.replace(os.sep, "/"), errors="surrogateescape")
    return f"file://{path}" if path.startswith("/") else path


def _json(value: Any) -> str:
    return _encodable(json.dumps(value, indent=2, ensure_ascii=False))


def _encodable(text: str) -> str:
    """Half a surrogate pair, which no output could take, becomes a question mark."""
    return text.encode("utf-8", "replace").decode()


_MACHINES: dict[str, Callable[[Iterable[Problem]], str]] = {"json": as_json, "github": as_github, "sarif": as_sarif}
FORMS = ("text", *_MACHINES)
