"""The response phase over an answer that is known whole. Must not know how the answer came or goes on."""

from __future__ import annotations

from engine.document.answers import Answer, Refusal
from engine.document.exchange import Exchange
from engine.rules.program import Plan
from engine.runtime.executor import run


async def rule_on(plan: Plan | None, x: Exchange) -> Answer | None:
    """The response phase over a whole answer; status and headers that a callback changed are the client's too."""
    assert x.response is not None
    if x.program.needs[x.call_type or ""].cost_before:
        await x.program.prices.prepare(x)
    told = x.response["headers"]
    answer = await run(plan, x)
    status, headers = x.response["status"], x.response["headers"]
    if answer is None and not (type(status) is int and 200 <= status <= 599):
        return x.refused(
            Refusal(
                500, "a rule made a status that is none", type="rule_error", code="rule_failed", source="rule_error"
            )
        )
    if headers is not told:
        changed = {name: headers.get(name) for name in {*headers, *told} if headers.get(name) != told.get(name)}
        x.to_client = {**changed, **x.to_client}
    return answer


async def prepare_cost(x: Exchange) -> None:
    """Before the log phase: fetch off the event loop what the cost of an exchange needs, where anybody reads it."""
    needs = x.program.needs.get(x.call_type or "")
    if needs is not None and (needs.cost or any(one.limit.unit == "usd" for one in x.taken)):
        await x.program.prices.prepare(x)


def cost_at_hand(x: Exchange) -> bool:
    """Whether nothing has to be fetched for it."""
    needs = x.program.needs.get(x.call_type or "")
    return needs is None or not needs.cost or x.program.prices.at_hand(x)
