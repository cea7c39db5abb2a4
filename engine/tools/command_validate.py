"""`pointsman validate`: all problems of all files at once. Must not import an HTTP library."""

from __future__ import annotations

import argparse
import os
import sys
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from engine.rules.loaded import Loaded

FORMS = ("text", "json", "github", "sarif")
SUMMARY = "check rules files and print every problem with its place and a cure"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Files and the form of the report."""
    parser.set_defaults(more="files")
    parser.add_argument("files", nargs="+", metavar="FILE", help="a rules file; what it includes is checked with it")
    parser.add_argument("--format", choices=FORMS, default="text", help="form of the report (default: text)")
    parser.add_argument("--json", action="store_const", const="json", dest="format", help="the same as --format json")


def run(given: argparse.Namespace) -> int:
    """0 when the files can be served, 1 when they have problems; warnings and notes are shown and do not fail."""
    return check(given.files, given.format)


def check(files: list[str], form: str) -> int:
    """Load each file, print one report over all of them."""
    from engine.report import report
    from engine.rules.load import load
    from engine.tools.cases_check import read_tests

    loaded = {path: load(path) for path in files}
    found = {
        path: [*each.problems, *(problem for test in read_tests(each) for problem in test.problems)]
        for path, each in loaded.items()
    }
    distinct = {(*problem.sort_key(), problem.message): problem for each in found.values() for problem in each}
    problems = [problem for _, problem in sorted(distinct.items())]
    text = report(problems, form, color=colored(sys.stdout))
    if text:
        print(text.rstrip("\n"))
    if form == "text":
        for path, each in loaded.items():
            if not found[path]:
                print(f"{path}: {contents(each)}, no problems")
    return 1 if any(problem.severity == "error" for problem in problems) else 0


def colored(stream: TextIO) -> bool:
    """Whether a stream wants colours: a terminal does, NO_COLOR forbids, FORCE_COLOR demands."""
    if os.environ.get("NO_COLOR"):
        return False
    return bool(os.environ.get("FORCE_COLOR")) or (stream.isatty() and os.environ.get("TERM") != "dumb")


def contents(loaded: Loaded) -> str:
    """What a file has, in words: `12 rules, 3 prompts`."""
    sorts = {"rule": len(loaded.rules), "prompt": len(loaded.tables["prompt"]), "test": len(loaded.tests)}
    return ", ".join(counted(number, word) for word, number in sorts.items() if number or word == "rule")


def counted(number: int, word: str) -> str:
    """`1 rule`, `2 rules`."""
    return f"{number} {word}" if number == 1 else f"{number} {word}s"
