"""Where prompts come from, as a rules file names it. Must not know any single kind of source."""

from __future__ import annotations

from typing import Any, Protocol

from engine.catalogue import CATALOGUE, Scope
from engine.cures import cure
from engine.errors import did_you_mean
from engine.options import BAD, found
from engine.ports.kinds import OneKind
from engine.ports.litellm_prompts import CallbackPrompts
from engine.ports.prompt_text import Variables
from engine.source import Node, Scalar, Span

BUILT_IN = {
    "local": "the `prompts` section",
    "callback": "the classes under `callbacks` with `get_chat_completion_prompt`",
    "langfuse": "Langfuse, by the variables LANGFUSE_*",
}


class Filled(Protocol):
    """A prompt that can be filled in; `version` is which one it is, where its source says so."""

    @property
    def version(self) -> str | None: ...

    def render(self, variables: Variables) -> tuple[list[dict[str, Any]], dict[str, Any]]:
        """The messages and the config; WrongVariable says what is missing or wrong."""


class PromptSource(Protocol):
    """Prompts that are here: nobody has to wait for them. `name` is what records call it."""

    @property
    def name(self) -> str: ...

    def find(self, id: str, label: str | None, version: str | None) -> Filled | None:
        """The prompt, or None when there is none of that id."""

    def ids(self) -> list[str]:
        """Every id that there is."""


class LocalPrompts:
    """The prompts of the `prompts` section; they have one version and no labels."""

    name = "local"

    def __init__(self, prompts: dict[str, Any]) -> None:
        self._prompts = prompts

    def find(self, id: str, label: str | None, version: str | None) -> Filled | None:
        return self._prompts.get(id)

    def ids(self) -> list[str]:
        return list(self._prompts)


class PromptSourceSection(
    OneKind, kind="prompt_source", noun="a prompt source", sample="house: {dotprompt: ./prompts}"
):
    """The value of a name in `prompt_sources`."""


class PromptSourceRef:
    """`local`, `callback`, a name of `prompt_sources`, or `langfuse`; read as the source itself."""

    @classmethod
    def schema(cls) -> dict[str, Any]:
        return {"type": "string"}

    @classmethod
    def read(cls, node: Node, scope: Scope) -> Any:
        name = node.plain()
        if name == "local":
            return LocalPrompts(scope.tables.get("prompt", {}))
        if not isinstance(name, str):
            scope.problem(
                "wrong-type",
                f"expected the name of a prompt source, found {found(node)}",
                node.span,
                help=cure(node, {"type": "string"}),
            )
            return BAD
        if name == "callback":
            return _managers(node.span, scope)
        table = scope.tables.get("prompt_source", {})
        if name in table:
            scope.used.add(("prompt_source", name))
            return table[name]
        if name == "langfuse":
            return CATALOGUE["prompt_source"]["langfuse"].read(Scalar(None, node.span), scope)
        return _unknown_source(name, node.span, scope)


def _managers(span: Span, scope: Scope) -> Any:
    managers = scope.tables.get("prompt manager", {})
    if managers:
        return CallbackPrompts(managers.values())
    scope.problem(
        "unknown-prompt-source",
        "no callback manages prompts",
        span,
        help="name a class with `get_chat_completion_prompt` under `callbacks`",
    )
    return BAD


def _unknown_source(name: str, span: Span, scope: Scope) -> Any:
    defined = sorted(scope.tables.get("prompt_source", {}))
    built_in = [f"{other} ({what})" for other, what in BUILT_IN.items() if other not in defined]
    scope.problem(
        "unknown-prompt-source",
        f"unknown prompt source `{name}`",
        span,
        help=did_you_mean(name, [*defined, *BUILT_IN], "defined: " + ", ".join([*defined, *built_in])),
    )
    return BAD
