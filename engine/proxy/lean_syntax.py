"""Answers of one connection as llhttp reads them, one after the other.

llhttp is strict here: folded headers, bare line ends, two lengths or a length beside chunks are no HTTP. What it leaves
to its user stands here: how large a head may be, which transfer codings are known, that nothing follows an answer.
Must not know sockets or time.
"""

from __future__ import annotations

from httptools import HttpParserCallbackError, HttpParserError, HttpResponseParser

from engine.proxy.faults import LONG_HEADER, MANY_HEADERS, NO_HTTP
from engine.proxy.lean_answer import Answer

HEADER_LINE = 64 * 1024  # most bytes of one header of an answer; content security policies are long
HEADERS = 256
_MOST_LOOSE = 2 * HEADER_LINE  # bytes of which neither a whole header nor a piece of a body has come
_FRAMED = (b"content-length", b"transfer-encoding")
_CODING = b"transfer-encoding"


class Unfit(Exception):
    """No answer can be had of these bytes; the argument says what they are instead."""


class OtherProtocol(Exception):
    """The upstream changed to another protocol."""


class Syntax:
    """Bytes in, an `Answer` told of its head, its body and its end.

    `over`: the answer is whole. `clean`: it was, and nothing came after it, and the upstream keeps the connection.
    """

    __slots__ = ("_answer", "_bodiless", "_fields", "_loose", "_parser", "_surplus", "clean", "headed", "over")

    def __init__(self) -> None:
        self._parser = HttpResponseParser(self)

    def expect(self, answer: Answer, *, bodiless: bool) -> None:
        """An answer will come; `bodiless` for one to HEAD, whose length is not that of what follows."""
        self._answer = answer
        self._bodiless = bodiless
        self._fields: list[tuple[bytes, bytes]] = []
        self._loose = 0
        self._surplus = self.headed = self.over = self.clean = False

    def feed(self, data: bytes) -> None:
        """Unfit or OtherProtocol when this is not the answer that was expected."""
        self._loose += len(data)
        try:
            self._parser.feed_data(data)
        except HttpParserError as error:
            if not self.over:
                raise _cause(error) from error
            self._surplus = True
        if self.over:
            self.clean = self.clean and not self._surplus
            if self._bodiless and self.clean:
                self._parser = HttpResponseParser(self)  # this one waits for a body
        elif not self.headed or self._loose > _MOST_LOOSE:
            self._measure()

    def ends_by_closing(self) -> bool:
        """Only the end of the connection ends this answer."""
        return self.headed and not any(name.lower() in _FRAMED for name, _ in self._fields)

    # --- called by llhttp ---

    def on_message_begin(self) -> None:
        if self.over:
            self._surplus = True
        self._fields = []

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header, or a trailer, which nobody asked for."""
        self._fields.append((name, value))
        if len(name) == 17 and name.lower() == _CODING and value.strip().lower() != b"chunked":
            raise Unfit(NO_HTTP)

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if status < 200:
            if status == 101:
                raise OtherProtocol
            if status < 100:
                raise Unfit(NO_HTTP)
            self._loose = 0
            return  # the answer proper follows
        if self.over:
            return
        suspect = self._loose > HEADER_LINE or len(self._fields) > HEADERS
        self._loose = 0  # much of it may be the body
        if suspect:
            self._measure()
        self.headed = True
        self._answer.begin(status, self._fields)
        if self._bodiless:
            self._end()

    def on_body(self, piece: bytes) -> None:
        if self.over:
            self._surplus = True
            return
        self._loose = 0
        self._answer.add(piece)

    def on_message_complete(self) -> None:
        if self.headed and not self.over:
            self._end()

    # --- its own ---

    def _end(self) -> None:
        self.over = True
        self.clean = self._parser.should_keep_alive()

    def _measure(self) -> None:
        """Unfit where a head, a trailer or the size of a chunk is out of all proportion."""
        lengths = [len(name) + len(value) for name, value in self._fields]
        if len(lengths) > HEADERS:
            raise Unfit(MANY_HEADERS)
        if max(lengths, default=0) > HEADER_LINE or self._loose - sum(lengths) > _MOST_LOOSE:
            raise Unfit(LONG_HEADER)


def _cause(error: HttpParserError) -> Exception:
    """What one of the functions above raised, or that llhttp did not like what it read."""
    cause = error.__context__
    if isinstance(error, HttpParserCallbackError) and isinstance(cause, Unfit | OtherProtocol):
        return cause
    return Unfit(NO_HTTP)
