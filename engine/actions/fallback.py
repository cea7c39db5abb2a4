"""`fallback`: another model or upstream is asked. Must not know how calls are made."""

from __future__ import annotations

from engine.actions.asking import check_model
from engine.actions.base import NOOP, Action, Apply, Effect
from engine.actions.retry import MENDABLE
from engine.catalogue import Example, Scope
from engine.document.answers import Again
from engine.document.exchange import Exchange
from engine.errors import did_you_mean
from engine.options import option
from engine.phases import FAILURE, Phase
from engine.source import Node


class Fallback(Action, name="fallback", phases=frozenset({FAILURE}), writes=("request.model",), fallible=False):
    """Ask another model, or the same model at another upstream, after an upstream's error.

    The key's `models` hold for it too. When it fails as well, the failure rules that have not run yet see its error.
    """

    model: str | None = option("Name of the model to ask, as clients would.", None, short=True)
    upstream: str | None = option("Name of the upstream to ask for the same model.", None)

    examples = [
        Example(
            "another model answers",
            "phase: failure\nactions: [{fallback: gpt-4o-mini}]",
            {
                "request": {"body": {"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}]}},
                "upstream": [{"error": "timeout"}, {"stream": ["hello"]}],
            },
            {"response": {"status": 200}, "calls": [{"model": "gpt-4o"}, {"model": "gpt-4o-mini"}]},
        ),
        Example(
            "what the gateway refused goes nowhere else",
            "phase: failure\nactions: [{fallback: gpt-4o-mini}]",
            {"request": {"body": {"messages": "hi"}}},
            {"response": {"status": 400}, "sent": None},
            acts=False,
        ),
    ]

    def check(self, places: dict[str, Node], node: Node, scope: Scope) -> None:
        if (self.model is None) == (self.upstream is None):
            scope.problem(
                "missing-key",
                "`fallback` takes one of `model` and `upstream`",
                node.span,
                help="write `fallback: gpt-4o-mini`, or `fallback: {upstream: NAME}`",
            )
        if self.model is not None:
            check_model(self.model, places.get("model", node), scope)
        known = ["demo", *scope.tables.get("upstream", {})]
        if self.upstream is not None and self.upstream not in known:
            scope.problem(
                "unknown-upstream",
                f"unknown upstream `{self.upstream}`",
                places["upstream"].span,
                help=did_you_mean(self.upstream, known),
            )

    def compile(self, phase: Phase) -> Apply:
        again = Again(model=self.model, upstream=self.upstream)

        def apply(x: Exchange) -> Effect:
            return again if x.error is not None and x.error["source"] in MENDABLE else NOOP

        return apply
