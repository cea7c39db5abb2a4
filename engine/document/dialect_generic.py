"""Bodies with text but no conversation: moderation, rerank, images, audio; and what all dialects share.

Must not know rules.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from engine.document.answers import Refusal, type_by_status
from engine.document.assemble import Assembly
from engine.document.dialect import Assembler, Body, Piece, Said, TextChange, Texts
from engine.document.parts import is_token_ids, listed, opaque_content, opaque_part
from engine.document.sse import DONE, written
from engine.document.usage import usage_of
from engine.document.walks import Walk, nothing, strings

if TYPE_CHECKING:
    from engine.document.exchange import Exchange


class Generic:
    """A dialect that is two walks: what the model reads in a request, what an answer says.

    All of its text is the user's. It has no system text, no messages and no assistant: what would write them gives
    the body back as it is.
    """

    has_assistant = False

    def __init__(
        self,
        call_type: str,
        upstream_path: str,
        *,
        reads: Walk,
        says: Walk = nothing,
        media: str | None = None,
        gives_bytes: bool = False,
    ) -> None:
        self.call_type = call_type
        self.upstream_path = upstream_path
        self.gives_bytes = gives_bytes
        self._reads = reads
        self._says = says
        self._parts_said: dict[str, Walk] = {"": says, "completion_text": says}
        self._media = media  # what its uploaded files are, for `opaque`

    # --- the request ----------------------------------------------------------------------------------------------

    def texts(self, body: Body) -> Texts:
        prompt = "\n".join(strings(self._reads, body))
        return Texts(prompt, "", prompt, prompt)

    def opaque(self, body: Body) -> list[str]:
        found = list(opaque_content(body.get("input"))) + list(opaque_content(body.get("documents")))
        if is_token_ids(body.get("input")) or is_token_ids(body.get("prompt")):
            found.append("token_ids")
        if self._media is not None:
            found += _opaque_media(body, self._media)
        return listed(found)

    def prepend_system(self, body: Body, text: str) -> Body:
        return body

    def append_system(self, body: Body, text: str) -> Body:
        return body

    def replace_system(self, body: Body, text: str) -> Body:
        return body

    def add_message(self, body: Body, role: str, content: Any, at: int | None, **rest: Any) -> Body:
        return body

    def replace_messages(self, body: Body, messages: list[Any]) -> Body:
        return body

    def change_prompt(self, body: Body, change: TextChange, where: str = "prompt_text") -> Body:
        if where == "system_text":
            return body
        changed: Body = self._reads(body, change)
        return changed

    # --- answers of our own ---------------------------------------------------------------------------------------

    def assistant(self, exchange: Exchange, text: str, finish: str = "stop") -> Body:
        """Never called where `has_assistant` is False; gives the error that the caller should have given."""
        return self.error(Refusal(400, text, code="rule_rejected", source="rule"), exchange.id)

    def error(self, refusal: Refusal, request_id: str) -> Body:
        return openai_error(refusal)

    def error_event(self, refusal: Refusal, request_id: str) -> bytes:
        return written(openai_error(refusal))

    # --- the answer -----------------------------------------------------------------------------------------------

    def said(self, body: Body) -> Said:
        return Said("\n".join(strings(self._says, body)))

    def usage(self, body: Body) -> dict[str, Any] | None:
        return usage_of(body.get("usage"))

    def change_answer(self, body: Body, change: TextChange, where: str = "") -> Body:
        changed: Body = self._parts_said.get(where, nothing)(body, change)
        return changed

    # --- streams --------------------------------------------------------------------------------------------------

    def assembler(self) -> Assembler:
        return Assembly()

    def replay(self, body: Body, *, include_usage: bool) -> Iterable[bytes]:
        return [written(body), DONE]

    def compose(
        self, pieces: Iterable[Piece], *, model: str, id: str, created: int, finish: str = "stop"
    ) -> Iterator[bytes]:
        whole = []
        for piece in pieces:
            if piece.raw is not None:
                yield raw_bytes(piece.raw)
            elif piece.text is not None:
                whole.append(piece.text)
                yield written({"type": "transcript.text.delta", "delta": piece.text, **piece.extra})
        if whole:
            yield written({"type": "transcript.text.done", "text": "".join(whole)})


def openai_error(refusal: Refusal) -> Body:
    """An error in OpenAI's shape."""
    return {
        "error": {
            "message": refusal.message,
            "type": refusal.type or type_by_status(refusal.status),
            "param": refusal.param,
            "code": refusal.code,
        }
    }


def model_asked(exchange: Exchange) -> str:
    """The model as the client asked for it; the empty text when it named none."""
    model = exchange.model_requested
    if model is None and exchange.request is not None:
        model = exchange.request.get("model")
    return model if isinstance(model, str) else ""


def raw_bytes(raw: str) -> bytes:
    """The bytes of a raw piece; half a surrogate pair is written as `?`."""
    return raw.encode("utf-8", "replace")


def joined(first: str, second: str) -> str:
    """Two texts joined by a blank line; an empty one takes no place."""
    return f"{first}\n\n{second}" if first and second else first or second


def with_field(body: Body, name: str, value: Any) -> Body:
    """A body with one field written."""
    return {**body, name: value}


def _opaque_media(body: Body, media: str) -> Iterator[str]:
    """Pictures and sounds of a request: uploaded, or given in JSON by their bytes, their URL or their id."""
    if any(_is_upload(value) for value in body.values()):
        yield media
    for name in ("image", "images", "mask", "file", "url"):
        given = body.get(name)
        for each in given if isinstance(given, list) else [given]:
            if each is None or _is_upload(each):
                continue
            yield media
            yield from opaque_part({"url": each} if isinstance(each, str) else each if isinstance(each, dict) else {})


def _is_upload(value: Any) -> bool:
    if isinstance(value, list):
        return any(_is_upload(item) for item in value)
    return isinstance(value, dict) and "filename" in value and "content_type" in value
