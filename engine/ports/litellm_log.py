"""The logging methods and functions of LiteLLM's form: called aside, once an exchange has what they are told of.

Nothing they do reaches the client: they run in threads and on a loop of their own, and what they raise is recorded.
Must not know how they were found.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from time import perf_counter_ns
from typing import Any, NamedTuple

from engine.document.exchange import Exchange
from engine.phases import ATTEMPT, LOG, Phase
from engine.ports.hooks import NOTHING, Hook, Outcome
from engine.ports.litellm_kwargs import kwargs_of, messages_of
from engine.ports.litellm_signature import Call
from engine.ports.litellm_view import answer_of
from engine.ports.workers import WORKERS

log = logging.getLogger("pointsman.callbacks")

PRE, POST, SUCCESS, FAILURE = "pre_api_call", "post_api_call", "successful_api_call", "failed_api_call"
_ABOUT_TO_CALL = ("model", "messages", "kwargs")
_ENDED = ("kwargs", "response_obj", "start_time", "end_time")

METHODS: dict[str, tuple[str, tuple[str, ...]]] = {  # the event of each, and what it is given
    "log_pre_api_call": (PRE, _ABOUT_TO_CALL),
    "async_log_pre_api_call": (PRE, _ABOUT_TO_CALL),
    "log_post_api_call": (POST, _ENDED),
    "log_success_event": (SUCCESS, _ENDED),
    "async_log_success_event": (SUCCESS, _ENDED),
    "log_failure_event": (FAILURE, _ENDED),
    "async_log_failure_event": (FAILURE, _ENDED),
}
FUNCTIONS: dict[str, tuple[str, tuple[str, ...]]] = {  # the same for the sections of a rules file
    "input_callback": (PRE, ("kwargs",)),
    "success_callback": (SUCCESS, _ENDED),
    "failure_callback": (FAILURE, _ENDED),
}


_ANY = (Exception, SystemExit, KeyboardInterrupt)  # an `exit()` in it must end neither a thread nor the loop


class LoggingFailed(Exception):
    """What logging methods raised, each with its name."""


class Logged(NamedTuple):
    """A method or function, and the event it is called for."""

    name: str
    event: str
    call: Call
    waits: bool


def logged(name: str, event: str, function: Any, call: Call) -> Logged:
    """One of them; whether it is `async` is told by the function itself."""
    asked = function if inspect.isroutine(function) else getattr(function, "__call__", function)  # noqa: B004
    return Logged(name, event, call, inspect.iscoroutinefunction(asked))


@dataclass(slots=True)
class _Noted:
    """What a callback was told of an exchange: the body of its last attempt, and the calls that began."""

    sent: dict[str, Any] | None = None
    begun: list[asyncio.Task[None]] = field(default_factory=list)


class Log:
    """The logging methods of one callback."""

    def __init__(self, name: str, methods: list[Logged]) -> None:
        self._name = name
        self._methods = methods

    @property
    def hooks(self) -> Mapping[Phase, Hook]:
        """`attempt` begins the calls before an upstream's, `log` makes all others."""
        return {ATTEMPT: self.before, LOG: self.after}

    async def before(self, x: Exchange) -> Outcome:
        """An upstream is about to be called; waits for nothing and never fails."""
        body = {name: value for name, value in (x.request or {}).items() if not name.startswith("prompt_")}
        body = {**body, "model": (x.upstream or {}).get("model")} if "model" in body else body
        self._noted(x).sent = body
        methods = [method for method in self._methods if method.event == PRE]
        if methods and x.caching is not None:  # where a kept answer is given, nobody is called
            x.when_called = [*(x.when_called or ()), lambda: self._begin(x, methods, body)]
        elif methods:
            self._begin(x, methods, body)
        return NOTHING

    def _begin(self, x: Exchange, methods: list[Logged], body: dict[str, Any]) -> None:
        task = asyncio.create_task(self._aside(x, methods, body))
        self._noted(x).begun.append(task)

    def _noted(self, x: Exchange) -> _Noted:
        if x.kept is None:
            x.kept = {}
        noted: _Noted = x.kept.setdefault(self, _Noted())
        return noted

    async def after(self, x: Exchange) -> Outcome:
        """The exchange is over; LoggingFailed names what was raised."""
        noted = self._noted(x)
        while noted.begun:
            await noted.begun.pop(0)
        events = [FAILURE if x.error is not None else SUCCESS]
        if x.answered is not None and not x.cache_hit:
            events.insert(0, POST)
        methods = [method for event in events for method in self._methods if method.event == event]
        if methods:
            errors = await self._called(x, methods, noted.sent)
            if errors:
                raise LoggingFailed("; ".join(errors))
        return NOTHING

    async def _aside(self, x: Exchange, methods: list[Logged], body: dict[str, Any]) -> None:
        """An error here must not fail the attempt: it is recorded without its help."""
        began = perf_counter_ns()
        try:
            errors = await self._called(x, methods, body)
        except Exception as error:  # noqa: BLE001  recorded below
            errors = [f"{type(error).__name__}: {error}"]
        for why in errors:
            log.warning("callback %s failed: %s", self._name, why)
            x.outcomes.append((self._name, ATTEMPT.name, "error", why, perf_counter_ns() - began))

    async def _called(self, x: Exchange, methods: list[Logged], sent: dict[str, Any] | None) -> list[str]:
        """The methods one after the other, plain ones in a thread, `async` ones on a loop apart; what was raised."""
        ready = [(method, _given(x, method.event, sent)) for method in methods]
        plain = [(method, given) for method, given in ready if not method.waits]
        errors: list[str] = []
        if plain:
            errors += await asyncio.wrap_future(
                WORKERS.run(lambda: [why for method, given in plain for why in _attempt(method, given)])
            )
        for method, given in ready:
            if method.waits:
                errors += await asyncio.wrap_future(WORKERS.run_async(_attempt_async(method, given)))
        return errors


def _given(x: Exchange, event: str, sent: dict[str, Any] | None) -> dict[str, Any]:
    """Everything a method of an event may be given; each gets its own."""
    kwargs = kwargs_of(x, event, sent)
    body = x.answered if event == POST else x.response["body"] if x.response is not None else None
    return {
        "kwargs": kwargs,
        "model": kwargs["model"],
        "messages": messages_of(sent or x.request or {}),
        "response_obj": None if event == FAILURE else answer_of(body),
        "start_time": kwargs["start_time"],
        "end_time": kwargs["end_time"],
    }


def _attempt(method: Logged, given: Mapping[str, Any]) -> list[str]:
    try:
        result = method.call(given)
        if inspect.isawaitable(result):
            asyncio.run(_awaited(result))
    except _ANY as error:
        return [f"{method.name}: {type(error).__name__}: {error}"]
    return []


def _attempt_async(method: Logged, given: Mapping[str, Any]) -> Callable[[], Any]:
    async def attempt() -> list[str]:
        try:
            await method.call(given)
        except _ANY as error:
            return [f"{method.name}: {type(error).__name__}: {error}"]
        return []

    return attempt


async def _awaited(result: Any) -> Any:
    return await result
