"""LiteLLM's form of callbacks: any class or instance that has its methods. Must not know what the methods do.

What only LiteLLM's base classes bring does not count as defined; what an author's own base class brings does.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.document.exchange import Exchange
from engine.errors import did_you_mean
from engine.phases import FAILURE, MODERATION, REQUEST, RESPONSE, STREAM, Phase
from engine.ports.hooks import NOTHING, BadCallback, Hook, Methods, Outcome, Rewrite, as_instance
from engine.ports.litellm_hooks import MAKERS, OFFERED, aside, refusing
from engine.ports.litellm_log import METHODS, Log, Logged, logged
from engine.ports.litellm_prompts import NEEDED, OFFERED_ASYNC, prompting, unless_asked
from engine.ports.litellm_prompts import OFFERED as OFFERED_PROMPT
from engine.ports.litellm_signature import by_name, by_place
from engine.ports.litellm_standins import BASES
from engine.ports.litellm_stream import ITERATOR, TEXT, by_text, iterating, refuse_by_text, rewriting
from engine.ports.litellm_stream import OFFERED as STREAMING

PROMPT = "get_chat_completion_prompt"
ASYNC_PROMPT = "async_get_chat_completion_prompt"
PHASE_OF: dict[str, Phase] = {
    "async_pre_call_hook": REQUEST,
    "async_moderation_hook": MODERATION,
    "async_post_call_success_hook": RESPONSE,
    "async_post_call_failure_hook": FAILURE,
}
NAMES = frozenset({*PHASE_OF, *METHODS, *STREAMING, PROMPT, ASYNC_PROMPT})


def litellm(name: str, target: Any, options: dict[str, Any]) -> Methods | None:
    """The methods of a class or an instance of LiteLLM's form."""
    cls = target if isinstance(target, type) else type(target)
    found = defined(target, cls)
    if not found:
        if any(map(_is_base, cls.__mro__)):
            raise BadCallback(f"`{name}` defines no method that is called", _near_miss(cls))
        return None
    instance = as_instance(name, target, options)
    hooks = _hooks(name, instance, found)
    prompts = _prompts(name, instance, found)
    if prompts is not None:
        hooks[REQUEST] = _both(hooks.get(REQUEST), unless_asked(prompts))
    return Methods(instance, hooks, prompts, _rewrite(name, instance, found, hooks))


def _prompts(name: str, instance: Any, found: list[str]) -> Hook | None:
    """The hook that asks for prompts; of a method and its `async` twin the twin is asked, and nobody twice."""
    for method, offered in ((ASYNC_PROMPT, OFFERED_ASYNC), (PROMPT, OFFERED_PROMPT)):
        if method in found:
            function, label = getattr(instance, method), f"{name}.{method}"
            return prompting(label, aside(function, by_name(label, function, offered, NEEDED)))
    return None


def defined(target: Any, cls: type) -> list[str]:
    """The known methods that the author wrote."""
    own = {} if target is cls else getattr(target, "__dict__", {})
    return sorted(name for name in NAMES if name in own or _wrote(cls, name))


def _wrote(cls: type, name: str) -> bool:
    definer = next((base for base in cls.__mro__ if name in vars(base)), None)
    return definer is not None and not _is_base(definer)


def _is_base(cls: type) -> bool:
    return cls in BASES or cls.__module__.partition(".")[0] == "litellm"


def _hooks(name: str, instance: Any, found: list[str]) -> dict[Phase, Hook]:
    hooks: dict[Phase, Hook] = {}
    log: list[Logged] = []
    for method in found:
        function, label = getattr(instance, method), f"{name}.{method}"
        if method in PHASE_OF:
            hooks[PHASE_OF[method]] = MAKERS[method](label, aside(function, by_name(label, function, *OFFERED[method])))
        elif method in METHODS:
            event, offered = METHODS[method]
            log.append(logged(method, event, function, by_place(label, function, offered, method=True)))
    if log:
        hooks.update(Log(name, log).hooks)
    return hooks


def _both(first: Hook | None, second: Hook) -> Hook:
    """One after the other; the second only if the first did not decide the answer."""
    if first is None:
        return second

    async def hook(x: Exchange) -> Outcome:
        before = await first(x)
        if before.answer is not None:
            return before
        after = await second(x)
        return Outcome(before.changed or after.changed, after.answer)

    return hook


def _rewrite(name: str, instance: Any, found: list[str], hooks: dict[Phase, Hook]) -> Rewrite | None:
    """Over streams: each piece of text first, then the whole. As an action only the first can be asked."""
    calls = {
        method: by_name(f"{name}.{method}", getattr(instance, method), *STREAMING[method])
        for method in (TEXT, ITERATOR)
        if method in found
    }
    if TEXT in calls:
        ask = refuse_by_text(f"{name}.{TEXT}", calls[TEXT])

        async def hook(x: Exchange) -> Outcome:
            await ask(x)
            return NOTHING

        hooks[STREAM] = refusing(hook)
    generates = [(by_text if method == TEXT else iterating)(f"{name}.{method}", call) for method, call in calls.items()]
    return rewriting(name, generates) if generates else None


def _near_miss(cls: type) -> str:
    own = [name for base in cls.__mro__ if not _is_base(base) and base is not object for name in vars(base)]
    for name in own:
        if not name.startswith("__") and (near := did_you_mean(name, NAMES)).startswith("did you mean"):
            return f"`{name}`: {near}"
    return "it may define: " + ", ".join(sorted(NAMES))


def function_hooks(section: str, name: str, function: Any) -> Mapping[Phase, Hook]:
    """The hooks of a function under `input_callback`, `success_callback` or `failure_callback`."""
    from engine.ports.litellm_log import FUNCTIONS

    event, offered = FUNCTIONS[section]
    shown = ("kwargs", "completion_response", "start_time", "end_time") if len(offered) > 1 else offered
    by_place(name, function, shown, method=False)
    own = name.rpartition(".")[2]
    return Log(name, [logged(own, event, function, by_place(name, function, offered, method=False))]).hooks
