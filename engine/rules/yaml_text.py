"""The text of a file, and what it holds: YAML 1.2 without the parts that surprise. Must not know rules."""

from __future__ import annotations

from pathlib import Path

import yaml

from engine.errors import Problem
from engine.rules.uncollected import uncollected
from engine.rules.yaml_characters import refused_character
from engine.rules.yaml_nodes import Composer
from engine.rules.yaml_syntax import syntax_problem
from engine.rules.yaml_told import Unreadable
from engine.source import Node, Source, Span

MAX_BYTES = 32 * 1024 * 1024


def read_source(path: str, shown_name: str) -> Source | Problem:
    """The text of a file, or why it cannot be read. `shown_name` is how messages call the file."""
    nowhere = Span(Source(shown_name, ""), 0, 0)
    try:
        with Path(path).open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:  # ValueError: a null byte in the name
        why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        return Problem("missing-file", f"`{shown_name}` cannot be read: {why}", nowhere, "check the path")
    if len(content) > MAX_BYTES:
        return _too_large(nowhere)
    try:
        return Source(shown_name, content.decode())
    except UnicodeDecodeError as error:
        return _not_utf8(shown_name, content, error)


def compose(source: Source) -> tuple[Node | None, list[Problem]]:
    """The value that a text holds, and what is wrong with it.

    No value after a mistake that leaves the rest unreadable. After any other, the value goes on with what the
    author most likely meant, so that one mistake is one problem. An alias is the very node it repeats.
    """
    if len(source.text) > MAX_BYTES:
        return None, [_too_large(Span(source, 0, 0))]
    refused = refused_character(source)
    if refused is not None:
        return None, [refused]
    composer = Composer(source)
    try:
        with uncollected():
            root = composer.document()
    except Unreadable as end:
        return None, [*composer.problems, end.problem]
    except yaml.YAMLError as error:
        wrong = syntax_problem(source, error, composer.shift)
        apart = [known for known in composer.problems if known.span.end <= wrong.span.start]
        return None, [*apart, wrong]
    return root, composer.problems


def _too_large(place: Span) -> Problem:
    return Problem(
        "too-large",
        f"the file is larger than {MAX_BYTES // 1024 // 1024} MiB",
        place,
        "split it into several files and name them in `include:`",
    )


def _not_utf8(name: str, content: bytes, error: UnicodeDecodeError) -> Problem:
    before = len(content[: error.start].decode())
    place = Span(Source(name, content.decode(errors="replace")), before, before + 1)
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return Problem("not-utf8", "the file is UTF-16, not UTF-8", place, "save it as UTF-8")
    return Problem("not-utf8", f"the byte 0x{content[error.start]:02X} is not UTF-8", place, "save the file as UTF-8")
