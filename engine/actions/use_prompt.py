"""`use_prompt`: a prompt kept by name put into the request. Must not know where prompts are kept."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Literal, cast

from engine.actions.base import NOOP, Action, Apply, Effect
from engine.actions.options import NullableText, VersionText, text_maker
from engine.actions.prompting import JOINS, Putting, called, refused, used_prompt
from engine.catalogue import Example, Scope
from engine.document.answers import Refusal, Refused
from engine.document.exchange import Exchange
from engine.errors import did_you_mean
from engine.language.template import Template, Value
from engine.options import option
from engine.phases import CONVERSATIONS, REQUEST, Phase
from engine.ports.litellm_prompts import CallbackPrompts
from engine.ports.prompt_cache import Wanted
from engine.ports.prompt_fetching import FetchedPrompts, PromptName, SourceFailed
from engine.ports.prompt_sources import LocalPrompts, PromptSource, PromptSourceRef
from engine.source import Node, Span

Source = PromptSource | CallbackPrompts | FetchedPrompts
_NOBODY = cast("Exchange", None)  # a constant looks at no exchange
_KEPT_HERE = {
    "1234": {
        "messages": [{"role": "system", "content": "Be a good Bot!"}, {"role": "user", "content": "Greet {{ name }}."}]
    }
}


class UsePrompt(Action, name="use_prompt", phases=frozenset({REQUEST}), call_types=CONVERSATIONS, writes=("request",)):
    """Use a prompt that is kept by name: its messages, and the model and parameters of its `config`.

    The messages replace the client's, or stand before or after them. A text prompt is one user message. An unknown id
    and a missing variable are refused with 400 naming them; a request without an id is left alone. A prompt that is
    fetched from a service is kept, and fetched again behind the requests; while the service is down the last good one
    serves, and one that was never fetched is an error of the rule, for the client 503. Where the id is that of OpenAI's
    own `prompt` in a request to `/v1/responses`, that field leaves the body.
    """

    id: Template | None = option("Id of the prompt; default `{{ request.prompt_id }}`.", None, short=True)
    source: PromptSourceRef | None = option(
        "`local` (the `prompts` section), a name of `prompt_sources`, `langfuse` (by the variables `LANGFUSE_*`) or "
        "`callback` (classes with `get_chat_completion_prompt` under `callbacks`).",
        None,
    )
    label: NullableText | None = option("Label of the version, such as `production`.", None)
    version: VersionText | None = option("Version of the prompt.", None)
    variables: Value | None = option("Values of its variables; default `{{ request.prompt_variables }}`.", None)
    messages: Literal["replace", "prepend", "append"] = option("Where they stand against the client's.", "replace")
    ignore_model: bool = option("Keep the client's model whatever the prompt's config says.", False)
    ignore_params: bool = option("Keep the client's parameters whatever the prompt's config says.", False)

    examples = [
        Example(
            "the client names a prompt and its variables",
            "match: {request.prompt_id: {exists: true}}\nactions: [{use_prompt: '{{ request.prompt_id }}'}]",
            {
                "file": {"prompts": _KEPT_HERE},
                "request": {
                    "body": {
                        "model": "gpt-4o",
                        "prompt_id": "1234",
                        "prompt_variables": {"name": "Ada"},
                        "messages": [{"role": "user", "content": "ignored"}],
                    }
                },
            },
            {
                "sent": {
                    "messages": [
                        {"role": "system", "content": "Be a good Bot!"},
                        {"role": "user", "content": "Greet Ada."},
                    ],
                    "prompt_id": None,
                    "prompt_variables": None,
                }
            },
        ),
        Example(
            "a missing variable is refused",
            "actions: [{use_prompt: '1234'}]",
            {
                "file": {"prompts": _KEPT_HERE},
                "request": {"body": {"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}]}},
            },
            {"sent": None, "response": {"status": 400, "error": {"param": "prompt_variables.name"}}},
        ),
        Example(
            "a request without a prompt id is left alone",
            "actions: [{use_prompt: '{{ request.prompt_id }}'}]",
            {
                "file": {"prompts": _KEPT_HERE},
                "request": {"body": {"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}]}},
            },
            {"sent": {"messages": [{"role": "user", "content": "hi"}]}},
            acts=False,
        ),
    ]

    def check(self, places: dict[str, Node], node: Node, scope: Scope) -> None:
        prompts = scope.tables.get("prompt", {})
        source = cast("Source | None", self.source)
        self.finds: Source = LocalPrompts(prompts) if source is None else source
        self.wanted: Wanted | None = None
        vars(self)["waits"] = isinstance(self.finds, (CallbackPrompts, FetchedPrompts))
        constant = self.id is not None and all(map(_is_constant, (self.id, self.label, self.version)))
        if isinstance(self.finds, LocalPrompts) and not constant:
            scope.used.update(("prompt", name) for name in prompts)
        elif constant:
            options = cast("list[Template | None]", [self.id, self.label, self.version])
            id, label, version = (option.text(_NOBODY) if option else None for option in options)
            self._expect(id or "", label, version, places["id"].span, scope)

    def _expect(self, id: str, label: str | None, version: str | None, span: Span, scope: Scope) -> None:
        """A prompt that the rules name as it is must be there; one that has to be fetched is fetched at start."""
        if isinstance(self.finds, LocalPrompts):
            scope.find("prompt", id, span)
        elif isinstance(self.finds, FetchedPrompts):
            name = self.finds.named(id, label, version)
            self.wanted = None if name is None else Wanted(self.finds, name)
            if name is None:
                scope.problem(
                    "unknown-prompt",
                    f"no prompt of this source can be called {called(id, label, version)}",
                    span,
                    help="an id is no path with `..` in it; a version of Langfuse's is a number",
                )
        elif not isinstance(self.finds, CallbackPrompts) and self.finds.find(id, label, version) is None:
            known = self.finds.ids()
            scope.problem(
                "unknown-prompt",
                f"unknown prompt {called(id, label, version)}",
                span,
                help="it is there, but not so" if id in known else did_you_mean(id, known) or "there are no prompts",
            )

    def compile(self, phase: Phase) -> Apply:
        asked = _Asked(self)
        if isinstance(self.finds, CallbackPrompts):
            return self._asking(self.finds, asked)
        put = Putting(self.finds.name, asked.variables, JOINS[self.messages], self._takes)
        if isinstance(self.finds, FetchedPrompts):
            return _fetching(self.finds, asked, put)
        find = self.finds.find

        def apply(x: Exchange) -> Effect:
            named = asked(x)
            if not isinstance(named, tuple):
                return named
            return put(x, *named, find(*named))

        return apply

    def _asking(self, managers: CallbackPrompts, asked: _Asked) -> Apply:
        """The same where callbacks keep the prompts: they give the whole list of messages."""
        ignore_model, ignore_params = self.ignore_model, self.ignore_params

        async def apply(x: Exchange) -> Effect:
            named = asked(x)
            if not isinstance(named, tuple):
                return named
            given = dict(zip(("prompt_id", "prompt_label", "prompt_version"), named, strict=True))
            given["prompt_variables"] = asked.variables(x)
            fields = {name: value for name, value in given.items() if value is not None}
            changed, answer = await managers.apply(
                x, fields, lambda name: ignore_model if name == "model" else ignore_params
            )
            if changed:
                x.prompt = used_prompt(managers.name, named[0], named[2])
            return answer if answer is not None else None if changed else NOOP

        return apply

    def _takes(self, name: str) -> bool:
        """Whether a member of a prompt's config goes into the body."""
        return not (self.ignore_model if name == "model" else self.ignore_params)


class _Asked:
    """Reads from an exchange which prompt is asked for: id, label and version; NOOP when none is."""

    def __init__(self, action: UsePrompt) -> None:
        self._id: Callable[[Exchange], Any] = action.id.fill if action.id else _asked_for
        self._label, self._version = text_maker(action.label), text_maker(action.version)
        self.variables: Callable[[Exchange], Any] = action.variables.fill if action.variables else _given

    def __call__(self, x: Exchange) -> tuple[str, str | None, str | None] | Effect:
        id = self._id(x)
        if id is None or x.request is None:
            return NOOP
        if isinstance(id, bool) or not isinstance(id, (str, int)):
            return refused("The id of a prompt must be a text.", "prompt_id", "invalid_type")
        return str(id), self._label(x), self._version(x)


def _fetching(source: FetchedPrompts, asked: _Asked, put: Putting) -> Apply:
    """Prompts of a service: at once where they are here, which is nearly always."""

    async def wait(x: Exchange, name: PromptName) -> Effect:
        try:
            template = await x.prompts.find(source, name, x.clock, x.ways)
        except SourceFailed as failed:
            raise PromptUnavailable(name.id, f"{source.label}: {failed}") from None
        return put(x, name.id, name.label, name.version, template)

    def apply(x: Exchange) -> Effect | Awaitable[Effect]:
        named = asked(x)
        if not isinstance(named, tuple):
            return named
        name = source.named(*named)
        if name is None:
            return put(x, *named, None)
        template = x.prompts.known(source, name, x.clock, x.ways)
        return wait(x, name) if template is None else put(x, name.id, name.label, name.version, template)

    return apply


class PromptUnavailable(Refused):
    """A prompt that was never fetched cannot be had now: an error of the rule, told to the client without its cause."""

    def __init__(self, id: str, why: str) -> None:
        message = f"The prompt {called(id, None, None)} cannot be fetched at the moment."
        headers = (("retry-after", "1"), ("retry-after-ms", "1000"))
        super().__init__(Refusal(503, message, None, "prompt_unavailable", None, headers, "rule_error"), why)


def _is_constant(option: Template | None) -> bool:
    return option is None or option.constant


def _asked_for(x: Exchange) -> Any:
    return x.request.get("prompt_id") if x.request else None


def _given(x: Exchange) -> Any:
    return x.request.get("prompt_variables") if x.request else None
