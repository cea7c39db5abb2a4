"""Puts the prompt that is attached to a model's name into requests for it. Must not know where prompts are kept."""

from __future__ import annotations

import inspect

from engine.document.answers import Answer, Assistant, Given, Refusal, Refused
from engine.document.exchange import Exchange
from engine.phases import CONVERSATIONS
from engine.proxy.send import find_target
from engine.runtime.executor import awaited
from engine.runtime.seldom import SELDOM

LONGEST = 5.0  # seconds, as for rules


async def put_model_prompt(x: Exchange) -> Answer | None:
    """Change the request as the model asked for says; the refusal when the prompt or a variable is missing.

    It stands behind all rules: they may choose the model. A model that the prompt names is looked up, and checked
    against the key, like one that a rule has set; a prompt attached to that one is not put in as well.
    """
    if not x.program.models.prompted or x.call_type not in CONVERSATIONS:
        return None
    put = find_target(x, x.program).prompt
    if put is None:
        return None
    try:
        effect = put(x)
        if inspect.isawaitable(effect):
            effect = await awaited(effect, LONGEST)
    except Exception as cause:  # noqa: BLE001  answered as an error of a rule is
        sort, model = type(cause).__name__, str(x.request and x.request.get("model"))
        SELDOM.warn(("prompt", sort), f"the prompt of model {model} failed: {sort}: {cause}")
        if isinstance(cause, Refused):
            return cause.refusal
        return Refusal(500, "the model's prompt failed", type="rule_error", code="rule_failed", source="rule_error")
    return effect if isinstance(effect, (Refusal, Assistant, Given)) else None
