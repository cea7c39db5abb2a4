"""The text of a prompt file, behind its front matter: messages by role markers, and variables.

A part of dotprompt's templates, and LiteLLM's lines that begin with a role. Must not know front matter or files.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from engine.ports.prompt_text import BadText, Piece, Turn, piece_of, pieces_fill, spoken_turn

_ROLE = re.compile(r"~?\s*role\s+(?:\"(\w+)\"|'(\w+)')\s*~?\Z")
_LINE = re.compile(r"^[ \t]*(System|User|Assistant):", re.MULTILINE)
_ROLES = {"system": "system", "user": "user", "assistant": "assistant", "model": "assistant"}  # model: dotprompt's word
_BEFORE = re.compile(r"(?:[ \t]*\n)+|[ \t]+")

_PAIRS = "conditions and loops are not part of a prompt: write two prompts, and choose by a rule"
_INSTEAD = {
    "#": _PAIRS,
    "/": _PAIRS,
    "^": _PAIRS,
    "else": _PAIRS,
    ">": "other files are not put in: write the text out",
    "{": "write `{{ name }}`: values are inserted as they are",
    "&": "write `{{ name }}`: values are inserted as they are",
    "@": "only variables are known: write `{{ name }}`",
    "this": "only variables are known: write `{{ name }}`",
    "~": "leave the `~` out: the space around a message is taken away",
    "role": 'write `{{role "system"}}`, `{{role "user"}}` or `{{role "model"}}`',
    "history": "the client's messages stay beside the prompt where `use_prompt` says `messages: append` or `prepend`",
    "media": "pictures are not put in here: write the prompt under `prompts`, with content parts",
}
_NOT_NAMES = frozenset({"else", "this", "history"})
_FIRST = re.compile(r"[#/^>{&@~]|\w+")


@dataclass(frozen=True, slots=True)
class _Mark:
    """What stands in a pair of braces: a role, a piece of the text, or (neither) a comment."""

    start: int
    end: int
    role: str = ""
    piece: Piece | None = None


@dataclass(frozen=True, slots=True)
class _Said:
    """A stretch of the text that one role says."""

    role: str
    start: int
    end: int


def read_body(text: str, start: int) -> list[Turn]:
    """The messages of a text from `start` on; BadText, with the place, for what this part of the templates has not."""
    marks = list(_marks(text, start))
    turns = []
    for said in _said(text, start, marks):
        pieces = _trimmed(_pieces(text, said, marks))
        if pieces:
            turns.append(spoken_turn(said.role, pieces_fill(pieces, said.role)))
    if not turns:
        at = max(0, min(start, len(text) - 1))
        raise BadText("a prompt without a text", at, at + 1, "write what the model is told behind the second `---`")
    return turns


def _said(text: str, start: int, marks: list[_Mark]) -> Iterator[_Said]:
    """By `{{role …}}`, else by lines that begin with a role, else all of it as the user's."""
    found = [(mark.start, mark.end, mark.role) for mark in marks if mark.role]
    if not found:
        lines = _LINE.finditer(text, start)
        found = [(line.start(), line.end(), line[1].lower()) for line in lines if not _within(line.start(), marks)]
    yield _Said("user", start, found[0][0] if found else len(text))
    ends = [begin for begin, _, _ in found[1:]] + [len(text)]
    for (_, begin, role), end in zip(found, ends, strict=False):
        yield _Said(_ROLES[role], begin, end)


def _within(place: int, marks: list[_Mark]) -> bool:
    return any(mark.start < place < mark.end for mark in marks)


# --- braces -----------------------------------------------------------------------------------------------------------


def _marks(text: str, start: int) -> Iterator[_Mark]:
    at = start
    while (opening := text.find("{{", at)) >= 0:
        _no_jinja(text, at, opening)
        long = text.startswith("{{!--", opening)
        end = text.find("--}}" if long else "}}", opening + 2)
        if end < 0:
            raise BadText("these braces are not closed", opening, opening + 2, "end them with `}}`")
        at = end + (4 if long else 2)
        inner = text[opening + 2 : at - 2].strip()
        yield _Mark(opening, at) if inner.startswith("!") else _meant(inner, text, opening, at)
    _no_jinja(text, at, len(text))


def _meant(inner: str, text: str, start: int, end: int) -> _Mark:
    role = _ROLE.match(inner)
    if role and (role[1] or role[2]) in _ROLES:
        return _Mark(start, end, role=role[1] or role[2])
    piece = None if inner in _NOT_NAMES else piece_of(inner)
    if piece is not None:
        return _Mark(start, end, piece=piece)
    first = _FIRST.match(inner)
    help = _INSTEAD.get(first[0] if first else "", "only variables and roles are known here: write `{{ name }}`")
    raise BadText(f"`{text[start:end]}` is not part of prompts", start, end, help)


def _no_jinja(text: str, start: int, end: int) -> None:
    found = text.find("{%", start, end)
    if found >= 0:
        raise BadText(
            "`{%` begins a condition or loop of Jinja",
            found,
            found + 2,
            _PAIRS + "; a literal `{%` is written `{{ '{%' }}`",
        )


# --- messages ---------------------------------------------------------------------------------------------------------


def _pieces(text: str, said: _Said, marks: list[_Mark]) -> Iterator[Piece]:
    at = said.start
    for mark in marks:
        if said.start <= mark.start < said.end:
            yield _plain(text[at : mark.start])
            if mark.piece is not None:
                yield mark.piece
            at = mark.end
            if mark.piece is None and text.startswith("\n", at) and text[: mark.start].endswith("\n"):
                at += 1  # a comment on a line of its own is gone with its line
    yield _plain(text[at : said.end])


def _plain(text: str) -> str:
    return text.replace("\r\n", "\n")


def _trimmed(pieces: Iterator[Piece]) -> list[Piece]:
    """Without the space around a message: blank lines before it, all space after it; its own indentation stays."""
    found = [piece for piece in pieces if piece != ""]
    while found and isinstance(found[0], str):
        before = _BEFORE.match(found[0])
        rest = found[0][before.end() :] if before else found[0]
        found[0:1] = [rest] if rest else []
        if rest:
            break
    while found and isinstance(last := found[-1], str):
        found[-1:] = [last.rstrip()] if last.strip() else []
        if last.strip():
            break
    return found
