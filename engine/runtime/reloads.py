"""What became of the attempts to serve other rules. Must not know how rules are read."""

from __future__ import annotations

import datetime
from typing import Any

from engine.document.moments import Clock
from engine.errors import Problem


class Reloads:
    """`good` and `bad` count; `loaded` is when the rules that serve were loaded, `tried` when others were last tried.

    `problems` are those of the last attempt, if it was bad.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.good = self.bad = 0
        self.loaded = clock.now()
        self.tried: datetime.datetime | None = None
        self.problems: list[Problem] = []

    def note(self, problems: list[Problem]) -> None:
        """An attempt that had these problems, or none: then other rules serve from now on."""
        self.tried = self._clock.now()
        self.problems = problems
        if problems:
            self.bad += 1
        else:
            self.good += 1
            self.loaded = self.tried

    def told(self) -> dict[str, Any]:
        """For people and machines; times as RFC 3339."""
        return {
            "good": self.good,
            "bad": self.bad,
            "loaded": _written(self.loaded),
            "tried": _written(self.tried),
            "problems": [problem.as_json() for problem in self.problems],
        }


def _written(moment: datetime.datetime | None) -> str | None:
    return moment.isoformat(timespec="milliseconds") if moment is not None else None
