"""How mistakes in the text of a file are told while it is read. Must not know YAML's events."""

from __future__ import annotations

from typing import Any, NoReturn

from engine.errors import Problem
from engine.rules.yaml_characters import quoted
from engine.source import Scalar, Source, Span


class Unreadable(Exception):
    """The rest of the file cannot be read."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message)
        self.problem = problem


class Teller:
    """Notes problems of one source; `stop` ends the reading."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.problems: list[Problem] = []

    def problem(self, code: str, message: str, start: int, end: int, help: str) -> None:
        self.problems.append(Problem(code, message, Span(self.source, start, end), help))

    def stop(self, code: str, message: str, start: int, end: int, help: str) -> NoReturn:
        raise Unreadable(Problem(code, message, Span(self.source, start, end), help))

    def duplicate(self, key: Scalar, seen: dict[Any, Scalar]) -> bool:
        """Note a key that its mapping has already; it is left out."""
        line, _ = self.source.position(seen[key.value].span.start)
        self.problem(
            "duplicate-key",
            f"the key `{key.value}` is written twice; the first one is in line {line}",
            key.span.start,
            key.span.end,
            "keep one of them",
        )
        return False

    def template(self, span: Span) -> Scalar:
        """`{{ name }}` without quotes, which is a mapping whose key is a mapping: read as the text it looks like."""
        text = self.source.text[span.start : span.end]
        self.problem(
            "unquoted-template",
            "a value that starts with `{{` needs quotes",
            span.start,
            span.end,
            f"write `{quoted(text)}`",
        )
        return Scalar(text, span)
