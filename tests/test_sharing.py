"""Sockets that several processes accept from: here several parts of one process, which is the same to a socket."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from running import eventually

from engine.proxy.channel import Channel, Message
from engine.proxy.sharing import GONE, Seats, Sharing, bind
from engine.rules.files import Kept


class Connection(asyncio.Protocol):
    """One that says who has it, and tells when it ends."""

    def __init__(self, house: House) -> None:
        self.house = house

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.house.connections.append(self)
        transport.write(b"%d" % self.house.seat)

    def connection_lost(self, exc: Exception | None) -> None:
        self.house.connections.remove(self)
        self.house.sharing.left()


class House:
    """What one process would be."""

    def __init__(self, sockets: list[socket.socket], seats: Seats, seat: int) -> None:
        self.seat = seat
        self.connections: list[Connection] = []
        self.sharing = Sharing(sockets, seats, seat)

    def begin(self) -> None:
        self.sharing.begin(lambda: Connection(self))


@asynccontextmanager
async def houses(count: int) -> AsyncIterator[tuple[int, list[House], Seats]]:
    sockets = bind("127.0.0.1", 0)
    seats = Seats(count)
    views = [Seats(count, os.dup(seats.file)) for _ in range(count)]
    made = [House([sock.dup() for sock in sockets], views[seat], seat) for seat in range(count)]
    try:
        yield sockets[0].getsockname()[1], made, seats
    finally:
        for house in made:
            for connection in house.connections:
                connection.transport.abort()
        await eventually(lambda: not any(house.connections for house in made))
        for house in made:
            house.sharing.close()
        for one in (*views, seats):
            one.close()
        for sock in sockets:
            sock.close()


async def connect(port: int) -> tuple[int, asyncio.StreamWriter]:
    """A connection, and the seat of who took it."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    return int(await asyncio.wait_for(reader.read(1), 10)), writer


async def test_connections_are_spread_evenly_whenever_they_come() -> None:
    async with houses(3) as (port, made, seats):
        for house in made:
            house.begin()
        burst = await asyncio.gather(*(connect(port) for _ in range(30)))
        assert [len(house.connections) for house in made] == [10, 10, 10]
        for _, writer in burst:
            writer.close()
        await eventually(lambda: not any(house.connections for house in made))
        assert [seats[seat] for seat in range(3)] == [0, 0, 0]
        single = [await connect(port) for _ in range(9)]
        assert sorted(seat for seat, _ in single) == [0, 0, 0, 1, 1, 1, 2, 2, 2]
        for _, writer in single:
            writer.close()


async def test_one_that_does_not_take_what_is_left_to_it_keeps_nobody_waiting() -> None:
    async with houses(2) as (port, made, seats):
        made[0].begin()
        seats[1] = 0  # it has none, and is stuck
        taken = await asyncio.gather(*(connect(port) for _ in range(50)))
        assert {seat for seat, _ in taken} == {0}
        for _, writer in taken:
            writer.close()


async def test_one_that_is_gone_is_not_waited_for() -> None:
    async with houses(2) as (port, made, seats):
        assert (seats[0], seats[1], seats.least_but(0)) == (GONE, GONE, GONE)
        made[0].begin()
        seat, writer = await connect(port)
        assert (seat, seats[0], seats.least_but(1)) == (0, 1, 1)
        made[0].sharing.close()
        assert seats[0] == GONE
        writer.close()


class Full(socket.socket):
    """A socket of a process that has too many files open, at first."""

    tries = 0

    def accept(self) -> tuple[socket.socket, object]:
        self.tries += 1
        if self.tries == 1:
            raise OSError(errno.EMFILE, "Too many open files")
        return super().accept()


async def test_too_many_open_files_are_said_and_tried_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("engine.proxy.sharing._FULL", 0.05)
    async with houses(1) as (port, made, _):
        (sock,) = made[0].sharing.sockets
        full = Full(fileno=sock.detach())
        made[0].sharing.sockets = [full]
        made[0].begin()
        seat, writer = await connect(port)
        assert (seat, full.tries >= 2) == (0, True)
        assert "cannot accept connections: Too many open files" in caplog.text
        writer.close()


def test_a_name_may_have_several_addresses_with_one_port() -> None:
    sockets = bind("localhost", 0)
    try:
        assert len({sock.getsockname()[1] for sock in sockets}) == 1
        with pytest.raises(OSError, match="in use"):
            bind("localhost", sockets[0].getsockname()[1])
    finally:
        for sock in sockets:
            sock.close()


async def test_what_one_end_tells_the_other_hears() -> None:
    ours, theirs = socket.socketpair()
    first, second = await Channel.over(ours), await Channel.over(theirs)
    figures = {
        "pointsman_requests": {("completion", "200", ""): 3.0},
        "pointsman_overhead_seconds": {("x",): [1.0, 0.5]},
    }
    told = [
        Message("rules", files=Kept({"rules.yaml": "rules: []\n"}, {"*.yaml": ["a.yaml"]}), problems=[{"line": 1}]),
        Message("figures", 7, figures=figures),
        Message("refuses", text="ü" * 300_000),
    ]
    for message in told:
        first.post(message)
    assert [await second.receive() for _ in told] == told
    await first.close()
    assert await second.receive() is None
    second.post(Message("stop"))  # to nobody
    await second.close()


def test_a_surplus_is_what_is_more_than_ones_share_and_more_than_chance() -> None:
    seats = Seats(3)
    sharing = Sharing.__new__(Sharing)
    sharing._seats, sharing._seat = seats, 0
    cases = [
        ((8, GONE, GONE), 0),
        ((8, 0, GONE), 4),
        ((5, 4, 4), 0),
        ((2, 0, 0), 0),
        ((3, 0, 0), 2),
        ((100, 88, 92), 0),
    ]
    for numbers, surplus in cases:
        for seat, number in enumerate(numbers):
            seats[seat] = number
        assert sharing.surplus() == surplus, numbers
    seats.close()
