"""Caches whose answers one caller gets from another. Must not know how a cache is asked."""

from __future__ import annotations

from engine.actions.cache import Cache
from engine.rules.lint_rules import RuleSet


def lint_cache(rules: RuleSet) -> None:
    """Note where an author's own key has nothing of the caller in it, although there are callers to tell apart."""
    server = rules.loaded.single.get("server")
    if not rules.loaded.keys and (server is None or server.auth is None):
        return
    for linted in rules.by_phase.get("request", ()):
        for use in linted.actions:
            if isinstance(use.action, Cache) and use.action.key and not _tells_callers_apart(use.action):
                rules.warn(
                    linted,
                    "shared-cache",
                    "answers to one caller are given to others: nothing in `key` says who is calling",
                    "add `key.team` or `key.name`; where all may share, `# pointsman: ignore[shared-cache] reason`",
                    use.span,
                )


def _tells_callers_apart(action: Cache) -> bool:
    return any({"key", "client", "*"} & part.roots for part in action.key)
