"""What rules files say, once they are read and checked. Must not know how they are read or what becomes of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from engine.errors import Problem
from engine.rules.files import Written
from engine.rules.rule import Rule
from engine.source import Mapping, Sequence

SORTS = {  # section: the sort of name it defines
    "lists": "list",
    "patterns": "pattern",
    "prices": "price",
    "stores": "store",
    "prompt_sources": "prompt_source",
    "sinks": "sink",
    "prompts": "prompt",
    "upstreams": "upstream",
    "models": "model",
    "conditions": "condition",
}


@dataclass(slots=True)
class Loaded:
    """What a rules file says, checked. `rules` is complete only when no problem is an error."""

    problems: list[Problem] = field(default_factory=list)
    written: Written = field(default_factory=Written)
    tables: dict[str, dict[str, Any]] = field(default_factory=dict)
    single: dict[str, Any] = field(default_factory=dict)  # version, server
    keys: list[Any] = field(default_factory=list)
    callbacks: dict[str, list[Any]] = field(default_factory=dict)
    rules: list[Rule] = field(default_factory=list)
    tests: list[tuple[Mapping, str]] = field(default_factory=list)  # the node, the folder of its file

    @property
    def fine(self) -> bool:
        """True when nothing keeps the rules from being served."""
        return not any(problem.severity == "error" for problem in self.problems)

    def take_apart(self) -> None:
        """Free rules and nodes one by one when they are of no more use: freed at once, they hold up other threads."""
        lists = (node.items for _, _, node, _ in self.written.sections if isinstance(node, Sequence))
        piles: list[list[Any]] = [self.rules, *lists]
        for pile in piles:
            while pile:
                pile.pop()
