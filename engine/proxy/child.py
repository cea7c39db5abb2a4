"""A worker as its supervisor has it: begun, listened to, asked, ended. Must not know when."""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from engine.proxy.channel import Channel, Message
from engine.proxy.sharing import Seats
from engine.proxy.worker import Place
from engine.runtime.families import Figures

log = logging.getLogger("pointsman")
_EXIT = 5.0  # seconds from a worker's last word to its end


@dataclass(frozen=True, slots=True)
class Command:
    """How a worker is begun, and what all of them share."""

    words: Sequence[str]
    sockets: Sequence[socket.socket]
    seats: Seats

    async def begin(self, seat: int, seats: int) -> Child:
        """A worker in a seat; OSError when there is no room for another process."""
        ours, theirs = socket.socketpair()
        with theirs:
            place = Place(seat, seats, theirs.fileno(), self.seats.file, tuple(sock.fileno() for sock in self.sockets))
            try:
                process = await asyncio.create_subprocess_exec(
                    *self.words,
                    "--worker",
                    str(place),
                    pass_fds=(place.channel, place.numbers, *place.sockets),
                    start_new_session=True,  # what a terminal sends is for the supervisor
                )
            except BaseException:
                ours.close()
                raise
        return Child(seat, process, await Channel.over(ours))

    def close(self) -> None:
        """Let go of the port; workers that live keep theirs."""
        for sock in self.sockets:
            sock.close()


class Child:
    """One worker. `version` is that of the rules it serves, empty before it is ready; `figures` what it told last."""

    def __init__(self, seat: int, process: asyncio.subprocess.Process, channel: Channel) -> None:
        self.seat = seat
        self.pid = process.pid
        self.began = time.monotonic()
        self.version = ""
        self.refused = ""  # why it does not serve the rules that it was told
        self.figures: Figures = {}
        self.post = channel.post
        self._process = process
        self._channel = channel
        self._asked = 0
        self._answers: dict[int, asyncio.Future[None]] = {}

    async def attend(self, heard: asyncio.Event) -> int:
        """Hear what it tells until it ends; its exit code. `heard` is set when it serves, or refuses to."""
        while (told := await self._channel.receive()) is not None:
            if told.about == "figures":
                self.figures = told.figures
                self._answered(told.number)
            elif told.about == "serves":
                self.version, self.refused = told.text, ""
                heard.set()
            elif told.about == "refuses":
                self.refused = told.text
                if self.version:
                    log.error("worker %d cannot serve the rules, and goes on as before\n%s", self.seat + 1, told.text)
                heard.set()
        for number in list(self._answers):
            self._answered(number)
        await self._channel.close()
        try:
            return await asyncio.wait_for(self._process.wait(), _EXIT)
        except TimeoutError:
            self.kill()
            return await self._process.wait()

    async def refresh(self, seconds: float) -> None:
        """Have its figures told anew; after `seconds` those told last must do."""
        self._asked += 1
        answer = self._answers[self._asked] = asyncio.get_running_loop().create_future()
        self.post(Message("figures", self._asked))
        try:
            await asyncio.wait_for(answer, seconds)
        except TimeoutError:
            del self._answers[self._asked]

    def _answered(self, number: int) -> None:
        answer = self._answers.pop(number, None)
        if answer is not None and not answer.done():
            answer.set_result(None)

    def kill(self) -> None:
        """End it at once."""
        with suppress(ProcessLookupError):
            self._process.kill()


def ended(status: int) -> str:
    """What a log says of an exit code."""
    return f"was ended by signal {-status}" if status < 0 else f"ended with code {status}"
