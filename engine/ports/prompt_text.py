"""Prompts ready to be filled in: texts with `{{ name }}` in them, and what the value of a variable may become.

A value is inserted as data: it never becomes a role or a template, and a message only where the prompt's author wrote
a placeholder for messages. Must not know files, sources of prompts or exchanges.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from engine.options import MISSING

Variables = Mapping[str, Any]

_NAME = re.compile(r"[^\W\d][\w-]*(?:\.[\w-]+)*\Z")
_QUOTED = re.compile(r"'([^']*)'\Z|\"([^\"]*)\"\Z")
_LITERAL = "a literal `{{` is written `{{ '{{' }}`"

NOT_PARAMETERS = frozenset({"messages", "input", "prompt", "system", "instructions", "stream", "stream_options"})
"""What a prompt's config cannot bring: the conversation, which is the prompt itself, and how the client is answered."""

PLACED = frozenset({"user", "assistant", "tool"})
"""Roles of messages that a variable may bring."""
_OF_A_MESSAGE = frozenset({"role", "content", "name", "tool_calls", "tool_call_id", "refusal"})

Piece = str | tuple[str, ...]
"""Of a text: words as they are, or a variable, by its whole name and then by its steps into objects."""
Fill = Callable[[Variables], Any]
Turn = Callable[[Variables], list[dict[str, Any]]]


class WrongVariable(Exception):
    """A value that a prompt cannot be filled in with; `name` says which, the text may be shown to the client."""

    code: ClassVar[str] = "invalid_type"

    def __init__(self, name: str, message: str) -> None:
        super().__init__(message)
        self.name = name


class MissingVariable(WrongVariable):
    """A prompt needs a variable that nobody gave."""

    code: ClassVar[str] = "missing_prompt_variable"

    def __init__(self, name: str) -> None:
        super().__init__(name, f"Missing prompt variable: '{name}'.")


class BadText(Exception):
    """A text whose braces hold no variable; `start` and `end` bound the place in it."""

    def __init__(self, message: str, start: int, end: int, help: str) -> None:
        super().__init__(message)
        self.message = message
        self.start = start
        self.end = end
        self.help = help


@dataclass(frozen=True, slots=True)
class ContentPart:
    """A variable that is no text but a part of a message's content, such as a picture; as the API takes it."""

    value: dict[str, Any]


@dataclass(frozen=True, slots=True)
class PromptTemplate:
    """A prompt: what makes its messages, and the model and parameters that come with it.

    `inputs` gives the variables with their defaults, checked; None leaves them as they are. `version` is which one it
    is, where its source says so.
    """

    turns: Sequence[Turn]
    config: dict[str, Any] = field(default_factory=dict)
    inputs: Callable[[Variables], Variables] | None = None
    version: str | None = None

    def render(self, variables: Variables) -> tuple[list[dict[str, Any]], dict[str, Any]]:
        """The messages with the variables filled in, and the config; WrongVariable says what is missing or wrong."""
        if self.inputs is not None:
            variables = self.inputs(variables)
        return [message for turn in self.turns for message in turn(variables)], self.config


# --- messages ---------------------------------------------------------------------------------------------------------


def message_turn(fills: dict[str, Fill]) -> Turn:
    """One message, its members filled in."""
    return lambda variables: [{name: fill(variables) for name, fill in fills.items()}]


def spoken_turn(role: str, content: Fill) -> Turn:
    """One message of a role that is what the author wrote."""
    return lambda variables: [{"role": role, "content": content(variables)}]


def placeholder_turn(name: str) -> Turn:
    """The messages that a variable brings: those of the conversation, never ones that could instruct the model."""

    def turn(variables: Variables) -> list[dict[str, Any]]:
        value = variables.get(name)
        if value is None:
            raise MissingVariable(name)
        if not isinstance(value, list):
            raise WrongVariable(name, f"Prompt variable '{name}' must be a list of messages.")
        return [_placed(message, f"{name}[{at}]") for at, message in enumerate(value)]

    return turn


def _placed(message: Any, name: str) -> dict[str, Any]:
    if not isinstance(message, dict) or message.get("role") not in PLACED:
        told = ", ".join(sorted(PLACED))
        raise WrongVariable(name, f"Prompt variable '{name}' must be a message of one of the roles {told}.")
    if not isinstance(message.get("content"), (str, list, type(None))):
        raise WrongVariable(name, f"The content of prompt variable '{name}' must be a text or a list of parts.")
    strange = sorted(message.keys() - _OF_A_MESSAGE)
    if strange:
        raise WrongVariable(name, f"Prompt variable '{name}' has '{strange[0]}', which no message has.")
    return dict(message)


# --- texts ------------------------------------------------------------------------------------------------------------


def constant(value: Any) -> Fill:
    """A value without variables."""
    return lambda _: value


def content_fill(text: str, role: str, *, lenient: bool = False) -> Fill:
    """A function from the variables to a content of that text; BadText for braces that hold no variable.

    `lenient`: such braces are text, as prompt services have it.
    """
    return pieces_fill(list(_pieces(text, lenient=lenient)), role)


def pieces_fill(pieces: Sequence[Piece], role: str) -> Fill:
    """The same of pieces. A user's content becomes a list of parts where a variable is a part."""
    if all(isinstance(piece, str) for piece in pieces):
        return constant("".join(map(str, pieces)))

    def text(variables: Variables) -> Any:
        return "".join(
            [piece if isinstance(piece, str) else _text(_looked_up(variables, piece), piece[0]) for piece in pieces]
        )

    def content(variables: Variables) -> Any:
        values = [piece if isinstance(piece, str) else _looked_up(variables, piece) for piece in pieces]
        if not any(isinstance(value, ContentPart) for value in values):
            return text(variables)
        return [_part(value) for value in values if value != ""]

    return content if role == "user" else text


def piece_of(inner: str) -> Piece | None:
    """What stands between braces: a variable, or a text in quotes; None for anything else."""
    if _NAME.match(inner):
        return (inner, *inner.split("."))
    quoted = _QUOTED.match(inner)
    return None if quoted is None else quoted[1] if quoted[1] is not None else quoted[2]


def _part(value: Any) -> dict[str, Any]:
    return value.value if isinstance(value, ContentPart) else {"type": "input_text", "text": _text(value, "")}


def _pieces(text: str, *, lenient: bool) -> Iterator[Piece]:
    at = 0
    while (opening := text.find("{{", at)) >= 0:
        closing = text.find("}}", opening + 2)
        if closing < 0:
            if lenient:
                break
            raise BadText("this variable is not closed", opening, opening + 2, f"end it with `}}}}`; {_LITERAL}")
        if opening > at:
            yield text[at:opening]
        at = closing + 2
        piece = piece_of(text[opening + 2 : closing].strip())
        if piece is None and not lenient:
            raise BadText(
                f"`{text[opening:at]}` is not a prompt variable",
                opening,
                at,
                f"a variable is a name: `{{{{ name }}}}`; {_LITERAL}",
            )
        yield text[opening:at] if piece is None else piece
    if at < len(text):
        yield text[at:]


def _looked_up(variables: Variables, name: tuple[str, ...]) -> Any:
    """A variable by its whole name, else through objects; absent and null are missing."""
    whole, *steps = name
    value: Any = variables.get(whole)
    if value is None:
        value = variables
        for step in steps:
            value = value.get(step, MISSING) if isinstance(value, dict) else MISSING
    if value is None or value is MISSING:
        raise MissingVariable(whole)
    return value


def _text(value: Any, name: str) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, ContentPart):
        kind = value.value.get("type")
        raise WrongVariable(name, f"Prompt variable '{name}' is an {kind}, which only a user's message can hold.")
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
