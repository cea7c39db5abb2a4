"""The body of an answer over a lean connection, piece by piece.

In a module of its own, as a compiled build leaves asynchronous generators to Python. Must not know connections.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Protocol


class Coming(Protocol):
    """An answer of which more may come; what its reader leaves behind is given up."""

    complete: bool

    def taken(self) -> bytes:
        """What has come and was not taken; empty where nothing has."""

    async def more(self) -> None:
        """Wait until something has come, or nothing can any more."""

    def give_up(self) -> None:
        """Nobody wants the rest."""


async def chunks(answer: Coming) -> AsyncIterator[bytes]:
    """What comes, as it comes."""
    try:
        while True:
            piece = answer.taken()
            if piece:
                yield piece
            elif answer.complete:
                return
            else:
                await answer.more()
    finally:
        if not answer.complete:
            answer.give_up()
