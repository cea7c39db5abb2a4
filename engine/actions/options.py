"""Option types that several actions share: nullable texts, header names, the body of a phase.

Must not know any single action.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from engine.document.dialect import Body
from engine.document.exchange import Exchange
from engine.document.paths import Path
from engine.language.template import Template, text_of_value
from engine.options import BAD, found
from engine.phases import RESPONSE, Phase
from engine.source import Node, Scalar

if TYPE_CHECKING:
    from engine.catalogue import Scope

ReadBody = Callable[[Exchange], Any]
WriteBody = Callable[[Exchange, Any], None]
MakeText = Callable[[Exchange], str | None]

OF_REQUEST = ("prompt_text", "system_text", "user_text", "last_user_text")
OF_ANSWER = ("completion_text", "tool_text", "reasoning_text")
CONVERSATION = ("request.messages", "request.system", "request.instructions", "request.input", "request.prompt")
"""Where the dialects keep what the model reads."""

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+\Z")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
OF_THE_CONNECTION = frozenset(
    {
        "accept-encoding",
        "connection",
        "content-encoding",
        "content-length",
        "expect",
        "host",
        "keep-alive",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)


class NullableText(Template):
    """A template for which an author may also write null, which is read as None."""

    __slots__ = ()

    @classmethod
    def schema(cls) -> dict[str, Any]:
        return {"type": ["string", "null"]}

    @classmethod
    def read(cls, node: Node, scope: Scope) -> Any:
        if isinstance(node, Scalar) and node.value is None:
            return None
        return Template.read(node, scope)


class VersionText(NullableText):
    """The same where a number may stand: `version: 3`."""

    __slots__ = ()

    @classmethod
    def schema(cls) -> dict[str, Any]:
        return {"type": ["string", "number", "null"]}

    @classmethod
    def read(cls, node: Node, scope: Scope) -> Any:
        return super().read(as_written(node), scope)


class HeaderName(str):
    """The name of a header that a rule may write; read in lower case."""

    __slots__ = ()

    @classmethod
    def schema(cls) -> dict[str, Any]:
        return {"type": "string", "pattern": "^[!#$%&'*+.^_`|~0-9A-Za-z-]+$"}

    @classmethod
    def read(cls, node: Node, scope: Scope) -> Any:
        name = node.plain()
        if not isinstance(name, str) or not _HEADER_NAME.match(name):
            scope.problem(
                "bad-header",
                f"expected the name of a header, found {found(node)}",
                node.span,
                help="letters, digits and hyphens, as in `x-team`",
            )
            return BAD
        if name.lower() in OF_THE_CONNECTION:
            scope.problem(
                "bad-header",
                f"`{name}` belongs to the connection, not to the request",
                node.span,
                help="the gateway sets it itself on each connection",
            )
            return BAD
        return name.lower()


class HeaderValue(Template):
    """A template for the value of a header; one that is constant is checked at load."""

    __slots__ = ()

    @classmethod
    def read(cls, node: Node, scope: Scope) -> Any:
        value = Template.read(as_written(node), scope)
        if value is not BAD and value.constant and _CONTROL.search(str(value.fill(None))):
            scope.problem(
                "bad-header",
                "a header value cannot hold a line break or another control character",
                node.span,
                help="write it on one line",
            )
            return BAD
        return value


def as_written(node: Node) -> Node:
    """A number as the text that it is written as; anything else as it is."""
    if isinstance(node, Scalar) and isinstance(node.value, (int, float)) and not isinstance(node.value, bool):
        return Scalar(node.span.source.text[node.span.start : node.span.end], node.span)
    return node


def header_value(value: str, name: str) -> str:
    """The value as it may go on the wire; ValueError when it would end the header."""
    if _CONTROL.search(value):
        raise ValueError(f"the value for header {name} holds a line break or another control character")
    return value


def text_maker(option: Template | str | None) -> MakeText:
    """A function from the exchange to the text of an option; null stays None."""
    if option is None or isinstance(option, str):
        return lambda _: option
    fill = option.fill

    def text(x: Exchange) -> str | None:
        value = fill(x)
        return None if value is None else text_of_value(value)

    return text


def body_of(phase: Phase) -> tuple[ReadBody, WriteBody]:
    """How the body that a phase works on is read and replaced."""
    return (_answer, _replace_answer) if phase is RESPONSE else (_request, _replace_request)


def written_roots(phases: frozenset[Phase], paths: list[Path]) -> tuple[str, ...]:
    """What writing these paths may change in a rule of these phases."""
    roots = {f"request.{path.keys[0]}" for path in paths} if phases - {RESPONSE} else set()
    return tuple(sorted(roots | ({"response.body"} if RESPONSE in phases else set())))


def _request(x: Exchange) -> Body:
    return x.request if x.request is not None else {}


def _replace_request(x: Exchange, body: Body) -> None:
    x.request = body


def _answer(x: Exchange) -> Any:
    return x.response["body"] if x.response is not None else None


def _replace_answer(x: Exchange, body: Any) -> None:
    x.response = {**(x.response or {}), "body": body}


class Place:
    """Where to look: one of the texts of the document, or a path in the body. Read as a name or a Path."""

    @classmethod
    def schema(cls) -> dict[str, Any]:
        return {"anyOf": [{"enum": [*OF_REQUEST, *OF_ANSWER]}, Path.schema()]}

    @classmethod
    def read(cls, node: Node, scope: Scope) -> Any:
        name = node.plain()
        return name if name in OF_REQUEST or name in OF_ANSWER else Path.read(node, scope)
