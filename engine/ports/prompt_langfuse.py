"""`langfuse`: prompts that are kept in Langfuse. Must not know how long they are kept here."""

from __future__ import annotations

import base64
import os
import re
from typing import Any
from urllib.parse import urlencode

from engine.catalogue import Example, Scope
from engine.cures import Advice
from engine.options import option
from engine.ports.prompt_fetching import (
    HTTP_URL,
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
from engine.source import Node, Scalar

CLOUD = "https://cloud.langfuse.com"
_HOSTS = ("LANGFUSE_BASE_URL", "LANGFUSE_HOST")  # the newer name first
_PATH = "/api/public/v2/prompts/"
_NUMBER = re.compile(r"[0-9]{1,9}\Z")
_KEYS = {"public_key": "LANGFUSE_PUBLIC_KEY", "secret_key": "LANGFUSE_SECRET_KEY"}


class Langfuse(FetchedPrompts, name="langfuse"):
    """Fetch prompts from Langfuse by its public API, in the label `production` when neither label nor version is given.

    A text prompt is one user message, a chat prompt is used as it is; a placeholder takes a variable that is a list of
    messages, of the roles user, assistant and tool alone. `config` brings the model and parameters. A version goes
    before a label. Options that are not written come from the environment, as Langfuse's own clients read it.
    """

    meant = dict.fromkeys(("url", "base_url", "baseurl", "address"), "it is called `host`")

    host: str | None = option(
        "Address of Langfuse; default `LANGFUSE_BASE_URL`, then `LANGFUSE_HOST`, then its cloud in the EU.",
        None,
        pattern=HTTP_URL,
        advice=Advice(f"write it like `{CLOUD}`"),
    )
    public_key: str | None = option("Public key of the project; default `LANGFUSE_PUBLIC_KEY`.", None)
    secret_key: str | None = option("Its secret key, best as `os.environ/NAME`; default `LANGFUSE_SECRET_KEY`.", None)

    examples = [
        Example("host and keys from the environment", "lf: langfuse"),
        Example("a Langfuse of one's own", "lf: {langfuse: {host: http://langfuse.internal:3000, ttl: 5m}}"),
    ]

    def check(self, places: dict[str, Node], node: Node, scope: Scope) -> None:
        super().check(places, node, scope)
        for name, variable in _KEYS.items():
            vars(self)[name] = vars(self)[name] or os.environ.get(variable)
            if not vars(self)[name]:
                scope.problem(
                    "missing-key",
                    f"Langfuse needs a `{name}`",
                    node.span if isinstance(node, Scalar) else node.span.at(node.span.start, node.span.start + 1),
                    help=f"set {variable} before starting, or write `{name}: os.environ/NAME`",
                )
        found = self.host or next((os.environ[name] for name in _HOSTS if os.environ.get(name)), CLOUD)
        if self.host is None and not re.match(HTTP_URL, found):
            scope.problem(
                "wrong-type",
                f"the address of Langfuse in the environment is none: {found!r}",
                node.span,
                help=f"set {_HOSTS[0]} to something like `{CLOUD}`",
            )
        self.host = found.rstrip("/")
        pair = f"{self.public_key}:{self.secret_key}".encode("utf-8", "surrogatepass")
        self._authorization = "Basic " + base64.b64encode(pair).decode()
        self.settle(self.host)

    def named(self, id: str, label: str | None, version: str | None) -> PromptName | None:
        if version is not None:
            return PromptName(id, None, version) if is_plain_name(id) and _NUMBER.match(version) else None
        label = label or "production"
        return PromptName(id, label) if is_plain_name(id) and is_plain_name(label) else None

    def url(self, name: PromptName) -> str:
        chosen = {"label": name.label} if name.version is None else {"version": name.version}
        return f"{self.host}{_PATH}{escaped(name.id)}?{urlencode(chosen)}"

    def credentials(self) -> list[tuple[str, str]]:
        return [("authorization", self._authorization)]

    def template(self, answer: dict[str, Any]) -> PromptTemplate:
        if "prompt" not in answer:
            raise SourceFailed("its answer has no `prompt`")
        turns, parameters = turns_of(answer["prompt"]), parameters_of(answer.get("config"))
        return PromptTemplate(turns, parameters, version=version_of(answer))
