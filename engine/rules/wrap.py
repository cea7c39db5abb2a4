"""How a second compile of the same rules tells what it sees."""

from __future__ import annotations

from engine.actions.base import Apply
from engine.phases import Phase
from engine.rules.program import Test
from engine.rules.rule import Rule

Act = tuple[Test | None, Apply]


class Wrap:
    """Replaces the parts of steps by ones that report (`explain`, `--log-level debug`); this one keeps them all.

    Tracing is a second compile, so that the served program has no trace of it.
    """

    def test(self, rule: Rule, phase: Phase, part: str, test: Test | None) -> Test | None:
        """`part` is `match`, `unless` or `enabled` (with `expires`); None: the rule has none."""
        return test

    def act(self, rule: Rule, phase: Phase, number: int, act: Act) -> Act:
        """An action with its `if`; `number` is its place in the rule, from 0."""
        return act
