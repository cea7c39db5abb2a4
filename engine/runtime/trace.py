"""A second compile of the same rules that tells what it sees; the served one has no trace of it.

Must not know how a trace is shown.
"""

from __future__ import annotations

import logging

from engine.document.exchange import Exchange
from engine.phases import Phase
from engine.rules.program import Test
from engine.rules.rule import Rule
from engine.rules.wrap import Wrap

log = logging.getLogger("pointsman.rules")


class _Logged(Wrap):
    def test(self, rule: Rule, phase: Phase, part: str, test: Test | None) -> Test | None:
        if part != "match":
            return test

        def told(x: Exchange) -> bool:
            held = test is None or test(x)
            log.debug("%s: rule %s %s", x.id, rule.name_, "matches" if held else "does not match")
            return held

        return told


logged = _Logged()
"""`--log-level debug`: each rule's match is logged with its verdict, also where it does not hold."""
