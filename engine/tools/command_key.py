"""`pointsman key new NAME`: a key for a caller, printed once, and the line for the rules file."""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import secrets

from engine.tools.command import FINE, WrongUse

SUMMARY = "make a key for a caller: it is printed once, the rules file keeps its hash"
PREFIX = "pm-"
_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9._-]*\Z")
_WORDS = frozenset({"true", "false", "null"})


def arguments(parser: argparse.ArgumentParser) -> None:
    """For whom, and what the entry says beside the hash."""
    parser.add_argument("what", choices=("new",), metavar="new", help="make a key")
    parser.add_argument("name", metavar="NAME", help="name of the caller in records and rules")
    parser.add_argument("--team", help="team of the caller")
    parser.add_argument("--models", metavar="MODEL,…", help="models the key may use, globs allowed; default all")
    parser.add_argument("--expires", metavar="DAY", type=_day, help="last day the key is good: 2026-12-31")
    parser.add_argument("--json", action="store_true", help="print a JSON object: `key` and `entry`")


def run(given: argparse.Namespace) -> int:
    """Print the key and the entry; nothing is written anywhere."""
    if not given.name.strip():
        raise WrongUse("a key needs a name: pointsman key new NAME")
    key = PREFIX + secrets.token_urlsafe(32)
    entry = {"name": given.name, "sha256": hashlib.sha256(key.encode()).hexdigest()}
    if given.team:
        entry["team"] = given.team
    if given.models:
        entry["models"] = [model.strip() for model in given.models.split(",") if model.strip()]
    if given.expires:
        entry["expires"] = given.expires
    if given.json:
        print(json.dumps({"key": key, "entry": entry}))
        return FINE
    line = ", ".join(f"{name}: {_written(value)}" for name, value in entry.items())
    print(f"{key}\n\nThis is shown once. Add to the rules file:\n\nkeys:\n  - {{{line}}}")
    return FINE


def _written(value: str | list[str]) -> str:
    """A value as it stands in a flow mapping of YAML."""
    if isinstance(value, list):
        return "[" + ", ".join(map(_written, value)) + "]"
    plain = _PLAIN.match(value) and value not in _WORDS
    return value if plain or re.fullmatch(r"\d{4}-\d\d-\d\d", value) else json.dumps(value, ensure_ascii=False)


def _day(text: str) -> str:
    import datetime

    try:
        return datetime.date.fromisoformat(text).isoformat()
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text} is no day; write it like 2026-12-31") from None
