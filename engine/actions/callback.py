"""`callback`: the author's own Python. Must not know the forms of callbacks."""

from __future__ import annotations

from typing import Any

from engine.actions.base import NOOP, Action, Apply, Effect
from engine.catalogue import Example, Scope
from engine.document.exchange import Exchange
from engine.errors import did_you_mean
from engine.options import BAD, option
from engine.phases import ALL, Phase
from engine.ports.callbacks import CallbackRef, LoadedCallback
from engine.source import Node

_STAMP = """
from engine import Callback

class Stamp(Callback):
    def __init__(self, team):
        self.team = team

    async def request(self, context):
        context.request.setdefault("metadata", {})["team"] = self.team
"""


class CallbackAction(Action, name="callback", phases=ALL, waits=True, writes=("request", "response", "vars", "tags")):
    """Run a method of a Python class: the one named like the rule's phase.

    A dotted path to a subclass of `engine.Callback`, or to an instance of one, is looked up beside the rules file and
    then on the import path. `with` goes to the constructor.
    """

    use: CallbackRef = option("Dotted path to a class or an instance.", short=True)
    with_: dict[str, Any] = option("Arguments of the class's constructor, by name.", {})

    examples = [
        Example(
            "a class beside the rules file changes the request",
            "actions: [{callback: {use: example_hooks.Stamp, with: {team: core}}}]",
            {
                "files": {"example_hooks.py": _STAMP},
                "request": {"body": {"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}]}},
            },
            {"sent": {"metadata": {"team": "core"}}},
        ),
        Example(
            "a method that changes nothing",
            "actions: [{callback: {use: example_hooks.Stamp, with: {team: core}}}]",
            {
                "files": {"example_hooks.py": _STAMP},
                "request": {
                    "body": {
                        "model": "gpt-4o",
                        "metadata": {"team": "core"},
                        "messages": [{"role": "user", "content": "hi"}],
                    }
                },
            },
            {"sent": {"metadata": {"team": "core"}}},
            acts=False,
        ),
    ]

    def check(self, places: dict[str, Node], node: Node, scope: Scope) -> None:
        self.loaded: LoadedCallback = self.use.load(self.with_, scope)  # type: ignore[attr-defined]
        if self.loaded is BAD:
            return
        missing = [phase.name for phase in scope.phases if phase not in self.loaded.hooks]
        if missing:
            has = [phase.name for phase in self.loaded.hooks]
            scope.problem(
                "bad-callback",
                f"`{self.loaded.name}` has no method `{min(missing)}` for the rule's phase",
                places["use"].span,
                help=did_you_mean(min(missing), has, "it has: " + ", ".join(has)),
            )

    def compile(self, phase: Phase) -> Apply:
        hook = self.loaded.hooks[phase]

        async def apply(x: Exchange) -> Effect:
            changed, answer = await hook(x)
            if answer is not None:
                return answer
            return None if changed else NOOP

        return apply
