"""What counts or is kept in `memory` although several processes serve. Must not know how processes are begun."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from engine.errors import Problem
from engine.ports.stores import Store, StoreRef
from engine.rules.loaded import Loaded


def lint_workers(loaded: Loaded, workers: int) -> list[Problem]:
    """A warning for each action whose state every one of several workers would have for itself."""
    if workers < 2:
        return []
    return [
        Problem(
            "memory-per-worker",
            f"each of the {workers} workers has `memory` of its own: {_means(use.action.name, workers)}",
            use.span,
            "name a store that all of them see: `stores: {shared: {sqlite: state.db}}`, or `redis`",
            "warning",
            rule.name_,
        )
        for rule in loaded.rules
        for use in rule.actions
        if any(store is None or store.name == "memory" for store in _stores(use.action))
    ]


def _stores(action: Any) -> Iterator[Store | None]:
    """What an action names as its store; None where it names nothing, which means `memory`."""
    values = vars(action)
    return (values[name] for name, option in type(action).options.items() if option.reads is StoreRef)


def _means(action: str, workers: int) -> str:
    if action == "cache":
        return "an answer that one keeps is not found by the others"
    return f"`{action}` lets up to {workers} times as much pass"
