"""A stream's events as the chunks of a chat, and such chunks back in the place of the events they came from.

In other dialects than chat only texts are chunks; what stands around them keeps its place, and what repeats a changed
text (`….done`, the whole response) is changed alike. Must not know hooks.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from typing import Any, NamedTuple

import msgspec

from engine.document.dialect import Event
from engine.document.exchange import Exchange
from engine.document.sse import Parser, written
from engine.document.stream_slots import COMPLETION, REASONING, TOOL, Channel, Slot, put
from engine.document.stream_wires import WIRES
from engine.ports.context import copied, kind
from engine.ports.litellm_open import ModelResponseStream

_decode = msgspec.json.Decoder().decode
_CHATS = frozenset({"completion", "text_completion"})
_MEMBER = {COMPLETION: "content", REASONING: "reasoning_content"}


class Origin(NamedTuple):
    """The event that a chunk came from, and its number; `body` and `slots` say what stands where."""

    number: int
    event: Event
    body: dict[str, Any]
    slots: tuple[Slot, ...]


class Items:
    """The chunks of a stream, for a hook to iterate over; `through` puts what the hook yields back into the stream.

    `broken` is what the upstream's side raised: a hook that swallows it makes no clean end of it. TimeoutError when a
    hook takes longer than `patience` for itself.
    """

    def __init__(self, x: Exchange, chunks: AsyncIterator[bytes], patience: float) -> None:
        self.broken: BaseException | None = None
        self._x = x
        self._chunks = chunks
        self._patience = patience
        self._limit: asyncio.Timeout | None = None
        self._take, self._carry = WIRES.get(x.call_type or "", WIRES["completion"])
        self._chat = x.call_type in _CHATS
        self._parser = Parser()
        self._ready: deque[Event] = deque()
        self._ended = False
        self._number = 0
        self._around: deque[tuple[int, Event, dict[str, Any] | None]] = deque()  # no chunks; each waits for its turn
        self._given: deque[Origin] = deque()  # chunks that the hook has and has not yielded yet
        self._last: Origin | None = None
        self._came: dict[Channel, str] = {}
        self._went: dict[Channel, str] = {}

    def __aiter__(self) -> Items:
        return self

    async def __anext__(self) -> ModelResponseStream:
        while True:
            while not self._ready:
                if self._ended:
                    raise StopAsyncIteration
                await self._pull()
            item = self._as_item(self._ready.popleft())
            if item is not None:
                return item

    async def through(self, items: AsyncIterator[Any]) -> AsyncIterator[bytes]:
        """The bytes of what a hook yields, in the places of what it was given."""
        while True:
            try:
                async with asyncio.timeout(self._patience) as self._limit:
                    item = await anext(items)
            except StopAsyncIteration:
                break
            finally:
                self._limit = None
            for raw in self._placed(item):
                yield raw
        async for _ in self:  # a hook that ended early: its stream still ends properly
            pass
        if self.broken is not None:
            raise self.broken
        for raw in self._until(None):
            yield raw

    # --- from events to chunks ------------------------------------------------------------------------------------

    async def _pull(self) -> None:
        """More events. The upstream may take its time: that is not the hook's."""
        if self._limit is not None:
            self._limit.reschedule(None)
        try:
            self._ready += self._parser.feed(await anext(self._chunks))
        except StopAsyncIteration:
            self._ended = True
            self._ready += self._parser.finish()
        except BaseException as error:
            self.broken = error
            self._ended = True
            raise
        finally:
            if self._limit is not None:
                self._limit.reschedule(asyncio.get_running_loop().time() + self._patience)

    def _as_item(self, event: Event) -> ModelResponseStream | None:
        """An event as a chunk; None when it is none, and then it waits for its turn."""
        self._number += 1
        body = _object(event.data)
        if body is None or (self._chat and not isinstance(body.get("choices"), list)):
            self._around.append((self._number, event, None))
            return None
        slots = tuple(slot for slot in self._take(body).slots if not slot.whole)
        if not self._chat and not slots:
            self._around.append((self._number, event, body))
            return None
        origin = Origin(self._number, event, body, slots)
        for slot in slots:
            self._came[slot.channel] = self._came.get(slot.channel, "") + slot.text
        item = ModelResponseStream(copied(body, "chunk") if self._chat else self._chunk(slots))
        item._origin = origin  # noqa: SLF001  tells the chunk again when the hook yields it
        item._before = copied(item, "chunk")  # noqa: SLF001
        self._given.append(origin)
        return item

    def _chunk(self, slots: tuple[Slot, ...]) -> dict[str, Any]:
        delta: dict[str, Any] = {}
        for slot in slots:
            if slot.channel.kind == TOOL:
                delta["tool_calls"] = [{"index": 0, "function": {"arguments": slot.text}}]
            else:
                delta[_MEMBER.get(slot.channel.kind, "content")] = slot.text
        return {
            "id": self._x.id,
            "object": "chat.completion.chunk",
            "created": 0,
            "model": self._x.model_requested,
            "choices": [{"index": slots[0].channel.choice, "delta": delta, "finish_reason": None}],
        }

    # --- from chunks to events ------------------------------------------------------------------------------------

    def _placed(self, item: Any) -> list[bytes]:
        if not isinstance(item, dict):
            raise TypeError(f"the hook yielded {kind(item)}: it yields chunks, as it is given them")
        origin: Origin | None = getattr(item, "_origin", None)
        if origin is not None and origin in self._given:
            self._given.remove(origin)
            self._last = origin
            return [*self._until(origin.number), *self._same_place(origin, item)]
        if self._chat:
            return [written(copied(item, "chunk"))]
        origin = self._given[0] if self._given else self._last
        if origin is None:
            raise TypeError("the hook yielded a chunk of its own before any text: there is no place for it yet")
        return [*self._until(origin.number), *self._new(origin, item)]

    def _same_place(self, origin: Origin, item: Any) -> list[bytes]:
        plain = copied(item, "chunk")
        if plain == item._before:  # noqa: SLF001
            for slot in origin.slots:
                self._went[slot.channel] = self._went.get(slot.channel, "") + slot.text
            return [origin.event.raw]
        if self._chat:
            return [written(plain, origin.event.name)]
        body, says = origin.body, False
        for slot in origin.slots:
            text = _text_in(plain, slot)
            self._went[slot.channel] = self._went.get(slot.channel, "") + text
            body, says = put(body, slot.path, text), says or bool(text)
        return [written(body, origin.event.name)] if says else []

    def _new(self, origin: Origin, item: Any) -> list[bytes]:
        """A chunk of the hook's own: more of the text that stands there."""
        slot = origin.slots[0]
        text = _text_in(copied(item, "chunk"), slot)
        self._went[slot.channel] = self._went.get(slot.channel, "") + text
        return [written(self._carry(slot.channel, text, origin.body), origin.event.name)] if text else []

    def _until(self, number: int | None) -> list[bytes]:
        """What is no chunk and came before a chunk of this number; None: all of it."""
        sent = []
        while self._around and (number is None or self._around[0][0] < number):
            _, event, body = self._around.popleft()
            sent.append(event.raw if body is None else self._repeated(event, body))
        return sent

    def _repeated(self, event: Event, body: dict[str, Any]) -> bytes:
        """An event in which texts that were changed stand changed."""
        changed = {
            came: self._went.get(channel, "")
            for channel, came in self._came.items()
            if came != self._went.get(channel, "")
        }
        if not changed:
            return event.raw
        for slot in self._take(body).slots:
            if slot.whole and slot.text in changed:
                body = put(body, slot.path, changed[slot.text])
        return written(body, event.name)


def _object(data: str) -> dict[str, Any] | None:
    if not data.startswith("{"):
        return None
    try:
        value = _decode(data)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _text_in(chunk: dict[str, Any], slot: Slot) -> str:
    """The text that a chunk has for a place of that kind."""
    choices = chunk.get("choices") or [{}]
    delta = choices[0].get("delta") or {}
    if slot.channel.kind == TOOL:
        calls = delta.get("tool_calls") or [{}]
        text = (calls[0].get("function") or {}).get("arguments")
    else:
        text = delta.get(_MEMBER.get(slot.channel.kind, "content"))
    return text if isinstance(text, str) else ""
