"""`pointsman explain`: what one request meets, rule by rule, condition by condition. Nothing is sent anywhere."""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import sys
from typing import TYPE_CHECKING

from engine.errors import did_you_mean
from engine.tools.command import FAILED, FINE, WRONG_USE, WrongUse

if TYPE_CHECKING:
    from engine.rules.loaded import Loaded
    from engine.tools.explain_run import Asked, Explanation

SUMMARY = "show what each rule makes of a request: conditions, values found, what is written, why not"
AT_ODDS = 3
"""Exit code: the traced run and the served program disagree."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """The rules, the request, and what an upstream answers."""
    parser.add_argument("file", metavar="FILE", help="the rules file")
    parser.add_argument(
        "--request",
        required=True,
        metavar="R.json",
        help="a body, or a request as tests write it: {path, method, headers, query, body, key, "
        "client, raw}; `-` reads it from standard input",
    )
    parser.add_argument(
        "--response",
        metavar="A.json",
        help="what the upstream answers: a body, or an answer as tests write it: {status, headers, "
        "body}, {stream: […]}, {error: timeout}; without it, explain ends where the upstream is "
        "asked",
    )
    parser.add_argument("--key", metavar="NAME", help="the entry of `keys` that is calling, instead of the request's")
    parser.add_argument("--rule", metavar="NAME", help="show only this rule")
    parser.add_argument("--callbacks", action="store_true", help="run the file's callbacks; without it they do nothing")
    parser.add_argument("--json", action="store_true", help="JSON instead of a tree for people")


def run(given: argparse.Namespace) -> int:
    """0 when it could be explained; 1 when the rules have problems; 2 when the request has; 3: see AT_ODDS."""
    from engine.rules.load import load
    from engine.tools.explain_run import explain, rules_of

    loaded = load(given.file)
    if not loaded.fine:
        return _refuse_rules(loaded)
    _known("rule", given.rule, [rule.name_ for rule in rules_of(loaded)])
    _known("key", given.key, [key.name for key in loaded.keys])
    logging.getLogger("pointsman").addHandler(logging.NullHandler())  # what rules do is told, and need not be logged
    asked = _asked(given, loaded)
    if asked is None:
        return WRONG_USE
    told = asyncio.run(explain(asked))
    _print(given, told)
    return AT_ODDS if told.disagreements else FINE


def _asked(given: argparse.Namespace, loaded: Loaded) -> Asked | None:
    """What is to be explained; None after saying what is wrong with the request or the answer."""
    from engine.report import report
    from engine.rules.load import load
    from engine.tools.command_validate import colored
    from engine.tools.explain_request import Unusable, read_answer, read_request
    from engine.tools.explain_run import Asked

    if given.request == given.response == "-":
        raise WrongUse("standard input is the request or the answer, not both")
    try:
        request = read_request(given.request, loaded, given.key)
        answers = read_answer(given.response, loaded) if given.response is not None else None
    except Unusable as wrong:
        text = report(wrong.problems, "text", color=colored(sys.stderr)) if wrong.problems else f"pointsman: {wrong}"
        print(text.rstrip("\n"), file=sys.stderr)
        return None
    return Asked(loaded, request, answers, given.callbacks, (lambda: load(given.file)) if given.callbacks else None)


def _refuse_rules(loaded: Loaded) -> int:
    from engine.report import report
    from engine.tools.command_validate import colored

    print(report(loaded.problems, "text", color=colored(sys.stderr)).rstrip("\n"), file=sys.stderr)
    return FAILED


def _known(sort: str, name: str | None, names: list[str]) -> None:
    if name is not None and name not in names:
        none = "" if names else f"the file has no {sort}s"
        raise WrongUse(f"unknown {sort} `{name}`; {did_you_mean(name, names, none)}")


def _print(given: argparse.Namespace, told: Explanation) -> None:
    from engine.tools.command_validate import colored
    from engine.tools.explain_json import as_json
    from engine.tools.explain_text import as_text

    document = as_json(told, given.rule or "")
    text = json.dumps(document, indent=2) if given.json else as_text(document, color=colored(sys.stdout))
    encoding = sys.stdout.encoding or "utf-8"
    print(text.encode(encoding, "replace").decode(encoding))
