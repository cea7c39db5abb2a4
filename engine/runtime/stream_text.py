"""One text of a stream on its way through the stages of all rules. Must not know events or dialects."""

from __future__ import annotations

from engine.document.answers import Answer
from engine.document.stream_slots import Channel
from engine.document.stream_spelling import Reader
from engine.runtime.stream_listening import Listening, standing
from engine.runtime.stream_stages import Place, Stage
from engine.runtime.stream_state import RuleState


class Text:
    """One text of a stream on its way through the stages."""

    __slots__ = ("_reader", "_resume", "_stages", "channel", "cut", "moved")

    def __init__(self, channel: Channel, place: Place, stages: list[Stage]) -> None:
        self.channel = channel
        self._reader = Reader(place.spelled)
        self._stages = stages
        self._resume = 0  # the stage that did not let the piece at hand pass over
        self.moved = False  # some of it passed otherwise than it came
        self.cut: Answer | None = None

    def passes_over(self, text: str) -> bool:
        """Read a piece, without half surrogate pairs, that passes as it is; False: `read` must be given the same."""
        if self._reader.waits or self._reader.spelled or self.cut is not None:
            return False
        for number, stage in enumerate(self._stages):
            if not stage.passes_over(text):
                self._resume = number
                return False
        return True

    async def read(self, text: str, last: bool = False) -> str:
        """What passes with the next piece."""
        if self.cut is not None:
            return ""
        run = self._reader.read(text, last)
        begins, self._resume = self._resume, 0
        for stage in self._stages[begins:]:
            if last or not stage.passes_over(run.text):
                run = await stage.read(run, last)
                if stage.cut is not None:
                    self.cut, last = stage.cut, True
        spelled = run.spelled
        if spelled != text:
            self.moved = True
        return spelled


def stages(state: RuleState, place: Place) -> list[Stage]:
    """What a rule does to a text."""
    rule = state.rule
    if state.off or not state.may_hold(rule.match):
        return []
    made: list[Stage] = []
    plain = [act for act in rule.acts if act.late is rule.match]
    if rule.heard:
        made.append(Listening(state, plain, rule.match, place))
    for act in rule.acts:
        if (rule.heard and act.late is rule.match) or not state.may_hold(act.late):
            continue
        if not state.holds(act.late, -1):
            made.append(Listening(state, [act], act.late, place))
        elif not state.verdict and (stage := standing(state, act, place)) is not None:
            made.append(stage)
    return made
