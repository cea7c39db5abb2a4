"""The files of a multipart request: what rules see of them, and the bytes that they never touch.

Must not know the wire form.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

_MEMBERS = frozenset({"filename", "content_type", "size"})


@dataclass(frozen=True, slots=True)
class Upload:
    """A file as it came.

    `place` is where it stands in the body, such as `("image", 0)`; `described` the value that stands there:
    `{filename, content_type, size}`.
    """

    place: tuple[str | int, ...]
    described: dict[str, Any]
    content: memoryview


def is_upload(value: Any) -> bool:
    """Whether a value of a body has the shape that describes a file."""
    return isinstance(value, dict) and value.keys() == _MEMBERS


def upload_of(value: dict[str, Any], place: tuple[str | int, ...], uploads: Sequence[Upload]) -> Upload | None:
    """The file that a description means after the rules; None: there never was one.

    A rule may have moved it (the value is still the same), a callback may have copied it (it is equal), or a rule may
    have given it another name or type (it stands where it stood).
    """
    for means in (
        lambda each: each.described is value,
        lambda each: each.place == place and each.described == value,
        lambda each: each.described == value,
        lambda each: each.place == place,
    ):
        found = next(filter(means, uploads), None)
        if found is not None:
            return found
    return None
