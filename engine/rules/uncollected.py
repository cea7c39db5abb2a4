"""Work that makes millions of objects and no garbage, done without the collector looking through them each time.

Must not know what work.
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
