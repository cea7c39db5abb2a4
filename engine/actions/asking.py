"""Option types and checks that actions which ask somebody share. Must not know what is asked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from engine.actions.options import HeaderName, HeaderValue, header_value
from engine.catalogue import Scope
from engine.document.exchange import Exchange
from engine.document.roots import ROOTS
from engine.errors import did_you_mean
from engine.language.globs import glob
from engine.options import BAD, found
from engine.source import Node

ADDRESS = "^https?://[^ {}]+$"
"""A URL of the author's alone: a template could send what is asked where a client likes."""


class DocumentName(str):
    """The name of a part of the document, which the rule's phases have."""

    __slots__ = ()

    @classmethod
    def schema(cls) -> dict[str, Any]:
        return {"type": "string", "enum": [name for name in ROOTS if name != "sent"]}

    @classmethod
    def read(cls, node: Node, scope: Scope) -> Any:
        name = node.plain()
        if not isinstance(name, str) or name not in ROOTS or name == "sent":
            near = did_you_mean(name, ROOTS) if isinstance(name, str) else ""
            scope.problem(
                "unknown-root",
                f"expected the name of a part of the document, found {found(node)}",
                node.span,
                help=near or "such as `prompt_text`, `request`, `key`",
            )
            return BAD
        without = [phase.name for phase in scope.phases if phase not in ROOTS[name].phases]
        if without:
            scope.problem(
                "wrong-phase",
                f"`{name}` is not known in phase `{without[0]}`",
                node.span,
                help="such as `prompt_text`, `request`, `key`",
            )
            return BAD
        return cls(name)

    @property
    def roots(self) -> frozenset[str]:
        """What of the document it reads."""
        return frozenset({str(self)})


def headers_maker(headers: dict[HeaderName, HeaderValue]) -> Callable[[Exchange], list[tuple[str, str]]]:
    """A function from the exchange to headers; what comes out empty is left out."""
    texts = [(str(name), value.text) for name, value in headers.items()]
    return lambda x: [(name, header_value(value, name)) for name, text in texts if (value := text(x))]


def check_model(model: str, node: Node, scope: Scope) -> None:
    """A model that no entry of `models` names is a problem, where there are entries."""
    known = scope.tables.get("model", {})
    fitting = [name for name in known if name == model or glob(name)(model)]
    scope.used.update(("model", name) for name in fitting)
    if known and not fitting:
        scope.problem("unknown-model", f"unknown model `{model}`", node.span, help=did_you_mean(model, known))
