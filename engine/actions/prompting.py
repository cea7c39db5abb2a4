"""How a prompt that was found goes into a request: filled in, its messages beside or for the client's, its parameters.

Must not know where prompts are kept.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from engine.actions.base import NOOP, Effect
from engine.document.answers import Refusal
from engine.document.dialect import Body
from engine.document.exchange import Exchange
from engine.document.paths import same
from engine.ports.prompt_sources import Filled
from engine.ports.prompt_text import ContentPart, WrongVariable

Join = Callable[[Exchange, Body, list[dict[str, Any]]], Body]
Read = Callable[[Exchange], Any]
_SHOWN, _LONGEST = 200, 500  # characters of an id in a message, and of a message
_PARTS = frozenset({"input_image", "input_file"})


class Putting:
    """Puts prompts of a source into requests, all decided but the prompt and its variables."""

    def __init__(self, source: str, variables: Read, join: Join, takes: Callable[[str], bool]) -> None:
        self._source = source
        self._variables = variables
        self._join = join
        self._takes = takes

    def __call__(self, x: Exchange, id: str, label: str | None, version: str | None, prompt: Filled | None) -> Effect:
        """Change the request, or refuse: an unknown id, a variable that is missing or wrong."""
        body = x.request or {}
        own = is_own_prompt(body, id)
        if prompt is None:
            param = "prompt.id" if own else "prompt_id"
            return refused(f"Unknown prompt: {called(id, label, version)}.", param, "unknown_prompt")
        variables = self._variables(x)
        inside = "prompt.variables" if own else "prompt_variables"
        if variables is None:
            variables = {}
        if not isinstance(variables, dict):
            return refused("Prompt variables must be an object.", inside, "invalid_type")
        if x.call_type == "responses":
            variables = {name: _as_value(value) for name, value in variables.items()}
        try:
            messages, config = prompt.render(variables)
        except WrongVariable as wrong:
            return refused(str(wrong), f"{inside}.{wrong.name}", wrong.code)
        if own:
            body = {name: value for name, value in body.items() if name != "prompt"}
        changed = {**self._join(x, body, messages), **{n: value for n, value in config.items() if self._takes(n)}}
        x.prompt = used_prompt(self._source, id, prompt.version or version)
        if same(changed, x.request):
            return NOOP
        x.request = changed
        return None


def used_prompt(source: str, id: str, version: Any) -> dict[str, Any]:
    """What records say of a prompt that was used."""
    return {"source": source, "id": id, "version": version}


def called(id: str, label: str | None, version: str | None) -> str:
    """A prompt as messages name it."""
    also = f" in version {version}" if version is not None else f" with label '{label}'" if label is not None else ""
    return f"'{id[:_SHOWN]}'{also}"


def refused(message: str, param: str, code: str) -> Refusal:
    """A request that asks for a prompt in a way that cannot be."""
    return Refusal(400, message[:_LONGEST], code=code, param=param[:_LONGEST], source="rule")


def is_own_prompt(body: Body, id: str) -> bool:
    """Whether a prompt is the one of OpenAI's own field: it leaves the body then, as it is resolved here."""
    own = body.get("prompt")
    return isinstance(own, dict) and own.get("id") == id


def _as_value(value: Any) -> Any:
    """A variable of OpenAI's: text items are texts, pictures and files go where a message has room for parts."""
    kind = value.get("type") if isinstance(value, dict) else None
    if kind == "input_text" and isinstance(value.get("text"), str):
        return value["text"]
    return ContentPart(value) if kind in _PARTS else value


# --- beside what the client says --------------------------------------------------------------------------------------


def _replace(x: Exchange, body: Body, messages: list[dict[str, Any]]) -> Body:
    return x.dialect.replace_messages(body, messages)


def _prepend(x: Exchange, body: Body, messages: list[dict[str, Any]]) -> Body:
    for message in reversed(messages):
        body = _added(x, body, message, 0)
    return body


def _append(x: Exchange, body: Body, messages: list[dict[str, Any]]) -> Body:
    for message in messages:
        body = _added(x, body, message, None)
    return body


def _added(x: Exchange, body: Body, message: dict[str, Any], at: int | None) -> Body:
    rest = {name: value for name, value in message.items() if name not in ("role", "content")}
    return x.dialect.add_message(body, message["role"], message.get("content"), at, **rest)


JOINS: dict[str, Join] = {"replace": _replace, "prepend": _prepend, "append": _append}
