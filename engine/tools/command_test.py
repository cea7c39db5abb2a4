"""`pointsman test`: run the tests that stand beside the rules."""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from engine.source import Span
    from engine.tools.cases import Report, Verdict

SUMMARY = "run the tests that stand beside the rules"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Files, and which of their tests."""
    parser.set_defaults(more="files")
    parser.add_argument("files", nargs="+", metavar="FILE", help="a rules file with `tests:`, its includes' tests too")
    parser.add_argument("--name", default="", metavar="TEXT", help="only tests whose name contains this")
    parser.add_argument("--json", action="store_true", help="verdicts as JSON")


def run(given: argparse.Namespace) -> int:
    """0 when every test passed, 1 when one failed, a file has problems, or there was no test at all."""
    from engine.tools.cases import run_files

    report = run_files(given.files, given.name)
    if given.json:
        print(as_json(report))
    else:
        print_report(report, given.name)
    return 0 if report.fine else 1


def as_json(report: Report) -> str:
    """`{"passed", "failed", "tests": […], "problems": […]}`."""
    passed = sum(verdict.passed for verdict in report.verdicts)
    return json.dumps(
        {
            "passed": passed,
            "failed": len(report.verdicts) - passed,
            "tests": [verdict.as_json() for verdict in report.verdicts],
            "problems": [problem.as_json() for problem in report.problems],
        },
        indent=2,
        ensure_ascii=False,
        default=str,
    )


def print_report(report: Report, name: str) -> None:
    """One line a test; what failed with its place and each difference."""
    from engine.report import report as problems_as_text

    if report.problems:
        print(problems_as_text(report.problems, "text").rstrip("\n"), file=sys.stderr)
    for verdict in report.verdicts:
        print(shown(verdict))
    passed = sum(verdict.passed for verdict in report.verdicts)
    if report.verdicts:
        print(f"\n{passed} passed, {len(report.verdicts) - passed} failed")
    elif not report.problems:
        print(f"no test has {name!r} in its name" if name else "no tests: write some under `tests:`", file=sys.stderr)


def shown(verdict: Verdict) -> str:
    """A verdict as lines for people."""
    head = f"{'ok  ' if verdict.passed else 'FAIL'}  {verdict.name}"
    if verdict.passed:
        return head
    lines = [f"{head}  ({at(verdict.place)})"]
    for problem in verdict.problems:
        cure = f"; {problem.help}" if problem.help else ""
        lines.append(f"      {at(problem.span)}: {problem.message}{cure}")
    lines += [f"      {at(failure.place)}: {failure}" for failure in verdict.failures]
    return "\n".join(lines)


def at(place: Span) -> str:
    """`rules.yaml:12`."""
    line, _ = place.source.position(place.start)
    return f"{place.source.name}:{line}"
