"""The embedded demo upstream: answers like a model would, without a key or a network, and shows what reached it.

So a newcomer sees what each rule did. It is a `Transport`; must not know sockets, rules or who calls it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from itertools import count
from typing import Any
from urllib.parse import urlsplit

import msgspec

from engine.document.answers import Refusal, Refused
from engine.document.dialect import Body, Dialect, Piece
from engine.document.dialects import DIALECTS, dialect_at
from engine.document.sse import Parser
from engine.ports.wire import Call, Headers
from engine.proxy import demo_words as words
from engine.proxy.demo_media import MEDIA
from engine.proxy.form import BadForm, parse_form

MODEL = "demo-model"
SPEAKS = (
    "POST /v1/chat/completions, /v1/completions, /v1/responses, /v1/messages, /v1/messages/count_tokens, "
    "/v1/embeddings, /v1/moderations, /v1/rerank, /v1/images/*, /v1/audio/* and GET /v1/models"
)
_JSON = (("content-type", "application/json"),)
_EVENTS = (("content-type", "text/event-stream; charset=utf-8"), ("cache-control", "no-cache"))
_NEEDED = {
    "completion": "messages",
    "text_completion": "prompt",
    "responses": "input",
    "messages": "messages",
    "embeddings": "input",
    "moderation": "input",
    "rerank": "documents",
    "audio_speech": "input",
    "audio_transcription": "file",
    "image_generation": "prompt",
}


class Demo:
    """A model that repeats what it heard. `pause` is the time in seconds between two events of a stream."""

    def __init__(self, pause: float = 0.02, now: Callable[[], float] = time.time) -> None:
        self._pause = pause
        self._now = now
        self._numbers = count(1)

    async def send(self, call: Call) -> DemoArrival:
        """Answer a request by the path of its URL alone."""
        path = urlsplit(call.url).path.rstrip("/")
        dialect = dialect_at(path) or DIALECTS["completion"]
        number = f"demo-{next(self._numbers)}"
        try:
            return self._answer(call, path, dialect, number)
        except Refused as refused:
            return _whole(dialect.error(refused.refusal, number), refused.refusal.status)

    async def close(self) -> None:
        """Nothing is held open."""

    def _answer(self, call: Call, path: str, dialect: Dialect, number: str) -> DemoArrival:
        if path.removeprefix("/v1").startswith("/models"):
            return _whole(_models(call.method, path.removeprefix("/v1").removeprefix("/models").lstrip("/")))
        if dialect_at(path) is None or dialect.call_type not in _NEEDED:
            raise Refused(
                Refusal(404, f"the demo upstream has no {path or '/'}; it answers {SPEAKS}", code="unknown_endpoint")
            )
        if call.method != "POST":
            raise Refused(Refusal(405, f"{path} takes POST, not {call.method}", code="method_not_allowed"))
        body = _read(call, dialect)
        media = MEDIA.get(dialect.call_type)
        if media is not None:
            return DemoArrival(200, *media(body, _model(body), int(self._now())))
        if dialect.call_type == "embeddings":
            return _whole(words.embeddings(body, _model(body)))
        if dialect.call_type == "moderation":
            return _whole(words.moderation(body, f"modr-{number}", _model(body)))
        if not dialect.has_assistant:
            return _whole({"input_tokens": words.tokens(dialect.texts(body).prompt)})
        return self._speak(body, dialect, number)

    def _speak(self, body: Body, dialect: Dialect, number: str) -> DemoArrival:
        pieces, finish = words.answer(body, dialect, _model(body))
        events = list(
            dialect.compose(
                _told(pieces, body, dialect),
                model=_model(body),
                id=_id(dialect, number),
                created=int(self._now()),
                finish=finish,
            )
        )
        if body.get("stream") is True:
            return DemoArrival(200, _EVENTS, events, self._pause)
        assembler = dialect.assembler()
        for event in Parser().feed(b"".join(events)):
            assembler.feed(event)
        return _whole(assembler.body)


class DemoArrival:
    """An answer of the demo upstream: whole, or a stream with a pause before every event but the first."""

    def __init__(self, status: int, headers: Headers, events: Sequence[bytes], pause: float = 0.0) -> None:
        self.status = status
        self.headers = headers
        self._events = iter(events)
        self._pause = pause

    async def read(self) -> bytes:
        """The rest of the body."""
        return b"".join([chunk async for chunk in self.chunks()])

    async def chunks(self) -> AsyncIterator[bytes]:
        """The body as it comes, one event at a time."""
        first = True
        while (event := next(self._events, None)) is not None:
            if self._pause and not first:
                await asyncio.sleep(self._pause)
            first = False
            yield event

    async def close(self) -> None:
        """Say nothing more."""
        self._events = iter(())


def _whole(body: Any, status: int = 200) -> DemoArrival:
    return DemoArrival(status, _JSON, [msgspec.json.encode(body)])


def _models(method: str, name: str) -> Body:
    """The list of models, or one of them: here every name is a model."""
    if method not in ("GET", "HEAD"):
        raise Refused(Refusal(405, f"/v1/models takes GET, not {method}", code="method_not_allowed"))
    model = {"id": name or MODEL, "object": "model", "created": 0, "owned_by": "pointsman"}
    return model if name else {"object": "list", "data": [model]}


def _read(call: Call, dialect: Dialect) -> Body:
    """The request's body; Refused where it cannot be answered."""
    body = _decoded(call)
    field = "image" if dialect.upstream_path == "/images/variations" else _NEEDED[dialect.call_type]
    if body.get(field) is None and not (dialect.call_type == "responses" and body.get("prompt")):
        raise Refused(
            Refusal(
                400, f"the demo upstream got no `{field}`; it got {_listed(body)}", param=field, code="missing_field"
            )
        )
    if field == "messages" and not isinstance(body[field], list):
        raise Refused(Refusal(400, "`messages` must be a list of messages", param=field, code="wrong_type"))
    return body


def _decoded(call: Call) -> Body:
    """The body by its content type; of a form its fields, files as their descriptions."""
    content_type = next((value for name, value in call.headers if name.lower() == "content-type"), "")
    try:
        if content_type.startswith("multipart/"):
            return parse_form(call.body, content_type)[0]
        body = msgspec.json.decode(call.body)
    except (BadForm, ValueError, RecursionError) as broken:
        raise Refused(
            Refusal(400, f"the demo upstream got a body that is no JSON: {broken}", code="invalid_json")
        ) from None
    if not isinstance(body, dict):
        raise Refused(Refusal(400, "the demo upstream needs a JSON object as body", code="invalid_json"))
    return body


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names) or "an empty object"


def _model(body: Body) -> str:
    model = body.get("model")
    return model if isinstance(model, str) and model else MODEL


def _id(dialect: Dialect, number: str) -> str:
    prefix = {"completion": "chatcmpl-", "text_completion": "cmpl-", "responses": "resp_", "messages": "msg_"}
    return prefix[dialect.call_type] + number


def _told(pieces: list[Piece], body: Body, dialect: Dialect) -> Iterator[Piece]:
    """Pieces with the usage at the end, where this kind of answer has one."""
    yield from pieces
    options = body.get("stream_options")
    wanted = isinstance(options, dict) and options.get("include_usage") is True
    if body.get("stream") is True and not wanted and dialect.call_type in ("completion", "text_completion"):
        return
    prompt = words.tokens(dialect.texts(body).prompt)
    said = words.tokens("".join((piece.text or "") + (piece.arguments or "") for piece in pieces))
    yield Piece(usage={"prompt_tokens": prompt, "completion_tokens": said, "total_tokens": prompt + said})
