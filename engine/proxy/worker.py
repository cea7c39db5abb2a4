"""One of several processes that serve on one port: it does what its supervisor tells, and tells what it counted.

Its rules come from the supervisor, as texts: all workers serve the same, and one that takes another's place serves the
last good rules even when a file is broken by then. Must not know the other workers.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import signal
import socket
from dataclasses import dataclass

from engine.errors import Problem, RulesError
from engine.ports.sinks import Sink
from engine.proxy.addresses import Compiler
from engine.proxy.alone import Handle, name_parts, shut_down
from engine.proxy.channel import Channel, Message
from engine.proxy.entry import Listening, listen_shared
from engine.proxy.figures import of_gateway, of_process
from engine.proxy.gateway import Gateway
from engine.proxy.room import limits_of
from engine.proxy.sharing import Seats, Sharing
from engine.proxy.ways import Ways
from engine.report import as_text
from engine.rules.load import load
from engine.rules.program import Program
from engine.rules.uncollected import beside, settle

log = logging.getLogger("pointsman")
PUSH = 0.1  # seconds: what a worker counted and did not tell is lost with it when it is killed


@dataclass(frozen=True, slots=True)
class Place:
    """Which worker this is, of how many, and the files it has of its supervisor."""

    seat: int
    seats: int
    channel: int
    numbers: int  # the memory of `Seats`
    sockets: tuple[int, ...]

    def __str__(self) -> str:
        return ":".join(map(str, (self.seat, self.seats, self.channel, self.numbers, *self.sockets)))

    @classmethod
    def parsed(cls, text: str) -> Place:
        """The place that a command line says."""
        seat, seats, channel, numbers, *sockets = map(int, text.split(":"))
        return cls(seat, seats, channel, numbers, tuple(sockets))


async def work(given: argparse.Namespace, handle: Handle) -> int:
    """Serve until told to stop, or until the supervisor is gone; the exit code."""
    place = Place.parsed(given.worker)
    channel = await Channel.over(socket.socket(fileno=place.channel))
    told = await channel.receive()
    if told is None:
        return 1
    sharing = Sharing(
        [socket.socket(fileno=number) for number in place.sockets], Seats(place.seats, place.numbers), place.seat
    )
    worker = Worker(given.file, Compiler(given), channel, sharing)
    program = worker.made(told)
    if not isinstance(program, Program):
        worker.refuse(program)
        await channel.close()
        return 1
    ways = Ways()
    gateway = Gateway(program, ways)
    gateway.problems = told.problems
    listening = listen_shared(lambda client: handle(client, gateway), sharing, limits_of(program))
    gateway.adopted = lambda program: listening.bound(limits_of(program))
    name_parts()
    gateway.start()
    settle()
    del program  # else the first rules would stay when others are served
    await worker.serve(gateway, listening, ways)
    await channel.close()
    return 0


class Worker:
    """What a worker does beside serving."""

    def __init__(self, file: str, compiler: Compiler, channel: Channel, sharing: Sharing) -> None:
        self._sharing = sharing
        self._file = file
        self._compiler = compiler
        self._channel = channel
        self._stop = asyncio.Event()

    def made(self, told: Message, running: dict[str, Sink] | None = None) -> Program | list[Problem]:
        """The program of the files that were told, or why there is none; `running` sinks are kept as `load` does."""
        loaded = load(self._file, running, told.files)
        problems = [problem for problem in loaded.problems if problem.severity == "error"]
        if not problems:
            try:
                return self._compiler(loaded)
            except RulesError as refused:
                problems = refused.problems
            finally:
                loaded.take_apart()
        return problems

    def refuse(self, problems: list[Problem]) -> None:
        """Tell why the rules are not served here."""
        self._channel.post(Message("refuses", text=as_text(problems)))

    async def serve(self, gateway: Gateway, listening: Listening, ways: Ways) -> None:
        """Serve until it is time to stop, and tell until all is over."""
        self._gateway, self._listening = gateway, listening
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, self._stop.set)
        self._channel.post(Message("serves", text=gateway.program.version))
        tasks = [asyncio.create_task(part) for part in (self._obey(), self._push())]
        for task in tasks:
            task.add_done_callback(lambda _: self._stop.set())
        await self._stop.wait()
        await shut_down(gateway, listening, ways)
        self.tell_figures()
        for task in tasks:
            task.cancel()
        for failed in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(failed, Exception):
                log.error("this worker stopped: it failed", exc_info=failed)

    async def _obey(self) -> None:
        """Do what the supervisor tells, as long as there is one."""
        while (told := await self._channel.receive()) is not None:
            if told.about == "figures":
                self.tell_figures(told.number)
            elif told.about == "stop":
                self._stop.set()
            elif told.about == "problems":
                self._gateway.problems = told.problems
            elif told.about == "rules" and not self._stop.is_set():
                await self._adopt(told)

    async def _adopt(self, told: Message) -> None:
        """Serve other rules; those of before, where these cannot be served here."""
        gateway = self._gateway
        try:
            program = await asyncio.to_thread(self._made_beside, told, gateway.program.sinks)
        except Exception as wrong:
            log.exception("loading the rules failed; the last good ones go on serving")
            self._channel.post(Message("refuses", text=repr(wrong)))
            return
        if self._stop.is_set():
            return
        if not isinstance(program, Program):
            self.refuse(program)
            return
        gateway.adopt(program)
        gateway.problems = []
        self._channel.post(Message("serves", text=program.version))

    def _made_beside(self, told: Message, running: dict[str, Sink]) -> Program | list[Problem]:
        with beside():
            return self.made(told, running)

    async def _push(self) -> None:
        """Tell what was counted, soon after it was: of a worker that is killed nothing is known but what it told."""
        loop, told = asyncio.get_running_loop(), (0, 0)
        while True:
            began, now = loop.time(), self._counted()
            if now != told:
                self.tell_figures()
                told = now
            self._listening.shed(self._sharing.surplus() // 2)  # by and by: others do the same
            await asyncio.sleep(max(PUSH, 50 * (loop.time() - began)))  # no more than a fiftieth of the time

    def _counted(self) -> tuple[int, int]:
        """Numbers that change when there is something to tell."""
        sinks = sum(sink.written + sink.failed + sink.lost for _, sink in self._gateway.sinks())
        return self._gateway.metrics.changes, sinks

    def tell_figures(self, number: int = 0) -> None:
        """Tell everything that is measured here."""
        figures = of_gateway(self._gateway, self._listening) | of_process()
        figures["pointsman_workers"] = {(): 1}
        self._channel.post(Message("figures", number, figures=figures))
