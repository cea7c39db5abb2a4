"""Names that are defined and used by nobody. Must not know what they stand for."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from engine.catalogue import Scope
from engine.errors import Severity
from engine.options import BAD
from engine.source import Mapping, Node, Scalar, Sequence

if TYPE_CHECKING:
    from engine.rules.loaded import Loaded

KEPT: dict[str, tuple[str, str, Severity]] = {  # section: sort of name, code, severity
    "lists": ("list", "unused-list", "warning"),
    "conditions": ("condition", "unused-condition", "warning"),
    "patterns": ("pattern", "unused-pattern", "warning"),
    "sinks": ("sink", "unused-sink", "warning"),
    "stores": ("store", "unused-store", "warning"),
    "prompt_sources": ("prompt_source", "unused-prompt-source", "warning"),
    "prompts": ("prompt", "unused-prompt", "warning"),
    "upstreams": ("upstream", "unused-upstream", "note"),
}
_WORD = re.compile(r"[\w.-]+")


def lint_names(loaded: Loaded, scope: Scope) -> None:
    """Note every definition that neither rules nor other sections in use lead to."""
    used = scope.used | _by_models(loaded) | _by_callbacks(loaded)
    unused = {(sort, name) for sort, _, _ in KEPT.values() for name in loaded.tables.get(sort, {})} - used
    unused |= _by_unused_conditions(loaded, unused)
    hinted = "".join(problem.help for problem in scope.problems if problem.code == "maybe-pattern-name")
    unused = {(sort, name) for sort, name in unused if sort != "pattern" or f"`{name}`" not in hinted}
    if unused:
        spoken = _words(node for _, node, _ in loaded.written.named("tests"))  # `holds` may use lists and conditions
        unused = {(sort, name) for sort, name in unused if name not in spoken}
    for section, (sort, code, severity) in KEPT.items():
        for key in _keys(loaded, section):
            if (sort, str(key.value)) in unused:
                scope.problem(
                    code,
                    f"nothing uses the {sort.replace('_', ' ')} `{key.value}`",
                    key.span,
                    help="use it, or take it out",
                    severity=severity,
                )


def _keys(loaded: Loaded, section: str) -> Iterator[Scalar]:
    for _, node, _ in loaded.written.named(section):
        if isinstance(node, Mapping):
            yield from (key for key, _ in node)


def _by_models(loaded: Loaded) -> set[tuple[str, str]]:
    """What `models` uses; the first upstream is everybody's default."""
    used = {("upstream", name) for name in list(loaded.tables.get("upstream", {}))[:1]}
    for model in loaded.tables.get("model", {}).values():
        if model is not BAD:
            used.add(("upstream", model.upstream or ""))
    return used


def _by_callbacks(loaded: Loaded) -> set[tuple[str, str]]:
    """The store that the cache of hooks written for LiteLLM shares."""
    shared = (name for name, store in loaded.tables.get("store", {}).items() if store is not BAD and store.shared)
    return {("store", name) for name in list(shared)[:1]} if loaded.callbacks else set()


def _by_unused_conditions(loaded: Loaded, unused: set[tuple[str, str]]) -> set[tuple[str, str]]:
    """Names that only conditions use which nobody uses themselves."""
    nodes = {
        str(key.value): value
        for _, node, _ in loaded.written.named("conditions")
        if isinstance(node, Mapping)
        for key, value in node
    }
    dead = {name for sort, name in unused if sort == "condition"}
    if not dead:
        return set()
    outside = _words(node for section, _, node, _ in loaded.written.sections if section not in ("conditions", *KEPT))
    while True:
        alive = outside | _words(node for name, node in nodes.items() if name not in dead)
        more = _words(nodes[name] for name in dead if name in nodes) - alive
        fresh = (more & nodes.keys()) - dead
        if not fresh:
            return {
                (sort, name)
                for sort in ("list", "pattern", "condition")
                for name in more | dead
                if name in loaded.tables.get(sort, {})
            }
        dead |= fresh


def _words(nodes: Iterable[Node]) -> set[str]:
    """Every text that stands somewhere below, whole and word by word."""
    found: set[str] = set()
    waiting, seen = list(nodes), set[int]()
    while waiting:
        node = waiting.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, Sequence):
            waiting += node.items
        elif isinstance(node, Mapping):
            waiting += [part for entry in node.entries for part in entry]
        elif isinstance(node, Scalar) and isinstance(node.value, str):
            found.add(node.value)
            found.update(_WORD.findall(node.value))
    return found
