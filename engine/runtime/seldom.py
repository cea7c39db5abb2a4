"""Logs what may go wrong with every request, so seldom that an outage does not fill the log.

What is left out stands in metrics and records. Must not know what went wrong.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

log = logging.getLogger("pointsman.rules")
SECONDS = 10.0  # between two warnings of one kind
_MOST_KINDS = 1000


class Seldom:
    """Warnings of which those are counted, not said, that come soon after one of their kind."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._said: dict[tuple[str, ...], tuple[float, int]] = {}  # when, and how many were left out since

    def warn(self, kind: tuple[str, ...], told: str) -> None:
        """Say it, with the number of those that were left out, unless one of the kind was said a moment ago."""
        now = self._clock()
        at, left_out = self._said.get(kind, (now - SECONDS, 0))
        if now - at < SECONDS:
            self._said[kind] = at, left_out + 1
            return
        if len(self._said) >= _MOST_KINDS:
            self._said.clear()
        self._said[kind] = now, 0
        log.warning("%s%s", told, f" (and {left_out} times since this was last logged)" if left_out else "")

    def forget(self) -> None:
        """Say all kinds again."""
        self._said.clear()


SELDOM = Seldom()
"""Those of this process."""


def rule_failed(rule: str, phase: str, why: str, cause: Exception | None = None) -> None:
    """Say that a rule failed; its failures in a phase are of one kind where `why` begins alike, up to a colon."""
    SELDOM.warn((rule, phase, why.partition(":")[0]), f"rule {rule} failed in {phase}: {why}")
    if cause is not None:
        log.debug("rule %s failed", rule, exc_info=cause)
