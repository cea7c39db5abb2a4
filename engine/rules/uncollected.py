"""The garbage collector and rules: they are made by the million, are no garbage, and then stay.

Must not know what rules are.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


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

    What an earlier set of rules left in circles is collected first.
    """
    gc.unfreeze()
    gc.collect()
    gc.freeze()
