"""The names at the top of an expression: roots of the document, their phases, and what an author meant instead."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from functools import lru_cache

from engine.catalogue import Scope
from engine.document import fields
from engine.document.roots import ROOTS, Root
from engine.errors import Severity, did_you_mean
from engine.language.ast import Ast, Field
from engine.language.shapes import Shape, shape_of
from engine.phases import EVERY_CALL_TYPE, FAILURE, LOG, STREAM

Note = tuple[str, str, Ast, str, Severity]

_OFTEN = (
    "model",
    "messages",
    "user",
    "input",
    "prompt",
    "instructions",
    "system",
    "max_tokens",
    "max_output_tokens",
    "max_completion_tokens",
    "temperature",
    "top_p",
    "n",
    "stop",
    "seed",
    "tools",
    "tool_choice",
    "response_format",
    "reasoning_effort",
    "prompt_id",
    "prompt_variables",
    "prompt_label",
    "prompt_version",
)
"""Fields of a request that are known to be meant even where bodies are open."""

_MEANT = {
    "content": "prompt_text",
    "text": "prompt_text",
    "body": "request",
    "header": "headers",
    "ip": "client.ip",
    "role": "request.messages[].role",
    "choices": "response.body.choices",
    "status": "response.status",
    "team": "key.team",
    "hour": "time.hour",
    "weekday": "time.weekday",
}

_LIKE, _LIKE_IN_BODY, _VERY_LIKE = 0.66, 0.68, 0.8
"""How like a known field an unknown one must be to be taken for it misspelt: bodies have hundreds of fields."""

_VISIBLE = [root.name for root in ROOTS.values() if root.phases]
_DOCUMENT = Shape(frozenset(("object",)), dict.fromkeys(ROOTS), name="$")


def document(scope: Scope) -> Shape:
    """The document itself; always the same object, so that it can be told from what is inside it."""
    return _DOCUMENT


def root_shape(name: str, scope: Scope) -> Shape | tuple[str, str] | None:
    """The shape of a root; message and help when a phase of the rule does not have it; None when there is no such."""
    root = ROOTS.get(name)
    if root is None:
        return None
    missing = sorted((phase for phase in scope.phases if phase not in root.phases), key=lambda phase: phase.order)
    if missing:
        phases = ", ".join(str(phase) for phase in sorted(root.phases, key=lambda phase: phase.order))
        return f"the phase {missing[0]} has no `{name}` yet" if missing[0].order < min(
            phase.order for phase in root.phases
        ) else f"the phase {missing[0]} has no `{name}`", f"it is there in: {phases}"
    return _shape(root, scope)


def _shape(root: Root, scope: Scope) -> Shape:
    if root.name in ("request", "original"):
        return body_shape(scope.call_types, "request", root.name)
    if root.name == "response" and isinstance(root.shape, dict):
        return shape_of({**root.shape, "body": answer_shape(scope)}, root.name)
    return shape_of(root.shape, root.name)


@lru_cache(maxsize=512)
def body_shape(call_types: frozenset[str], side: fields.Side, name: str) -> Shape:
    """The shape of a body that any of these call types may have."""
    return shape_of(fields.members(call_types, side), name, advisory=True)


def answer_shape(scope: Scope) -> Shape:
    """The shape of `response.body` in a rule's phases. In `failure` it is what some upstream says of an error."""
    if FAILURE in scope.phases:
        return Shape(name="response.body")
    side: fields.Side = "log" if LOG in scope.phases else "stream" if STREAM in scope.phases else "response"
    return body_shape(scope.call_types, side, "response.body")


def field_meant(name: str, owner: Shape, call_types: frozenset[str]) -> str:
    """What to write instead of a field that is not known; nothing when that cannot be told: APIs grow."""
    known = [one for one in owner.members or () if one != "*"]
    if owner.name not in ("request", "original", "response.body"):
        return _did_you_mean(_near(name, known, _LIKE))
    side: fields.Side = "response" if owner.name == "response.body" else "request"
    own = fields.described(call_types, side)
    near = _near(name, own, _VERY_LIKE) or _near(name, known, _VERY_LIKE)
    other = name if fields.owners(name, side) else _near(name, fields.described(EVERY_CALL_TYPE, side), _VERY_LIKE)
    if other and (other == name or not near):
        return f"`{other}` is a field of: {', '.join(fields.owners(other, side))}"
    return _did_you_mean(near or _near(name, own, _LIKE_IN_BODY))


def _near(name: str, known: Iterable[str], like: float) -> str:
    return next(iter(get_close_matches(name, sorted(known), 1, like)), "")


def _did_you_mean(name: str) -> str:
    return f"did you mean `{name}`?" if name else ""


def unknown_root(node: Field, scope: Scope, *, operand: bool) -> Note:
    """The problem of a name that the document does not have."""
    return (
        "unknown-root",
        f"the document has no `{node.name}`",
        node,
        _meant(node.name, scope, operand=operand),
        "error",
    )


def _meant(name: str, scope: Scope, *, operand: bool) -> str:
    if name in scope.tables.get("condition", {}):
        return f"a named condition is used with `is: {name}`"
    if name in scope.tables.get("list", {}):
        return f"a list is asked with in_list(value, '{name}')"
    path = _path_to(name, scope)
    if path:
        return f"did you mean `{path}`?"
    near = did_you_mean(name, _VISIBLE, " ").strip() or did_you_mean(name, _OFTEN, " ").strip().replace(
        "`", "`request.", 1
    )
    if near or not operand:
        return near or f"a field of the body is written `request.{name}`"
    return f"if text is meant, write '{name}'"


def _path_to(name: str, scope: Scope) -> str:
    """Where in the document a name stands that is no root."""
    if name in _OFTEN:
        return f"request.{name}"
    if name in _MEANT:
        return _MEANT[name]
    owners = [root.name for root in ROOTS.values() if isinstance(root.shape, dict) and name in root.shape]
    if owners:
        return f"{owners[0]}.{name}" if len(owners) == 1 else ""
    return f"request.{name}" if name in (fields.members(scope.call_types, "request") or ()) else ""
