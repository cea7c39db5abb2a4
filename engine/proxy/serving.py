"""What becomes of an exchange, whoever accepts connections: it is run, drained or cancelled, and its faults are told.

Must not know sockets or HTTP's syntax.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from engine.ports.wire import BrokenBody, Client, Headers, Overloaded, TooLarge, UnknownCoding
from engine.proxy.bodies import Bodies

Exchange = Callable[[Client], Awaitable[None]]

_STATUS_OF: dict[type[Exception], int] = {TooLarge: 413, UnknownCoding: 415, BrokenBody: 400, Overloaded: 503}
_log = logging.getLogger("pointsman")


class Served(Client, Protocol):
    """A client as a server knows it: `over` once its answer has left, whole or broken off.

    `held` are the bytes of its body that are counted in `Bodies`.
    """

    over: bool
    held: int

    @property
    def gone(self) -> bool:
        """Nobody is at the other end any more."""

    def break_off(self) -> None:
        """End the connection without the mark that says an answer is whole."""


class Serving:
    """The exchanges under way; `too_many` connections are to be left to other processes by and by.

    `bodies` are those of their requests.
    """

    def __init__(self, exchange: Exchange) -> None:
        self.draining = False
        self.too_many = 0
        self.bodies = Bodies()
        self._exchange = exchange
        self._running: set[asyncio.Task[Any]] = set()

    @property
    def running(self) -> int:
        """How many."""
        return len(self._running)

    def last(self) -> bool:
        """Whether the next request shall be the last one of its connection."""
        if self.too_many > 0:
            self.too_many -= 1
            return True
        return self.draining

    async def serve(self, client: Served, task: asyncio.Task[Any]) -> None:
        """An exchange in this task, and what becomes of its client when it fails."""
        self._running.add(task)
        try:
            await self._exchange(client)
            if not client.over and not client.gone:
                _log.error("%s %s was left without an answer", client.method, client.target)
                await _give_up(client, 500, "Internal error.", "internal_error")
        except (TooLarge, UnknownCoding, BrokenBody, Overloaded) as error:
            code = "overloaded" if isinstance(error, Overloaded) else "invalid_body"
            await _give_up(client, _STATUS_OF[type(error)], f"{error}.", code)
        except asyncio.CancelledError:
            if task.cancelling():
                if self.draining:
                    await _give_up(client, 503, "The gateway shut down before the answer.", "shutting_down")
                raise
            _log.exception("%s %s was cancelled from within", client.method, client.target)
            await _give_up(client, 500, "Internal error.", "internal_error")
        except Exception as error:  # noqa: BLE001  # whatever an exchange does, the server goes on
            if not (client.gone and isinstance(error, ConnectionError)):
                _log.exception("%s %s failed", client.method, client.target)
            await _give_up(client, 500, "Internal error.", "internal_error")
        finally:
            self._running.discard(task)
            if client.held:
                self.bodies.give_back(client.held)

    async def drain(self, seconds: float) -> None:
        """Let what runs go on for so long, then cancel it."""
        if self._running and seconds > 0:
            await asyncio.wait(self._running, timeout=seconds)
        if self._running:
            for task in self._running:
                task.cancel()
            await asyncio.wait(self._running, timeout=1.0)


def refusal(status: int, message: str, code: str) -> tuple[Headers, bytes]:
    """An answer without an exchange: nobody knows the client's dialect here, so it is the common form."""
    kind = "api_error" if status >= 500 else "invalid_request_error"
    body = {"error": {"message": message[:1].upper() + message[1:], "type": kind, "param": None, "code": code}}
    return (("content-type", "application/json; charset=utf-8"),), json.dumps(body).encode()


async def _give_up(client: Served, status: int, message: str, code: str) -> None:
    """Tell the client that nothing will come, or that what came is not whole."""
    if client.gone:
        return
    if client.started:
        client.break_off()
        return
    try:
        await client.reply(status, *refusal(status, message, code))
    except ConnectionError:
        _log.debug("%s left before it could be told", client.peer)
