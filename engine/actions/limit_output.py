"""`limit_output`: the longest answer, however the client spells it. Must not know models."""

from __future__ import annotations

from typing import Any

from engine.actions.base import NOOP, Action, Apply, Effect
from engine.actions.cap import Bound, bound_of, is_number, not_a_number
from engine.catalogue import Example, Scope
from engine.document.exchange import Exchange
from engine.options import found, option
from engine.phases import ATTEMPT, CONVERSATIONS, REQUEST, Phase
from engine.source import Node

SPELLINGS = ("max_tokens", "max_completion_tokens", "max_output_tokens")
WRITES = tuple(f"request.{name}" for name in SPELLINGS)
WRITTEN = {  # where a body has none of them; chat's newer models refuse `max_tokens`
    "completion": "max_completion_tokens",
    "responses": "max_output_tokens",
}


class LimitOutput(
    Action,
    name="limit_output",
    phases=frozenset({REQUEST, ATTEMPT}),
    call_types=CONVERSATIONS,
    writes=WRITES,
):
    """Bound the length of the answer: the number of output tokens.

    Every spelling of the limit (`max_tokens`, `max_completion_tokens`, `max_output_tokens`) is capped. Where the
    request has none, one is written: `max_completion_tokens` in chat, `max_output_tokens` on `/v1/responses`,
    `max_tokens` elsewhere. A limit that is no number is refused with 400.
    """

    tokens: Bound = option("The most output tokens.", short=True)

    examples = [
        Example(
            "a limit over the bound is capped",
            "actions: [{limit_output: 500}]",
            {
                "request": {
                    "body": {"model": "gpt-4o", "max_tokens": 4000, "messages": [{"role": "user", "content": "hi"}]}
                }
            },
            {"sent": {"max_tokens": 500, "max_completion_tokens": None}},
        ),
        Example(
            "where there is none, one is written",
            "actions: [{limit_output: 500}]",
            {"request": {"body": {"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}]}}},
            {"sent": {"max_completion_tokens": 500}},
        ),
        Example(
            "a lower limit stays",
            "actions: [{limit_output: 500}]",
            {
                "request": {
                    "body": {
                        "model": "gpt-4o",
                        "max_completion_tokens": 20,
                        "messages": [{"role": "user", "content": "hi"}],
                    }
                }
            },
            {"sent": {"max_completion_tokens": 20, "max_tokens": None}},
            acts=False,
        ),
    ]

    def check(self, places: dict[str, Node], node: Node, scope: Scope) -> None:
        most: Any = self.tokens.fill(None) if self.tokens.constant else 1  # type: ignore[arg-type]
        if most < 1 or most != int(most):
            scope.problem(
                "wrong-type",
                f"expected a number of tokens, at least 1, found {found(places['tokens'])}",
                places["tokens"].span,
                help="write a whole number, such as `500`",
            )

    def compile(self, phase: Phase) -> Apply:
        fill = self.tokens.fill

        def apply(x: Exchange) -> Effect:
            most, body = fill(x), x.request
            if most is None or body is None or not x.dialect.has_assistant:  # who counts tokens puts out none
                return NOOP
            bound = bound_of(most, "the output")
            there = [name for name in SPELLINGS if body.get(name) is not None]
            wrong = next((name for name in there if not is_number(body[name])), None)
            if wrong:
                return not_a_number(wrong)
            changes = {name: bound for name in there if body[name] > bound}
            if not there:
                changes = {WRITTEN.get(x.call_type or "", "max_tokens"): bound}
            if not changes:
                return NOOP
            x.request = {**body, **changes}
            return None

        return apply
