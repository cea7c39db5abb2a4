"""The tests of a rules file, read and checked before anything runs. Must not import what runs them."""

from __future__ import annotations

from dataclasses import dataclass

from engine.catalogue import Scope
from engine.errors import Problem, did_you_mean
from engine.options import BAD
from engine.rules.loaded import Loaded
from engine.source import Mapping, Sequence, Span
from engine.tools.cases_form import ExpectForm, TestForm


@dataclass(frozen=True, slots=True)
class Written:
    """A test as it stands in a file; `test` is None when it has problems."""

    name: str
    place: Span
    test: TestForm | None
    problems: tuple[Problem, ...]


def read_tests(loaded: Loaded) -> list[Written]:
    """Every test of a loaded file, in order, each with its own problems."""
    written = loaded.written
    names = Names(written.names("rules"), written.names("keys")) if written.complete else Names(None, None)
    return [_read(node, Scope(loaded.tables, folder), names) for node, folder in loaded.tests]


@dataclass(frozen=True, slots=True)
class Names:
    """What a test may name, whether it can be used or not; None when a file that may define more was not readable."""

    rules: list[str] | None
    keys: list[str] | None


def _read(node: Mapping, scope: Scope, names: Names) -> Written:
    written = node.get("name")
    name = str(written.plain()) if written is not None else "(without a name)"
    test = TestForm.read(node, scope)
    if test is not BAD:
        _check_names(test, names, scope)
    broken = any(problem.severity == "error" for problem in scope.problems)
    return Written(name, node.span, None if broken else test, tuple(scope.problems))


def _check_names(test: TestForm, names: Names, scope: Scope) -> None:
    """A misspelt rule must not pass as one that did not match."""
    for step in test.exchanges():
        if step.expect is not None and names.rules is not None:
            _check_rules(step.expect, names.rules, scope)
        name = step.request.key
        if name is not None and names.keys is not None and name not in names.keys:
            scope.problem(
                "unknown-key-name",
                f"unknown key `{name}`",
                step.request.places["key"].span,
                help=did_you_mean(name, names.keys, "" if names.keys else "the file defines no `keys`"),
            )


def _check_rules(expect: ExpectForm, rules: list[str], scope: Scope) -> None:
    node = expect.places.get("matched")
    if node is None:
        return
    for item in node.items if isinstance(node, Sequence) else [node]:
        name = str(item.plain())
        if name not in rules:
            scope.problem("unknown-rule", f"unknown rule `{name}`", item.span, help=did_you_mean(name, rules))
