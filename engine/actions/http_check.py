"""`http_check`: somebody else's verdict on parts of the document. Must not know how calls are made."""

from __future__ import annotations

from operator import attrgetter

from engine.actions.asking import ADDRESS, DocumentName, headers_maker
from engine.actions.base import Action, Apply, Effect
from engine.actions.options import HeaderName, HeaderValue
from engine.catalogue import Example, Scope
from engine.cures import Advice
from engine.document.exchange import Exchange
from engine.options import Duration, option
from engine.phases import MODERATION, REQUEST, Phase
from engine.ports.asking import ask
from engine.source import Node

_URL = "http://checks.test/verdict"
_RULE = f"""phase: moderation
actions:
  - http_check: {{url: '{_URL}', send: [prompt_text, key], into: check}}
  - {{if: vars.check.blocked, reject: 'Not allowed: {{{{ vars.check.why }}}}'}}"""
_REQUEST = {"body": {"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}]}}


class HttpCheck(Action, name="http_check", phases=frozenset({MODERATION, REQUEST}), waits=True, observes=True):
    """Ask a service of your own: POST `{"document": {…}}` with the chosen parts, any JSON object back into `vars`.

    The verdict refuses nothing by itself: give the next action an `if:`. No answer, a status outside 200 to 299, and
    anything but a JSON object are errors of the rule. A rule that only observes asks too, and writes nothing.
    """

    url: str = option(
        "Whom to ask; the address as it is, without templates.",
        short=True,
        pattern=ADDRESS,
        advice=Advice("write it like `https://checks.example.com/verdict`"),
    )
    send: list[DocumentName] = option(
        "Parts of the document to send; credentials are in none.", lambda _: [DocumentName("prompt_text")]
    )
    into: str = option("The name in `vars`.", "verdict", minLength=1)
    headers: dict[HeaderName, HeaderValue] = option("Headers to send along; secrets best as `os.environ/NAME`.", {})
    timeout: Duration | None = option("How long to wait; default the rule's `timeout`.", None)

    examples = [
        Example(
            "the service says no",
            _RULE,
            {"request": _REQUEST, "http": {_URL: {"body": {"blocked": True, "why": "prices"}}}},
            {"response": {"status": 400, "error": {"message": "Not allowed: prices"}}},
        ),
        Example(
            "the service has nothing against it",
            _RULE,
            {"request": _REQUEST, "http": {_URL: {"body": {"blocked": False}}}},
            {"response": {"status": 200}},
            acts=False,
        ),
        Example(
            "a service that is down refuses by `on_error`",
            _RULE,
            {"request": _REQUEST, "http": {_URL: {"error": "connection"}}},
            {"response": {"status": 500, "error": {"type": "rule_error"}}},
        ),
    ]

    def check(self, places: dict[str, Node], node: Node, scope: Scope) -> None:
        self.writes = (f"vars.{self.into}",)

    def compile(self, phase: Phase) -> Apply:
        url, into, headers = self.url, self.into, headers_maker(self.headers)
        parts = [(str(name), attrgetter(name)) for name in self.send]

        async def apply(x: Exchange) -> Effect:
            document = {name: part(x) for name, part in parts}
            x.vars[into] = await ask(x.ways(None), url, headers(x), {"document": document})
            return None

        return apply
