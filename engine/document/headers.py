"""Headers and query parameters as rules see them: one text each, by lower-case names. Must not know exchanges."""

from __future__ import annotations

from collections.abc import Sequence

CREDENTIALS = frozenset({"authorization", "x-api-key", "api-key", "proxy-authorization", "cookie", "x-goog-api-key"})


def by_name(pairs: Sequence[tuple[str, str]]) -> dict[str, str]:
    """Received headers, whose names are in lower case, as a mapping."""
    found = dict(pairs)
    return found if len(found) == len(pairs) else joined(pairs, leave_out=frozenset())


def joined(pairs: Sequence[tuple[str, str]], leave_out: frozenset[str] = CREDENTIALS) -> dict[str, str]:
    """Pairs as a mapping with lower-case names; repeated ones join with `, `."""
    found: dict[str, str] = {}
    for name, value in pairs:
        name = name.lower()
        if name not in leave_out:
            found[name] = f"{found[name]}, {value}" if name in found else value
    return found
