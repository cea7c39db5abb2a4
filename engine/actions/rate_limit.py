"""`rate_limit`: so many requests or tokens per time, so many requests at once. Must not know how limits are taken."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Literal

from engine.actions.base import NOOP, Action, Apply, Effect
from engine.actions.limit_options import PerTime, RateText, Slots, by_text
from engine.catalogue import Example, Scope
from engine.document.exchange import Exchange
from engine.language.expression import Expression
from engine.language.template import Value
from engine.options import option
from engine.phases import REQUEST, Phase
from engine.ports.limits import Limit, Unit, key_of
from engine.ports.stores import Store, StoreRef, memory
from engine.source import Node

UNITS: tuple[Unit, ...] = ("requests", "tokens", "concurrent")
_HI = {"body": {"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}]}}


class RateLimit(Action, name="rate_limit", phases=frozenset({REQUEST})):
    """Bound how much a caller may ask: requests and tokens per time, and requests at once.

    It only says so where it stands: after the last request rule, the callbacks and the check of the model, all limits
    and budgets of the request are taken in one step, or none. The first one in the file that does not fit refuses with
    429, `retry-after` and `retry-after-ms`; a refused request takes nothing. `60/min` flows evenly, with 60 at once at
    most. Of tokens an estimate is set aside, the prompt and the longest answer asked for, and corrected by what was
    used. A slot of `concurrent` is given back in every ending. Every answer carries
    `x-ratelimit-{limit,remaining,reset}-{requests,tokens}`. A template that gives null is no limit for that caller.
    """

    meant = {
        **dict.fromkeys(("rpm", "rps", "limit", "rate"), "write `requests: 60/min`"),
        **dict.fromkeys(("tpm", "token"), "write `tokens: 10000/min`"),
        **dict.fromkeys(("max_parallel_requests", "parallel", "concurrency"), "write `concurrent: 5`"),
    }

    by: Expression | None = option("What is counted by; default key.name, else client.ip.", None)
    requests: RateText | None = option("Requests per time, such as `60/min`.", None)
    tokens: RateText | None = option("Tokens per time, of prompt and answer together, such as `10000/min`.", None)
    concurrent: Slots | None = option("Requests at once.", None)
    store: Store | None = option("Where it is counted: a name of `stores`; default `memory`.", None, reads=StoreRef)
    on_store_error: Literal["fail", "allow"] = option(
        "What a store that is down means: an error of the rule, or that the request passes.", "fail"
    )

    examples = [
        Example(
            "the second request within a minute is refused",
            "actions: [{rate_limit: {by: client.ip, requests: 1/min}}]",
            {
                "steps": [
                    {"request": _HI, "expect": {"matched": ["example"], "response": {"status": 200}}},
                    {
                        "request": _HI,
                        "expect": {
                            "sent": None,
                            "response": {
                                "status": 429,
                                "headers": {"retry-after": "60"},
                                "error": {"type": "rate_limit_error", "code": "rate_limit_exceeded"},
                            },
                        },
                    },
                    {"after": "60s", "request": _HI, "expect": {"response": {"status": 200}}},
                ]
            },
        ),
        Example(
            "a key without a limit in its metadata has none",
            "actions: [{rate_limit: {requests: '{{ key.metadata.rate }}'}}]",
            {"request": _HI},
            {"response": {"status": 200, "headers": {"x-ratelimit-limit-requests": None}}},
            acts=False,
        ),
    ]

    def check(self, places: dict[str, Node], node: Node, scope: Scope) -> None:
        self.rule = scope.rule or ""
        if not {"requests", "tokens", "concurrent"} & places.keys():
            scope.problem(
                "missing-key",
                "`rate_limit` limits nothing",
                node.span.at(node.span.start, node.span.start + 1),
                help="write one of `requests: 60/min`, `tokens: 10000/min`, `concurrent: 5`",
            )

    def compile(self, phase: Phase) -> Apply:
        return self._declaring(shadow=False)

    def shadow(self, phase: Phase) -> Apply:
        return self._declaring(shadow=True)

    def _declaring(self, *, shadow: bool) -> Apply:
        by = by_text(self.by)
        makers = [maker for maker in (self._maker(unit, shadow=shadow) for unit in UNITS) if maker is not None]
        always = [maker for maker in makers if isinstance(maker, Limit)]
        filled = [maker for maker in makers if not isinstance(maker, Limit)]

        def apply(x: Exchange) -> Effect:
            counted = by(x)
            found = [(limit, key_of(limit, counted)) for limit in always]
            for make in filled:
                limit = make(x)
                if limit is not None:
                    found.append((limit, key_of(limit, counted)))
            if not found:
                return NOOP
            x.limits = found if x.limits is None else [*x.limits, *found]
            return None

        return apply

    def _maker(self, unit: Unit, *, shadow: bool) -> Limit | Callable[[Exchange], Limit | None] | None:
        """The limit of a unit, or a function from the exchange to it; None where the author wrote none."""
        amount: Value | None = vars(self)[unit]
        if amount is None:
            return None
        rule, allows, by = self.rule, self.on_store_error == "allow", self.by.text if self.by else ""
        store, start = memory() if self.store is None else self.store, "shadow " if shadow else ""

        @lru_cache(maxsize=256)
        def limit(given: PerTime | float | None) -> Limit | None:
            if given is None:
                return None
            most, seconds = given if isinstance(given, PerTime) else (given, 0.0)
            name = f"{start}{rule}/{by}/{unit}/{seconds:g}/"
            return Limit(rule, unit, name, most, seconds, store, allows, shadow=shadow)

        fill = amount.fill
        if amount.constant:
            return limit(fill(None))  # type: ignore[arg-type]
        return lambda x: limit(fill(x))
