"""What stream rules do to one text as it comes: each rule is a stage, and reads what the stage before it lets pass.

Must not know events or dialects.
"""

from __future__ import annotations

from dataclasses import dataclass

import re2

from engine.actions.redaction import Redaction
from engine.document.answers import Answer
from engine.document.marks import Marks
from engine.document.stream_spelling import Run, joined
from engine.language.patterns import Pattern
from engine.language.regex import regex
from engine.language.windows_several import Edit, Reading, Windows
from engine.runtime.stream_state import RuleState


@dataclass(frozen=True, slots=True)
class Place:
    """The text that stages work on: of which choice, of which kind, spelled how; and whether it is a snapshot."""

    choice: int
    kind: str
    spelled: bool
    whole: bool


class Stage:
    """Reads text and lets text pass. `cut`: the answer that ends the stream where its text ends."""

    cut: Answer | None = None

    def passes_over(self, text: str) -> bool:
        """Read a piece that passes as it is; False: it was not read."""
        return False

    async def read(self, run: Run, last: bool) -> Run:
        """What passes with the next piece; `last`: the text ends with it."""
        raise NotImplementedError


class Redacting(Stage):
    """Replaces what is found."""

    def __init__(self, state: RuleState, redaction: Redaction, place: Place) -> None:
        self._state = state
        self._mark = redaction.mark
        self._reading = Reading(redaction.windows)
        self._held = Run("", [] if place.spelled else None)
        self._base = 0  # where the text held begins
        self._spelled = place.spelled
        self._closed = False  # a match outgrew its window

    def passes_over(self, text: str) -> bool:
        if self._held.text or self._spelled or self._closed:
            return False
        if not self._state.off and not self._reading.passes_over(text):
            return False
        self._base += len(text)
        return True

    async def read(self, run: Run, last: bool) -> Run:
        state = self._state
        if state.off:
            kept, self._held = self._held + run, run.part(0, 0)
            return kept
        if self._closed:
            return run.part(0, 0)
        edits = self._reading.read(run.text)
        if last:
            edits += self._reading.finish()
        if state.observes:
            state.found += sum(edit.name is not None for edit in edits)
            return run
        self._held = self._held + run
        try:
            passed = self._edited(edits)
        except Exception as cause:  # noqa: BLE001  of the mark's template; `on_error` answers it
            self.cut = state.fails(f"{type(cause).__name__}: ", cause)
            kept, self._held = self._held, run.part(0, 0)
            return kept if self.cut is None else self._before_finding(kept, edits)
        if self._reading.failed is not None:
            self._held, self._closed = run.part(0, 0), True
            self.cut = state.fails_closed(self._reading.failed)
        return passed

    def _before_finding(self, held: Run, edits: list[Edit]) -> Run:
        """What stays of a text up to its first finding."""
        end = next((edit.start for edit in edits if edit.name is not None), self._base)
        return held.part(0, max(0, end - self._base))

    def _edited(self, edits: list[Edit]) -> Run:
        held, base, runs = self._held, self._base, []
        end = base
        for start, end, name in edits:
            if name is None:
                runs.append(held.part(start - base, end - base))
            else:
                self._state.found += 1
                runs.append(held.mark(self._mark(self._state.x, name)))
        if end > base:
            self._held, self._base = held.part(end - base), end
        return joined(runs, self._spelled)


class Restoration:
    """What marks stand for, and how they are looked for: the longer one first."""

    def __init__(self, marks: Marks) -> None:
        self.values = marks.values
        longest_first = sorted(self.values, key=len, reverse=True)
        source = "|".join(map(re2.escape, longest_first))
        self.windows = Windows([Pattern("mark", regex(source))])


class Restoring(Stage):
    """Puts values in the place of their marks."""

    def __init__(self, restoration: Restoration, place: Place) -> None:
        self._values = restoration.values
        self._reading = Reading(restoration.windows)
        self._held = Run("", [] if place.spelled else None)
        self._base = 0
        self._spelled = place.spelled

    def passes_over(self, text: str) -> bool:
        if self._held.text or self._spelled or not self._reading.passes_over(text):
            return False
        self._base += len(text)
        return True

    async def read(self, run: Run, last: bool) -> Run:
        edits = self._reading.read(run.text)
        if last:
            edits += self._reading.finish()
        self._held = self._held + run
        held, base, end = self._held, self._base, self._base
        runs = []
        for start, end, name in edits:
            part = held.part(start - base, end - base)
            runs.append(part if name is None else held.mark(self._values[part.text]))
        self._held, self._base = held.part(end - base), end
        return joined(runs, self._spelled)
