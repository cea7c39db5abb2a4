"""`pointsman reference`: the reference page, for whoever changes this project."""

from __future__ import annotations

import argparse

SUMMARY = "print docs/reference.md as the source generates it"
HIDDEN = True


def arguments(parser: argparse.ArgumentParser) -> None:
    """Print, or write."""
    parser.add_argument("--write", action="store_true", help="write docs/reference.md")


def run(given: argparse.Namespace) -> int:
    """The page on stdout, or in its file."""
    from engine.tools.reference import PLACE, reference

    text = reference()
    if not given.write:
        print(text, end="")
        return 0
    PLACE.parent.mkdir(exist_ok=True)
    PLACE.write_text(text, encoding="utf-8")
    print(f"written: {PLACE}")
    return 0
