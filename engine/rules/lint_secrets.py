"""Credentials that were written into a rules file. Must not know what they open."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.catalogue import Scope
from engine.language.patterns import group
from engine.source import Source, Span

if TYPE_CHECKING:
    from engine.rules.loaded import Loaded


def lint_secrets(loaded: Loaded, scope: Scope) -> None:
    """Note what looks like a credential, comments included; `tests:` are left out: theirs are made up."""
    for source in loaded.written.sources:
        tests = [node.span for _, node, _ in loaded.written.named("tests") if node.span.source is source]
        for name, span in _found(source):
            if not any(test.start <= span.start < test.end for test in tests):
                scope.problem(
                    "secret-in-file",
                    f"this looks like a credential (`{name}`)",
                    span,
                    help="write `os.environ/NAME` here, set that variable, and replace the credential",
                    severity="warning",
                )


def _found(source: Source) -> list[tuple[str, Span]]:
    return [
        (pattern.name, Span(source, start, end))
        for pattern in group("secret.")
        for start, end in pattern.spans(source.text)
        if "os.environ/" not in source.text[start:end]
    ]
