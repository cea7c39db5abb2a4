"""`pointsman scaffold action NAME`: a new action as one file, and what to do next."""

from __future__ import annotations

import argparse
import sys

from engine.tools.command import FAILED, FINE, WrongUse

SUMMARY = "write the file of a new action and say what to do next"


def arguments(parser: argparse.ArgumentParser) -> None:
    """What kind, and its name."""
    parser.add_argument("kind", choices=("action",), metavar="KIND", help="what to write: action")
    parser.add_argument("name", metavar="NAME", help="its name in rules files: lower case, words joined with `_`")


def run(given: argparse.Namespace) -> int:
    """Write the file, unless there is such an action already."""
    from engine.tools.scaffold import NAME, NEXT, action_place, action_text
    from engine.tools.vocabulary import things

    if not NAME.match(given.name):
        raise WrongUse(f"`{given.name}` is no name for an action; write it like `add_footer`")
    place = action_place(given.name)
    if given.name in things("action") or place.exists():
        raise WrongUse(f"there is an action `{given.name}` already; see: pointsman schema action {given.name}")
    try:
        place.write_text(action_text(given.name), encoding="utf-8")
    except OSError as error:
        print(f"pointsman: cannot write {place}: {error.strerror}", file=sys.stderr)
        return FAILED
    print(NEXT.format(path=place), end="")
    return FINE
