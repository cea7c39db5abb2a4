"""What `server` lets by the rules: a note on each glob of `passthrough`. Must not know how requests are received."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.catalogue import Scope
from engine.source import Mapping, Sequence

if TYPE_CHECKING:
    from engine.rules.loaded import Loaded


def lint_door(loaded: Loaded, scope: Scope) -> None:
    """Note what holds, and what does not, on the paths that are passed through."""
    for _, node, _ in loaded.written.named("server"):
        globs = node.get("passthrough") if isinstance(node, Mapping) else None
        for glob in globs if isinstance(globs, Sequence) else ():
            scope.problem(
                "passed-through",
                "requests under this glob are passed through: no rule sees their bodies or answers",
                glob.span,
                severity="note",
                help="keep it narrow; callers need their key, rules on headers hold, and records name the glob",
            )
