"""`set_error`: an error is told in other words. Must not know where it came from."""

from __future__ import annotations

from engine.actions.base import NOOP, Action, Apply, Effect
from engine.actions.options import text_maker
from engine.catalogue import Example, Scope
from engine.document.exchange import Exchange
from engine.language.template import Template
from engine.options import option
from engine.phases import FAILURE, Phase
from engine.source import Node


class SetError(Action, name="set_error", phases=frozenset({FAILURE}), writes=("error",)):
    """Rewrite an error before the client sees it. Later failure rules see the new one; what is not given stays."""

    status: int | None = option("HTTP status.", None, minimum=400, maximum=599)
    message: Template | None = option("What the client is told.", None, short=True)
    type: str | None = option("Error type, such as `api_error`.", None)
    code: str | None = option("Error code.", None)

    examples = [
        Example(
            "the client is not told what broke",
            "phase: failure\nactions: [{set_error: {status: 503, message: 'Please try again later.'}}]",
            {
                "request": {"body": {"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}]}},
                "upstream": {"error": "connection"},
            },
            {"response": {"status": 503, "error": {"message": "Please try again later."}}},
        ),
        Example(
            "an error that says so already stays",
            "phase: failure\nactions: [{set_error: {status: 400}}]",
            {"request": {"body": {"messages": "hi"}}},
            {"response": {"status": 400}},
            acts=False,
        ),
    ]

    def check(self, places: dict[str, Node], node: Node, scope: Scope) -> None:
        if not places:
            scope.problem("missing-key", "`set_error` says nothing", node.span, help="give `status` or `message`")

    def compile(self, phase: Phase) -> Apply:
        fixed = {
            name: value
            for name, value in (("status", self.status), ("type", self.type), ("code", self.code))
            if value is not None
        }
        message = text_maker(self.message)

        def apply(x: Exchange) -> Effect:
            before = x.error or {}
            told = message(x)
            changed = {**before, **fixed, **({} if told is None else {"message": told})}
            if changed == before:
                return NOOP
            x.error = changed
            return None

        return apply
