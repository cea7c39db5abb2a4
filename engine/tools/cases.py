"""`pointsman test` from files to verdicts: the tests beside the rules, run by the server's own code.

Must not know how verdicts are printed.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

from engine.errors import Problem
from engine.rules.compile import compile_program
from engine.rules.load import load
from engine.rules.loaded import Loaded
from engine.rules.program import Program
from engine.source import Span
from engine.tools.cases_check import Written, read_tests
from engine.tools.cases_judge import Failure
from engine.tools.cases_run import run_test
from engine.tools.compare import ABSENT


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one test. It passed when it has neither problems (it could not run) nor failures."""

    name: str
    place: Span
    problems: tuple[Problem, ...] = ()
    failures: tuple[Failure, ...] = ()

    @property
    def passed(self) -> bool:
        """True when everything that was expected held."""
        return not self.problems and not self.failures

    def as_json(self) -> dict[str, Any]:
        """The shape of `test --json`; positions from 1."""
        line, _ = self.place.source.position(self.place.start)
        return {
            "name": self.name,
            "file": self.place.source.name,
            "line": line,
            "passed": self.passed,
            "problems": [problem.as_json() for problem in self.problems],
            "failures": [_failure(failure) for failure in self.failures],
        }


@dataclass(slots=True)
class Report:
    """The verdicts of all files, and the problems of files that could not be loaded."""

    verdicts: list[Verdict] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    @property
    def fine(self) -> bool:
        """True when there were tests and all of them passed."""
        errors = any(problem.severity == "error" for problem in self.problems)
        return bool(self.verdicts) and not errors and all(verdict.passed for verdict in self.verdicts)


def run_files(paths: list[str], name: str = "") -> Report:
    """Run the tests of all files whose name contains `name`; a file with errors runs none and says why."""
    report = Report()
    for path in dict.fromkeys(paths):
        loaded = load(path)
        if loaded.fine:
            report.verdicts += asyncio.run(_run_loaded(path, loaded, name))
        else:
            report.problems += loaded.problems
    return report


async def _run_loaded(path: str, loaded: Loaded, name: str) -> list[Verdict]:
    verdicts: list[Verdict] = []
    program = compile_program(loaded)
    for written in read_tests(loaded):
        if name not in written.name:
            continue
        if verdicts and runs_python(loaded):  # authors' objects may remember the test before
            program = compile_program(load(path))
        verdicts.append(await _verdict(written, program))
    return verdicts


def runs_python(loaded: Loaded) -> bool:
    """Whether the file uses callbacks, which may keep state of their own."""
    uses: list[Any] = [use for rule in loaded.rules for use in rule.actions]
    return any(loaded.callbacks.values()) or any(use.action.name == "callback" for use in uses)


async def _verdict(written: Written, program: Program) -> Verdict:
    failures = await run_test(program, written.test) if written.test is not None else []
    errors = tuple(problem for problem in written.problems if problem.severity == "error")
    return Verdict(written.name, written.place, errors, tuple(failures))


def _failure(failure: Failure) -> dict[str, Any]:
    difference = failure.difference
    line, column = failure.place.source.position(failure.place.start)
    return {
        "line": line,
        "column": column,
        "path": difference.path,
        "expected": difference.expected,
        "found": None if difference.found is ABSENT else difference.found,
        "absent": difference.found is ABSENT,
        "why": difference.why,
    }
