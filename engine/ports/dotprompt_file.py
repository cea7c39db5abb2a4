"""One prompt file: its front matter, and with the text behind it the prompt. Must not know folders or names."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from engine.catalogue import Scope
from engine.document.fields import members
from engine.errors import did_you_mean
from engine.options import found
from engine.phases import CONVERSATIONS
from engine.ports.dotprompt_body import read_body
from engine.ports.prompt_inputs import Inputs, read_inputs
from engine.ports.prompt_text import BadText, PromptTemplate
from engine.ports.prompts import check_config
from engine.source import Mapping, Node, Scalar, Source, Span

_FRONT = re.compile(r"\ufeff?(?:[ \t]*(?:#[^\n]*)?\r?\n)*---[ \t]*\r?\n(?P<yaml>(?:.*\n)*?)---[ \t]*(?:\r?\n|\Z)")
_OPENED = re.compile(r"\ufeff?\s*---(?=\s)")
_KEPT = frozenset({"name", "variant", "version", "description", "metadata", "output"})  # for people and other readers
_READ = frozenset({"model", "config", "input"})
_TOOLS = frozenset({"tools", "toolDefs"})
_OF_GENKIT = {"maxOutputTokens": "max_tokens", "topP": "top_p", "topK": "top_k", "stopSequences": "stop"}


def read_prompt(source: Source, scope: Scope) -> PromptTemplate | None:
    """The prompt in a file; None after noting everything that is wrong with it."""
    front = _FRONT.match(source.text)
    before = len(scope.problems)
    opened = None if front else _OPENED.match(source.text)
    if opened:
        place = Span(source, opened.end() - 3, opened.end())
        scope.problem("bad-prompt", "this front matter has no end", place, help="end it with a line `---`")
        return None
    config, inputs = _front_matter(source, front, scope) if front else ({}, None)
    try:
        turns = read_body(source.text, front.end() if front else 0)
    except BadText as wrong:
        scope.problem("bad-prompt", wrong.message, Span(source, wrong.start, wrong.end), help=wrong.help)
        return None
    errors = any(problem.severity == "error" for problem in scope.problems[before:])
    return None if errors else PromptTemplate(turns, config, inputs)


def _front_matter(source: Source, front: re.Match[str], scope: Scope) -> tuple[dict[str, Any], Inputs | None]:
    """The parameters and the variables that a front matter tells of."""
    assert scope.reader is not None
    start, end = front.span("yaml")
    blank = re.sub(r"[^\n]", " ", source.text[:start])  # so that every place is that of the file
    root, problems = scope.reader.compose(Source(source.name, blank + source.text[start:end]))
    scope.problems += [problem for problem in problems if problem.code != "empty-file"]
    if root is None:
        return {}, None
    if not isinstance(root, Mapping):
        scope.problem(
            "wrong-type", f"a front matter is a mapping, found {found(root)}", root.span, help="write `model: gpt-4o`"
        )
        return {}, None
    parameters: list[tuple[Scalar, Node]] = []
    inputs = None
    for key, value in root:
        name = str(key.value)
        if name == "input":
            inputs = read_inputs(value, scope)
        elif name == "config":
            parameters += _config(value, scope)
        elif name not in _KEPT and (name == "model" or _is_parameter(name, key.span, scope)):
            parameters.append((key, value))
    check_config(parameters, scope)
    return {str(key.value): value.plain() for key, value in parameters}, inputs


def _config(node: Node, scope: Scope) -> Iterable[tuple[Scalar, Node]]:
    if not isinstance(node, Mapping):
        scope.problem(
            "wrong-type",
            f"`config` is a mapping of parameters, found {found(node)}",
            node.span,
            help="write `config: {temperature: 0.2}`",
        )
        return ()
    for key, _ in node:
        if key.value in _OF_GENKIT:
            scope.problem(
                "unknown-key",
                f"`{key.value}` is no parameter of a request",
                key.span,
                help=f"write `{_OF_GENKIT[str(key.value)]}`",
            )
    return node


def _is_parameter(name: str, span: Span, scope: Scope) -> bool:
    """A key of its own is a parameter where the APIs have one of that name; others stand under `config`."""
    if name in _TOOLS:
        help = "write `tools` under `config`, as the API takes them"
    elif name in (members(CONVERSATIONS, "request") or {}):
        return True
    elif "." in name:
        return False  # an extension of another program
    else:
        near = did_you_mean(name, [*_READ, *_KEPT], "-")
        help = near if near != "-" else "parameters that are new to this gateway stand under `config`"
    scope.problem("unknown-key", f"unknown key `{name}` of a front matter", span, help=help)
    return False
