"""`budget`: so many dollars a day or a month. Must not know how limits are taken, nor prices."""

from __future__ import annotations

from typing import Literal

from engine.actions.base import NOOP, Action, Apply, Effect
from engine.actions.limit_options import Amount, by_text
from engine.catalogue import Example, Scope
from engine.document.exchange import Exchange
from engine.language.expression import Expression
from engine.options import option
from engine.phases import REQUEST, Phase
from engine.ports.limits import Limit, key_of
from engine.ports.stores import Store, StoreRef, memory
from engine.source import Node

_HI = {"body": {"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}]}}
_PRICES = {"prices": {"gpt-4o": {"input": 2.5, "output": 10}}}
_ANSWER = {
    "body": {
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "hello"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 0, "completion_tokens": 100000, "total_tokens": 100000},
    }
}


class Budget(Action, name="budget", phases=frozenset({REQUEST})):
    """Bound what a caller may spend: dollars per day or month of the calendar, in `server.timezone`.

    Like `rate_limit` it only says so where it stands. While less than the sum is spent or set aside for requests under
    way, a request passes; then it is refused with 429, code `budget_exceeded` and `retry-after`, until the next day or
    month. What a request costs is known when it is answered, so the last one may go over the sum. A model without a
    price is refused with 400, unless `unpriced: allow`; then it counts nothing.
    """

    meant = {
        **dict.fromkeys(("max_budget", "limit", "dollars", "amount"), "write `usd: 50`"),
        **dict.fromkeys(("budget_duration", "period", "duration"), "write `per: day` or `per: month`"),
    }

    by: Expression | None = option("What is counted by; default key.name, else client.ip.", None)
    usd: Amount = option("How many US dollars.")
    per: Literal["day", "month"] = option("The day or the month of the calendar.", "month")
    unpriced: Literal["refuse", "allow"] = option("What a model without a price means.", "refuse")
    store: Store | None = option("Where it is counted: a name of `stores`; default `memory`.", None, reads=StoreRef)
    on_store_error: Literal["fail", "allow"] = option(
        "What a store that is down means: an error of the rule, or that the request passes.", "fail"
    )

    examples = [
        Example(
            "once a dollar is spent, the day is over",
            "actions: [{budget: {by: client.ip, usd: 1, per: day}}]",
            {
                "file": _PRICES,
                "steps": [
                    {
                        "request": _HI,
                        "upstream": _ANSWER,
                        "expect": {"matched": ["example"], "holds": ["cost == `1.0`"]},
                    },
                    {
                        "request": _HI,
                        "expect": {"sent": None, "response": {"status": 429, "error": {"code": "budget_exceeded"}}},
                    },
                    {"after": "24h", "request": _HI, "upstream": _ANSWER, "expect": {"response": {"status": 200}}},
                ],
            },
        ),
        Example(
            "a key without a sum in its metadata has none",
            "actions: [{budget: {usd: '{{ key.metadata.dollars }}'}}]",
            {"file": _PRICES, "request": _HI},
            {"response": {"status": 200}},
            acts=False,
        ),
        Example(
            "a model without a price is refused",
            "actions: [{budget: {usd: 50}}]",
            {"request": {"body": {**_HI["body"], "model": "nobody-knows-it"}}},
            {"sent": None, "response": {"status": 400, "error": {"code": "unpriced_model", "param": "model"}}},
        ),
    ]

    def check(self, places: dict[str, Node], node: Node, scope: Scope) -> None:
        self.rule = scope.rule or ""

    def compile(self, phase: Phase) -> Apply:
        return self._declaring(shadow=False)

    def shadow(self, phase: Phase) -> Apply:
        return self._declaring(shadow=True)

    def _declaring(self, *, shadow: bool) -> Apply:
        by, fill, per, rule = by_text(self.by), self.usd.fill, self.per, self.rule
        store = memory() if self.store is None else self.store
        allows, unpriced = self.on_store_error == "allow", self.unpriced == "allow"
        start = f"{'shadow ' if shadow else ''}{rule}/{self.by.text if self.by else ''}/usd/{per}/"

        def apply(x: Exchange) -> Effect:
            most = fill(x)
            if most is None:
                return NOOP
            limit = Limit(rule, "usd", start, most, per, store, allows, unpriced, shadow)
            x.limits = [*(x.limits or ()), (limit, key_of(limit, by(x)))]
            return None

        return apply
