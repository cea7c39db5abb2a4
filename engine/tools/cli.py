"""The `pointsman` command: finds the commands of this folder and hands over to one of them.

A command is a file `command_<name>.py`; nothing else lists it. Must not import what a single command needs: `validate`
runs as a commit hook, and every import here is paid by it.
"""

from __future__ import annotations

import argparse
import importlib
import os
import pkgutil
import sys
from collections.abc import Sequence
from typing import NoReturn, cast

import engine.tools
from engine.errors import did_you_mean
from engine.tools.command import FINE, WRONG_USE, Command, WrongUse

DESCRIPTION = "A gateway for language-model APIs whose rules are YAML."
PREFIX = "command_"


class Parser(argparse.ArgumentParser):
    """argparse, with the nearest known command named when one is misspelt."""

    def error(self, message: str) -> NoReturn:
        raise WrongUse(f"{message}\n{self.format_usage().rstrip()}")


def commands() -> dict[str, Command]:
    """Every command by name, in alphabetical order."""
    found = {}
    for module in pkgutil.iter_modules(engine.tools.__path__):
        if module.name.startswith(PREFIX):
            name = module.name.removeprefix(PREFIX).replace("_", "-")
            found[name] = cast(Command, importlib.import_module(f"engine.tools.{module.name}"))
    return dict(sorted(found.items()))


class _Version(argparse.Action):
    """`--version`."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> NoReturn:
        print(f"pointsman {engine.__version__}")
        parser.exit(FINE)


def command_line(known: dict[str, Command]) -> Parser:
    """The parser of the whole command line."""
    parser = Parser(prog="pointsman", description=DESCRIPTION)
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version and exit")
    listed = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, command in known.items():
        if getattr(command, "HIDDEN", False):
            each = listed.add_parser(name, description=command.SUMMARY)
        else:
            each = listed.add_parser(name, description=command.SUMMARY, help=command.SUMMARY)
        each.set_defaults(run=command.run)
        command.arguments(each)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    known = commands()
    try:
        _known_command(arguments, known)
        return _run(command_line(known), arguments)
    except WrongUse as error:
        print(f"pointsman: {error}", file=sys.stderr)
        return WRONG_USE
    except SystemExit as leaving:  # `--help` and `--version`
        return leaving.code if isinstance(leaving.code, int) else FINE
    except BrokenPipeError:  # the reader of our output left, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FINE
    except KeyboardInterrupt:
        return 130


def _run(parser: Parser, arguments: list[str]) -> int:
    given, rest = parser.parse_known_args(arguments)
    words = [word for word in rest if not word.startswith("-")]
    if len(words) < len(rest) or (words and not hasattr(given, "more")):
        raise WrongUse(f"unknown arguments: {' '.join(rest)}\nsee: pointsman {given.command} --help")
    if words:  # argparse gives up on positional arguments that stand behind an option
        setattr(given, given.more, [*getattr(given, given.more), *words])
    return int(given.run(given))


def _known_command(arguments: list[str], known: dict[str, Command]) -> None:
    word = next(iter(arguments), None)
    if word is None:
        raise WrongUse(f"say what to do: {', '.join(_visible(known))}\nusage: pointsman COMMAND …, or pointsman --help")
    if not word.startswith("-") and word not in known:
        raise WrongUse(f"unknown command `{word}`; {did_you_mean(word, _visible(known))}")


def _visible(known: dict[str, Command]) -> list[str]:
    return [name for name, command in known.items() if not getattr(command, "HIDDEN", False)]


if __name__ == "__main__":
    sys.exit(main())
