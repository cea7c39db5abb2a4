"""The streaming hooks of LiteLLM's form: over a stream's bytes, which they see as a chat's chunks in every dialect.

Texts that a hook leaves alone leave as the bytes that came. Must not know sockets, nor who relays.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from time import perf_counter_ns
from typing import Any

from engine.document.answers import Refusal, Refused
from engine.document.exchange import Exchange
from engine.document.stream_wires import WIRES
from engine.ports.context import kind
from engine.ports.hooks import Rewrite
from engine.ports.litellm_chunks import Items
from engine.ports.litellm_errors import refusal_of
from engine.ports.litellm_signature import Call
from engine.ports.litellm_view import caller, data_of

log = logging.getLogger("pointsman.callbacks")

PATIENCE = 5.0  # seconds that a hook may take for one chunk, the upstream's own time not counted
ITERATOR = "async_post_call_streaming_iterator_hook"
TEXT = "async_post_call_streaming_hook"
OFFERED: dict[str, tuple[tuple[str, ...], int]] = {
    ITERATOR: (("user_api_key_dict", "response", "request_data"), 3),
    TEXT: (("user_api_key_dict", "response", "data", "request_data"), 2),
}

Generate = Callable[[Exchange, AsyncIterator[Any]], AsyncIterator[Any]]


class EndsWithError(Exception):
    """A hook put an error into the stream: a text that begins with `data: `, as LiteLLM has it."""

    status_code = 500


def iterating(name: str, call: Call) -> Generate:
    """The hook that is given the whole stream and yields another."""

    def generate(x: Exchange, items: AsyncIterator[Any]) -> AsyncIterator[Any]:
        made = call({"user_api_key_dict": caller(x), "response": items, "request_data": data_of(x)})
        if not hasattr(made, "__aiter__"):
            if inspect.iscoroutine(made):
                made.close()
            raise TypeError(f"{name} returned {kind(made)}: it is a generator, with `async def` and `yield`")
        return made  # type: ignore[no-any-return]

    return generate


def by_text(name: str, call: Call) -> Generate:
    """The hook that is told the text so far with each piece, and may give another piece instead."""

    async def generate(x: Exchange, items: AsyncIterator[Any]) -> AsyncGenerator[Any, None]:
        user, data, said = caller(x), data_of(x), dict[Any, str]()
        async for item in items:
            kept = item
            for choice in item.choices or ():
                holder, member = (choice, "text") if "text" in choice else (choice.delta or {}, "content")
                piece = holder.get(member)
                if not isinstance(piece, str) or not piece:
                    continue
                index = choice.get("index", 0)
                said[index] = said.get(index, "") + piece
                result = call({"user_api_key_dict": user, "response": said[index], "data": data, "request_data": data})
                if inspect.isawaitable(result):
                    result = await result
                if isinstance(result, Exception):
                    raise result
                if isinstance(result, str):
                    _refuse_error(result)
                    holder[member] = result
                elif result is not None:
                    kept = result
            yield kept

    return generate


def _refuse_error(text: str) -> None:
    if text.startswith("data: "):
        raise EndsWithError(text.removeprefix("data: ").strip())


def rewriting(name: str, generates: list[Generate]) -> Rewrite:
    """A stream's bytes by way of a callback's hooks.

    Refused says why the stream ends: by an exception with a status, or by an error of the callback.
    """

    async def rewrite(x: Exchange, chunks: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
        if x.call_type not in WIRES:  # no text to show
            async for chunk in chunks:
                yield chunk
            return
        began = perf_counter_ns()
        source = Items(x, chunks, PATIENCE)
        try:
            items: AsyncIterator[Any] = source
            for generate in generates:
                items = generate(x, items)
            async with _closing(items):
                async for raw in source.through(items):
                    yield raw
        except Exception as error:
            if error is source.broken:
                raise
            raise Refused(_refusal(name, x, error, began)) from error

    return rewrite


class _closing:  # noqa: N801  used like `contextlib.aclosing`, for what need not be closed as well
    def __init__(self, items: AsyncIterator[Any]) -> None:
        self._items = items

    async def __aenter__(self) -> None: ...

    async def __aexit__(self, *_: object) -> None:
        close = getattr(self._items, "aclose", None)
        if close is not None:
            await close()


def _refusal(name: str, x: Exchange, error: Exception, began: int) -> Refusal:
    refusal = None if isinstance(error, TimeoutError) else refusal_of(error)
    if refusal is not None:
        x.outcomes.append((name, "stream", "acted", "", perf_counter_ns() - began))
        return refusal
    why = f"timed out after {PATIENCE:g} s" if isinstance(error, TimeoutError) else f"{type(error).__name__}: {error}"
    x.outcomes.append((name, "stream", "error", why, perf_counter_ns() - began))
    log.warning("callback %s failed in stream: %s", name, why)
    return Refusal(500, f"rule {name} failed", type="rule_error", code="rule_failed", source="rule_error", rule=name)


def refuse_by_text(name: str, call: Call) -> Callable[[Exchange], Any]:
    """The text hook on what a stream has said so far: all that it can do as an action is refuse."""

    async def ask(x: Exchange) -> None:
        data = data_of(x)
        result = call(
            {"user_api_key_dict": caller(x), "response": x.completion_text, "data": data, "request_data": data}
        )
        if inspect.isawaitable(result):
            result = await result
        if isinstance(result, Exception):
            raise result
        if result is not None:
            raise TypeError(f"{name} returned {kind(result)}: as an action it can only refuse; name it in `callbacks`")

    return ask
