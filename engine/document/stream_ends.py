"""The end of a stream that a rule cut: a last text and everything that an API's clients expect at a proper end.

Must not know rules.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from engine.document.assemble import Assembly, index_of
from engine.document.dialect import Body, Dialect, Piece
from engine.document.dialect_generic import model_asked
from engine.document.exchange import Exchange
from engine.document.replay_messages import event as messages_event
from engine.document.replay_messages import stop_reason
from engine.document.sse import DONE, written
from engine.document.stream_slots import COMPLETION, Channel

FINISH = "content_filter"
_NO_TOKENS = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}


class Ending:
    """Remembers what of a stream was sent, as far as its end needs it."""

    def __init__(self, dialect: Dialect, call_type: str) -> None:
        self._dialect = dialect
        self._write = {"messages": self._messages, "responses": self._responses}.get(call_type, self._chunks)
        assembler = dialect.assembler()
        assert isinstance(assembler, Assembly)
        self._sent = assembler
        self._like: Body | None = None
        self._open: dict[int, Any] = {}  # choices, blocks or items that began and did not end
        self._beyond = 0  # the number after the last of them
        self._number = 0  # of the next event, in APIs that number them

    def note(self, body: Body) -> None:
        """Take the body of an event that was sent."""
        self._like = body
        self._sent.take(body)
        kind = body.get("type")
        self._number = index_of(body, "sequence_number") + 1
        if kind in ("content_block_start", "response.output_item.added"):
            index = index_of(body, "index" if kind == "content_block_start" else "output_index")
            self._open[index] = body.get("content_block") or body.get("item")
            self._beyond = max(self._beyond, index + 1)
        elif kind in ("content_block_stop", "response.output_item.done"):
            self._open.pop(index_of(body, "index" if kind == "content_block_stop" else "output_index"), None)
        choices = body.get("choices")
        for choice in choices if isinstance(choices, list) else ():
            if isinstance(choice, dict):
                self.note_choice(index_of(choice), ended=choice.get("finish_reason") is not None)

    def note_choice(self, index: int, *, ended: bool = False) -> None:
        """A choice said something, or ended."""
        self._open[index] = not ended

    def events(self, x: Exchange, text: str, at: Channel | None, usage: bool) -> list[bytes]:
        """The last events, with a text in the assistant's place; `at`: where the stream was cut."""
        if self._like is None:
            return list(
                self._dialect.compose(
                    [Piece(text=text), *([Piece(usage=dict(_NO_TOKENS))] if usage else [])],
                    model=model_asked(x),
                    id=x.id,
                    created=int(x.clock.now().timestamp()),
                    finish=FINISH,
                )
            )
        return list(self._write(text, at, usage))

    # --- chat and text completions --------------------------------------------------------------------------------

    def _chunks(self, text: str, at: Channel | None, usage: bool) -> Iterator[bytes]:
        head = {name: value for name, value in (self._like or {}).items() if name not in ("choices", "usage")}
        index = at.choice if at is not None else next((number for number, on in self._open.items() if on), 0)
        plain = head.get("object") == "text_completion"

        def chunk(number: int, said: str | None, finish: str | None) -> bytes:
            delta = {} if said is None else {"content": said}
            told: dict[str, Any] = {"text": said or ""} if plain else {"delta": delta}
            return written({**head, "choices": [{"index": number, **told, "logprobs": None, "finish_reason": finish}]})

        yield chunk(index, text, None)
        for number in sorted({index, *(number for number, on in self._open.items() if on)}):
            yield chunk(number, None, FINISH)
        if usage:
            told = (self._like or {}).get("usage")
            yield written({**head, "choices": [], "usage": told if isinstance(told, dict) else _NO_TOKENS})
        yield DONE

    # --- messages -------------------------------------------------------------------------------------------------

    def _messages(self, text: str, at: Channel | None, usage: bool) -> Iterator[bytes]:
        index = at.owner[0] if at is not None and at.owner[1:] == ("text_delta",) else None
        if index not in self._open:
            yield from self._stops()
            index = self._beyond
            self._open[index] = True
            yield messages_event("content_block_start", index=index, content_block={"type": "text", "text": ""})
        yield messages_event("content_block_delta", index=index, delta={"type": "text_delta", "text": text})
        yield from self._stops()
        told = self._sent.usage or {}
        yield messages_event(
            "message_delta",
            delta={"stop_reason": stop_reason(FINISH), "stop_sequence": None},
            usage={"output_tokens": told.get("completion_tokens", 0)},
        )
        yield messages_event("message_stop")

    def _stops(self) -> Iterator[bytes]:
        for index in sorted(self._open):
            yield messages_event("content_block_stop", index=index)
        self._open.clear()

    # --- responses ------------------------------------------------------------------------------------------------

    def _responses(self, text: str, at: Channel | None, usage: bool) -> Iterator[bytes]:
        spoken = (
            at is not None and at.kind == COMPLETION and at.owner[1:2] == ("output_text",) and at.owner[0] in self._open
        )
        index = at.owner[0] if spoken and at is not None else self._beyond
        item = self._open.get(int(index))
        where = {"output_index": index, "content_index": at.owner[2] or 0 if spoken and at is not None else 0}
        where["item_id"] = item.get("id", "") if isinstance(item, dict) else f"msg_{index}"
        if not spoken:
            item = {
                "id": where["item_id"],
                "type": "message",
                "role": "assistant",
                "status": "in_progress",
                "content": [],
            }
            yield self._event("response.output_item.added", output_index=index, item=item)
            yield self._event("response.content_part.added", **where, part=_part(""))
        yield self._event("response.output_text.delta", **where, logprobs=[], delta=text)
        yield from self._closed()
        whole = {**(self._sent.body or {}), "status": "incomplete", "incomplete_details": {"reason": FINISH}}
        yield self._event("response.incomplete", response=whole)

    def _closed(self) -> Iterator[bytes]:
        """The ends of what is open: its last text, its last part, itself."""
        output = (self._sent.body or {}).get("output") or []
        for index in sorted(self._open):
            item = {**output[index], "status": "incomplete"} if index < len(output) else dict(self._open[index])
            content = item.get("content")
            if isinstance(content, list) and content and content[-1].get("type") == "output_text":
                where = {"item_id": item.get("id", ""), "output_index": index, "content_index": len(content) - 1}
                said = content[-1].get("text", "")
                yield self._event("response.output_text.done", **where, logprobs=[], text=said)
                yield self._event("response.content_part.done", **where, part=_part(said))
            yield self._event("response.output_item.done", output_index=index, item=item)

    def _event(self, kind: str, **fields: Any) -> bytes:
        body = {"type": kind, "sequence_number": self._number, **fields}
        self.note(body)
        return written(body, kind)


def _part(text: str) -> dict[str, Any]:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
