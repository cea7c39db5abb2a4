"""Comparisons that can never hold, or always do. Must not know YAML."""

from __future__ import annotations

import json
import re
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from engine.catalogue import Scope
from engine.document.moments import WEEKDAYS
from engine.errors import did_you_mean
from engine.language import traps
from engine.language.ast import Ast, Chain, Compare, Field, Literal, Not, plain_path
from engine.language.compile import compile_strict
from engine.language.functions import WORDS
from engine.language.shapes import Shape, of_types
from engine.language.values import type_name
from engine.phases import CALL_TYPES

if TYPE_CHECKING:
    from engine.language.checks import Checker

_BOOLEAN = of_types("boolean")
_SOURCES = ("rule", "rule_error", "upstream", "timeout", "connection", "auth", "client")
_NUMBERS = re.compile(r"[0-9]+")
_LIKE = 0.8
"""How like a value of an API a text must be to be taken for that value misspelt: APIs get new ones."""

_CHAT = {
    "chat": "completion",
    "chat_completion": "completion",
    "chat.completion": "completion",
    "embedding": "embeddings",
    "image": "image_generation",
    "acompletion": "completion",
}


def check_comparison(checker: Checker, node: Compare, here: Shape) -> Shape:
    """The shape of a comparison's value: true or false, or null where nothing can be ordered."""
    first = node.left.parts[0] if isinstance(node.left, Chain) else node.left
    if isinstance(first, Not) and traps.is_loose_not(first, checker.text):
        checker.shape(first.of, here)
        checker.note(*traps.not_before_comparison(node, checker.text))
        return _BOOLEAN
    left = checker.operand(node.left, here) if _maybe_text(node.left, node.right) else checker.shape(node.left, here)
    right = checker.operand(node.right, here)
    if isinstance(node.left, Literal) and isinstance(node.right, Literal):
        _constant(checker, node)
    elif not _types(checker, node, left, right):
        _values(checker, node, left if isinstance(node.right, Literal) else right, top=here is checker.document)
    return _BOOLEAN


def _maybe_text(node: Ast, other: Ast) -> bool:
    """A quoted name on the left is meant as one when a literal or another text stands on the right."""
    return isinstance(node, Field) and node.quoted and not isinstance(other, Literal)


def _constant(checker: Checker, node: Compare) -> None:
    if compile_strict(node)(None):
        checker.note("always-holds", "both sides are constants: this always holds", node, _cure(node), "warning")
    else:
        checker.note("never-holds", "both sides are constants: this never holds", node, _cure(node), "warning")


def _cure(node: Compare) -> str:
    return "a path into the document stands without quotes: request.model" if _has_text(node) else ""


def _has_text(node: Compare) -> bool:
    return any(isinstance(side, Literal) and isinstance(side.value, str) for side in (node.left, node.right))


def _types(checker: Checker, node: Compare, left: Shape, right: Shape) -> bool:
    """True after noting that the two sides have no type in common (or none that has an order)."""
    if left.types is None or right.types is None:
        return False
    if "null" in left.types | right.types and node.operator in ("==", "!="):
        return False
    shared = left.types & right.types
    if node.operator not in ("==", "!="):
        shared &= {"string", "number"}
    if shared:
        return False
    found = f"{_described(checker, node.left, left)} with {_described(checker, node.right, right)}"
    if node.operator == "!=":
        checker.note(
            "always-holds",
            f"this compares {found}, so it always holds",
            node,
            _instead(checker, node, left, right),
            "warning",
        )
    else:
        checker.note(
            "never-holds",
            f"this compares {found}, so it never holds",
            node,
            _instead(checker, node, left, right),
            "warning",
        )
    return True


def _described(checker: Checker, node: Ast, shape: Shape) -> str:
    words = " or ".join(sorted(WORDS[name] for name in shape.types or ()))
    return words if isinstance(node, Literal) else f"{words} (`{traps.same_text(checker.text[node.start : node.end])}`)"


def _instead(checker: Checker, node: Compare, left: Shape, right: Shape) -> str:
    """What to write so that the types fit."""
    literal, other, shape = node.right, node.left, left
    if isinstance(node.left, Literal):
        literal, other, shape = node.left, node.right, right
    written = traps.same_text(checker.text[other.start : other.end])
    if not isinstance(literal, Literal):
        return ""
    if isinstance(literal.value, str) and type_name(_json(literal.value)) in (shape.types or ()):
        return f"write `{literal.value}`, with the backticks instead of quotes"
    if shape.only("string") and type_name(literal.value) in ("number", "boolean") and node.operator in ("==", "!="):
        return f"write '{json.dumps(literal.value)}'"
    if type_name(literal.value) == "number" and node.operator not in ("==", "!="):
        return f"write length({written}) if its length is meant"
    if shape.only("array") and isinstance(literal.value, str):
        return f"write contains({written}, '{literal.value}')"
    return ""


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _values(checker: Checker, node: Compare, shape: Shape, *, top: bool) -> None:
    """A text that a part of the document with a fixed set of values never is. `shape`: of what is compared with it."""
    literal, path = (node.right, node.left) if isinstance(node.right, Literal) else (node.left, node.right)
    if node.operator not in ("==", "!=") or not isinstance(literal, Literal) or not isinstance(literal.value, str):
        return
    help = not_a_value(literal.value, plain_path(path) if top else None, shape, checker.scope)
    if help:
        name = traps.same_text(checker.text[path.start : path.end])
        holds = "never" if node.operator == "==" else "always"
        checker.note(
            f"{holds}-holds", f"`{name}` is never '{literal.value}', so this {holds} holds", literal, help, "warning"
        )


def not_a_value(text: str, path: tuple[str | int, ...] | None, shape: Shape, scope: Scope) -> str:
    """What to write instead of a text that a value never is; empty when it may be it.

    `path`: of the value from the top of the document, where it is one; `shape`: of the value.
    """
    known = _known_values(scope, path)
    if known is None and shape.values is not None and _misspelt(text, shape.values):
        known = sorted(shape.values)
    if known is None or text in known:
        return ""
    if text in CALL_TYPES and path == ("call_type",):
        return "the rule's `call_types` are: " + ", ".join(known)
    return did_you_mean(_CHAT.get(text, text), known, "it is one of: " + ", ".join(known))


def _misspelt(value: str, known: frozenset[str]) -> bool:
    """True for a text that is nearly one of the known ones. What is not like any may be new, as may a new number."""
    if value in known or _NUMBERS.sub("", value) in {_NUMBERS.sub("", one) for one in known}:
        return False
    return bool(get_close_matches(value, known, 1, _LIKE))


def _known_values(scope: Scope, path: tuple[str | int, ...] | None) -> list[str] | None:
    if path == ("call_type",):
        return sorted(scope.call_types)
    if path == ("time", "weekday"):
        return list(WEEKDAYS)
    if path == ("error", "source"):
        return list(_SOURCES)
    if path == ("method",):
        return ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"]
    return None
