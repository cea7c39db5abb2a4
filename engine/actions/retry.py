"""`retry`: the same upstream is asked again. Must not know how calls are made."""

from __future__ import annotations

from engine.actions.base import NOOP, Action, Apply, Effect
from engine.catalogue import Example
from engine.document.answers import Again
from engine.document.exchange import Exchange
from engine.options import Duration, option
from engine.phases import FAILURE, Phase

MENDABLE = frozenset({"upstream", "timeout", "connection"})
"""Errors that another attempt can mend; what a rule, a key or the client's own request refused stays refused."""


class Retry(Action, name="retry", phases=frozenset({FAILURE}), fallible=False):
    """Ask the same upstream again, after an error of its own, before the client has got a byte.

    Before each attempt is a pause that begins at `backoff`, doubles, and varies by a quarter. An error that a rule or
    the client caused is never retried.
    """

    times: int = option("Attempts at most.", 1, short=True, minimum=1, maximum=10)
    backoff: Duration = option("Pause before the first of them.", 0.2)

    examples = [
        Example(
            "the second attempt succeeds",
            "phase: failure\nmatch: {error.status: {gte: 500}}\nactions: [{retry: {times: 2, backoff: 0ms}}]",
            {
                "request": {"body": {"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}]}},
                "upstream": [{"status": 503, "body": {"error": {"message": "busy"}}}, {"stream": ["hello"]}],
            },
            {"response": {"status": 200}, "calls": [{"upstream": "demo"}, {"upstream": "demo"}]},
        ),
        Example(
            "what a rule refused is not retried",
            "phase: failure\nactions: [{retry: 3}]",
            {"request": {"body": {"messages": "hi"}}},
            {"response": {"status": 400}, "sent": None},
            acts=False,
        ),
    ]

    def compile(self, phase: Phase) -> Apply:
        again = Again(self.times, self.backoff)

        def apply(x: Exchange) -> Effect:
            return again if x.error is not None and x.error["source"] in MENDABLE else NOOP

        return apply
