"""`pointsman schema`: the JSON Schema of a rules file, or everything about one name of the language."""

from __future__ import annotations

import argparse
from pathlib import Path

from engine.errors import did_you_mean
from engine.tools.command import FINE, WrongUse
from engine.tools.command_validate import FORMS

SUMMARY = "print the JSON Schema of a rules file, or doc, options and an example of one thing"
PLACE = Path("schema/rules.schema.json")


def arguments(parser: argparse.ArgumentParser) -> None:
    """A kind and a name; without them the whole schema."""
    parser.set_defaults(more="words")
    parser.add_argument(
        "words",
        nargs="*",
        metavar="KIND NAME",
        help="action, operator, function, pattern, phase, section or sink, and a name, else all names "
        "are listed; the name of a section alone; `validate` and files",
    )
    parser.add_argument("--json", action="store_true", help="JSON instead of text for people")
    parser.add_argument("--write", action="store_true", help=f"write the whole schema to {PLACE}")
    parser.add_argument("--format", choices=FORMS, help="for `schema validate`")


def run(given: argparse.Namespace) -> int:
    """Print the whole schema, a list of names, or one page."""
    given.what, *given.names = given.words or [None]
    if given.what == "validate":
        return _validate(given)
    if given.format:
        raise WrongUse("--format belongs to `pointsman schema validate FILE`")
    if given.write:
        return _write(given)
    print(_answer(given.what, given.names, json=given.json).rstrip("\n"))
    return FINE


def _validate(given: argparse.Namespace) -> int:
    from engine.tools.command_validate import check

    if not given.names:
        raise WrongUse("say which files: pointsman schema validate FILE…")
    return check(given.names, given.format or ("json" if given.json else "text"))


def _write(given: argparse.Namespace) -> int:
    from engine.tools.editor_schema import as_text, whole

    if given.what:
        raise WrongUse("--write writes the whole schema; leave the name away")
    PLACE.parent.mkdir(exist_ok=True)
    PLACE.write_text(as_text(whole()), encoding="utf-8")
    print(f"written: {PLACE}")
    return FINE


def _answer(what: str | None, names: list[str], *, json: bool) -> str:
    from engine.tools.describe import listing, page
    from engine.tools.editor_schema import as_text, one, whole
    from engine.tools.vocabulary import KINDS, things

    if what is None:
        return as_text(whole())
    if what not in KINDS:
        sections = things("section")
        if what not in sections:
            raise WrongUse(f"no kind or section `{what}`; {did_you_mean(what, [*KINDS, *sections])}")
        what, names = "section", [what, *names]
    known = things(what)
    unknown = [name for name in names if name not in known]
    if unknown:
        raise WrongUse(f"no {what} `{unknown[0]}`; {did_you_mean(unknown[0], known)}")
    if not names:
        return listing(known, as_json=json)
    chosen = [known[name] for name in names]
    return "\n".join(as_text(one(thing)) if json else page(thing) for thing in chosen)
