"""What records keep of texts under `content: redacted`: no built-in pattern is found in them any more.

Must not know what a record is.
"""

from __future__ import annotations

from functools import cache, lru_cache
from typing import Any

from engine.language.findings import findings, replaced
from engine.language.patterns import Pattern, group
from engine.language.regex import Regex, regex


def redacted(value: Any) -> Any:
    """A JSON value, every text of it without what a built-in pattern finds."""
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, dict):
        return {_name(name): redacted(item) for name, item in value.items()}
    return [redacted(item) for item in value] if isinstance(value, list) else value


def _text(text: str) -> str:
    patterns, any_of_them = _patterns()
    if not any_of_them.search(text):
        return text
    return replaced(text, findings(patterns, text), lambda name, _: f"[{name}]")


_name = lru_cache(maxsize=1024)(_text)  # the keys of an API's objects are always the same


@cache
def _patterns() -> tuple[list[Pattern], Regex]:
    """All of them, and one for most texts: where it is not found, none of them is."""
    patterns = group("")
    return patterns, regex("|".join(f"(?:{pattern.source})" for pattern in patterns))
