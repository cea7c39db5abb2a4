"""`respond`: a status and a body exactly as written. Must not know any API's shapes."""

from __future__ import annotations

from typing import Any

from engine.actions.base import Action, Apply, Effect
from engine.catalogue import Example
from engine.document.answers import Given
from engine.document.exchange import Exchange
from engine.options import option
from engine.phases import FAILURE, REQUEST, Phase


class Respond(Action, name="respond", phases=frozenset({REQUEST, FAILURE}), ends=True, fallible=False):
    """Answer with a status and a body exactly as written: no template is filled in the body."""

    status: int = option("HTTP status.", 200, minimum=200, maximum=599)
    body: Any = option("The body: any JSON value.")

    examples = [
        Example(
            "a health probe of a client is answered here",
            "match: {headers.x-probe: {exists: true}}\nactions: [{respond: {status: 200, body: {ok: true}}}]",
            {
                "request": {
                    "headers": {"x-probe": "1"},
                    "body": {"model": "gpt-4o", "messages": [{"role": "user", "content": "ping"}]},
                }
            },
            {"sent": None, "response": {"status": 200, "body": {"ok": True}}},
        ),
        Example(
            "others pass",
            "match: {headers.x-probe: {exists: true}}\nactions: [{respond: {status: 200, body: {ok: true}}}]",
            {"request": {"body": {"model": "gpt-4o", "messages": [{"role": "user", "content": "ping"}]}}},
            {"sent": {"model": "gpt-4o"}},
            acts=False,
        ),
    ]

    def compile(self, phase: Phase) -> Apply:
        given = Given(self.status, self.body)

        def apply(x: Exchange) -> Effect:
            return given

        return apply
