"""`dotprompt`: a folder of prompt files. Must not know what a prompt file holds."""

from __future__ import annotations

import glob
import hashlib
import os
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from typing import Any

from engine.catalogue import Entry, Example, Scope
from engine.errors import Problem
from engine.options import option
from engine.ports.dotprompt_file import read_prompt
from engine.ports.prompt_text import PromptTemplate
from engine.source import Node, Span

DEEPEST = 5  # folders within the folder
MOST = 10_000  # prompt files
LARGEST = 1024 * 1024  # characters of one
SUFFIX = ".prompt"
_PLAIN = frozenset({"production", "latest"})  # labels that a folder without versions has nevertheless


class Dotprompt(Entry, kind="prompt_source", name="dotprompt"):
    """Read prompts from a folder of `.prompt` files; a change in it is served within a second.

    A file has a YAML front matter between two lines `---` and a text behind it. Front matter: `model`; parameters
    under `config`, or as keys of their own; `input` with `schema` (Picoschema, or JSON Schema of types alone) and
    `default`; `output`, `metadata` and their like are kept and change nothing. In the text, `{{ name }}` is a variable,
    `{{role "system"}}` begins a message (also `user`, `model`), and where there is none, so do lines that begin with
    `System:`, `User:` or `Assistant:`; a text without either is one user message. What else dotprompt has, such as
    `{{#if}}`, helpers and partials, is a problem at load.

    The id of `greet.prompt` is `greet`, that of `team/greet.prompt` is `team/greet`. `greet.formal.prompt` is the
    label `formal` of it, `greet.v2.prompt` its version 2. Without both it is `greet.prompt`, else the highest version.
    """

    path: str = option(
        "The folder, relative to the rules file; folders in it count too, up to five deep.", short=True, minLength=1
    )

    examples = [
        Example("a folder beside the rules", "house: {dotprompt: ./prompts}"),
        Example("its long form", "house: {dotprompt: {path: ./prompts}}"),
    ]

    def check(self, places: dict[str, Node], node: Node, scope: Scope) -> None:
        self.prompts: dict[str, PromptTemplate] = {}
        self._latest: dict[str, PromptTemplate] = {}
        self.digest = ""
        folder = os.path.normpath(os.path.join(scope.folder, os.path.expanduser(self.path)))
        steps = ["*/" * depth + "*" + SUFFIX for depth in range(DEEPEST + 1)]
        scope.read_files += [os.path.join(glob.escape(folder), step) for step in steps]
        if not os.path.isdir(folder):
            there = os.path.exists(folder)
            scope.problem(
                "missing-file",
                f"`{folder}` is a file, not a folder" if there else f"there is no folder `{folder}`",
                places["path"].span,
                help="name the folder the file stands in" if there else "check the path; it starts at this rules file",
            )
        elif scope.reader is not None:
            self._read(folder, places["path"].span, scope)

    def _read(self, folder: str, span: Span, scope: Scope) -> None:
        total = hashlib.sha256()
        try:
            for id, path in islice(_files(folder, "", [os.path.realpath(folder)]), MOST + 1):
                total.update(f"{id}\0".encode("utf-8", "surrogatepass"))
                self._read_file(id, path, total, scope)
        except OSError as wrong:
            why = wrong.strerror or str(wrong)
            scope.problem(
                "missing-file", f"`{wrong.filename or folder}` cannot be read: {why}", span, help="check its rights"
            )
        if len(self.prompts) > MOST:
            scope.problem("too-large", f"`{folder}` has more than {MOST} prompts", span, help="use several folders")
        self.digest = total.hexdigest()
        self._latest = _latest(self.prompts)

    def _read_file(self, id: str, path: str, total: Any, scope: Scope) -> None:
        assert scope.reader is not None
        source = scope.reader.read_source(path, path)
        if isinstance(source, Problem):
            scope.problems.append(source)
            return
        total.update(source.text.encode("utf-8", "surrogatepass"))
        if len(source.text) > LARGEST:
            scope.problem(
                "too-large", f"a prompt of more than {LARGEST:,} characters", Span(source, 0, 1), help="shorten it"
            )
            return
        template = read_prompt(source, scope)
        if template is not None:
            self.prompts[id] = replace(template, version=_version(id))

    def find(self, id: str, label: str | None, version: str | None) -> PromptTemplate | None:
        """The prompt of an id: in a version, else of a label, else the plain one or the highest version."""
        if version is not None:
            return self.prompts.get(f"{id}.v{version.removeprefix('v')}")
        if label is not None and label not in _PLAIN:
            return self.prompts.get(f"{id}.{label}")
        named = self.prompts.get(f"{id}.{label}") if label is not None else None
        return named or self.prompts.get(id) or self._latest.get(id)

    def ids(self) -> list[str]:
        """Every id that there is, labels and versions with their own."""
        return [*self.prompts, *(id for id in self._latest if id not in self.prompts)]


def _version(name: str) -> str | None:
    """The version that the name of a file says."""
    id, _, version = name.rpartition(".v")
    return version if id and version.isascii() and version.isdigit() else None


def _latest(prompts: dict[str, PromptTemplate]) -> dict[str, PromptTemplate]:
    """The highest version of each id that has some."""
    numbered: dict[str, int] = {}
    for name, prompt in prompts.items():
        if prompt.version is not None:
            id = name.rpartition(".v")[0]
            numbered[id] = max(numbered.get(id, 0), int(prompt.version))
    return {id: prompts[f"{id}.v{number}"] for id, number in numbered.items() if f"{id}.v{number}" in prompts}


def _files(folder: str, before: str, around: list[str]) -> Iterator[tuple[str, str]]:
    """Ids and paths of the prompt files, in order; links that lead back are not followed."""
    with os.scandir(folder) as entries:
        found = sorted((entry for entry in entries if not entry.name.startswith(".")), key=lambda entry: entry.name)
    for entry in found:
        if entry.name.endswith(SUFFIX) and entry.is_file():
            yield before + entry.name.removesuffix(SUFFIX), entry.path
        elif entry.is_dir() and len(around) <= DEEPEST:
            real = os.path.realpath(entry.path)
            if real not in around:
                yield from _files(entry.path, f"{before}{entry.name}/", [*around, real])
