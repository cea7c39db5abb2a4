"""The whole response of a stream of `/v1/responses`. Must not know how its events are written."""

from __future__ import annotations

from typing import Any

from engine.document.assemble import Assembly, Grown, index_of
from engine.document.dialect import Body
from engine.document.usage import usage_of

_ENDS = frozenset({"response.completed", "response.incomplete", "response.failed"})
# what a delta makes longer: the list it stands in (None: the item itself), its field, the type of a new part
_DELTAS: dict[str, tuple[str | None, str, str]] = {
    "response.output_text.delta": ("content", "text", "output_text"),
    "response.refusal.delta": ("content", "refusal", "refusal"),
    "response.reasoning_text.delta": ("content", "text", "reasoning_text"),
    "response.reasoning_summary_text.delta": ("summary", "text", "summary_text"),
    "response.function_call_arguments.delta": (None, "arguments", ""),
    "response.mcp_call_arguments.delta": (None, "arguments", ""),
    "response.custom_tool_call_input.delta": (None, "input", ""),
    "response.code_interpreter_call_code.delta": (None, "code", ""),
}


class ResponsesAssembly(Assembly):
    """The snapshot at the end is the body; until it comes, and where it leaves out the output, the deltas are."""

    def __init__(self) -> None:
        super().__init__()
        self._response: Body | None = None
        self._items: dict[int, Item] = {}

    def take(self, body: Body) -> None:
        """Take one event by its `type`."""
        kind = body.get("type")
        if not isinstance(kind, str):
            return
        told = body.get("response")
        if isinstance(told, dict):
            self._response = told
            error = told.get("error")
            if kind == "response.failed" and isinstance(error, dict):
                self.error = error
        self.complete = self.complete or kind in _ENDS
        if kind in ("response.output_item.added", "response.output_item.done"):
            item = body.get("item")
            if isinstance(item, dict):
                self._items[index_of(body, "output_index")] = Item(item)
        elif kind in _DELTAS and isinstance(body.get("delta"), str):
            self._items.setdefault(index_of(body, "output_index"), Item({"type": "message", "role": "assistant"})).take(
                kind, body
            )

    @property
    def body(self) -> Body | None:
        """The whole response so far; None before anything of it came."""
        if self._response is None and not self._items:
            return None
        made = dict(self._response or {"object": "response"})
        if not (self.complete and made.get("output")) and (self._items or "output" not in made):
            made["output"] = [self._items[index].whole() for index in sorted(self._items)]
        whole: Body = self.mended(made)
        return whole

    @property
    def usage(self) -> dict[str, Any] | None:
        """Tokens in common words, once the stream told them."""
        return usage_of(self._response.get("usage")) if self._response is not None else None


class Item:
    """One item of the output as it grows."""

    def __init__(self, start: dict[str, Any]) -> None:
        self._start = start
        self._own = Grown()
        self._parts: dict[tuple[str, int], tuple[str, str, list[str]]] = {}

    def take(self, kind: str, told: dict[str, Any]) -> None:
        """Take one delta."""
        place, name, sort = _DELTAS[kind]
        if place is None:
            self._own.add(name, told["delta"])
            return
        index = index_of(told, "summary_index" if place == "summary" else "content_index")
        self._parts.setdefault((place, index), (sort, name, []))[2].append(told["delta"])

    def whole(self) -> dict[str, Any]:
        """The item as a whole answer has it."""
        made = dict(self._start)
        for name, grown in self._own.all().items():
            began = made.get(name)
            made[name] = (began if isinstance(began, str) else "") + grown
        for (place, _), (sort, name, parts) in sorted(self._parts.items(), key=lambda each: each[0]):
            before = made.get(place)
            made[place] = [*(before if isinstance(before, list) else []), _part(sort, name, "".join(parts))]
        return made


def _part(sort: str, name: str, said: str) -> dict[str, Any]:
    made: dict[str, Any] = {"type": sort, name: said}
    return {**made, "annotations": []} if sort == "output_text" else made
