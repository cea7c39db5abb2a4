"""Callbacks in Python by dotted path: found, imported and checked at load, then called once per phase.

Each form of callback is one function in `FORMS` that recognises it. Must not know rules or actions.
"""

from __future__ import annotations

from typing import Any, NamedTuple, cast

from engine.catalogue import Scope
from engine.options import BAD, found
from engine.ports.authored import Authored, NotFound
from engine.ports.context import kind
from engine.ports.hooks import BadCallback, Form, Hook, LoadedCallback, Outcome
from engine.ports.litellm_form import function_hooks, litellm
from engine.ports.native import native
from engine.source import Node, Scalar, Span

__all__ = [
    "CallbackEntry",
    "CallbackRef",
    "CallbackTarget",
    "FunctionEntry",
    "Hook",
    "LoadedCallback",
    "Outcome",
    "registered",
]

FORMS: list[Form] = [native, litellm]


class CallbackTarget(NamedTuple):
    """What a dotted path names, not yet constructed."""

    name: str
    target: Any
    authored: Authored
    node: Scalar

    def load(self, options: dict[str, Any], scope: Scope) -> Any:
        """The callback, constructed with `options`; BAD after noting why it is none."""
        _known(scope)[id(self.target)] = self.target
        try:
            for form in FORMS:
                methods = form(self.name, self.target, options)
                if methods is not None:
                    return LoadedCallback(
                        self.name, methods.hooks, self.authored, methods.instance, methods.prompts, methods.rewrite
                    )
        except BadCallback as error:
            scope.problem("bad-callback", error.message, self.node.span, help=error.help)
            return BAD
        help = "subclass `engine.Callback` and define a method named like a phase"
        if callable(self.target) and not isinstance(self.target, type):
            help += "; a function of LiteLLM's kind stands under `success_callback` or its kin"
        scope.problem(
            "bad-callback", f"`{self.name}` is {kind(self.target)} and no callback", self.node.span, help=help
        )
        return BAD


class CallbackRef:
    """A dotted path to a class or an instance; read as a CallbackTarget."""

    @classmethod
    def schema(cls) -> dict[str, Any]:
        return {"type": "string", "pattern": r"^[^.\s]+(\.[^.\s]+)+$"}

    @classmethod
    def read(cls, node: Node, scope: Scope) -> Any:
        if not isinstance(node, Scalar) or not isinstance(node.value, str):
            scope.problem(
                "wrong-type",
                f"expected a dotted path, found {found(node)}",
                node.span,
                help="write `module.name`, as in `my_hooks.Redact`",
            )
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
        finally:
            waiting = _registered(scope)
            for section, target in authored.lent.taken():
                waiting.setdefault((section, id(target)), (target, authored, node))


def _place(node: Scalar, parts: list[str], part: int) -> Span:
    start = sum(len(before) + 1 for before in parts[:part])
    return node.inner(start, start + len(parts[part]))


def _known(scope: Scope) -> dict[int, Any]:
    """The targets that the rules files name themselves, by identity."""
    return cast("dict[int, Any]", scope.tables.setdefault("named callback", {}))


def _registered(scope: Scope) -> dict[tuple[str, int], tuple[Any, Authored, Scalar]]:
    """What authors' files registered themselves, by list and identity, and the node that brought the file in."""
    return cast("dict[tuple[str, int], tuple[Any, Authored, Scalar]]", scope.tables.setdefault("registered", {}))


class CallbackEntry(CallbackRef):
    """An entry of `callbacks`: a dotted path; read as a LoadedCallback."""

    @classmethod
    def read(cls, node: Node, scope: Scope) -> Any:
        target = super().read(node, scope)
        loaded = target if target is BAD else target.load({}, scope)
        if loaded is not BAD:
            _keep_prompts(loaded, scope)
        return loaded


def _keep_prompts(loaded: LoadedCallback, scope: Scope) -> None:
    if loaded.prompts is not None:
        scope.tables.setdefault("prompt manager", {})[loaded.name] = loaded.prompts


class FunctionEntry(CallbackRef):
    """An entry of `success_callback` or its kin: a dotted path to a function; read as a LoadedCallback."""

    section = "success_callback"

    @classmethod
    def read(cls, node: Node, scope: Scope) -> Any:
        target = super().read(node, scope)
        if target is BAD:
            return BAD
        _known(scope)[id(target.target)] = target.target
        return _function(cls.section, target, scope)


class InputFunction(FunctionEntry):
    """A function that is called before an upstream is."""

    section = "input_callback"


class FailureFunction(FunctionEntry):
    """A function that is called after a failure."""

    section = "failure_callback"


def _function(section: str, target: CallbackTarget, scope: Scope) -> Any:
    if isinstance(target.target, type) or not callable(target.target):
        scope.problem(
            "bad-callback",
            f"`{target.name}` is {kind(target.target)}, not a function",
            target.node.span,
            help="a class or an instance stands under `callbacks`",
        )
        return BAD
    try:
        hooks = function_hooks(section, target.name, target.target)
    except BadCallback as error:
        scope.problem("bad-callback", error.message, target.node.span, help=error.help)
        return BAD
    return LoadedCallback(target.name, hooks, target.authored, target.target)


def registered(scope: Scope) -> list[LoadedCallback]:
    """The callbacks that authors' files registered themselves (`litellm.callbacks = […]`) and no rules file names."""
    known = _known(scope)
    classes = {target if isinstance(target, type) else type(target) for target in known.values()}
    loaded = []
    for (section, _), (target, authored, node) in _registered(scope).items():
        if id(target) in known or (section == "callbacks" and type(target) in classes):
            continue
        one = CallbackTarget(_name_of(target), target, authored, node)
        if isinstance(target, str):
            scope.problem(
                "bad-callback",
                f"`litellm.{section}` names {target!r}, an integration of LiteLLM's own",
                node.span,
                help="send records with `log_to` and a sink instead",
            )
            continue
        callback = one.load({}, scope) if section == "callbacks" else _function(section, one, scope)
        if callback is not BAD:
            loaded.append(callback)
            _keep_prompts(callback, scope)
    return loaded


def _name_of(target: Any) -> str:
    named = target if hasattr(target, "__qualname__") else type(target)
    module = str(getattr(named, "__module__", "")).partition(".")[2] or str(getattr(named, "__module__", ""))
    return f"{module}.{named.__qualname__}"
