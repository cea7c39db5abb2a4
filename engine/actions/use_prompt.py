"""`use_prompt`: a prompt kept by name put into the request. Must not know where prompts are kept."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, cast

from engine.actions.base import NOOP, Action, Apply, Effect
from engine.actions.options import NullableText, text_maker
from engine.catalogue import Example, Scope
from engine.document.answers import Refusal
from engine.document.dialect import Body
from engine.document.exchange import Exchange
from engine.document.paths import same
from engine.language.template import Template, Value
from engine.options import option
from engine.phases import CONVERSATIONS, REQUEST, Phase
from engine.ports.litellm_prompts import CallbackPrompts
from engine.ports.prompts import LocalPrompts, MissingVariable, Prompt, PromptSource, PromptSourceRef
from engine.source import Node

Join = Callable[[Exchange, Body, list[dict[str, Any]]], Body]
_KEPT_HERE = {
    "1234": {
        "messages": [{"role": "system", "content": "Be a good Bot!"}, {"role": "user", "content": "Greet {{ name }}."}]
    }
}


class UsePrompt(Action, name="use_prompt", phases=frozenset({REQUEST}), call_types=CONVERSATIONS, writes=("request",)):
    """Use a prompt that is kept by name: its messages, and the model and parameters of its `config`.

    The messages replace the client's, or stand before or after them. A text prompt is one user message. An unknown id
    and a missing variable are refused with 400 naming them; a request without an id is left alone.
    """

    id: Template | None = option("Id of the prompt; default `{{ request.prompt_id }}`.", None, short=True)
    source: PromptSourceRef | None = option(
        "`local` (the `prompts` section), `callback` (classes with `get_chat_completion_prompt` under `callbacks`) or "
        "a name of `prompt_sources`.",
        None,
    )
    label: NullableText | None = option("Label of the version, such as `production`.", None)
    version: NullableText | None = option("Version of the prompt.", None)
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
        source = cast("PromptSource | CallbackPrompts | None", self.source)
        self.finds: PromptSource | CallbackPrompts = LocalPrompts(prompts) if source is None else source
        vars(self)["waits"] = isinstance(self.finds, CallbackPrompts)
        if not isinstance(self.finds, LocalPrompts):
            return
        if self.id is not None and self.id.constant:
            scope.find("prompt", self.id.fill(None), places["id"].span)  # type: ignore[arg-type]
        else:
            scope.used.update(("prompt", name) for name in prompts)

    def compile(self, phase: Phase) -> Apply:
        if isinstance(self.finds, CallbackPrompts):
            return self._asking(self.finds)
        find = self.finds.find
        id_of = text_maker(self.id) if self.id else _asked_for
        label, version = text_maker(self.label), text_maker(self.version)
        variables_of = self.variables.fill if self.variables else _given
        join, takes = _JOINS[self.messages], self._takes()

        def apply(x: Exchange) -> Effect:
            id = id_of(x)
            if id is None or x.request is None:
                return NOOP
            prompt = find(id, label(x), version(x))
            if prompt is None:
                return _refused(f"Unknown prompt: '{id}'.", "prompt_id", "unknown_prompt")
            made = _rendered(prompt, variables_of(x))
            if isinstance(made, Refusal):
                return made
            messages, config = made
            body = {**join(x, x.request, messages), **takes(config)}
            if same(body, x.request):
                return NOOP
            x.request = body
            return None

        return apply

    def _asking(self, managers: CallbackPrompts) -> Apply:
        """The same where callbacks keep the prompts: they give the whole list of messages."""
        id_of = text_maker(self.id) if self.id else _asked_for
        label, version = text_maker(self.label), text_maker(self.version)
        variables_of = self.variables.fill if self.variables else _given
        ignore_model, ignore_params = self.ignore_model, self.ignore_params

        async def apply(x: Exchange) -> Effect:
            id = id_of(x)
            if id is None or x.request is None:
                return NOOP
            named = {
                "prompt_id": id,
                "prompt_variables": variables_of(x),
                "prompt_label": label(x),
                "prompt_version": version(x),
            }
            fields = {name: value for name, value in named.items() if value is not None}
            changed, answer = await managers.apply(
                x, fields, lambda name: ignore_model if name == "model" else ignore_params
            )
            return answer if answer is not None else None if changed else NOOP

        return apply

    def _takes(self) -> Callable[[dict[str, Any]], dict[str, Any]]:
        """What of a prompt's config goes into the body."""
        model, params = not self.ignore_model, not self.ignore_params
        return lambda config: {name: value for name, value in config.items() if (model if name == "model" else params)}


def _rendered(prompt: Prompt, variables: Any) -> tuple[list[dict[str, Any]], dict[str, Any]] | Refusal:
    if variables is None:
        variables = {}
    if not isinstance(variables, dict):
        return _refused("Prompt variables must be an object.", "prompt_variables", "invalid_type")
    try:
        return prompt.render(variables)
    except MissingVariable as missing:
        return _refused(
            f"Missing prompt variable: '{missing.name}'.", f"prompt_variables.{missing.name}", "missing_prompt_variable"
        )


def _refused(message: str, param: str, code: str) -> Refusal:
    return Refusal(400, message, code=code, param=param, source="rule")


def _asked_for(x: Exchange) -> str | None:
    id = x.request.get("prompt_id") if x.request else None
    return None if id is None else str(id)


def _given(x: Exchange) -> Any:
    return x.request.get("prompt_variables") if x.request else None


def _replace(x: Exchange, body: Body, messages: list[dict[str, Any]]) -> Body:
    return x.dialect.replace_messages(body, messages)


def _prepend(x: Exchange, body: Body, messages: list[dict[str, Any]]) -> Body:
    for message in reversed(messages):
        body = x.dialect.add_message(body, message["role"], message.get("content"), 0)
    return body


def _append(x: Exchange, body: Body, messages: list[dict[str, Any]]) -> Body:
    for message in messages:
        body = x.dialect.add_message(body, message["role"], message.get("content"), None)
    return body


_JOINS: dict[str, Join] = {"replace": _replace, "prepend": _prepend, "append": _append}
