"""`# pointsman: ignore[code] reason`: warnings and notes that an author has answered. Must not know what codes mean."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from engine.errors import Problem
from engine.rules.yaml_text import compose
from engine.source import Mapping, Node, Scalar, Sequence, Source, Span

_COMMENT = re.compile(r"(?<![^\s])#\s*pointsman:\s*ignore\b(?:\[(?P<codes>[^\]\n]*)\])?[ \t]*(?P<reason>[^\r\n]*)")


def silenced(problems: Iterable[Problem], sources: Iterable[Source] = ()) -> list[Problem]:
    """The problems that remain, sorted, and those of the comments themselves.

    A comment answers the warnings and notes of its codes that start on its line; in a text over several lines, on
    any of them. It needs a reason, and errors are never answered. `sources` are searched for comments that answer
    nothing, beside the files that the problems stand in.
    """
    kept = list(problems)
    files = {id(source): source for source in [*sources, *(problem.span.source for problem in kept)]}
    for source in files.values():
        if "pointsman:" in source.text:
            kept = _without(kept, source)
    return sorted(kept, key=Problem.sort_key)


@dataclass(slots=True)
class _Ignore:
    """One comment: the lines it speaks for, the codes it names, and which of them it has answered."""

    span: Span
    lines: range
    codes: list[str]
    reason: str
    used: set[str]


def _without(problems: list[Problem], source: Source) -> list[Problem]:
    ignores = list(_ignores(source))
    kept = [problem for problem in problems if problem.span.source is not source or not _answered(problem, ignores)]
    for ignore in ignores:
        kept += _mistakes(ignore, kept)
    return kept


def _answered(problem: Problem, ignores: list[_Ignore]) -> bool:
    line, _ = problem.span.source.position(problem.span.start)
    if problem.severity == "error":
        return False
    for ignore in ignores:
        if ignore.reason and problem.code in ignore.codes and line in ignore.lines:
            ignore.used.add(problem.code)
            return True
    return False


def _mistakes(ignore: _Ignore, kept: list[Problem]) -> Iterator[Problem]:
    if not ignore.codes:
        yield Problem(
            "ignore-without-code",
            "this comment does not say what it ignores",
            ignore.span,
            "write `# pointsman: ignore[code] reason`",
            "warning",
        )
        return
    if not ignore.reason:
        yield Problem(
            "ignore-without-reason",
            "this comment does not say why",
            ignore.span,
            f"write `# pointsman: ignore[{', '.join(ignore.codes)}] reason`",
            "warning",
        )
        return
    errors = {problem.code for problem in kept if problem.severity == "error" and _on(problem, ignore)}
    for code in ignore.codes:
        if code in errors:
            yield Problem(
                "unused-ignore",
                f"`{code}` is an error here, and errors cannot be ignored",
                ignore.span,
                "mend what it says, then take the comment out",
                "note",
            )
        elif code not in ignore.used:
            yield Problem(
                "unused-ignore", f"nothing on this line is called `{code}`", ignore.span, "take the comment out", "note"
            )


def _on(problem: Problem, ignore: _Ignore) -> bool:
    source = problem.span.source
    return source is ignore.span.source and source.position(problem.span.start)[0] in ignore.lines


def _ignores(source: Source) -> Iterator[_Ignore]:
    found = list(_COMMENT.finditer(source.text))
    if not found:
        return
    root, _ = compose(source)
    texts = [] if root is None else list(_texts(root))
    for comment in found:
        start = comment.start()
        line, _ = source.position(start)
        if any(_holds(text, start) for text in texts):
            continue
        lines = range(line, line + 1)
        for text in texts:
            first, last = (source.position(offset)[0] for offset in (text.span.start, text.span.end))
            if line in (first, last):
                lines = range(min(first, lines.start), max(last + 1, lines.stop))
        codes = [code.strip() for code in (comment["codes"] or "").split(",") if code.strip()]
        yield _Ignore(Span(source, start, comment.end()), lines, codes, comment["reason"].strip(), set())


def _holds(text: Scalar, offset: int) -> bool:
    """Whether a place is part of a text; the line on which a block begins is not."""
    span = text.span
    if not span.start < offset < span.end:
        return False
    written = span.source.text
    return written[span.start] not in "|>" or "\n" in written[span.start : offset]


def _texts(root: Node) -> Iterator[Scalar]:
    """Every text of several lines, and every one that looks as if it held a comment of ours."""
    waiting, seen = [root], set[Node]()
    while waiting:
        node = waiting.pop()
        if node in seen:
            continue
        seen.add(node)
        if isinstance(node, Sequence):
            waiting += node.items
        elif isinstance(node, Mapping):
            waiting += [part for entry in node.entries for part in entry]
        elif isinstance(node, Scalar):
            written = node.span.source.text[node.span.start : node.span.end]
            if "\n" in written or "pointsman:" in written:
                yield node
