"""Templates: text with `{{ expression }}` in it, filled from the document when a rule acts.

A text that is one template alone gives the expression's value as it is; anything else gives text. Must not know which
action a template belongs to.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

from engine.catalogue import BAD, Scope
from engine.cures import cure
from engine.language.expression import Expression
from engine.options import found, from_environment
from engine.source import Mapping, Node, Scalar, Sequence, Source, Span

if TYPE_CHECKING:
    from engine.document.exchange import Exchange

Fill = Callable[["Exchange"], Any]
_LITERAL = "a literal `{{` is written `{{ '{{' }}`"
_NO_ROOTS: frozenset[str] = frozenset()


class Value:
    """Any JSON value whose strings, at any depth, are templates; keys are literal.

    `fill(exchange)`: the value, None where a lone template found nothing; an expression's type error is raised.
    `constant`: nothing in it is a template. `roots`: what of the document it reads.
    """

    __slots__ = ("constant", "fill", "roots")

    def __init__(self, fill: Fill, roots: frozenset[str] = _NO_ROOTS, *, constant: bool = False) -> None:
        self.fill = fill
        self.roots = roots
        self.constant = constant

    @classmethod
    def schema(cls) -> dict[str, Any]:
        return {}

    @classmethod
    def of(cls, value: Any) -> Any:
        """A value that is always the same, for the default of an option."""
        return cls(_always(value), constant=True)

    @classmethod
    def read(cls, node: Node, scope: Scope) -> Any:
        """An option's value, or BAD after noting the problems of every template in it."""
        if isinstance(node, Mapping):
            names = [str(key.value) for key, _ in node]
            return _together(cls, names, [Value.read(value, scope) for _, value in node])
        if isinstance(node, Sequence):
            return _together(cls, None, [Value.read(item, scope) for item in node])
        return _read_scalar(cls, node, scope)


class Template(Value):
    """A text that may have templates in it.

    `fill` is as in `Value`: a template alone keeps its type. `text(exchange)` is always text.
    """

    __slots__ = ()

    @classmethod
    def schema(cls) -> dict[str, Any]:
        return {"type": "string"}

    @classmethod
    def read(cls, node: Node, scope: Scope) -> Any:
        """An option's value, or BAD after noting why not."""
        if isinstance(node, Scalar) and isinstance(node.value, str):
            return _read_scalar(cls, node, scope)
        instead = cure(node, {"type": "string"})
        scope.problem("wrong-type", f"expected text, found {found(node)}", node.span, help=instead)
        return BAD

    @classmethod
    def built_in(cls, text: str) -> Template:
        """The template of a text of our own, such as the default of an option; ValueError when it is wrong."""
        scope = Scope()
        template = _read_scalar(cls, Scalar(text, Span(Source("built-in", text), 0, len(text))), scope)
        if template is BAD:
            raise ValueError(f"{text!r}: {scope.problems[0].message}")
        return cast("Template", template)

    def text(self, exchange: Exchange) -> str:
        """The filled text; nothing is the empty text, other values are JSON."""
        value = self.fill(exchange)
        return value if isinstance(value, str) else text_of_value(value)


def text_of_value(value: Any) -> str:
    """A value among text: text as it is, nothing for null, JSON for the rest."""
    if isinstance(value, str):
        return value
    return "" if value is None else json.dumps(value, ensure_ascii=False, separators=(",", ":"))


class TemplateError(Exception):
    """A text whose braces do not close; `start` and `end` bound the place in the text."""

    def __init__(self, message: str, help: str, start: int, end: int) -> None:
        super().__init__(message)
        self.message = message
        self.help = help
        self.start = start
        self.end = end


def pieces(text: str) -> list[tuple[int, int, bool]]:
    """The stretches of a text in order: start, end, and whether it is an expression (without its braces)."""
    found: list[tuple[int, int, bool]] = []
    at = 0
    while (opening := text.find("{{", at)) >= 0:
        if opening > at:
            found.append((at, opening, False))
        closing = _closing(text, opening)
        if not text[opening + 2 : closing].strip():
            raise TemplateError("a template without an expression", _LITERAL, opening, closing + 2)
        found.append((opening + 2, closing, True))
        at = closing + 2
    if at < len(text):
        found.append((at, len(text), False))
    return found


def _closing(text: str, opening: int) -> int:
    """Where the `}}` stands that ends a template: the first outside quotes and balanced braces."""
    depth, at = 0, opening + 2
    while at < len(text):
        char = text[at]
        if char in "'\"`":
            at = _after_quote(text, at)
            continue
        if char == "{":
            depth += 1
        elif char == "}" and depth:
            depth -= 1
        elif text.startswith("}}", at):
            return at
        elif char == "}":
            raise TemplateError("a template ends with `}}`, found one `}`", _LITERAL, at, at + 1)
        at += 1
    raise TemplateError("this template is not closed", f"end it with `}}}}`; {_LITERAL}", opening, opening + 2)


def _after_quote(text: str, at: int) -> int:
    quote, opening = text[at], at
    at += 1
    while at < len(text):
        if text[at] == "\\":
            at += 1
        elif text[at] == quote:
            return at + 1
        at += 1
    raise TemplateError(f"this {quote} inside a template is not closed", "", opening, opening + 1)


# --- building the function -------------------------------------------------------------------------------------------


def _always(value: Any) -> Fill:
    return lambda _: value


def _read_scalar(cls: type[Value], node: Node, scope: Scope) -> Any:
    text = node.plain()
    if not isinstance(text, str):
        return cls(_always(text), constant=True)
    value = from_environment(node, scope)
    if value is BAD:
        return BAD
    if "{{" not in text:
        return cls(_always(value), constant=True)
    assert isinstance(node, Scalar)
    return _read_template(cls, node, text, scope)


def _read_template(cls: type[Value], node: Scalar, text: str, scope: Scope) -> Any:
    try:
        stretches = pieces(text)
    except TemplateError as error:
        scope.problem("bad-template", error.message, node.inner(error.start, error.end), help=error.help)
        return BAD
    parts: list[Any] = []
    for start, end, is_expression in stretches:
        inner = text[start:end]
        parts.append(Expression.from_text(inner, scope, _shifted(node, start)) if is_expression else inner)
    if any(part is BAD for part in parts):
        return BAD
    expressions = [part for part in parts if not isinstance(part, str)]
    roots = _NO_ROOTS.union(*(expression.roots for expression in expressions))
    if len(parts) == 1:
        return cls(parts[0].evaluate, roots)
    return cls(_joined([part if isinstance(part, str) else part.evaluate for part in parts]), roots)


def _shifted(node: Scalar, offset: int) -> Callable[[int, int], Span]:
    return lambda start, end: node.inner(offset + start, offset + end)


def _joined(parts: list[str | Fill]) -> Fill:
    def fill(exchange: Exchange) -> str:
        return "".join([part if isinstance(part, str) else text_of_value(part(exchange)) for part in parts])

    return fill


def _together(cls: type[Value], names: list[str] | None, values: list[Any]) -> Any:
    """A list of values, or a mapping when there are names; what is constant is made once."""
    if any(value is BAD for value in values):
        return BAD
    fills = [value.fill for value in values]
    if all(value.constant for value in values):
        made = [fill(None) for fill in fills]
        return cls(_always(made if names is None else dict(zip(names, made, strict=True))), constant=True)
    roots = _NO_ROOTS.union(*(value.roots for value in values))
    if names is None:
        return cls(lambda x: [fill(x) for fill in fills], roots)
    pairs = list(zip(names, fills, strict=True))
    return cls(lambda x: {name: fill(x) for name, fill in pairs}, roots)
