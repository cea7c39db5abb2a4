"""The native form of callbacks: a subclass of `engine.Callback`, one method for each phase. Must not know others."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from engine.callback import Callback
from engine.document.exchange import Exchange
from engine.errors import did_you_mean
from engine.phases import PHASES, Phase
from engine.ports.context import Context, kind
from engine.ports.hooks import BadCallback, Hook, Methods, Outcome, as_instance, mismatch
from engine.ports.workers import in_thread


def native(name: str, target: Any, options: dict[str, Any]) -> Methods | None:
    """The methods of a subclass of `engine.Callback`, or of an instance of one."""
    if not (isinstance(target, Callback) or (isinstance(target, type) and issubclass(target, Callback))):
        return None
    instance = as_instance(name, target, options)
    hooks = {phase: _hook(name, phase, method) for phase, method in _methods(name, instance)}
    if not hooks:
        raise BadCallback(f"`{name}` defines no method of a phase", _near_miss(type(instance)))
    return Methods(instance, hooks)


def _methods(name: str, instance: Callback) -> list[tuple[Phase, Callable[[Context], Any]]]:
    methods = []
    for phase in PHASES.values():
        if getattr(type(instance), phase.name) is getattr(Callback, phase.name) and phase.name not in vars(instance):
            continue
        method = getattr(instance, phase.name)
        if not callable(method):
            raise BadCallback(f"`{name}.{phase.name}` is {kind(method)}, not a method", "methods are named like phases")
        if mismatch(method, None):
            raise BadCallback(
                f"`{name}.{phase.name}` must take one argument, the context",
                f"write `def {phase.name}(self, context):`",
            )
        methods.append((phase, method))
    return methods


def _near_miss(cls: type) -> str:
    own = [name for name in dir(cls) if not name.startswith("_") and not hasattr(Callback, name)]
    for name in own:
        if (near := did_you_mean(name, PHASES)).startswith("did you mean"):
            return f"`{name}`: {near}"
    return "methods are named like the phases: " + ", ".join(PHASES)


def _hook(name: str, phase: Phase, method: Callable[[Context], Any]) -> Hook:
    waits = inspect.iscoroutinefunction(method)

    async def hook(x: Exchange) -> Outcome:
        context = Context(x, phase)
        try:
            result = method(context) if waits else await in_thread(lambda: method(context))
            if inspect.isawaitable(result):
                result = await result
            if result is not None:
                raise TypeError(f"{name}.{phase.name} returned {kind(result)}: a callback changes its context instead")
            return Outcome(context.settle(), context.answer())
        except SystemExit as wrong:  # it would end the process, and with it the exchanges of others
            raise RuntimeError(f"{name}.{phase.name} called exit({wrong.code!r})") from wrong
        finally:
            context.end()

    return hook
