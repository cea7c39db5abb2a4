"""`http`: prompts that any service keeps which answers with JSON. Must not know how long they are kept here."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlencode

from engine.catalogue import Example, Scope
from engine.cures import Advice
from engine.options import option
from engine.ports.prompt_fetching import (
    FetchedPrompts,
    PromptName,
    SourceFailed,
    escaped,
    is_plain_name,
    parameters_of,
    turns_of,
    version_of,
)
from engine.ports.prompt_text import PromptTemplate
from engine.source import Node

_WHERE = ("messages", "template", "prompt", "text")
_BESIDE = (  # parameters that services tell beside the prompt instead of in a `config`
    "model",
    "temperature",
    "top_p",
    "max_tokens",
    "stop",
    "presence_penalty",
    "frequency_penalty",
    "seed",
    "response_format",
    "reasoning_effort",
)
_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+\Z")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


class Http(FetchedPrompts, name="http"):
    """Fetch prompts from a service: `GET URL/ID?label=…&version=…`, and a JSON object back.

    In the answer, `messages`, `template`, `prompt` or `text` is the prompt: a text, which becomes one user message, or
    a list of messages. `config` brings the model and parameters; `model`, `temperature` and their like may stand beside
    the prompt as well, and others in `other`. 404 says that there is no such prompt. Humanloop's answers fit, with
    `label_as: environment` and `version_as: version_id`.
    """

    url_: str = option(
        "Address of the service; `{id}` in it is where the id goes, else at the end.",
        name="url",
        short=True,
        pattern=r"^https?://[^ {}#]+(\{id\}[^ {}#]*)?$",
        advice=Advice(
            "write it like `https://prompts.example.com/v1/prompts`; `{id}` is where the id of a prompt goes"
        ),
    )
    headers: dict[str, str] = option("Headers of every call; secrets best as `os.environ/NAME`.", {})
    label_as: str = option("The query parameter that a label is sent as.", "label", minLength=1)
    version_as: str = option("The query parameter that a version is sent as.", "version", minLength=1)

    examples = [
        Example("a service of one's own", "svc: {http: http://prompts.internal:8080/prompts}"),
        Example(
            "a service that speaks like Humanloop",
            "svc: {http: {url: https://humanloop.example.com/v5/prompts, headers: {x-api-key: os.environ/KEY}, "
            "label_as: environment, version_as: version_id}}",
        ),
    ]

    def check(self, places: dict[str, Node], node: Node, scope: Scope) -> None:
        super().check(places, node, scope)
        for name, value in self.headers.items():
            if not _HEADER.match(name) or _CONTROL.search(value):
                scope.problem(
                    "bad-header",
                    f"`{name}` with its value is no header",
                    places["headers"].span,
                    help="a name of letters, digits and hyphens, and a value on one line",
                )
        self._headers = [(name.lower(), value) for name, value in self.headers.items()]
        before, found, after = self.url_.partition("{id}")
        self._before, self._after = (before, after) if found else _at_the_end(self.url_)
        self.settle(self.url_)

    def named(self, id: str, label: str | None, version: str | None) -> PromptName | None:
        plain = is_plain_name(id) and is_plain_name(label) and is_plain_name(version)
        return PromptName(id, label, version) if plain else None

    def url(self, name: PromptName) -> str:
        chosen = {self.label_as: name.label, self.version_as: name.version}
        query = urlencode({parameter: value for parameter, value in chosen.items() if value is not None})
        whole = self._before + escaped(name.id) + self._after
        return whole if not query else f"{whole}{'&' if '?' in whole else '?'}{query}"

    def credentials(self) -> list[tuple[str, str]]:
        return self._headers

    def template(self, answer: dict[str, Any]) -> PromptTemplate:
        prompt = next((answer[name] for name in _WHERE if answer.get(name) is not None), None)
        if prompt is None:
            raise SourceFailed(f"its answer has none of {', '.join(_WHERE)}")
        beside = {name: answer[name] for name in _BESIDE if name in answer}
        if isinstance(beside.get("max_tokens"), int) and beside["max_tokens"] < 1:
            del beside["max_tokens"]  # Humanloop's -1: no limit
        told = [parameters_of(some) for some in (beside, answer.get("other"), answer.get("config"))]
        parameters = {name: value for some in told for name, value in some.items()}
        return PromptTemplate(turns_of(prompt), parameters, version=version_of(answer))


def _at_the_end(url: str) -> tuple[str, str]:
    path, mark, query = url.partition("?")
    return path.rstrip("/") + "/", mark + query
