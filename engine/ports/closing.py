"""What is waited for on the way out, whatever has happened.

In a module of its own, as a compiled build leaves it to Python: there an exception is lost that waits in a handler.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import TypeVar

from engine.ports.wire import Arrival

T = TypeVar("T")


async def closed_after(work: Awaitable[T], arrival: Arrival) -> T:
    """What `work` gives; the answer that it reads is closed then, whatever became of it."""
    try:
        return await work
    finally:
        await arrival.close()
