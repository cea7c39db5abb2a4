"""Prompts kept by name: what one is, how its variables are filled in, and where it is looked up.

A variable's value is inserted as data: it never becomes a message, a role or a template. Must not know exchanges.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from engine.catalogue import Entry, Example, Scope
from engine.cures import cure
from engine.options import BAD, MISSING, found, option
from engine.ports.kinds import OneKind
from engine.ports.litellm_prompts import CallbackPrompts
from engine.source import Mapping, Node, Scalar, Sequence, Span

if TYPE_CHECKING:
    from collections.abc import Mapping as Variables

_BRACES = re.compile(r"\{\{(.*?)\}\}", re.DOTALL)
_NAME = re.compile(r"[^\W\d][\w-]*(?:\.[\w-]+)*\Z")
_QUOTED = re.compile(r"'([^']*)'\Z|\"([^\"]*)\"\Z")

Fill = Callable[["Variables[str, Any]"], Any]


class MissingVariable(Exception):
    """A prompt needs a variable that nobody gave; `name` says which."""

    def __init__(self, name: str) -> None:
        super().__init__(f"missing prompt variable '{name}'")
        self.name = name


class PromptText:
    """Text with `{{ name }}` in it; read as a function from the variables to the text."""

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
        return _read_text(node, node.value, scope)


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
    are inserted as they are, other values than text as JSON. A role is never filled in.
    """

    text: PromptText | None = option("The prompt as one text; it becomes a user message.", None)
    messages: PromptMessages | None = option("The prompt as messages: a list of `{role, content}`.", None)
    config: dict[str, Any] = option("Parameters of the request, such as `model` and `temperature`.", {})

    examples = [
        Example("a chat prompt", '"1234": {messages: [{role: system, content: Be a good Bot!}]}'),
        Example("a text with a variable", 'greet: {text: "Greet {{ name }}.", config: {model: gpt-4o}}'),
    ]

    def check(self, places: dict[str, Node], node: Node, scope: Scope) -> None:
        if (self.text is None) == (self.messages is None):
            scope.problem(
                "missing-key" if self.text is None else "one-of",
                "a prompt has either `text` or `messages`",
                node.span.at(node.span.start, node.span.start + 1),
                help="write `text: …`, or `messages: [{role: …, content: …}]`",
            )
        model = self.config.get("model")
        if model is not None and not isinstance(model, str):
            scope.problem(
                "wrong-type",
                "`config.model` is the name of a model",
                places["config"].span,
                help="write it like `config: {model: gpt-4o}`",
            )

    def render(self, variables: Variables[str, Any]) -> tuple[list[dict[str, Any]], dict[str, Any]]:
        """The messages with the variables filled in, and the config; MissingVariable names what is missing."""
        fills: Any = self.messages if self.messages is not None else [_user(self.text)]
        return [fill(variables) for fill in fills], self.config


class PromptSource(Protocol):
    """Where prompts are looked up."""

    def find(self, id: str, label: str | None, version: str | None) -> Prompt | None:
        """The prompt, or None when there is none of that id."""


class LocalPrompts:
    """The prompts of the `prompts` section; they have one version and no labels."""

    def __init__(self, prompts: dict[str, Any]) -> None:
        self._prompts = prompts

    def find(self, id: str, label: str | None, version: str | None) -> Prompt | None:
        return self._prompts.get(id)


class PromptSourceSection(
    OneKind, kind="prompt_source", noun="a prompt source", sample="house: {dotprompt: ./prompts}"
):
    """The value of a name in `prompt_sources`."""


class PromptSourceRef:
    """`local`, `callback`, or a name of `prompt_sources`; read as the source itself."""

    @classmethod
    def schema(cls) -> dict[str, Any]:
        return {"type": "string"}

    @classmethod
    def read(cls, node: Node, scope: Scope) -> Any:
        name = node.plain()
        if name == "local":
            return LocalPrompts(scope.tables.get("prompt", {}))
        if not isinstance(name, str):
            scope.problem(
                "wrong-type",
                f"expected the name of a prompt source, found {found(node)}",
                node.span,
                help=cure(node, {"type": "string"}),
            )
            return BAD
        if name == "callback":
            return _managers(node.span, scope)
        source = scope.tables.get("prompt_source", {}).get(name)
        if hasattr(source, "find"):
            scope.used.add(("prompt_source", name))
            return source
        return _unknown_source(name, node.span, scope)


def _managers(span: Span, scope: Scope) -> Any:
    managers = scope.tables.get("prompt manager", {})
    if managers:
        return CallbackPrompts(managers.values())
    scope.problem(
        "unknown-prompt-source",
        "no callback manages prompts",
        span,
        help="name a class with `get_chat_completion_prompt` under `callbacks`",
    )
    return BAD


def _unknown_source(name: str, span: Span, scope: Scope) -> Any:
    known = [other for other, source in scope.tables.get("prompt_source", {}).items() if hasattr(source, "find")]
    scope.problem(
        "unknown-prompt-source",
        f"unknown prompt source `{name}`",
        span,
        help="defined: " + ", ".join(["local (the `prompts` section)", *sorted(known)]),
    )
    return BAD


# --- reading texts and messages --------------------------------------------------------------------------------------


def _user(text: Any) -> Fill:
    return lambda variables: {"role": "user", "content": text(variables)}


def _read_message(node: Node, scope: Scope) -> Any:
    if not isinstance(node, Mapping) or not isinstance(role := _plain(node.get("role")), str) or not role:
        scope.problem(
            "wrong-type",
            f"expected a message with a `role`, found {found(node)}",
            node.span,
            help="write it like `{role: system, content: Be brief.}`",
        )
        return BAD
    fills: dict[str, Fill] = {}
    for key, value in node:
        fill = _read_content(value, scope) if key.value == "content" else _constant(value.plain())
        if fill is BAD:
            return BAD
        fills[str(key.value)] = fill
    return lambda variables: {name: fill(variables) for name, fill in fills.items()}


def _plain(node: Node | None) -> Any:
    return node.plain() if node is not None else None


def _constant(value: Any) -> Fill:
    return lambda _: value


def _read_content(node: Node, scope: Scope) -> Any:
    """Content: text, or parts in which every text is filled in."""
    if isinstance(node, Scalar):
        return _read_text(node, node.value, scope) if isinstance(node.value, str) else _constant(node.value)
    if isinstance(node, Mapping):
        pairs = [(str(key.value), _read_content(value, scope)) for key, value in node]
        if any(fill is BAD for _, fill in pairs):
            return BAD
        return lambda variables: {name: fill(variables) for name, fill in pairs}
    items = [_read_content(item, scope) for item in node] if isinstance(node, Sequence) else []
    return BAD if any(item is BAD for item in items) else lambda variables: [item(variables) for item in items]


def _read_text(node: Scalar, text: str, scope: Scope) -> Any:
    parts: list[str | tuple[str, ...]] = []
    at = 0
    for match in _BRACES.finditer(text):
        parts.append(text[at : match.start()])
        inner = match[1].strip()
        quoted = _QUOTED.match(inner)
        if quoted:
            parts.append(quoted[1] if quoted[1] is not None else quoted[2])
        elif _NAME.match(inner):
            parts.append((inner, *inner.split(".")))
        else:
            scope.problem(
                "bad-prompt",
                f"`{match[0]}` is not a prompt variable",
                node.inner(match.start(), match.end()),
                help="a variable is a name: `{{ name }}`; a literal `{{` is written `{{ '{{' }}`",
            )
            return BAD
        at = match.end()
    parts.append(text[at:])
    if "{{" in text[at:]:
        opening = text.index("{{", at)
        scope.problem(
            "bad-prompt",
            "this variable is not closed",
            node.inner(opening, opening + 2),
            help="end it with `}}`; a literal `{{` is written `{{ '{{' }}`",
        )
        return BAD
    return _filler(parts)


def _filler(parts: list[str | tuple[str, ...]]) -> Fill:
    if not any(isinstance(part, tuple) for part in parts):
        return _constant("".join(part for part in parts if isinstance(part, str)))
    return lambda variables: "".join(
        [part if isinstance(part, str) else _text(_lookup(variables, part)) for part in parts]
    )


def _lookup(variables: Variables[str, Any], name: tuple[str, ...]) -> Any:
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


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))
