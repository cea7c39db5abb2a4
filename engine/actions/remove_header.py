"""`remove_header`: headers kept from the upstream, or from the client. Must not know how they are sent."""

from __future__ import annotations

from engine.actions.base import NOOP, Action, Apply, Effect
from engine.actions.options import HeaderName
from engine.catalogue import Example
from engine.document.exchange import Exchange
from engine.options import OneOrMany, option
from engine.phases import ATTEMPT, REQUEST, RESPONSE, Phase


class RemoveHeader(Action, name="remove_header", phases=frozenset({REQUEST, ATTEMPT, RESPONSE}), fallible=False):
    """Keep headers back: a list of names.

    In `request` and `attempt` from the upstream, in `response` from the client.
    """

    names: OneOrMany[HeaderName] = option("Names of the headers.", whole=True)

    examples = [
        Example(
            "a header of the client does not reach the upstream",
            "actions: [{remove_header: [x-internal]}]",
            {
                "request": {
                    "headers": {"x-internal": "1", "x-kept": "2"},
                    "body": {"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}]},
                }
            },
            {"sent_headers": {"x-internal": None, "x-kept": "2"}},
        ),
        Example(
            "nothing is there to keep back",
            "actions: [{remove_header: [x-internal]}]",
            {
                "request": {
                    "headers": {"x-kept": "2"},
                    "body": {"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}]},
                }
            },
            {"sent_headers": {"x-internal": None, "x-kept": "2"}},
            acts=False,
        ),
    ]

    def compile(self, phase: Phase) -> Apply:
        names = list(self.names)
        to_client = phase is RESPONSE

        def apply(x: Exchange) -> Effect:
            edits = x.to_client if to_client else x.to_upstream
            there = _of_answer(x) if to_client else {name for name, _ in x.raw_headers}
            effect: Effect = NOOP
            for name in names:
                if edits.get(name) is not None or (name in there and name not in edits):
                    effect = None
                edits[name] = None
            return effect

        return apply


def _of_answer(x: Exchange) -> set[str]:
    headers = x.response.get("headers") if x.response is not None else None
    return set(headers) if headers else set()
