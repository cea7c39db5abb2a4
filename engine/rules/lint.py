"""What only the whole set of rules shows: rules that cannot act, names that nobody uses, writes that are lost.

Each lint is a warning or a note with a code of its own. Must not know how rules run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.catalogue import Scope
from engine.rules.lint_advice import lint_advice
from engine.rules.lint_cache import lint_cache
from engine.rules.lint_conditions import lint_conditions
from engine.rules.lint_door import lint_door
from engine.rules.lint_names import lint_names
from engine.rules.lint_order import lint_order
from engine.rules.lint_rules import RuleSet
from engine.rules.lint_secrets import lint_secrets
from engine.rules.lint_workers import lint_workers
from engine.rules.lint_writes import lint_writes

if TYPE_CHECKING:
    from engine.rules.loaded import Loaded


def lint(loaded: Loaded, scope: Scope) -> None:
    """Put what is worth a look into `scope`; nothing while an error stands, since then the set is not whole."""
    lint_secrets(loaded, scope)
    if any(problem.severity == "error" for problem in (*loaded.written.problems, *scope.problems)):
        return
    rules = RuleSet(loaded, scope)
    lint_conditions(rules)
    lint_order(rules)
    lint_writes(rules)
    lint_advice(rules)
    lint_cache(rules)
    lint_names(loaded, scope)
    lint_door(loaded, scope)
    server = loaded.single.get("server")
    if server is not None:
        scope.problems += lint_workers(loaded, server.workers)
