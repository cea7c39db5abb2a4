"""What an action is. One class in one file of this folder; its class line carries the name authors write."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, ClassVar

from engine.catalogue import Entry
from engine.document.answers import Again, Answer
from engine.document.exchange import Exchange
from engine.phases import EVERY_CALL_TYPE, Phase


class _Noop:
    def __repr__(self) -> str:
        return "NOOP"


NOOP = _Noop()
"""What an action returns when it found nothing to change; None says that it acted."""

IDLE = _Noop()
"""What a rule's actions come to when every `if` kept its action from running."""

Effect = None | _Noop | Answer | Again
Apply = Callable[[Exchange], Effect | Awaitable[Effect]]


class Action(Entry, kind="action"):
    """Something a rule does.

    `phases` and `call_types`: where it means something. `writes`: the roots it may change, for the index and the
    lints; an instance may narrow them (`("request.model",)`). `waits`: its apply returns an awaitable. `ends`: it
    always decides the answer. `fallible`: it can raise although its options were checked. `observes`: a rule that only
    observes runs it all the same, on a copy of the exchange that is thrown away. `timeout`: seconds it may wait, where
    that is not the rule's own.
    """

    phases: ClassVar[frozenset[Phase]]
    call_types: ClassVar[frozenset[str]] = EVERY_CALL_TYPE
    writes: tuple[str, ...] = ()
    waits: ClassVar[bool] = False
    ends: ClassVar[bool] = False
    fallible: ClassVar[bool] = True
    observes: ClassVar[bool] = False
    timeout: float | None = None

    @property
    def reads(self) -> frozenset[str]:
        """What of the document its expressions and templates read."""
        return frozenset[str]().union(*map(_read_by, vars(self).values()))

    def count(self, phase: Phase) -> Callable[[Exchange], int] | None:
        """What a rule that only observes counts in place of this action's changes; None where there is nothing to."""
        return None

    def shadow(self, phase: Phase) -> Apply | None:
        """What a rule that only observes runs in this action's place, on the exchange itself; it refuses nothing."""
        return None

    def compile(self, phase: Phase) -> Apply:
        """A function with everything decided already: it reads no option and looks nothing up by name."""
        raise NotImplementedError


def _read_by(value: Any) -> frozenset[str]:
    if isinstance(value, (list, tuple)):
        return frozenset[str]().union(*map(_read_by, value))
    if isinstance(value, dict):
        return frozenset[str]().union(*map(_read_by, value.values()))
    found = getattr(value, "roots", None)
    return found if isinstance(found, frozenset) else frozenset()
