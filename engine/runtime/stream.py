"""Stream rules over the events of a stream: each text goes through its stages, and what passes goes back into events.

Must not know sockets.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import msgspec

from engine.document.answers import Answer, Assistant, Refusal
from engine.document.assemble import error_in
from engine.document.dialect import Body
from engine.document.dialect import Event as Sent
from engine.document.exchange import Exchange
from engine.document.marks import Marks
from engine.document.sse import Parser, rewritten, written
from engine.document.stream_ends import Ending
from engine.document.stream_quick import quick_chunk
from engine.document.stream_slots import COMPLETION, REASONING, Channel, Event, Path, put
from engine.document.stream_wires import WIRES
from engine.phases import STREAM
from engine.rules.stream_rules import StreamRule
from engine.runtime.stream_stages import Place, Restoration, Restoring
from engine.runtime.stream_state import RuleState
from engine.runtime.stream_text import Text, stages

_decode = msgspec.json.Decoder().decode
_STRAY = Channel(0, COMPLETION, ("stray",))


class Streaming:
    """The stream rules of one exchange.

    `events` gives what the client gets for a chunk of bytes, `finish` the rest. `cut`: the answer that ended the
    stream; `ending` is what the client gets for it. `restores`: instead of rules, values are put in place of marks.
    """

    def __init__(self, rules: Iterable[StreamRule], x: Exchange, restores: Marks | None = None) -> None:
        self.x = x
        self._restores = Restoration(restores) if restores is not None else None
        self.cut: Answer | None = None
        self.states = [RuleState(rule, x) for rule in rules]
        self._parser = Parser()
        self._take, self._carry = WIRES[x.call_type or ""]
        self._quick = quick_chunk if x.call_type in ("completion", "text_completion") else None
        self._texts: dict[Channel, Text] = {}
        self._quick_texts: dict[tuple[int, str], Text] = {}
        self._like: Body = {}  # the last event
        self._quick_data: str | None = None  # its data, as long as nobody had to look
        self._added = 0  # events that the upstream did not send
        self._cut_at: Channel | None = None
        self._end = Ending(x.dialect, x.call_type or "") if self._may_cut() else None

    def _may_cut(self) -> bool:
        return any(act.cuts or act.waits for state in self.states for act in state.rule.acts)

    def over(self) -> bool:
        """Whether a rule ended the stream."""
        return self.cut is not None

    # --- the stream as a whole ------------------------------------------------------------------------------------

    async def begin(self) -> None:
        """Decide what is known when the stream begins, and do what follows from it at once."""
        self.x.asked_phases |= 1 << STREAM.order
        for state in self.states:
            self.cut = state.begin()
            for act in state.rule.acts:
                once = act.redaction is None and not act.waits
                if (
                    self.cut is None
                    and once
                    and not state.off
                    and state.holds(state.rule.match, -1)
                    and state.holds(act.late, -1)
                    and state.matches()
                ):
                    self.cut = await state.act_once(act)
            if self.cut is not None:
                return

    async def events(self, chunk: bytes) -> list[bytes]:
        """What reaches the client with a chunk; after a cut nothing more does. EventTooLarge."""
        sent: list[bytes] = []
        for event in self._parser.feed(chunk):
            if self.cut is not None:
                break
            if self._quick is not None and self._untouched(event.data):
                sent.append(event.raw)
            else:
                sent += await self._event(event)
        return sent

    async def finish(self) -> list[bytes]:
        """What is left when the upstream's stream has ended."""
        sent = [raw for event in self._parser.finish() if self.cut is None for raw in await self._event(event)]
        if self.cut is None:
            sent += await self._ended(list(self._texts.values()), self._last())
        return sent

    def ending(self, *, usage: bool) -> list[bytes]:
        """What a cut puts in the place of the rest."""
        assert self.cut is not None
        self.x.cut_by = self.cut.rule
        if isinstance(self.cut, Assistant) and self._end is not None:
            if self._quick_data is not None:
                self._end.note(self._last())
            return self._end.events(self.x, self.cut.text, self._cut_at, usage)
        refusal = self.cut if isinstance(self.cut, Refusal) else Refusal(500, "the stream was cut", source="rule")
        return [self.x.dialect.error_event(self.x.refused(refusal), self.x.id)]

    def close(self) -> None:
        """Note what every rule did."""
        for state in self.states:
            state.finish()
        self.x.streamed = None

    # --- one event ------------------------------------------------------------------------------------------------

    def _untouched(self, data: str) -> bool:
        """Read the common chunk, when nothing in it depends on anything; False: nothing was read."""
        told = quick_chunk(data)
        if told is None:
            return False
        index, name, piece = told
        text = self._quick_texts.get((index, name)) or self._quick_text(index, name)
        if not text.passes_over(piece):
            return False
        self._quick_data = data
        return True

    def _quick_text(self, index: int, name: str) -> Text:
        owner = (index, "text") if name == "text" else (index, "delta", name)
        channel = Channel(index, REASONING if name == "reasoning_content" else COMPLETION, owner)
        if self._end is not None:
            self._end.note_choice(index)
        text = self._quick_texts[index, name] = self._text(channel)
        return text

    def _last(self) -> Body:
        """The last event, which added ones are like."""
        if self._quick_data is not None:
            self._like, self._quick_data = _decode(self._quick_data), None
        return self._like

    async def _event(self, event: Sent) -> list[bytes]:
        if not event.data:
            return [event.raw]
        if event.data.startswith("[DONE]"):
            return [*await self._ended(list(self._texts.values()), self._last()), event.raw]
        body = decoded(event.data)
        if body is None:
            return await self._unreadable(event)
        if error_in(body) is not None:
            return [*await self._ended(list(self._texts.values()), self._last()), event.raw]
        self._like, self._quick_data = body, None
        parts = self._take(body)
        added = await self._ended(self._ending_with(parts), body) if parts.ends else []
        if self.over():
            return added
        changed = await self._changed(body, parts)
        if self.over():
            return [*added, *await self._cut_off(body, changed, parts)]
        return [*added, self._sent(event, body, changed)]

    async def _changed(self, body: Body, parts: Event) -> Body:
        """The body with what passes of its texts."""
        for slot in parts.slots:
            text = self._text(slot.channel, whole=slot.whole)
            last = slot.whole or any(_under(slot.channel, end) for end in parts.ends)
            new = await text.read(slot.text, last) if self.cut is None else ""
            if last and not slot.whole:
                self._forget(text)
            if text.cut is not None and self.cut is None:
                self.cut, self._cut_at = text.cut, slot.channel
            if new != slot.text or text.moved:
                without_odds = put(body, slot.path, new)
                body = without_odds if without_odds != body else body
        return body

    def _sent(self, event: Sent, body: Body, changed: Body) -> bytes:
        """An event on its way; the bytes that came, when nothing in it changed."""
        number = changed.get("sequence_number")
        if self._added and isinstance(number, int):
            changed = {**changed, "sequence_number": number + self._added}
        if self._end is not None:
            self._end.note(changed)
        return event.raw if changed is body else rewritten(event, changed)

    async def _unreadable(self, event: Sent) -> list[bytes]:
        """Data that is no JSON object is one text."""
        text = self._text(_STRAY, whole=True)
        said = await text.read(event.data, last=True)
        self.cut = text.cut
        if said == event.data:
            return [event.raw]
        lines = said.split("\n") if said else []
        return [b"".join(b"data: %b\n" % line.encode() for line in lines) + b"\n"] if lines else []

    # --- texts ----------------------------------------------------------------------------------------------------

    def _text(self, channel: Channel, *, whole: bool = False) -> Text:
        """The text of a channel; a snapshot is a text of its own."""
        text = None if whole else self._texts.get(channel)
        if text is None:
            place = Place(channel.choice, channel.kind, channel.spelled, whole)
            text = Text(channel, place, [stage for state in self.states for stage in stages(state, place)])
            if self._restores is not None:
                text = Text(channel, place, [Restoring(self._restores, place)])
            if not whole:
                self._texts[channel] = text
        return text

    def _ending_with(self, parts: Event) -> list[Text]:
        """Texts that end with an event that has no more of them: decided before what the event says whole."""
        more = {slot.channel for slot in parts.slots if not slot.whole}
        ending = [(channel, text) for channel, text in self._texts.items() if channel not in more]
        return [text for channel, text in ending if any(_under(channel, end) for end in parts.ends)]

    async def _ended(self, texts: list[Text], like: Body) -> list[bytes]:
        """What is left of texts that end, as events of their own."""
        sent: list[bytes] = []
        for text in texts:
            rest = await text.read("", last=True) if self.cut is None or text.cut is None else ""
            if text.cut is not None and self.cut is None:
                self.cut, self._cut_at = text.cut, text.channel
            self._forget(text)
            if rest:
                sent.append(self._carried(text.channel, rest, like))
        if self.cut is not None and self._texts:
            sent += await self._ended(list(self._texts.values()), like)
        return sent

    def _forget(self, text: Text) -> None:
        """A text has ended; what comes under its name begins anew."""
        self._texts.pop(text.channel, None)
        self._quick_texts = {key: kept for key, kept in self._quick_texts.items() if kept is not text}

    def _carried(self, channel: Channel, text: str, like: Body) -> bytes:
        body = self._carry(channel, text, like)
        number = body.get("sequence_number")
        if isinstance(number, int):
            body = {**body, "sequence_number": number + self._added}
            self._added += 1
        if self._end is not None:
            self._end.note(body)
        kind = body.get("type")
        return written(body, kind if isinstance(kind, str) and not kind.startswith("transcript") else None)

    async def _cut_off(self, body: Body, changed: Body, parts: Event) -> list[bytes]:
        """What still passes of the event in which the stream is cut, and what other texts held."""
        sent = []
        for slot in parts.slots:
            said = at(changed, slot.path)
            if said and not slot.whole:
                sent.append(self._carried(slot.channel, said, body))
        return [*sent, *await self._ended(list(self._texts.values()), body)]


def decoded(data: str) -> Body | None:
    """The object of an event; halves of surrogate pairs stay, to be joined with the next event's."""
    try:
        body = _decode(data)
    except (ValueError, RecursionError):
        try:
            body = json.loads(data)
        except (ValueError, RecursionError):
            return None
    return body if isinstance(body, dict) else None


def at(body: Any, path: Path) -> str:
    """The text at a path."""
    for part in path:
        body = body[part]
    return str(body)


def _under(channel: Channel, owner: Path) -> bool:
    return channel.owner[: len(owner)] == owner
