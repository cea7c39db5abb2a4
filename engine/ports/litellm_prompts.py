"""Prompt managers of LiteLLM's form: a class that turns a prompt's id into messages, a model and parameters.

Must not know how a manager was found.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from engine.document.exchange import Exchange
from engine.document.parts import text_of
from engine.document.paths import same
from engine.ports.context import copied, kind
from engine.ports.hooks import NOTHING, Hook, Outcome
from engine.ports.litellm_hooks import refusing, resolved
from engine.ports.litellm_kwargs import NOT_PARAMETERS, parameters
from engine.ports.litellm_open import StandardCallbackDynamicParams
from engine.ports.litellm_signature import Call

OFFERED = (
    "model",
    "messages",
    "non_default_params",
    "prompt_id",
    "prompt_variables",
    "dynamic_callback_params",
    "prompt_spec",
    "prompt_label",
    "prompt_version",
    "ignore_prompt_manager_model",
    "ignore_prompt_manager_optional_params",
)
OFFERED_ASYNC = (*OFFERED[:6], "litellm_logging_obj", "prompt_spec", "tools", *OFFERED[7:])
"""What LiteLLM gives the method's `async` twin, in its order."""
NEEDED = 6
CALL_TYPES = frozenset({"completion", "responses"})
_SYSTEM = frozenset({"instructions", "system"})  # shown to managers as a message

_ASKED = object()  # kept of an exchange whose prompt `use_prompt` has fetched already


def prompting(name: str, call: Call) -> Hook:
    """A hook that asks a manager, where the request names a prompt."""

    async def hook(x: Exchange) -> Outcome:
        body = x.request or {}
        if body.get("prompt_id") is None:
            return NOTHING
        messages = _messages(body)
        given = {
            "model": body.get("model"),
            "messages": messages,
            "non_default_params": _parameters(body),
            "prompt_id": body["prompt_id"],
            "prompt_variables": copied(body.get("prompt_variables"), "variables"),
            "dynamic_callback_params": StandardCallbackDynamicParams(),
            "prompt_spec": None,
            "prompt_label": body.get("prompt_label"),
            "prompt_version": body.get("prompt_version"),
            "ignore_prompt_manager_model": False,
            "ignore_prompt_manager_optional_params": False,
            "litellm_logging_obj": None,
            "tools": copied(body.get("tools"), "tools"),
        }
        before = copied(messages, "messages")
        result = await resolved(call(given))
        if not isinstance(result, tuple) or len(result) != 3:
            raise TypeError(f"{name} returned {kind(result)}: it returns `(model, messages, non_default_params)`")
        model, told, params = (copied(part, part_name) for part, part_name in zip(result, OFFERED, strict=False))
        if not isinstance(told, list) or not all(isinstance(message, dict) for message in told):
            raise TypeError(f"{name} returned {kind(told)} as messages: they are a list of objects")
        changed = _with_parameters(body, model, params or {})
        if told != before:
            changed = x.dialect.replace_messages(changed, told)
        if same(changed, body):
            return NOTHING
        x.request = changed
        return Outcome(True, None)

    return refusing(hook)


def unless_asked(hook: Hook) -> Hook:
    """The manager's own turn: for chats and responses, and not when a `use_prompt` rule has asked it already."""

    async def own_turn(x: Exchange) -> Outcome:
        return NOTHING if x.call_type not in CALL_TYPES or (x.kept and _ASKED in x.kept) else await hook(x)

    return own_turn


def _messages(body: dict[str, Any]) -> list[Any]:
    """What the model is asked, as the messages of a chat."""
    system = text_of(body.get("instructions" if "input" in body else "system"))
    given: Any = next((body[name] for name in ("messages", "input", "prompt") if body.get(name) is not None), [])
    asked = copied(given, "messages") if isinstance(given, list) else [{"role": "user", "content": given}]
    return [{"role": "system", "content": system}, *asked] if system else list(asked)


def _parameters(body: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in parameters(body).items() if name not in _SYSTEM}


def _with_parameters(body: dict[str, Any], model: Any, params: dict[str, Any]) -> dict[str, Any]:
    """The body under a manager's model and parameters; those it left out are gone."""
    kept = {name: value for name, value in body.items() if name in NOT_PARAMETERS | _SYSTEM or name in params}
    changed = {**kept, **params}
    return {**changed, "model": model} if model is not None else changed


class CallbackPrompts:
    """All prompt managers of `callbacks:`, in their order: the source `callback` of `use_prompt`."""

    name = "callback"

    def __init__(self, managers: Iterable[Hook]) -> None:
        self._managers = tuple(managers)

    async def apply(self, x: Exchange, fields: dict[str, Any], keeps: Callable[[str], bool]) -> Outcome:
        """Ask every manager for the prompt that `fields` (`prompt_id` and its kin) name.

        `keeps` says of `model` and of parameters whether the client's stay whatever a manager says.
        """
        before = x.request or {}
        x.request = {**before, **fields}
        x.kept = {**(x.kept or {}), _ASKED: True}
        for manager in self._managers:
            outcome = await manager(x)
            if outcome.answer is not None:
                return outcome
        x.request = _keeping(before, x.request or {}, keeps)
        return Outcome(not same(x.request, before), None)


def _keeping(before: dict[str, Any], after: dict[str, Any], keeps: Callable[[str], bool]) -> dict[str, Any]:
    shown = (NOT_PARAMETERS | _SYSTEM) - {"model"}
    changed = {name: value for name, value in after.items() if name in shown or not keeps(name)}
    kept = {name: value for name, value in before.items() if name not in shown and keeps(name)}
    return {**changed, **kept}
