"""Requests of one connection as llhttp reads them, one after the other.

llhttp is strict here: folded headers, bare line ends, two lengths or a length beside chunks are no HTTP. What it leaves
to its user stands here: how large a head may be, its host, its target, its coding, and that no protocol is changed.
Must not know sockets or time.
"""

from __future__ import annotations

from collections import deque

from httptools import HttpParserCallbackError, HttpParserError, HttpParserUpgrade, HttpRequestParser

from engine.proxy.entry_request import Carrier, Limits, Request
from engine.proxy.fields import readable

_FRAMING = ("content-length", "transfer-encoding")
_MOST_WAITING = 64  # requests sent ahead of the answer to the first


class Malformed(Exception):
    """These bytes are no request; the arguments are the answer's status, message and code."""

    def __init__(self, why: str, status: int = 400, code: str = "malformed_http") -> None:
        super().__init__(why)
        self.status, self.message, self.code = status, why, code


class Syntax:
    """Bytes in, requests out: `came` are those whose heads have come and that nobody has taken yet."""

    __slots__ = ("_carrier", "_fields", "_limits", "_loose", "_parser", "_request", "_resuming", "_target", "came")

    def __init__(self, carrier: Carrier, limits: Limits) -> None:
        self.came: deque[Request] = deque()
        self._carrier = carrier
        self._limits = limits
        self._parser = HttpRequestParser(self)
        self._fields: list[tuple[bytes, bytes]] = []
        self._target = b""
        self._loose = 0  # bytes of which neither a whole head nor a piece of a body has come
        self._request: Request | None = None  # whose body is coming
        self._resuming = False  # the body of a request that wanted to change the protocol is coming

    @property
    def begun(self) -> bool:
        """Part of a head has come."""
        return self._loose > 0 and self._request is None

    def feed(self, data: bytes) -> None:
        """Malformed when nobody can tell any more where a next request would begin."""
        self._loose += len(data)
        try:
            while data:
                data = self._fed(data)
            if self._loose > self._limits.line:
                self._measure()
        except Malformed:
            if self._request is not None:
                self._request.break_off()
            raise

    def _fed(self, data: bytes) -> bytes:
        """Feed the parser; what is left is the body of a request that wanted to change the protocol."""
        try:
            self._parser.feed_data(data)
        except HttpParserUpgrade as upgrade:
            return self._stay(data[upgrade.args[0] :])
        except HttpParserError as error:
            cause = error.__context__
            if isinstance(error, HttpParserCallbackError) and isinstance(cause, Malformed):
                raise cause from None
            raise Malformed(f"The request is not valid HTTP: {_first_line(str(error))}.") from error
        return b""

    def _stay(self, rest: bytes) -> bytes:
        """Protocols are not changed here, so the body follows as announced: llhttp is told of a request like it."""
        assert self._request is not None
        said = self._request.headers
        framing = [f"{name}: {value}\r\n".encode() for name, value in said if name in _FRAMING]
        self._parser = HttpRequestParser(self)
        self._resuming = True
        return b"POST / HTTP/1.1\r\n" + b"".join(framing) + b"\r\n" + rest

    # --- called by llhttp ---

    def on_message_begin(self) -> None:
        if not self._resuming:
            self._fields = []
            self._target = b""

    def on_url(self, piece: bytes) -> None:
        if not self._resuming:
            self._target += piece

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header, or a trailer, which means nothing here."""
        if not self._resuming:
            self._fields.append((name, value))

    def on_headers_complete(self) -> None:
        if self._resuming:
            self._resuming = False
            return
        suspect = self._loose > self._limits.line or len(self._fields) > self._limits.headers
        self._loose = 0  # much of it may be the body
        if suspect:
            self._measure()
        self._request = request = self._head()
        self._fields = []  # what comes now is a trailer, and no word of the request
        self.came.append(request)
        if len(self.came) > _MOST_WAITING:
            raise Malformed("The request is not valid HTTP: too many were sent ahead.")

    def on_body(self, piece: bytes) -> None:
        self._loose = 0
        if self._request is not None:
            self._request.add(piece)

    def on_message_complete(self) -> None:
        if self._request is not None and not self._parser.should_upgrade():
            self._request.end(keeps=self._parser.should_keep_alive())
            self._request = None
            self._loose = 0

    # --- its own ---

    def _head(self) -> Request:
        """A request from its head; Malformed where two readers could understand two things, or none."""
        method = self._parser.get_method().decode("ascii")
        request = Request(self._carrier, method, self._target.decode("latin-1"), readable(self._fields))
        version = self._parser.get_http_version()
        if version != "1.1":
            request.modern = False
            if version != "1.0":
                raise _invalid("its version is not spoken here")
        hosts = 0
        for name, value in request.headers:
            if name == "host":
                hosts += 1
            elif name in _NOTED:
                _note(request, name, value)
        if hosts > 1 or (hosts == 0 and request.modern):
            raise _invalid("it needs one Host")
        if not request.target.startswith("/"):
            _check_target(request)
        return request

    def _measure(self) -> None:
        """Malformed where a head, a trailer or the size of a chunk is out of all proportion."""
        most = self._limits.line
        if len(self._fields) > self._limits.headers:
            raise _invalid("it has too many headers")
        lengths = [len(name) + len(value) for name, value in self._fields]
        if max(*lengths, len(self._target), 0) > most or self._loose - sum(lengths) > 3 * most:
            raise Malformed(f"The request line or a header is longer than {most} bytes.", 431, "too_long")
        if sum(lengths) + len(self._target) > self._limits.head:
            raise Malformed(f"The headers are longer than {self._limits.head} bytes together.", 431, "too_long")


_NOTED = frozenset({"content-length", "content-encoding", "expect", "transfer-encoding"})


def _note(request: Request, name: str, value: str) -> None:
    """What a header says of the body."""
    if name == "content-length":
        request.length = int(value)  # llhttp has seen to it that it is a number
    elif name == "content-encoding":
        request.coding = value if request.coding is None else f"{request.coding}, {value}"
    elif name == "expect":
        request.expects = value.strip(" \t").lower() == "100-continue" and request.modern
    elif value.strip(" \t").lower() != "chunked" or not request.modern:
        raise _invalid("the only Transfer-Encoding is chunked, and only in HTTP/1.1")


def _check_target(request: Request) -> None:
    """Beside paths there are `*` and whole URLs, as proxies send them."""
    if request.target == "*" and request.method == "OPTIONS":
        return
    scheme, _, rest = request.target.partition("://")
    authority = rest.partition("/")[0].partition("?")[0]
    port = authority.rpartition("]")[2].rpartition(":")[2] if ":" in authority.rpartition("]")[2] else ""
    if scheme.lower() not in {"http", "https"} or not authority:
        raise _invalid("the target is not a path")
    if port and not (port.isascii() and port.isdigit() and int(port) <= 65535):
        raise _invalid("the target's port is none")


def _invalid(why: str) -> Malformed:
    return Malformed(f"The request is not valid HTTP: {why}.")


def _first_line(message: str) -> str:
    """What the parser said, without the piece of the request that it may quote."""
    return (message.strip().splitlines() or ["malformed"])[0].strip().rstrip(":.")
