"""Gives back what a store took for an exchange that did not wait for the answer. Must not know any store."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import TypeVar

from engine.ports.stores import Claim, Standing, StoreError, Used, taken

T = TypeVar("T")
Settle = Callable[[Sequence[Used], str], Awaitable[None]]


class Returns:
    """Tasks that settle with nothing used."""

    def __init__(self, settle: Settle) -> None:
        self._settle = settle
        self._tasks: set[asyncio.Task[None]] = set()

    async def standings(
        self, answer: asyncio.Future[T], read: Callable[[T], list[Standing]], claims: Sequence[Claim], holder: str
    ) -> list[Standing]:
        """Wait for what `take` is answered; if the wait is cancelled, what comes later is given back."""
        try:
            return read(await asyncio.shield(answer))
        except asyncio.CancelledError:
            answer.add_done_callback(lambda late: self._begin(late, read, claims, holder))
            raise

    async def finished(self) -> None:
        """Wait until all is given back."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    def _begin(
        self, late: asyncio.Future[T], read: Callable[[T], list[Standing]], claims: Sequence[Claim], holder: str
    ) -> None:
        if late.cancelled() or late.exception() is not None:
            return
        standings = read(late.result())
        if taken(claims, standings):
            task = asyncio.get_running_loop().create_task(self._give_back(claims, standings, holder))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _give_back(self, claims: Sequence[Claim], standings: Sequence[Standing], holder: str) -> None:
        uses = [
            Used(claim, 0.0, standing.window)
            for claim, standing in zip(claims, standings, strict=True)
            if standing.fits
        ]
        with suppress(StoreError):  # slots come back when their lease is over
            await self._settle(uses, holder)
