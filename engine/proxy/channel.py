"""What a supervisor and its workers tell each other, over a pair of sockets. Must not know what they do with it."""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress
from typing import Any, Literal

import msgspec

from engine.rules.files import Kept
from engine.runtime.families import Figures

LARGEST = 1 << 30


class Message(msgspec.Struct, omit_defaults=True):
    """One thing told.

    To a worker: `rules` (serve what stands in `files`), `problems` (of rules that are not served), `figures` (tell
    them), `stop`. To the supervisor: `serves` (the version in `text`), `refuses` (why in `text`), `figures`. `number`
    is that of the question, 0 without one.
    """

    about: Literal["rules", "problems", "figures", "stop", "serves", "refuses"]
    number: int = 0
    text: str = ""
    files: Kept | None = None
    problems: list[dict[str, Any]] = []
    figures: Figures = {}


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Message).decode


class Channel:
    """One end."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def over(cls, end: socket.socket) -> Channel:
        """The channel over one socket of a pair."""
        end.setblocking(False)
        return cls(*await asyncio.open_unix_connection(sock=end))

    def post(self, message: Message) -> None:
        """Tell something, without waiting for it to leave; to nobody when the other end is gone."""
        if not self._writer.is_closing():
            told = _encode(message)
            self._writer.write(len(told).to_bytes(4, "big") + told)

    async def receive(self) -> Message | None:
        """The next that the other end tells; None when it is gone."""
        try:
            length = int.from_bytes(await self._reader.readexactly(4), "big")
            return _decode(await self._reader.readexactly(length)) if length < LARGEST else None
        except (asyncio.IncompleteReadError, ConnectionError):
            return None

    async def close(self) -> None:
        """Let what was told leave, and close."""
        self._writer.close()
        with suppress(ConnectionError):
            await self._writer.wait_closed()
