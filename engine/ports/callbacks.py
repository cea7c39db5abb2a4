"""Callbacks in Python by dotted path: found, imported and checked at load, then called once per phase.

Each form of callback is one function in `FORMS` that recognises it. Must not know rules or actions.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from engine.callback import Callback
from engine.catalogue import Scope
from engine.document.answers import Answer
from engine.document.exchange import Exchange
from engine.errors import did_you_mean
from engine.options import BAD, found
from engine.phases import PHASES, Phase
from engine.ports.authored import Authored, NotFound
from engine.ports.context import Context, kind
from engine.source import Node, Scalar, Span


class Outcome(NamedTuple):
    """What a callback did: whether anything is changed or noted, and the answer that it decided on."""

    changed: bool
    answer: Answer | None


Hook = Callable[[Exchange], Awaitable[Outcome]]


class BadCallback(Exception):
    """A target that cannot be a callback; `help` says what it should be."""

    def __init__(self, message: str, help: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.help = help


@dataclass(frozen=True, slots=True)
class LoadedCallback:
    """A callback that can run: one hook for each phase it has a method for."""

    name: str  # the dotted path
    hooks: Mapping[Phase, Hook]
    authored: Authored  # held, because its modules live as long as it does


Form = Callable[[str, Any, dict[str, Any]], Mapping[Phase, Hook] | None]
"""Name, target and constructor options to hooks; None when the target is of another form; BadCallback."""


class CallbackTarget(NamedTuple):
    """What a dotted path names, not yet constructed."""

    name: str
    target: Any
    authored: Authored
    node: Scalar

    def load(self, options: dict[str, Any], scope: Scope) -> Any:
        """The callback, constructed with `options`; BAD after noting why it is none."""
        try:
            for form in FORMS:
                hooks = form(self.name, self.target, options)
                if hooks is not None:
                    return LoadedCallback(self.name, hooks, self.authored)
        except BadCallback as error:
            scope.problem("bad-callback", error.message, self.node.span, help=error.help)
            return BAD
        scope.problem("bad-callback", f"`{self.name}` is {kind(self.target)} and no callback", self.node.span,
                      help="subclass `engine.Callback` and define a method named like a phase")
        return BAD


class CallbackRef:
    """A dotted path to a class or an instance; read as a CallbackTarget."""

    @classmethod
    def schema(cls) -> dict[str, Any]:
        return {"type": "string", "pattern": r"^[^.\s]+(\.[^.\s]+)+$"}

    @classmethod
    def read(cls, node: Node, scope: Scope) -> Any:
        if not isinstance(node, Scalar) or not isinstance(node.value, str):
            scope.problem("wrong-type", f"expected a dotted path, found {found(node)}", node.span,
                          help="write `module.name`, as in `my_hooks.Redact`")
            return BAD
        loaded = scope.tables.setdefault("authored", {})  # one load imports each file once
        if scope.folder not in loaded:
            loaded[scope.folder] = Authored(scope.folder)
        authored: Authored = loaded[scope.folder]
        try:
            return CallbackTarget(node.value, authored.find(node.value), authored, node)
        except NotFound as error:
            span = node.span if error.part is None else _place(node, node.value.split("."), error.part)
            scope.problem(error.code, error.message, span, help=error.help)
            return BAD


def _place(node: Scalar, parts: list[str], part: int) -> Span:
    start = sum(len(before) + 1 for before in parts[:part])
    return node.inner(start, start + len(parts[part]))


class CallbackEntry(CallbackRef):
    """An entry of `callbacks`: a dotted path; read as a LoadedCallback."""

    @classmethod
    def read(cls, node: Node, scope: Scope) -> Any:
        target = super().read(node, scope)
        return target if target is BAD else target.load({}, scope)


# --- the native form -------------------------------------------------------------------------------------------------


def native(name: str, target: Any, options: dict[str, Any]) -> Mapping[Phase, Hook] | None:
    """Hooks of a subclass of `engine.Callback`, or of an instance of one."""
    if isinstance(target, type) and issubclass(target, Callback):
        instance = constructed(name, target, options)
    elif isinstance(target, Callback):
        instance = target
        if options:
            raise BadCallback(f"`{name}` is an instance, and `with` goes to a constructor", "name its class instead")
    else:
        return None
    hooks = {phase: _native_hook(name, phase, method) for phase, method in _methods(name, instance)}
    if not hooks:
        raise BadCallback(f"`{name}` defines no method of a phase", _near_miss(type(instance)))
    return hooks


def constructed(name: str, target: type, options: dict[str, Any]) -> Any:
    """An instance made with `options`; BadCallback when the constructor does not take them, or fails."""
    wrong = mismatch(target, **options)
    if wrong:
        raise BadCallback(f"`{name}` cannot be made so: {wrong}", "`with` goes to the constructor, by name")
    try:
        return target(**options)
    except Exception as error:
        raise BadCallback(f"the constructor of `{name}` failed: {type(error).__name__}: {error}") from error


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


def _methods(name: str, instance: Callback) -> list[tuple[Phase, Callable[[Context], Any]]]:
    methods = []
    for phase in PHASES.values():
        if getattr(type(instance), phase.name) is getattr(Callback, phase.name) and phase.name not in vars(instance):
            continue
        method = getattr(instance, phase.name)
        if not callable(method):
            raise BadCallback(f"`{name}.{phase.name}` is {kind(method)}, not a method", "methods are named like phases")
        if mismatch(method, None):
            raise BadCallback(f"`{name}.{phase.name}` must take one argument, the context",
                              f"write `def {phase.name}(self, context):`")
        methods.append((phase, method))
    return methods


def _near_miss(cls: type) -> str:
    own = [name for name in dir(cls) if not name.startswith("_") and not hasattr(Callback, name)]
    for name in own:
        if (near := did_you_mean(name, PHASES)).startswith("did you mean"):
            return f"`{name}`: {near}"
    return "methods are named like the phases: " + ", ".join(PHASES)


def _native_hook(name: str, phase: Phase, method: Callable[[Context], Any]) -> Hook:
    async def hook(x: Exchange) -> Outcome:
        context = Context(x, phase)
        result = method(context)
        if inspect.isawaitable(result):
            result = await result
        if result is not None:
            raise TypeError(f"{name}.{phase.name} returned {kind(result)}: a callback changes its context instead")
        return Outcome(context.settle(), context.answer())

    return hook


FORMS: list[Form] = [native]
