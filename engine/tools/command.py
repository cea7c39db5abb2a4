"""What a command is: a file `command_<name>.py` that declares arguments and does one thing. Must not know any."""

from __future__ import annotations

import argparse
from typing import Protocol

FINE, FAILED, WRONG_USE = 0, 1, 2
"""Exit codes: fine; the files have problems or a test failed; the command was used wrongly."""


class Command(Protocol):
    """What the file of a command defines.

    `SUMMARY` is its line in `pointsman --help`; with a true `HIDDEN` it has none.
    """

    SUMMARY: str

    def arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the command's own arguments. The default `more` names the one that further words belong to."""

    def run(self, given: argparse.Namespace) -> int:
        """Do it; the exit code."""


class WrongUse(Exception):
    """The command line cannot be understood; the text says what to write instead. Exit code 2."""
