"""Sockets that several processes accept from, evenly.

The kernel gives a connection to whoever asks first, and that is mostly the same process; with a socket for each
(`SO_REUSEPORT`) chance decides, and what waits at a process that dies is lost. So there is one socket, and the
processes tell each other in shared memory how many connections they have: who has more than another leaves the next
one to it, for a moment. Must not know what is said over a connection.
"""

from __future__ import annotations

import asyncio
import logging
import mmap
import os
import socket
import tempfile
from array import array
from collections.abc import Callable, Sequence

log = logging.getLogger("pointsman")

GONE = 2**31 - 1  # in the seat of a process that takes nothing
BACKLOG = 1024
_LEAVE = 0.005  # seconds that another has to take a connection
_BURST = 16  # most connections taken at once by who waits in vain: one at first, then twice as many each time
_FULL = 1.0  # seconds until the next try where no more files can be open


def bind(host: str, port: int) -> list[socket.socket]:
    """Listening sockets on every address that a host has; OSError."""
    sockets: list[socket.socket] = []
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    try:
        for family, kind, protocol, _, address in dict.fromkeys(found):
            sock = socket.socket(family, kind, protocol)
            sockets.append(sock)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            taken = sockets[0].getsockname()[1]
            sock.bind((address[0], port or taken, *address[2:]))
            sock.listen(BACKLOG)
            sock.setblocking(False)
    except OSError:
        for sock in sockets:
            sock.close()
        raise
    return sockets


def _nameless(content: bytes) -> int:
    """A file that has no name, in memory where the system has such: containers may have no place to write to."""
    if hasattr(os, "memfd_create"):
        file = os.memfd_create("pointsman")
        os.write(file, content)
        return file
    with tempfile.TemporaryFile() as beside:
        beside.write(content)
        beside.flush()
        return os.dup(beside.fileno())


class Seats:
    """A number for each process, in memory that all of them see."""

    def __init__(self, count: int, file: int | None = None) -> None:
        self.file = _nameless(array("i", [GONE] * count).tobytes()) if file is None else file  # nobody is there yet
        self._memory = mmap.mmap(self.file, count * 4)
        self._numbers = memoryview(self._memory).cast("i")

    def __getitem__(self, seat: int) -> int:
        return self._numbers[seat]

    def __setitem__(self, seat: int, number: int) -> None:
        self._numbers[seat] = number

    def least_but(self, seat: int) -> int:
        """The least of all others; GONE where there is no other."""
        others = self._numbers.tolist()
        del others[seat]
        return min(others, default=GONE)

    def share(self) -> int:
        """What each would have if all had the same, rounded up."""
        taking = [number for number in self._numbers.tolist() if number != GONE]
        return -(-sum(taking) // len(taking)) if taking else 0

    def close(self) -> None:
        """Let go of the memory; the others keep it."""
        self._numbers.release()
        self._memory.close()
        os.close(self.file)


class Sharing:
    """Accepts for one process of several. To be told of each connection that ends (`left`)."""

    def __init__(self, sockets: Sequence[socket.socket], seats: Seats, seat: int) -> None:
        self.sockets = sockets
        self._seats = seats
        self._seat = seat
        self._closed = False
        self._most = 1
        self._loop = asyncio.get_running_loop()
        self._beginning: set[asyncio.Task[object]] = set()

    def begin(self, factory: Callable[[], asyncio.BaseProtocol]) -> None:
        """Take connections from now on; each gets a protocol of its own."""
        self._factory = factory
        self._seats[self._seat] = 0
        for sock in self.sockets:
            self._loop.add_reader(sock, self._offered, sock)

    def surplus(self) -> int:
        """How many connections more than its share this process has, where that is more than chance.

        They came while others were busy or not there yet, and stay as long as their clients like.
        """
        mine, share = self._seats[self._seat], self._seats.share()
        return mine - share if mine - share > max(1, mine // 8) else 0

    def left(self) -> None:
        """A connection has ended."""
        if not self._closed:
            self._seats[self._seat] -= 1

    def close(self) -> None:
        """Take no more, and let go of the sockets."""
        if self._closed:
            return
        self._closed = True
        self._seats[self._seat] = GONE
        for sock in self.sockets:
            self._loop.remove_reader(sock)
            sock.close()

    def _offered(self, sock: socket.socket) -> None:
        """A connection waits: for the one who has fewest."""
        if self._seats[self._seat] <= self._seats.least_but(self._seat):
            self._most = 1
            self._accept(sock)
        else:
            self._loop.remove_reader(sock)
            self._loop.call_later(_LEAVE, self._again, sock)

    def _again(self, sock: socket.socket) -> None:
        """Look again after a while, and take of what is still there: the others are busy."""
        if self._closed:
            return
        self._loop.add_reader(sock, self._offered, sock)
        for _ in range(self._most):
            if not self._accept(sock):
                return
        self._most = min(2 * self._most, _BURST)

    def _accept(self, sock: socket.socket) -> bool:
        """Take one connection; False when there was none."""
        try:
            connection, _ = sock.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return False
        except OSError as wrong:  # too many open files
            log.error("cannot accept connections: %s; trying again", wrong.strerror or wrong)  # noqa: TRY400
            self._loop.remove_reader(sock)
            self._loop.call_later(_FULL, self._again, sock)
            return False
        connection.setblocking(False)
        self._seats[self._seat] += 1
        task = self._loop.create_task(self._take(connection))
        self._beginning.add(task)
        task.add_done_callback(self._beginning.discard)
        return True

    async def _take(self, connection: socket.socket) -> None:
        try:
            await self._loop.connect_accepted_socket(self._factory, connection)
        except OSError:  # it is gone already, before a protocol knew of it
            connection.close()
            self.left()
