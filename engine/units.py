"""Options with a unit: durations read as seconds, sizes read as bytes. Must not know what they are for."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from engine.cures import found
from engine.given import BAD, from_environment
from engine.source import Node

if TYPE_CHECKING:
    from engine.catalogue import Scope


class Seconds:
    """A duration: `5s`, `200ms`, `2m`, `1h`, `1d`, or a bare number of seconds. Read as seconds."""

    UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0, "day": 86400.0}
    FORM = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,12})?)\s*([a-z]*)\Z")

    def schema(self) -> dict[str, Any]:
        written = {"type": "string", "pattern": r"^[0-9.]+\s*(ms|s|m|min|h|d|day)?$", "examples": ["5s"]}
        return {"anyOf": [{"type": "number", "minimum": 0}, written]}

    def read(self, node: Node, scope: Scope) -> Any:
        value = from_environment(node, scope)
        if isinstance(value, (int, float)) and not isinstance(value, bool) and value >= 0:
            return float(value)
        match = self.FORM.match(value) if isinstance(value, str) else None
        if match and (match[2] or "s") in self.UNITS:
            return float(match[1]) * self.UNITS[match[2] or "s"]
        if value is not BAD:
            scope.problem(
                "wrong-type",
                f"expected a duration, found {found(node)}",
                node.span,
                help="write it like `200ms`, `5s`, `2m` or `1h`",
            )
        return BAD


class Bytes:
    """A size: `32MiB`, `512KiB`, `1MB`, or a bare number of bytes."""

    UNITS = {"": 1, "B": 1, "KB": 1000, "MB": 1000**2, "GB": 1000**3, "KiB": 1024, "MiB": 1024**2, "GiB": 1024**3}
    FORM = re.compile(r"([0-9]{1,15})\s*([A-Za-z]*)\Z")

    def schema(self) -> dict[str, Any]:
        written = {"type": "string", "pattern": "^[0-9]+ ?([KMG]i?)?B?$", "examples": ["32MiB"]}
        return {"anyOf": [{"type": "integer", "minimum": 0}, written]}

    def read(self, node: Node, scope: Scope) -> Any:
        value = from_environment(node, scope)
        match = self.FORM.match(str(value)) if isinstance(value, (str, int)) and not isinstance(value, bool) else None
        if match and match[2] in self.UNITS:
            return int(match[1]) * self.UNITS[match[2]]
        if value is not BAD:
            scope.problem(
                "wrong-type",
                f"expected a size, found {found(node)}",
                node.span,
                help="write it like `32MiB`, `512KiB` or a number of bytes",
            )
        return BAD
