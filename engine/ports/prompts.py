"""Prompts that stand in a rules file: the section `prompts`. Must not know exchanges or other places of prompts."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, ClassVar

from engine.catalogue import Entry, Example, Scope
from engine.cures import cure
from engine.options import BAD, found, option
from engine.ports.prompt_text import (
    NOT_PARAMETERS,
    BadText,
    Fill,
    PromptTemplate,
    Variables,
    constant,
    content_fill,
    message_turn,
    placeholder_turn,
    spoken_turn,
)
from engine.source import Mapping, Node, Scalar, Sequence


class PromptText:
    """Text with `{{ name }}` in it; read as a function from the variables to the content of a message."""

    @classmethod
    def schema(cls) -> dict[str, Any]:
        return {"type": "string"}

    @classmethod
    def read(cls, node: Node, scope: Scope) -> Any:
        if not isinstance(node, Scalar) or not isinstance(node.value, str):
            scope.problem(
                "wrong-type", f"expected text, found {found(node)}", node.span, help=cure(node, {"type": "string"})
            )
            return BAD
        return read_text(node, scope, lambda text: content_fill(text, "user"))


class PromptMessages:
    """A list of `{role, content}`; read as functions from the variables to each message."""

    @classmethod
    def schema(cls) -> dict[str, Any]:
        message = {
            "type": "object",
            "required": ["role", "content"],
            "properties": {"role": {"type": "string"}, "content": {"type": ["string", "array", "null"]}},
        }
        return {"type": "array", "items": message, "minItems": 1}

    @classmethod
    def read(cls, node: Node, scope: Scope) -> Any:
        if not isinstance(node, Sequence) or not node.items:
            scope.problem(
                "wrong-type",
                f"expected a list of messages, found {found(node)}",
                node.span,
                help="write it like `[{role: system, content: Be brief.}]`",
            )
            return BAD
        messages = [_read_message(item, scope) for item in node]
        return BAD if any(message is BAD for message in messages) else messages


class Prompt(Entry, kind="prompt", name="prompt"):
    """A prompt by name: a text, which becomes one user message, or messages; with the model and parameters to use.

    `{{ name }}` in a text or a message's content is a prompt variable, a dotted name reaches into an object. Values
    are inserted as they are, other values than text as JSON. A role is never filled in. A message
    `{type: placeholder, name: history}` stands for the messages that a variable brings; they are the user's, the
    assistant's or a tool's.
    """

    text: PromptText | None = option("The prompt as one text; it becomes a user message.", None)
    messages: PromptMessages | None = option("The prompt as messages: a list of `{role, content}`.", None)
    config: dict[str, Any] = option("Parameters of the request, such as `model` and `temperature`.", {})

    examples = [
        Example("a chat prompt", '"1234": {messages: [{role: system, content: Be a good Bot!}]}'),
        Example("a text with a variable", 'greet: {text: "Greet {{ name }}.", config: {model: gpt-4o}}'),
    ]

    version: ClassVar[str | None] = None  # there is only one

    def check(self, places: dict[str, Node], node: Node, scope: Scope) -> None:
        if (self.text is None) == (self.messages is None):
            scope.problem(
                "missing-key" if self.text is None else "one-of",
                "a prompt has either `text` or `messages`",
                node.span.at(node.span.start, node.span.start + 1),
                help="write `text: …`, or `messages: [{role: …, content: …}]`",
            )
        config = places.get("config")
        check_config(config if isinstance(config, Mapping) else (), scope)
        text: Any = self.text
        turns: Any = self.messages if text is None else [spoken_turn("user", text)]
        self.template = PromptTemplate(turns or [], self.config)

    def render(self, variables: Variables) -> tuple[list[dict[str, Any]], dict[str, Any]]:
        """The messages with the variables filled in, and the config; WrongVariable says what is missing or wrong."""
        return self.template.render(variables)


def check_config(parameters: Iterable[tuple[Scalar, Node]], scope: Scope) -> None:
    """A prompt's model is a name, and neither its conversation nor how it is answered stands among its parameters."""
    for key, value in parameters:
        if key.value == "model" and (not isinstance(value.plain(), str) or not value.plain()):
            scope.problem(
                "wrong-type",
                f"`model` is the name of a model, found {found(value)}",
                value.span,
                help="write it like `model: gpt-4o`",
            )
        if key.value in NOT_PARAMETERS:
            answered = str(key.value).startswith("stream")
            scope.problem(
                "bad-prompt",
                f"a prompt cannot bring `{key.value}`",
                key.span,
                help="how it is answered is the client's choice" if answered else "write it as messages of the prompt",
            )


# --- reading texts and messages --------------------------------------------------------------------------------------


def _read_message(node: Node, scope: Scope) -> Any:
    if isinstance(node, Mapping) and _plain(node.get("type")) == "placeholder":
        name = _plain(node.get("name"))
        if isinstance(name, str) and name:
            return placeholder_turn(name)
    role = _plain(node.get("role")) if isinstance(node, Mapping) else None
    if not isinstance(node, Mapping) or not isinstance(role, str) or not role:
        scope.problem(
            "wrong-type",
            f"expected a message with a `role`, found {found(node)}",
            node.span,
            help="write it like `{role: system, content: Be brief.}`",
        )
        return BAD
    fills: dict[str, Fill] = {}
    for key, value in node:
        fill = _read_content(value, scope, role) if key.value == "content" else constant(value.plain())
        if fill is BAD:
            return BAD
        fills[str(key.value)] = fill
    return message_turn(fills)


def _plain(node: Node | None) -> Any:
    return node.plain() if node is not None else None


def _read_content(node: Node, scope: Scope, role: str = "") -> Any:
    """Content: text, or parts in which every text is filled in. The `role` is told for the content as a whole."""
    if isinstance(node, Scalar):
        if not isinstance(node.value, str):
            return constant(node.value)
        return read_text(node, scope, lambda text: content_fill(text, role))
    if isinstance(node, Mapping):
        pairs = [(str(key.value), _read_content(value, scope)) for key, value in node]
        if any(fill is BAD for _, fill in pairs):
            return BAD
        return lambda variables: {name: fill(variables) for name, fill in pairs}
    items = [_read_content(item, scope) for item in node] if isinstance(node, Sequence) else []
    return BAD if any(item is BAD for item in items) else lambda variables: [item(variables) for item in items]


def read_text(node: Scalar, scope: Scope, made: Callable[[str], Fill]) -> Any:
    """What `made` makes of a text, or BAD after telling where in it a variable is wrong."""
    try:
        return made(str(node.value))
    except BadText as wrong:
        scope.problem("bad-prompt", wrong.message, node.inner(wrong.start, wrong.end), help=wrong.help)
        return BAD
