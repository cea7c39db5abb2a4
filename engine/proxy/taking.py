"""Clients that take too little: of their answers, and with the bodies that they send. Must not know HTTP."""

from __future__ import annotations

import asyncio
import socket
import struct
import sys

from engine.ports.wire import BrokenBody, TooSlow

if sys.platform != "win32":
    from fcntl import ioctl
    from termios import TIOCOUTQ

_SLOWEST = 500  # bytes a second of a body: who sends them one by one holds a connection, and means to
_SILENT = 60  # seconds without a packet from which on the other end is asked whether it is still there
_PROBES = 4  # unanswered, 15 s apart, and it is not


class Taking:
    """Ends a connection whose client takes nothing of what waits for it for `seconds`.

    Begun when the socket is full, ended when there is room again. What counts is what the other machine took: room in
    the socket comes in large steps, and a slow line is no crime. `verdict` is said of one that was ended.
    """

    __slots__ = ("_left", "_loop", "_seconds", "_timer", "_transport", "verdict")

    def __init__(self, loop: asyncio.AbstractEventLoop, transport: asyncio.Transport, seconds: float) -> None:
        self._loop = loop
        self._transport = transport
        self._seconds = seconds
        self.verdict: TooSlow | None = None
        self._left = 0
        self._timer: asyncio.TimerHandle | None = None

    def begin(self) -> None:
        """The socket takes no more."""
        self._left = _untaken(self._transport)
        self._timer = self._loop.call_later(self._seconds, self._look)

    def end(self) -> None:
        """It does again, or it is gone."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        before = self._left
        self.begin()
        if self._left >= before:
            self.end()
            self.verdict = TooSlow(f"the client took nothing of its answer for {self._seconds:g} s")
            self._transport.abort()


class Pace:
    """How long the next piece of a body may take: `pause` at most, and less where the whole is too slow."""

    __slots__ = ("_by", "_loop", "_pause", "_slow")

    def __init__(self, pause: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._pause = pause
        self._by = self._loop.time() + 2 * pause
        self._slow = False

    def latest(self) -> float:
        """The time of the loop's clock by which something must have come."""
        by = self._loop.time() + self._pause
        self._slow = self._by < by
        return min(by, self._by)

    def came(self, size: int) -> None:
        """So many bytes earn their sender more time."""
        self._by += size / _SLOWEST

    def late(self) -> BrokenBody:
        """What is told to who missed it."""
        if self._slow:
            return BrokenBody(f"the body comes too slowly: fewer than {_SLOWEST} bytes a second")
        return BrokenBody(f"no byte of the body came for {self._pause:g} s")


def notice_silence(listening: socket.socket) -> None:
    """Have the system find out when a client's machine is gone without a word; what is accepted inherits it."""
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (("TCP_KEEPIDLE", _SILENT), ("TCP_KEEPINTVL", 15), ("TCP_KEEPCNT", _PROBES)):
        if hasattr(socket, name):  # not everywhere
            listening.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def _untaken(transport: asyncio.Transport) -> int:
    """Bytes that were written and that the other machine has not acknowledged."""
    here = transport.get_write_buffer_size()
    if sys.platform == "win32":
        return here
    try:
        told = ioctl(transport.get_extra_info("socket").fileno(), TIOCOUTQ, b"\0\0\0\0")
    except (OSError, ValueError):
        return here
    return here + int(struct.unpack("i", told)[0])
