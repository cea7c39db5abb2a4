"""Content codings undone piece by piece, so that a small body which unfolds into gigabytes is noticed on the way.

Must not know limits, requests or sockets.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Protocol

from engine.ports.wire import BrokenBody, UnknownCoding

PIECE = 256 * 1024  # most that one step unfolds, in bytes
_GZIP, _ZLIB, _RAW = zlib.MAX_WBITS | 16, zlib.MAX_WBITS, -zlib.MAX_WBITS


class Decoder(Protocol):
    """One body on its way out of its coding."""

    def pieces(self, data: bytes) -> Iterator[bytes]:
        """What `data` adds, in pieces of at most PIECE bytes; BrokenBody when it is damaged."""

    def finish(self) -> None:
        """BrokenBody when the body is not whole."""


def decoder(coding: str | None) -> Decoder | None:
    """A decoder for a `content-encoding` header, None for identity; UnknownCoding for all but gzip and deflate."""
    match (coding or "identity").strip().lower():
        case "identity" | "":
            return None
        case "gzip" | "x-gzip":
            return _Members()
        case "deflate":
            return _Deflated()
        case unknown:
            raise UnknownCoding(f"content-encoding {unknown!r} is not supported; send gzip, deflate or none")


class _Members:
    """gzip: one member after the other, each a body of its own."""

    def __init__(self) -> None:
        self._member = zlib.decompressobj(_GZIP)
        self._begun = False

    def pieces(self, data: bytes) -> Iterator[bytes]:
        while data:
            if self._member.eof:
                self._member = zlib.decompressobj(_GZIP)
            self._begun = True
            yield from _unfold(self._member, data)
            data = self._member.unused_data

    def finish(self) -> None:
        if self._begun and not self._member.eof:
            raise BrokenBody("the compressed body ends before its end")


class _Deflated:
    """deflate: the zlib format by the book, the bare stream by some clients' habit; the first byte tells them apart."""

    def __init__(self) -> None:
        self._stream: zlib._Decompress | None = None

    def pieces(self, data: bytes) -> Iterator[bytes]:
        if not data:
            return
        if self._stream is None:
            self._stream = zlib.decompressobj(_ZLIB if data[0] & 0x0F == 8 else _RAW)
        if self._stream.eof:
            raise BrokenBody("the compressed body goes on after its end")
        yield from _unfold(self._stream, data)
        if self._stream.unused_data:
            raise BrokenBody("the compressed body goes on after its end")

    def finish(self) -> None:
        if self._stream is not None and not self._stream.eof:
            raise BrokenBody("the compressed body ends before its end")


def _unfold(stream: zlib._Decompress, data: bytes) -> Iterator[bytes]:
    """All that `data` gives; a full piece means that zlib may hold more, even when it has taken all input."""
    full = True
    while (data or full) and not stream.eof:
        try:
            piece = stream.decompress(data, PIECE)
        except zlib.error as error:
            raise BrokenBody("the compressed body is damaged") from error
        data = stream.unconsumed_tail
        full = len(piece) == PIECE
        if piece:
            yield piece
