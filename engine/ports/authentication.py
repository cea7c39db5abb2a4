"""`server.auth`: an author's own function that says who is calling. Must not know how requests come in."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Mapping
from typing import Any

from engine.catalogue import Scope
from engine.options import BAD
from engine.ports.authored import Authored
from engine.ports.callbacks import CallbackRef
from engine.ports.context import kind
from engine.ports.hooks import mismatch
from engine.ports.workers import in_thread
from engine.source import Node

LONGEST = 5.0
"""Seconds that the function may take."""
_MEMBERS: dict[str, tuple[type, ...]] = {
    "name": (str,),
    "team": (str,),
    "user": (str,),
    "models": (list, tuple),
    "metadata": (dict,),
}


class BadCaller(Exception):
    """The function returned what describes no caller; the text says what, for the log."""


class Authentication:
    """A function `(headers, path)`, plain or async, that returns a mapping like an entry of `keys`, or None.

    `headers` is a mapping with lower-case names, credentials included.
    """

    def __init__(self, name: str, function: Any, authored: Authored) -> None:
        self.name = name
        self._function = function
        self._authored = authored  # held, because its modules live as long as it does
        self._waits = inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
            getattr(function, "__call__", None)  # noqa: B004  an instance with an async __call__
        )

    async def __call__(self, headers: dict[str, str], path: str) -> dict[str, Any] | None:
        """What rules see as `key`; None for a stranger. Raises what the function raises, BadCaller, TimeoutError."""
        async with asyncio.timeout(LONGEST):
            if self._waits:
                told = await self._function(headers, path)
            else:
                told = await in_thread(lambda: self._function(headers, path))
        return None if told is None else _caller(told, self.name)


def _caller(told: Any, function: str) -> dict[str, Any]:
    """A mapping as a caller's `key`: every member there, of its type."""
    if not isinstance(told, Mapping):
        raise BadCaller(f"{function} returned {kind(told)}: it returns a mapping like an entry of `keys`, or None")
    unknown = [name for name in told if name not in _MEMBERS]
    if unknown:
        raise BadCaller(f"{function} returned the unknown member {unknown[0]!r}; known: {', '.join(_MEMBERS)}")
    for name, types in _MEMBERS.items():
        if told.get(name) is not None and not isinstance(told[name], types):
            raise BadCaller(f"{function} returned {kind(told[name])} as `{name}`")
    if not told.get("name"):
        raise BadCaller(f"{function} returned a caller without `name`")
    models = told.get("models")
    return {
        "name": told["name"],
        "team": told.get("team"),
        "user": told.get("user"),
        "models": None if models is None else [str(model) for model in models],
        "metadata": dict(told.get("metadata") or {}),
    }


class AuthenticationRef(CallbackRef):
    """A dotted path to such a function; read as an Authentication."""

    @classmethod
    def read(cls, node: Node, scope: Scope) -> Any:
        target = super().read(node, scope)
        if target is BAD:
            return BAD
        function = target.target
        if isinstance(function, type) or not callable(function):
            wrong = f"`{target.name}` is {kind(function)}, not a function"
        else:
            why = mismatch(function, {}, "/")
            wrong = f"`{target.name}` cannot be called with `(headers, path)`: {why}" if why else ""
        if wrong:
            scope.problem(
                "bad-callback", wrong, node.span, help="write `async def check(headers, path)`; return a caller or None"
            )
            return BAD
        return Authentication(target.name, function, target.authored)
