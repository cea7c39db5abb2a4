"""The garbage collector and rules: they are made by the million, are no garbage, and then stay.

Must not know what rules are.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager

_GROWN = 1.1  # times what was in use when all was collected: from then on a tenth may be garbage
_TURN = 0.0005  # seconds that a thread goes on while another waits for its turn; Python's own choice is ten times that


class _Last:
    """The last collection of everything: blocks of memory in use after it; 0 where what serves was only just begun."""

    blocks = 0


@contextmanager
def uncollected() -> Iterator[None]:
    """Pause the garbage collector: a third of the time of ten thousand rules. Reference counting goes on."""
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()


def settle() -> None:
    """Once rules are there to stay: keep the collector from walking them again and again, 5 ms for a thousand.

    All garbage is collected first, for which every thread stands still, 40 ms with a thousand rules: for the start.
    """
    gc.unfreeze()
    gc.collect()
    gc.freeze()


@contextmanager
def beside() -> Iterator[None]:
    """For a thread that makes rules while others answer: these get their turn soon, and no collection holds them up.

    What is there at the end is settled unseen. Rules make no circles, so that old ones go without the collector; what
    does make some (authors' modules, sinks) is collected the next time after it has come to a tenth of everything.
    """
    turn = sys.getswitchinterval()
    sys.setswitchinterval(min(turn, _TURN))
    try:
        _collect()
        with uncollected():
            yield
            gc.freeze()
    finally:
        sys.setswitchinterval(turn)


def _collect() -> None:
    """What exchanges have left since the last time, which is little; all where much has come together."""
    used = sys.getallocatedblocks()
    _Last.blocks = _Last.blocks or used
    if used > _Last.blocks * _GROWN:
        settle()
        _Last.blocks = sys.getallocatedblocks()
    else:
        gc.collect()
