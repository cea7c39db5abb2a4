"""`moderate`: the verdict of a moderation endpoint or a guard model. Must not know how calls are made."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Literal

from engine.actions.asking import ADDRESS, check_model, headers_maker
from engine.actions.base import Action, Apply, Effect
from engine.actions.options import HeaderName, HeaderValue, header_value
from engine.catalogue import Example, Scope
from engine.cures import Advice
from engine.document.exchange import Exchange
from engine.options import Duration, option
from engine.phases import MODERATION, REQUEST, Phase
from engine.ports.asking import ask
from engine.ports.verdicts import Verdict, guard_request, guard_verdict, moderation_request, moderation_verdict
from engine.source import Node

Route = Callable[[Exchange], tuple[Any, str, list[tuple[str, str]], str | None]]
"""Finds the transport, the URL, the headers and the model to name."""

_REQUEST = {"body": {"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}]}}
_URL = "https://api.openai.com/v1/moderations"
_RULE = f"""phase: moderation
actions:
  - moderate: {{url: '{_URL}'}}
  - {{if: vars.verdict.flagged, reject: 'Not allowed: {{{{ join('', '', vars.verdict.categories) }}}}'}}"""
_GUARD = """phase: moderation
actions:
  - moderate: {model: llama-guard, kind: llama_guard}
  - {if: "contains(vars.verdict.categories, 'S9')", reject: Not allowed}"""
_GUARDS = {
    "upstreams": {"main": {"base_url": "http://main.test/v1"}, "guards": {"base_url": "http://guards.test/v1"}},
    "models": {"gpt-4o": {}, "llama-guard": {"upstream": "guards"}},
}


def _guard_says(text: str) -> dict[str, Any]:
    answer = {"choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}]}
    return {"http://guards.test/v1/chat/completions": {"body": answer}}


class Moderate(Action, name="moderate", phases=frozenset({MODERATION, REQUEST}), waits=True, observes=True):
    """Ask a moderation endpoint or a guard model about `prompt_text`; `{flagged, categories, raw}` goes into `vars`.

    `kind: openai` is an endpoint like OpenAI's `/moderations`: `categories` names those that held, `raw` is its answer.
    `kind: llama_guard` is a chat model of that family: `categories` are its codes (`S1` to `S14`), `raw` its text. It
    is shown the whole prompt as one message of a user, since clients choose the roles.

    The verdict refuses nothing by itself: give the next action an `if:`. No answer, or one without a verdict, is an
    error of the rule. A prompt without text is not asked about and not flagged: see `opaque` for the rest. A rule that
    only observes asks too, and writes nothing.
    """

    model: str | None = option("Model to ask at its upstream; with `url`, the model named there.", None, short=True)
    url: str | None = option(
        "Full address of the endpoint, without templates.",
        None,
        pattern=ADDRESS,
        advice=Advice("write it like `https://api.openai.com/v1/moderations`"),
    )
    kind: Literal["openai", "llama_guard"] = option("What is asked.", "openai")
    prompt: Literal["full", "plain"] = option(
        "Of a guard model: `full` sends the guard's own prompt around the text, `plain` the text alone, for servers "
        "whose chat template adds that prompt.",
        "full",
    )
    into: str = option("The name in `vars`.", "verdict", minLength=1)
    api_key: str | None = option("Credential for `url`, best as `os.environ/NAME`.", None)
    headers: dict[HeaderName, HeaderValue] = option("Headers to send along.", {})
    timeout: Duration | None = option("How long to wait; default the rule's `timeout`.", None)

    examples = [
        Example(
            "a moderation endpoint flags the prompt",
            _RULE,
            {
                "request": _REQUEST,
                "http": {
                    _URL: {"body": {"results": [{"flagged": True, "categories": {"violence": True, "hate": False}}]}}
                },
            },
            {"response": {"status": 400, "error": {"message": "Not allowed: violence"}}},
        ),
        Example(
            "it has nothing against the prompt",
            _RULE,
            {"request": _REQUEST, "http": {_URL: {"body": {"results": [{"flagged": False, "categories": {}}]}}}},
            {"response": {"status": 200}},
            acts=False,
        ),
        Example(
            "a guard model names its category",
            _GUARD,
            {"file": _GUARDS, "request": _REQUEST, "http": _guard_says("unsafe\nS1,S9")},
            {"response": {"status": 400}},
        ),
        Example(
            "a guard model finds the prompt safe",
            _GUARD,
            {"file": _GUARDS, "request": _REQUEST, "http": _guard_says("\n\nsafe")},
            {"response": {"status": 200}},
            acts=False,
        ),
    ]

    @property
    def reads(self) -> frozenset[str]:
        return super().reads | {"prompt_text"}

    def check(self, places: dict[str, Node], node: Node, scope: Scope) -> None:
        self.writes = (f"vars.{self.into}",)
        if self.model is None and self.url is None:
            scope.problem(
                "missing-key",
                "`moderate` needs whom to ask",
                node.span,
                help="write `moderate: {model: NAME}`, or `moderate: {url: https://…}`",
            )
        elif self.url is None:
            self._check_model(places, scope)
        if "prompt" in places and self.kind == "openai":
            scope.problem(
                "misplaced-key",
                "`prompt` means nothing for `kind: openai`",
                places["prompt"].span,
                help="leave it out, or write `kind: llama_guard`",
            )

    def _check_model(self, places: dict[str, Node], scope: Scope) -> None:
        assert self.model is not None
        if self.model.startswith(("http://", "https://")):
            scope.problem(
                "unknown-model",
                f"`{self.model}` is an address, not a model",
                places["model"].span,
                help=f"write `moderate: {{url: {self.model}}}`",
            )
        else:
            check_model(self.model, places["model"], scope)
        if self.api_key is not None:
            scope.problem(
                "misplaced-key",
                "`api_key` goes with `url`; a model is asked with its upstream's",
                places["api_key"].span,
                help="leave it out",
            )

    def compile(self, phase: Phase) -> Apply:
        into, route = self.into, self._to_address() if self.url is not None else self._to_model()
        request: Callable[[str, str | None], dict[str, Any]] = moderation_request
        verdict = moderation_verdict
        if self.kind == "llama_guard":
            request, verdict = partial(guard_request, plain=self.prompt == "plain"), guard_verdict

        async def apply(x: Exchange) -> Effect:
            text = x.prompt_text
            if text.strip():
                transport, url, headers, model = route(x)
                found = verdict(await ask(transport, url, headers, request(text, model)))
            else:
                found = Verdict(False, [], None)
            x.vars[into] = found.as_json()
            return None

        return apply

    def _to_address(self) -> Route:
        url, model, more = self.url or "", self.model, headers_maker(self.headers)
        key = [] if self.api_key is None else [("authorization", f"Bearer {self.api_key}")]
        return lambda x: (x.ways(None), url, [*key, *more(x)], model)

    def _to_model(self) -> Route:
        path = "/moderations" if self.kind == "openai" else "/chat/completions"
        model, more = self.model or "", headers_maker(self.headers)

        def route(x: Exchange) -> tuple[Any, str, list[tuple[str, str]], str | None]:
            target = x.program.models.find(model)
            upstream = target.upstream
            name = target.model or model
            url = upstream.address(name) + path + (f"?{upstream.query}" if upstream.query else "")
            filled = [(header, header_value(value, header)) for header, text in upstream.filled if (value := text(x))]
            return x.ways(upstream), url, [*upstream.headers, *filled, *more(x)], name

        return route
