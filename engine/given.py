"""What an author gave: the value itself, from the environment where it says so, or the marks that stand for none.

Must not know options.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from engine.source import Node

if TYPE_CHECKING:
    from engine.catalogue import Scope


class _Mark:
    def __init__(self, name: str) -> None:
        self._name = name

    def __repr__(self) -> str:
        return self._name


BAD: Any = _Mark("BAD")  # read, and a problem was noted
MISSING: Any = _Mark("MISSING")  # no default: the option is required


def from_environment(node: Node, scope: Scope) -> Any:
    """The plain value; a text that is exactly `os.environ/NAME` becomes that variable, unset is a problem."""
    value = node.plain()
    if isinstance(value, str) and value.startswith("os.environ/"):
        name = value.removeprefix("os.environ/")
        if name not in os.environ:
            scope.problem(
                "unset-variable",
                f"environment variable `{name}` is not set",
                node.span,
                help=f"set it before starting: export {name}=…",
            )
            return BAD
        return os.environ[name]
    return value
