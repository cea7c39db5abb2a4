"""Both ends of an exchange without sockets, and a clock that stands still: what `pointsman test` runs the server on.

Must not know what a test expects.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from engine.document.dialect import Assembler, Dialect, Piece
from engine.document.sse import Parser
from engine.document.uploads import Upload
from engine.errors import UpstreamError
from engine.ports.wire import Arrival, Call, Headers, TooLarge
from engine.proxy.form import BadForm, encode_form, parse_form
from engine.tools.cases_form import CannedAnswer, RequestForm

HOST = "127.0.0.1:4000"


class FrozenClock:
    """Time that moves only when told to, in the zone of the moment it begins with."""

    def __init__(self, at: datetime) -> None:
        self._at = at
        self._elapsed = 0.0

    def now(self) -> datetime:
        return self._at

    def monotonic(self) -> float:
        return self._elapsed

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self._at += timedelta(seconds=seconds)
        self._elapsed += seconds

    def set(self, at: datetime) -> None:
        """Jump forward to a moment; a moment in the past moves the wall clock alone."""
        self._elapsed += max(0.0, (at - self._at).total_seconds())
        self._at = at.astimezone(self._at.tzinfo)


class CannedClient:
    """A client in memory: what it sends is given, what it gets is kept."""

    def __init__(self, request: RequestForm, credential: str | None = None) -> None:
        body, content_type = body_of(request)
        given = [(name.lower(), value) for name, value in request.headers]
        names = {name for name, _ in given}
        bearer = credential and f"Bearer {credential}"
        defaults = [("host", HOST), ("content-type", content_type), ("authorization", bearer)]
        self.headers: Headers = given + [(name, value) for name, value in defaults if value and name not in names]
        self.method = request.method
        self.target = request.path.partition("?")[0]
        written = request.path.partition("?")[2]
        self.query_string = "&".join(part for part in (written, urlencode(request.query, quote_via=quote)) if part)
        self.peer: str | None = request.client.ip if request.client else "127.0.0.1"
        self.started = False
        self.streamed = False
        self.ended_clean = False
        self.status: int | None = None
        self.answer_headers: list[tuple[str, str]] = []
        self.answer = b""
        self._body = body

    async def read(self, limit: int) -> bytes:
        if len(self._body) > limit:
            raise TooLarge
        return self._body

    async def reply(self, status: int, headers: Headers, body: bytes) -> None:
        await self.start(status, headers)
        self.streamed = False
        await self.write(body)
        await self.end()

    async def start(self, status: int, headers: Headers) -> None:
        self.started = self.streamed = True
        self.status = status
        self.answer_headers = [(name.lower(), value) for name, value in headers]

    async def write(self, chunk: bytes) -> None:
        self.answer += chunk

    async def end(self, *, clean: bool = True) -> None:
        self.ended_clean = clean


def body_of(request: RequestForm) -> tuple[bytes, str | None]:
    """The bytes of a request and their content type."""
    if request.raw is not None:
        return request.raw.encode("utf-8", "surrogatepass"), "application/json"
    if request.files:
        content_type, form = as_form(request)
        return form, content_type
    if request.body is None:
        return b"", None
    return as_json(request.body), "application/json"


def as_json(value: Any) -> bytes:
    """JSON as compact UTF-8; a lone surrogate stays an escape."""
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
    except UnicodeEncodeError:
        return json.dumps(value, separators=(",", ":")).encode()


def parsed_json(content: bytes) -> Any:
    """JSON as its value, anything else as text, nothing as None."""
    if not content:
        return None
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        return content.decode("utf-8", "replace")


def assembled(content: bytes, dialect: Dialect) -> Assembler:
    """A whole stream read by its dialect's assembler."""
    parser, assembler = Parser(), dialect.assembler()
    for event in [*parser.feed(content), *parser.finish()]:
        assembler.feed(event)
    return assembler


def as_form(request: RequestForm) -> tuple[str, bytes]:
    """Content type and bytes of a form: the members of `body` as fields, then the files."""
    body, uploads = dict(request.body or {}), []
    for name, file in request.files.items():
        content = file.content.encode("utf-8", "surrogatepass")
        body[name] = {"filename": file.filename, "content_type": file.content_type, "size": len(content)}
        uploads.append(Upload((name,), body[name], memoryview(content)))
    return encode_form(body, uploads)


@dataclass(frozen=True, slots=True)
class Sent:
    """A call that went out: to which upstream (None: another address), and the call itself."""

    upstream: str | None
    call: Call

    @property
    def body(self) -> Any:
        """What was sent: JSON parsed, of a form the fields, else text; None when it was empty."""
        content_type = self.headers.get("content-type", "")
        if content_type.startswith("multipart/"):
            try:
                return parse_form(self.call.body, content_type)[0]
            except BadForm:
                return parsed_json(self.call.body)
        return parsed_json(self.call.body)

    @property
    def headers(self) -> dict[str, str]:
        """The headers by lower-case name."""
        return {name.lower(): value for name, value in self.call.headers}

    @property
    def path(self) -> str:
        """The path of the address."""
        return urlsplit(self.call.url).path

    @property
    def model(self) -> Any:
        """The model asked for."""
        body = self.body
        return body.get("model") if isinstance(body, dict) else None


class CannedArrival:
    """An answer in memory."""

    def __init__(self, status: int, headers: Headers, chunks: Iterable[bytes]) -> None:
        self.status = status
        self.headers: Headers = [(name.lower(), value) for name, value in headers]
        self._chunks = list(chunks)

    async def read(self) -> bytes:
        return b"".join(self._chunks)

    async def chunks(self) -> AsyncIterator[bytes]:
        for chunk in self._chunks:
            yield chunk

    async def close(self) -> None:
        """Nothing is held open."""


@dataclass(slots=True)
class Script:
    """What upstreams and other addresses answer in a test, and what they were asked.

    `answers` are given in order, the last repeats; `http` by URL. `dialect_of` finds the dialect of a path, to give
    stream pieces their wire form. `unanswered` are addresses that were called although nothing is canned for them.
    """

    dialect_of: Callable[[str], Dialect]
    answers: list[CannedAnswer] | None = None
    http: dict[str, list[CannedAnswer]] = field(default_factory=dict)
    sent: list[Sent] = field(default_factory=list)
    unanswered: list[str] = field(default_factory=list)
    asked: dict[str, int] = field(default_factory=dict)
    created: int = 0

    def begin(self, answers: list[CannedAnswer]) -> None:
        """From here on these answers, the first one next."""
        self.answers = answers
        self.asked.pop("", None)

    def next_answer(self, upstream: str | None, url: str) -> CannedAnswer | None:
        """The answer to the next call; None for the default one."""
        address = url.partition("?")[0]
        other = self.http.get(url) or self.http.get(address)
        if other is None and upstream is None:
            self.unanswered.append(address)
            raise UpstreamError("connection", f"nothing is canned for {address}; add it under `http:` of the test")
        answers, place = (other, address) if other is not None else (self.answers, "")
        number = self.asked.get(place, 0)
        self.asked[place] = number + 1
        return answers[min(number, len(answers) - 1)] if answers else None


class CannedTransport:
    """The way to one upstream, or (upstream None) to any other address, in memory."""

    def __init__(self, script: Script, upstream: str | None) -> None:
        self._script = script
        self._upstream = upstream

    async def send(self, call: Call) -> Arrival:
        if self._upstream is not None:
            self._script.sent.append(Sent(self._upstream, call))
        answer = self._script.next_answer(self._upstream, call.url)
        sent = Sent(self._upstream, call)
        if answer is None:
            return self._default(sent)
        if answer.error is not None:
            message = {"timeout": "the upstream took too long", "connection": "the upstream cannot be reached"}
            raise UpstreamError(answer.error, message[answer.error])
        if answer.stream is not None:
            return self._streamed(answer, sent)
        return _whole(answer.status, answer.headers, answer.body)

    async def close(self) -> None:
        """Nothing is held open."""

    def _streamed(self, answer: CannedAnswer, sent: Sent) -> CannedArrival:
        pieces = [piece.as_piece() for piece in answer.stream or []]
        events = self._script.dialect_of(sent.path).compose(
            pieces, model=str(sent.model or "canned"), id="canned-1", created=self._script.created
        )
        return CannedArrival(answer.status, _with_type(answer.headers, "text/event-stream"), events)

    def _default(self, sent: Sent) -> CannedArrival:
        """What an upstream says in a test that does not care."""
        dialect = self._script.dialect_of(sent.path)
        body = sent.body
        model = str(sent.model or "canned")
        if not dialect.has_assistant:
            return _whole(200, [], {"object": "list", "data": [], "model": model})
        events = dialect.compose([Piece(text="ok")], model=model, id="canned-1", created=self._script.created)
        if isinstance(body, dict) and body.get("stream") is True:
            return CannedArrival(200, [("content-type", "text/event-stream")], events)
        return _whole(200, [], assembled(b"".join(events), dialect).body)


def _whole(status: int, headers: Headers, body: Any) -> CannedArrival:
    if body is None:
        return CannedArrival(status, list(headers), [])
    if isinstance(body, str):
        content = body.encode("utf-8", "surrogatepass")
        return CannedArrival(status, _with_type(headers, "text/plain; charset=utf-8"), [content])
    return CannedArrival(status, _with_type(headers, "application/json"), [as_json(body)])


def _with_type(headers: Headers, content_type: str) -> Headers:
    if any(name.lower() == "content-type" for name, _ in headers):
        return list(headers)
    return [*headers, ("content-type", content_type)]
