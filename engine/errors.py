"""Everything that can go wrong, as four shapes.

`Problem`       a mistake in a file: collected, sorted, all shown; never raised alone.
`RulesError`    raised once, by `engine.load`, with all problems.
`RuleFailure`   a rule that broke while it ran; answered by its `on_error`.
`UpstreamError` an upstream that could not be reached, was too slow or broke off.

Must not know where problems come from or who prints them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Literal

from engine.source import Span

Severity = Literal["error", "warning", "note"]


@dataclass(frozen=True, slots=True)
class Problem:
    """A mistake in a file: where, what, and what to write instead.

    `code` is a stable slug (`unknown-key`) listed in the reference; `rule` names the rule it stands in. Texts that
    repeat what the author wrote are cut in the middle where they are too long to read.
    """

    code: str
    message: str
    span: Span
    help: str = ""
    severity: Severity = "error"
    rule: str | None = None

    def __post_init__(self) -> None:
        for name, most in (("message", 500), ("help", 2000), ("rule", 200)):
            text = getattr(self, name)
            if text is not None and len(text) > most:
                object.__setattr__(self, name, f"{text[: most // 2]} … {text[-most // 2 :]}")

    def sort_key(self) -> tuple[str, int, int, str]:
        """Problems are shown by file, then place, then code."""
        return (self.span.source.name, self.span.start, self.span.end, self.code)

    def as_json(self) -> dict[str, object]:
        """The shape of `validate --format json`; positions from 1, the end is one past the last character."""
        source = self.span.source
        line, column = source.position(self.span.start)
        end_line, end_column = source.position(max(self.span.end, self.span.start))
        return {
            "file": source.name,
            "line": line,
            "column": column,
            "end_line": end_line,
            "end_column": end_column,
            "severity": self.severity,
            "code": self.code,
            "message": self.message,
            "help": self.help,
            "rule": self.rule,
        }


class RulesError(Exception):
    """The files have problems; `problems` holds all of them, sorted."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = sorted(problems, key=Problem.sort_key)
        errors = [problem for problem in self.problems if problem.severity == "error"]
        super().__init__("; ".join(problem.message for problem in errors[:3]) or "no problems")


class RuleFailure(Exception):
    """A rule broke while it ran. `rule` and `phase` say which; the cause is chained and never shown to a client."""

    def __init__(self, rule: str, phase: str, why: str) -> None:
        super().__init__(f"rule {rule} failed in {phase}: {why}")
        self.rule = rule
        self.phase = phase
        self.why = why


class UpstreamError(Exception):
    """No usable answer came from an upstream.

    `source` is `connection` (could not be reached, or broke off), `timeout`, or `upstream` (its answer is none that can
    be passed on); `message` may be shown to a client.
    """

    def __init__(self, source: Literal["connection", "timeout", "upstream"], message: str) -> None:
        super().__init__(message)
        self.source = source
        self.message = message


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word that is most like a misspelt one; None when none is."""
    names = list(known)
    near = get_close_matches(word, names, n=1, cutoff=0.6) or get_close_matches(word.lower(), names, n=1, cutoff=0.6)
    return near[0] if near else None


def did_you_mean(word: str, known: Iterable[str], otherwise: str = "") -> str:
    """A help line naming the nearest known word, else `otherwise`, else the list of what is known."""
    names = list(known)
    near = nearest(word, names)
    if near is not None:
        return f"did you mean `{near}`?"
    return otherwise or ("known: " + ", ".join(sorted(names)) if names else "")
