"""Stream rules that wait for a condition on the text, and what they do once it holds.

Must not know events or dialects.
"""

from __future__ import annotations

from dataclasses import replace

from engine.document.answers import Answer
from engine.document.dialect import Said
from engine.document.stream_spelling import Run, joined
from engine.language.condition_stream import Heard, Joined, Late
from engine.language.windows_heard import Listener
from engine.rules.stream_rules import StreamAct
from engine.runtime.stream_stages import Place, Redacting, Stage
from engine.runtime.stream_state import RuleState

_SAID = {"completion_text": "completion", "tool_text": "tool", "reasoning_text": "reasoning"}


class Listening(Stage):
    """Waits for a condition on the text, and acts from where the text begins that made it hold."""

    def __init__(self, state: RuleState, acts: list[StreamAct], condition: Late, place: Place) -> None:
        self._state = state
        self._acts = acts
        self._condition = condition
        self._place = place
        self._listeners = [(test, Listener(test)) for test in tests(condition, place.kind)]
        self._holds = not state.observes and any(act.cuts or act.redaction for act in acts)
        self._held = Run("", [] if place.spelled else None)
        self._base = 0
        self._start = 0  # where the text begins that made the condition hold
        self._said: list[str] = []
        self._then: list[Stage] | None = None  # once it holds

    def passes_over(self, text: str) -> bool:
        if self._then is not None or self._held.text or self._place.spelled or self._state.reads_text:
            return False
        if not self._state.off:
            if self._holds_already() or not all(each.idle_over(text) for _, each in self._listeners):
                return False
            for _, each in self._listeners:
                each.pass_over(text)
        self._base += len(text)
        return True

    async def read(self, run: Run, last: bool) -> Run:
        if self._then is None and not self._state.off and self._holds_already():
            await self._open()
        if self._then is not None or self._state.off:
            kept, self._held = self._held + run, run.part(0, 0)
            return await self._onward(kept, last)
        self._held = self._held + run
        for number, char in enumerate(run.text):
            if self._read(char, False):
                self._said.append(run.text[: number + 1])
                return await self._heard(last)
        self._said.append(run.text)
        if last and self._read("", True):
            return await self._heard(last)
        end = self._base + len(self._held.text)
        return self._let(end if last or not self._holds else self._front(end))

    def _holds_already(self) -> bool:
        """By what was heard in other texts of this choice; a snapshot has to hold by itself."""
        return not self._place.whole and self._state.holds(self._condition, self._place.choice)

    def _front(self, end: int) -> int:
        return min((each.front for _, each in self._listeners if each.heard is None), default=end)

    def _read(self, char: str, last: bool) -> bool:
        """Read one character; True when the condition came to hold by it."""
        newly = [(test, each) for test, each in self._listeners if each.heard is None and each.read(char, last)]
        if not newly:
            return False
        self._start = min(each.heard or 0 for _, each in newly)
        mine = {id(test): each.heard is not None for test, each in self._listeners} if self._place.whole else {}
        if not self._place.whole:
            for test, _ in newly:
                self._state.note_heard(self._place.choice, test)
        return self._state.holds(self._condition, self._place.choice, mine)

    async def _heard(self, last: bool) -> Run:
        """What passes now that the condition holds: what was before it, then the rest by way of the actions."""
        before = self._let(max(self._base, self._start) if self._holds else self._base + len(self._held.text))
        await self._open()
        rest, self._held = self._held, self._held.part(0, 0)
        after = await self._onward(rest, last)
        return joined([before, after], self._place.spelled)

    def _let(self, end: int) -> Run:
        passed, self._held = self._held.part(0, end - self._base), self._held.part(end - self._base)
        self._base = end
        return passed

    async def _open(self) -> None:
        """The condition holds: do at once what is not done to the text, and begin what is."""
        self._then = []
        if self._condition is self._state.rule.match and not self._state.matches():
            return
        self._state.x.streamed = said(self._place, "".join(self._said))
        for act in self._acts:
            stage = await opened(self._state, act, self._place)
            if stage is not None:
                self._then.append(stage)
            if stage is not None and stage.cut is not None:
                self.cut = stage.cut
                return

    async def _onward(self, run: Run, last: bool) -> Run:
        if self.cut is not None:
            return run.part(0, 0)
        for stage in self._then or ():
            run = await stage.read(run, last)
            if stage.cut is not None:
                self.cut, last = stage.cut, True
        return run


class Ending(Stage):
    """Nothing passes any more."""

    def __init__(self, cut: Answer) -> None:
        self.cut = cut

    async def read(self, run: Run, last: bool) -> Run:
        return run.part(0, 0)


class Asking(Stage):
    """Asks a callback about each piece; a piece that it refuses does not pass."""

    def __init__(self, state: RuleState, act: StreamAct, place: Place) -> None:
        self._state = state
        self._act = act
        self._place = place
        self._said = ""

    async def read(self, run: Run, last: bool) -> Run:
        if self._state.off or not run.text or self._place.whole:
            return run
        self._said += run.text
        self._state.x.streamed = said(self._place, self._said)
        self.cut = await self._state.act(self._act)
        return run if self.cut is None else run.part(0, 0)


def tests(condition: Late, kind: str) -> list[Heard]:
    """What a condition listens for in texts of a kind."""
    if isinstance(condition, Joined):
        return [test for part in condition.parts for test in tests(part, kind)]
    return [condition] if isinstance(condition, Heard) and condition.kind == kind else []


def said(place: Place, text: str) -> Said:
    """The text at hand as the document shows it."""
    return replace(Said(), **{_SAID[place.kind]: text}) if place.kind in _SAID else Said()


def standing(state: RuleState, act: StreamAct, place: Place) -> Stage | None:
    """The stage of an action whose condition holds; None when it does nothing to the text."""
    if act.redaction is not None:
        kinds = act.redaction.kinds
        return Redacting(state, act.redaction, place) if kinds is None or place.kind in kinds else None
    return Asking(state, act, place) if act.waits and not state.observes else None


async def opened(state: RuleState, act: StreamAct, place: Place) -> Stage | None:
    """The same when the condition has just come to hold; what is done once is done now."""
    if act.redaction is not None or act.waits:
        return standing(state, act, place)
    cut = await state.act_once(act)
    return Ending(cut) if cut is not None else None
