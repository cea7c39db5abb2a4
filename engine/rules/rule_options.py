"""Option types of a rule: its share of traffic, its last day. Must not know the rule."""

from __future__ import annotations

import datetime
from typing import Any

from engine.catalogue import Entry, Scope
from engine.language.expression import Expression
from engine.options import BAD, found, option
from engine.source import Node, Scalar


class Enabled(Entry, kind="section", name="rules.enabled", noun="`enabled`"):
    """Sticky rollout: a hash of rule name and value decides, never chance."""

    percent: float = option("Share of values that the rule holds for.", 100.0, minimum=0, maximum=100)
    by: Expression | None = option("What is hashed; default key.name, else client.ip.", None)

    @classmethod
    def read(cls, node: Node, scope: Scope) -> Any:
        if isinstance(node, Scalar) and isinstance(node.value, bool):
            scope.problem(
                "wrong-type",
                "`enabled` is a share of traffic, not a switch",
                node.span,
                help="write `mode: off` to switch a rule off" if not node.value else "leave `enabled` away",
            )
            return BAD
        if isinstance(node, Scalar):
            digits = str(node.value).removesuffix("%") if node.value is not None else "…"
            scope.problem(
                "wrong-type",
                f"`enabled` takes options, found {found(node)}",
                node.span,
                help=f"write `enabled: {{percent: {digits}}}`",
            )
            return BAD
        return super().read(node, scope)


class Day:
    """A calendar day, such as `2026-12-31`."""

    @classmethod
    def schema(cls) -> dict[str, Any]:
        return {"type": "string", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}$"}

    @classmethod
    def read(cls, node: Node, scope: Scope) -> Any:
        try:
            return datetime.date.fromisoformat(str(node.plain()))
        except ValueError:
            scope.problem(
                "wrong-type", f"expected a day, found {found(node)}", node.span, help="write it like `2026-12-31`"
            )
            return BAD
