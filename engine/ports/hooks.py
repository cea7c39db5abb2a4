"""What a callback comes to, whatever its form: one hook for each phase. Must not know the forms of callbacks."""

from __future__ import annotations

import inspect
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from engine.document.answers import Answer
from engine.document.exchange import Exchange
from engine.phases import Phase
from engine.ports.authored import Authored


class Outcome(NamedTuple):
    """What a callback did: whether anything is changed or noted, and the answer that it decided on."""

    changed: bool
    answer: Answer | None


Hook = Callable[[Exchange], Awaitable[Outcome]]
Rewrite = Callable[[Exchange, AsyncIterator[bytes]], AsyncGenerator[bytes, None]]
"""A stream's bytes to other bytes, as they come; Refused ends it with an error."""

NOTHING = Outcome(False, None)


class BadCallback(Exception):
    """A target that cannot be a callback; `help` says what it should be."""

    def __init__(self, message: str, help: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.help = help


class Methods(NamedTuple):
    """What a form found in a target.

    `instance` is the object that will be called. `prompts` puts prompts into a request, for `use_prompt`; `rewrite`
    goes over streams.
    """

    instance: Any
    hooks: Mapping[Phase, Hook]
    prompts: Hook | None = None
    rewrite: Rewrite | None = None


@dataclass(frozen=True, slots=True)
class LoadedCallback:
    """A callback that can run."""

    name: str  # the dotted path
    hooks: Mapping[Phase, Hook]
    authored: Authored  # held, because its modules live as long as it does
    instance: Any = None
    prompts: Hook | None = None
    rewrite: Rewrite | None = None  # as an entry of `callbacks:`; its hook of the stream phase is for actions


Form = Callable[[str, Any, dict[str, Any]], Methods | None]
"""Name, target and constructor options to methods; None when the target is of another form; BadCallback."""


def constructed(name: str, target: type, options: dict[str, Any]) -> Any:
    """An instance made with `options`; BadCallback when the constructor does not take them, or fails."""
    wrong = mismatch(target, **options)
    if wrong:
        raise BadCallback(f"`{name}` cannot be made so: {wrong}", "`with` goes to the constructor, by name")
    try:
        return target(**options)
    except Exception as error:
        raise BadCallback(f"the constructor of `{name}` failed: {type(error).__name__}: {error}") from error


def as_instance(name: str, target: Any, options: dict[str, Any]) -> Any:
    """The object that a class makes with `options`, or that an instance is; BadCallback."""
    if isinstance(target, type):
        return constructed(name, target, options)
    if options:
        raise BadCallback(f"`{name}` is an instance, and `with` goes to a constructor", "name its class instead")
    return target


def mismatch(target: Callable[..., Any], *args: Any, **options: Any) -> str:
    """Why a callable does not take these arguments; empty when it does or does not tell."""
    try:
        signature = inspect.signature(target)
    except (TypeError, ValueError):
        return ""
    try:
        signature.bind(*args, **options)
    except TypeError as error:
        return str(error)
    return ""
