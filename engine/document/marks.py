"""Marks that stand in a request for what was taken out, and how it is put back. Must not know who takes it out."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import count


class Marks:
    """The marks of one exchange and what they stand for."""

    def __init__(self) -> None:
        self._values: dict[str, str] = {}
        self._marks: dict[tuple[str, str], str] = {}

    def copy(self) -> Marks:
        """The marks as they are now."""
        same = Marks()
        same._values, same._marks = dict(self._values), dict(self._marks)
        return same

    def mark(self, base: str, value: str, standing: str) -> str:
        """The mark for a value: `base`, or `base` numbered; never one that stands in `standing` already."""
        known = self._marks.get((base, value))
        if known is None:
            known = next(mark for mark in numbered(base) if mark not in self._values and mark not in standing)
            self._marks[base, value] = known
            self._values[known] = value
        return known

    def free(self, base: str) -> str:
        """A mark like `base` that stands for nothing."""
        return next(mark for mark in numbered(base) if mark not in self._values)

    @property
    def values(self) -> dict[str, str]:
        """What each mark stands for."""
        return dict(self._values)

    def restore(self, text: str) -> str:
        """The text with the values in place of their marks."""
        longest_first = sorted(self._values, key=len, reverse=True)
        return re.sub("|".join(map(re.escape, longest_first)), lambda match: self._values[match[0]], text)


def numbered(base: str) -> Iterator[str]:
    """`[MAIL]`, `[MAIL_2]`, `[MAIL_3]`, …: the number follows the last letter or digit."""
    yield base
    at = next((at for at in range(len(base), 0, -1) if base[at - 1].isalnum()), len(base))
    for number in count(2):
        yield f"{base[:at]}_{number}{base[at:]}"
