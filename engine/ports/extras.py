"""Packages that only some rules need. Must not know what they are needed for."""

from __future__ import annotations

from importlib.util import find_spec

from engine.catalogue import Scope
from engine.errors import Severity
from engine.source import Span


def check_installed(
    scope: Scope, place: Span, what: str, package: str, extra: str, severity: Severity = "warning"
) -> bool:
    """Whether the package is there that `what` needs, and a problem where it is not.

    A warning where rules are checked and tested without it, in which case `serve` refuses.
    """
    if find_spec(package.replace("-", "_")) is not None:
        return True
    scope.problem(
        "missing-package",
        f"{what} needs the package `{package}`, which is not installed",
        place,
        help=f"run `pip install 'pointsman[{extra}]'` in the environment of pointsman",
        severity=severity,
    )
    return False
