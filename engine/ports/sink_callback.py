"""`callback`: records given to the author's own Python. Must not know what it does with them."""

from __future__ import annotations

import asyncio
import inspect
import logging
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from engine.catalogue import Example, Scope
from engine.options import Duration, option
from engine.ports.callbacks import CallbackRef, CallbackTarget
from engine.ports.context import kind
from engine.ports.hooks import BadCallback, as_instance, mismatch
from engine.ports.sinks import Retry, Sink, SinkDown
from engine.source import Node

log = logging.getLogger("pointsman.sinks")
_TIMES = 5


class CallbackSink(Sink, name="callback"):
    """Call a Python function with each record, or the method `write` of a class.

    A dotted path is looked up beside the rules file and then on the import path. The function takes one record, a
    dictionary; where `batch` is more than 1, a list of them. It runs in the sink's own thread, plain or `async`, and no
    exchange waits for it. When it raises, it is called again with the same; after `retry` the record is given up.
    """

    use: CallbackRef = option("Dotted path to a function, a class or an instance.", short=True)
    with_: dict[str, Any] = option("Arguments of the class's constructor, by name.", {})
    batch: int = option("Most records of one call.", 1, minimum=1, maximum=10_000)
    timeout: Duration = option("Longest call of an `async` function; a plain one cannot be ended.", 30.0)
    retry: Retry | None = option(f"When to give up; default after {_TIMES} further attempts.", None)

    examples = [
        Example("a function gets every record", "mine: {callback: my_hooks.on_record}"),
        Example(
            "a class of its own gets many at once",
            "mine: {callback: {use: my_hooks.Warehouse, with: {table: calls}, batch: 200}}",
        ),
    ]

    def check(self, places: dict[str, Node], node: Node, scope: Scope) -> None:
        target: CallbackTarget = self.use  # type: ignore[assignment]
        self.label = f"callback {target.name}"
        self.retries = _TIMES
        self._authored = target.authored  # its modules live as long as it does
        self._runner: asyncio.Runner | None = None
        try:
            self._call, self._close = _callable(target.name, target.target, self.with_)
        except BadCallback as wrong:
            scope.problem("bad-callback", wrong.message, target.node.span, help=wrong.help)
        super().check(places, node, scope)

    def write(self, lines: list[bytes]) -> int:
        import msgspec

        records = [msgspec.json.decode(line) for line in lines]
        try:
            self._run(self._call, records[0] if self.batch == 1 else records)
        except BaseException as wrong:
            raise SinkDown(_told(wrong)) from wrong
        return len(lines)

    def disconnect(self) -> None:
        try:
            if self._close is not None:
                self._run(self._close)
        except BaseException as wrong:  # noqa: BLE001  nobody else would say it
            log.warning("sink %s: its `close` failed: %s", self.label, _told(wrong))
        if self._runner is not None:
            self._runner.close()

    def _run(self, function: Callable[..., Any], *given: Any) -> None:
        made = function(*given)
        if inspect.isawaitable(made):
            self._runner = self._runner or asyncio.Runner()
            self._runner.run(_within(made, self.timeout))


async def _within(made: Any, seconds: float) -> None:
    async with asyncio.timeout(seconds):
        await made


def _told(wrong: BaseException) -> str:
    """An error of the author's code, with its place."""
    frame = traceback.extract_tb(wrong.__traceback__)[-1]
    return f"{type(wrong).__name__}: {wrong} ({Path(frame.filename).name}, line {frame.lineno})"


def _callable(name: str, target: Any, options: dict[str, Any]) -> tuple[Callable[..., Any], Callable[..., Any] | None]:
    """What is called with records, and what at the end; BadCallback."""
    plain = not isinstance(target, type) and callable(target) and not hasattr(target, "write")
    if plain and not options:
        call, close = target, None
    else:
        instance = as_instance(name, target, options)
        call, close = getattr(instance, "write", None), getattr(instance, "close", None)
        name = f"{name}.write"
    if not callable(call):
        raise BadCallback(f"`{name}` is {kind(call)}, and takes no records", "name a function, or a class with `write`")
    if wrong := mismatch(call, None):
        raise BadCallback(f"`{name}` must take one argument: {wrong}", "it is given one record, or a list of them")
    return call, close if callable(close) else None
