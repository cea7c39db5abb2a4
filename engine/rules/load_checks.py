"""What is checked once all sections are read, and which of all problems are told. Must not know how they are read."""

from __future__ import annotations

import datetime
import sys
from bisect import bisect_right
from typing import Any

from engine.catalogue import Scope
from engine.errors import Problem, did_you_mean
from engine.options import BAD
from engine.rules.files import Written
from engine.rules.loaded import SORTS, Loaded
from engine.rules.routes import check_models
from engine.rules.rule import Rule
from engine.source import Mapping, Source, Span


def check_names(loaded: Loaded, scope: Scope) -> None:
    """Names that sections use of each other, once all are known."""
    upstreams = {"demo", *loaded.tables["upstream"]}
    for name, model in loaded.tables["model"].items():
        if model is not BAD and model.upstream is not None and model.upstream not in upstreams:
            _unknown(loaded, scope, "models", name, "upstream", upstreams)
    written = {
        str(key.value): entry
        for _, node, _ in loaded.written.named("models")
        if isinstance(node, Mapping)
        for key, entry in node
    }
    check_models(loaded.tables["model"], written, scope)
    for rule in loaded.rules:
        _check_expiry(rule, scope)
    for key in loaded.keys:
        if key.expires is not None and key.expires < datetime.datetime.now(datetime.UTC).date():
            told = f"key `{key.name}` expired on {key.expires}: who has it is refused"
            scope.problem("expired", told, key.span, help="remove the key or move the day", severity="warning")


def _check_expiry(rule: Rule, scope: Scope) -> None:
    if rule.expires is not None and rule.expires < datetime.datetime.now(datetime.UTC).date():
        scope.rule = rule.name_
        scope.problem(
            "expired",
            f"rule `{rule.name_}` expired on {rule.expires} and is off",
            rule.span,
            help="remove the rule or move the day",
            severity="warning",
        )
        scope.rule = None


def _unknown(loaded: Loaded, scope: Scope, section: str, name: str, option: str, known: set[str]) -> None:
    for _, node, _ in loaded.written.named(section):
        entry = node.get(name) if isinstance(node, Mapping) else None
        value = entry.get(option) if isinstance(entry, Mapping) else None
        if value is not None:
            scope.problem(
                f"unknown-{option}",
                f"unknown {option} `{value.plain()}`",
                value.span,
                help=did_you_mean(str(value.plain()), known),
            )


OF_NAMES = frozenset(f"unknown-{sort.replace('_', '-')}" for sort in SORTS.values())


def readable(problems: list[Problem], written: Written) -> list[Problem]:
    """Without those that follow from what could not be read: inside torn YAML, or names that a lost file may define."""
    if not written.complete:
        problems = [problem for problem in problems if problem.code not in OF_NAMES]
    torn: dict[Source, list[Span]] = {}
    for problem in written.problems:
        torn.setdefault(problem.span.source, []).append(problem.span)
    if not torn:
        return problems
    ends = {source: sorted((span.start, span.end) for span in spans) for source, spans in torn.items()}
    return [problem for problem in problems if not _inside(problem.span, ends.get(problem.span.source, []))]


def _inside(span: Span, stretches: list[tuple[int, int]]) -> bool:
    at = bisect_right(stretches, (span.start, sys.maxsize)) - 1
    return at >= 0 and span.end <= stretches[at][1]


def distinct(problems: list[Problem]) -> list[Problem]:
    """Sorted, each said once: a named condition is read again wherever it is used."""
    known: dict[tuple[Any, ...], Problem] = {}
    for problem in sorted(problems, key=Problem.sort_key):
        known.setdefault((*problem.sort_key(), problem.message), problem)
    return list(known.values())
