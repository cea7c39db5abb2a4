"""What a prompt says of its variables: their types in Picoschema or a part of JSON Schema, and their defaults.

Must not know where a prompt stands, nor its text.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from engine.catalogue import Scope
from engine.errors import did_you_mean
from engine.options import BAD, found
from engine.ports.prompt_types import SCALARS, Fields, any_of, list_of, one_of, refuse, scalar
from engine.source import Mapping as MappingNode
from engine.source import Node, Sequence

_FIELD = re.compile(r"(?P<name>[^\W\d][\w-]*|\(\*\))(?P<optional>\?)?(?:\((?P<kind>\w+)\s*(?:,.*)?\))?\Z", re.DOTALL)
_ANY_OTHER = "(*)"
_TOLD = frozenset({"description", "title", "examples", "default", "$schema", "deprecated"})  # of JSON Schema


class Inputs:
    """The variables of a prompt: given ones are checked, missing ones have their default."""

    def __init__(self, fields: Fields, defaults: Mapping[str, Any]) -> None:
        self._fields = fields
        self._defaults = defaults

    def __call__(self, variables: Mapping[str, Any]) -> Mapping[str, Any]:
        given = {name: value for name, value in variables.items() if value is not None}
        complete = {**self._defaults, **given}
        self._fields.check(complete, "")
        return complete


def read_inputs(node: Node, scope: Scope) -> Inputs | None:
    """The value of `input:` in a prompt; None after noting what is wrong with it."""
    if not isinstance(node, MappingNode):
        scope.problem(
            "wrong-type", f"`input` is a mapping, found {found(node)}", node.span, help="write `input: {schema: {…}}`"
        )
        return None
    for key, _ in node:
        if key.value not in ("schema", "default"):
            scope.problem(
                "unknown-key",
                f"unknown option `{key.value}` of `input`",
                key.span,
                help=did_you_mean(str(key.value), ["schema", "default"]),
            )
            return None
    schema, default = node.get("schema"), node.get("default")
    if default is not None and not isinstance(default, MappingNode):
        scope.problem(
            "wrong-type",
            f"`default` is a mapping of variables, found {found(default)}",
            default.span,
            help="write `default: {name: value}`",
        )
        return None
    defaults = default.plain() if default is not None else {}
    fields = Fields() if schema is None else _read_schema(schema, scope, defaults)
    return None if fields is None else Inputs(fields, defaults)


def _read_schema(node: Node, scope: Scope, defaults: dict[str, Any]) -> Fields | None:
    if not isinstance(node, MappingNode):
        scope.problem(
            "wrong-type",
            f"a schema is a mapping of variables, found {found(node)}",
            node.span,
            help="write `schema: {name: string}`; a schema of another file is not looked up",
        )
        return None
    properties = node.get("properties")
    if isinstance(properties, MappingNode):
        fields = _json_fields(node, scope)
        for key, value in properties:
            told = value.get("default") if isinstance(value, MappingNode) else None
            if told is not None:
                defaults.setdefault(str(key.value), told.plain())
        return fields
    return _pico_fields(node, scope)


# --- Picoschema -------------------------------------------------------------------------------------------------------


def _pico_fields(node: MappingNode, scope: Scope) -> Fields | None:
    fields = Fields()
    for key, value in node:
        match = _FIELD.match(str(key.value))
        if match is None:
            scope.problem(
                "bad-prompt",
                f"`{key.value}` is no field of a schema",
                key.span,
                help="write `name: string`, `name?: string` or `names(array): string`",
            )
            return None
        check = _pico_kind(match["kind"], value, scope) if match["kind"] else _pico(value, scope)
        if check is BAD:
            return None
        if match["name"] == _ANY_OTHER:
            fields.others = check
        else:
            fields.known[match["name"]] = check, match["optional"] is None
    return fields


def _pico(node: Node, scope: Scope) -> Any:
    if isinstance(node, MappingNode):
        fields = _pico_fields(node, scope)
        return BAD if fields is None else fields.check
    text = node.plain()
    name = text.partition(",")[0].strip() if isinstance(text, str) else "null" if text is None else ""
    return _scalar(name, node, scope)


def _pico_kind(kind: str, node: Node, scope: Scope) -> Any:
    if kind == "array":
        item = _pico(node, scope)
        return BAD if item is BAD else list_of(item)
    if kind == "object" and isinstance(node, MappingNode):
        return _pico(node, scope)
    if kind == "enum" and isinstance(node, Sequence):
        return one_of(node.plain())
    scope.problem(
        "bad-prompt",
        f"`{kind}` with {found(node)} is no type",
        node.span,
        help="write `(array): TYPE`, `(object): {…}` or `(enum): [a, b]`",
    )
    return BAD


def _scalar(name: str, node: Node, scope: Scope) -> Any:
    check = scalar(name)
    if check is not None:
        return check
    scope.problem(
        "bad-prompt",
        f"`{name}` is no type of a variable" if name else f"expected the name of a type, found {found(node)}",
        node.span,
        help=did_you_mean(name, SCALARS, "one of " + ", ".join(SCALARS)),
    )
    return BAD


# --- JSON Schema ------------------------------------------------------------------------------------------------------


def _json_fields(node: MappingNode, scope: Scope) -> Fields | None:
    """An object's schema; `properties` are there."""
    fields = Fields()
    properties, required = node.get("properties"), node.get("required")
    needed = required.plain() if isinstance(required, Sequence) else []
    if not _only(node, {"type", "properties", "required", "additionalProperties"}, scope):
        return None
    for key, value in properties if isinstance(properties, MappingNode) else ():
        check = _json(value, scope)
        if check is BAD:
            return None
        fields.known[str(key.value)] = check, key.value in needed
    others = node.get("additionalProperties")
    if isinstance(others, MappingNode):
        fields.others = _json(others, scope)
    elif others is not None and others.plain() is False:
        fields.others = refuse
    return None if fields.others is BAD else fields


def _json(node: Node, scope: Scope) -> Any:
    if not isinstance(node, MappingNode):
        scope.problem(
            "bad-prompt",
            f"a schema in JSON Schema is a mapping, found {found(node)}",
            node.span,
            help="write `{type: string}`",
        )
        return BAD
    if node.get("properties") is not None:
        fields = _json_fields(node, scope)
        return BAD if fields is None else fields.check
    if not _only(node, {"type", "enum", "items"}, scope):
        return BAD
    allowed, items, kind = node.get("enum"), node.get("items"), node.get("type")
    if isinstance(allowed, Sequence):
        return one_of(allowed.plain())
    if items is not None:
        item = _json(items, scope)
        return BAD if item is BAD else list_of(item)
    if kind is None:
        return _scalar("any", node, scope)
    kinds = [_scalar(str(each.plain()), each, scope) for each in (kind if isinstance(kind, Sequence) else [kind])]
    return BAD if BAD in kinds else kinds[0] if len(kinds) == 1 else any_of(kinds)


def _only(node: MappingNode, known: set[str], scope: Scope) -> bool:
    """Whether a schema says nothing that would go unchecked."""
    for key, _ in node:
        if key.value not in known | _TOLD:
            scope.problem(
                "bad-prompt",
                f"`{key.value}` of JSON Schema is not checked here",
                key.span,
                help="leave it out, and check the variable with a rule; checked are "
                + ", ".join(sorted({"type", "properties", "required", "additionalProperties", "items", "enum"})),
            )
            return False
    return True
