"""An upstream that has only one API, for the clients of another: a transport around its own.

All that looks at an exchange, rules and records and the cache, stands before it and sees the client's API alone. Must
not know what the APIs say.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Any

from engine.document.answers import Refusal, Refused
from engine.document.exchange import Exchange
from engine.document.headers import by_name
from engine.document.sse import EventTooLarge, Parser
from engine.errors import UpstreamError
from engine.ports.translation import MISSHAPEN, Translator, Untranslatable, UpstreamTold, translator
from engine.ports.wire import Arrival, BrokenBody, Call, Headers, Transport, UnknownCoding
from engine.proxy.body import BadJson, encode, parse_lenient
from engine.proxy.coding import decoder
from engine.proxy.kept import told
from engine.rules.models import Upstream
from engine.rules.program import Program

_VERSION = "anthropic-version"
_DEFAULT_VERSION = "2023-06-01"
_NO_EVENT = (Untranslatable, EventTooLarge, *MISSHAPEN)  # what makes of an upstream's bytes no event
_FRAMING = ("content-length", "content-encoding", "content-type")
_JSON = ("content-type", "application/json")


@dataclass(frozen=True, slots=True)
class Translation:
    """One exchange on its way through a translator; `body` is the request in the upstream's words."""

    x: Exchange
    by: Translator
    upstream: Upstream
    body: dict[str, Any]

    def over(self, transport: Transport) -> Transport:
        """The transport on which this exchange is translated."""
        return _Translated(self, transport)

    def call(self, call: Call) -> Call:
        """The call in the upstream's API: its path, its query, its headers."""
        url = self.upstream.address(self.body.get("model")) + self.by.path
        url = f"{url}?{self.upstream.query}" if self.upstream.query else url
        return replace(call, url=url, headers=_headers(call.headers, self), body=encode(self.body))

    def error(self, body: Any, status: int) -> Refusal:
        """An upstream's error, to be written in the client's shape."""
        error = told(body, status)
        named = error["type"] if self.x.call_type == "completion" else None  # Anthropic's clients know types by status
        return Refusal(status, str(error["message"]), named, error["code"], error["param"], source="upstream")


def translation(x: Exchange, upstream: Upstream, call: Call) -> Translation | None:
    """How the call of an exchange is translated; None where the upstream has the client's API.

    Refused where the request says what the other API has no words for.
    """
    by = translator(x.call_type, upstream.kind) if upstream.translate else None
    if by is None or not x.dialect.has_assistant:  # nobody translates the counting of tokens
        return None
    try:
        return Translation(x, by, upstream, by.request(x.sent))
    except Untranslatable as lost:
        why, field = str(lost), lost.field
    except MISSHAPEN:
        why, field = "the request has not the shape of its API, and cannot be translated", None
    raise Refused(Refusal(400, f"upstream {upstream.name}: {why}", param=field, code="untranslatable"))


def fetch_translators(program: Program) -> None:
    """Import what an upstream of these rules needs, which takes a while, before a request must wait for it."""
    for upstream in program.upstreams.values():
        if upstream.translate:
            for client in ("completion", "messages"):
                translator(client, upstream.kind)


def _headers(headers: Headers, way: Translation) -> list[tuple[str, str]]:
    """Without what is for the API that the client spoke to; a caller's own credential goes as the other API has it.

    What the upstream's section or a rule sets stays as it was written.
    """
    there = way.by.path == "/messages"
    meant = {name for name, _ in (*way.upstream.headers, *way.upstream.filled)} | way.x.to_upstream.keys()
    kept = []
    for name, value in headers:
        if name in meant:
            kept.append((name, value))
        elif name == "authorization" and there and value.startswith("Bearer "):
            kept.append(("x-api-key", value.removeprefix("Bearer ")))
        elif name == "x-api-key" and not there:
            kept.append(("authorization", f"Bearer {value}"))
        elif not name.startswith("openai-" if there else "anthropic-"):
            kept.append((name, value))
    if there and not any(name == _VERSION for name, _ in kept):
        kept.append((_VERSION, _DEFAULT_VERSION))
    return kept


class _Translated:
    def __init__(self, way: Translation, transport: Transport) -> None:
        self._way = way
        self._transport = transport

    async def send(self, call: Call) -> Arrival:
        return _TranslatedArrival(self._way, await self._transport.send(self._way.call(call)))

    async def close(self) -> None:
        await self._transport.close()


class _TranslatedArrival:
    """An answer in the client's API: whole, as it comes, or an error."""

    def __init__(self, way: Translation, arrival: Arrival) -> None:
        headers = by_name(arrival.headers)
        self.status = arrival.status
        self._way = way
        self._arrival = arrival
        self._coding: str | None = headers.get("content-encoding")
        kind = headers.get("content-type", "")
        self._streamed = arrival.status < 400 and kind.partition(";")[0].strip().lower() == "text/event-stream"
        kept = [pair for pair in arrival.headers if pair[0] not in _FRAMING]
        self.headers: Headers = [*kept, ("content-type", kind) if self._streamed else _JSON]

    async def read(self) -> bytes:
        if self._streamed:
            return b"".join([chunk async for chunk in self._events()])
        raw = b"".join([chunk async for chunk in self._plain()])
        try:
            body, _ = parse_lenient(raw)
        except BadJson:
            return raw if self.status < 400 else self._error(None)  # the former is told as what it is
        if self.status >= 400:
            return self._error(body)
        try:
            return encode(self._way.by.answer(body if isinstance(body, dict) else {}))
        except UpstreamTold as error:
            return self._error(error.body)
        except Untranslatable as lost:
            raise UpstreamError("upstream", str(lost)) from None
        except MISSHAPEN:
            raise UpstreamError("upstream", "the answer has not the shape of its API") from None

    async def chunks(self) -> AsyncIterator[bytes]:
        if not self._streamed:
            yield await self.read()
            return
        async for chunk in self._events():
            yield chunk

    async def close(self) -> None:
        await self._arrival.close()

    async def _events(self) -> AsyncIterator[bytes]:
        """Whole events of the client's API, as soon as the upstream's are whole; the last may be its error."""
        parser, events, x = Parser(), self._way.by.events(self._way.x.sent), self._way.x
        async for chunk in self._plain():
            made = b""
            try:
                for event in parser.feed(chunk):
                    made += events.take(event.data) if event.data else event.raw
            except UpstreamTold as error:
                yield made + x.dialect.error_event(self._way.error(error.body, 502), x.id)
                return
            except _NO_EVENT as wrong:
                if made:
                    yield made
                raise _broken(wrong) from None
            if made:
                yield made
        if rest := events.finish():
            yield rest

    async def _plain(self) -> AsyncIterator[bytes]:
        """The upstream's bytes without a content coding."""
        try:
            undo = decoder(self._coding)
            async for chunk in self._arrival.chunks():
                for piece in undo.pieces(chunk) if undo else (chunk,):
                    yield piece
            if undo:
                undo.finish()
        except (UnknownCoding, BrokenBody):
            raise UpstreamError(
                "connection", f"the answer's content coding {self._coding!r} cannot be undone"
            ) from None

    def _error(self, body: Any) -> bytes:
        x = self._way.x
        status = self.status if self.status >= 400 else 502  # an error under a good status
        return encode(x.dialect.error(self._way.error(body, status), x.id))


def _broken(wrong: Exception) -> UpstreamError:
    told = str(wrong) if isinstance(wrong, (Untranslatable, EventTooLarge)) else "an event has not the shape of its API"
    return UpstreamError("upstream", told)
