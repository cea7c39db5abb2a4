"""Header fields as both ends of the wire need them. Must not know what any field means beyond framing."""

from __future__ import annotations

from collections.abc import Sequence

from multidict import CIMultiDict

from engine.ports.wire import Headers

# Each end of the wire frames its own messages: what the other end said about framing must not come through.
FRAMING = frozenset(
    {
        "connection",
        "content-length",
        "expect",
        "keep-alive",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)


def unframed(headers: Headers) -> CIMultiDict[str]:
    """The fields that are passed on, in order; repeated ones are spelt alike, else aiohttp would keep only the last."""
    spelt: dict[str, str] = {}
    return CIMultiDict(
        (spelt.setdefault(low, name), value) for name, value in headers if (low := name.lower()) not in FRAMING
    )


_MOST_NAMES, _LONGEST_NAME = 1000, 64
_names: dict[bytes, str] = {}  # those that came before: they are few, and the same objects are found faster


def readable(raw: Sequence[tuple[bytes, bytes]]) -> list[tuple[str, str]]:
    """Fields as they came, names in lower case; values that are not UTF-8 are read as Latin-1."""
    known = _names.get
    try:
        return [(known(name) or _name(name), value.decode()) for name, value in raw]
    except UnicodeDecodeError:
        return [(_name(name), _text(value)) for name, value in raw]


def _name(raw: bytes) -> str:
    name = raw.decode("latin-1").lower()
    if len(_names) < _MOST_NAMES and len(raw) <= _LONGEST_NAME:  # whoever sends new ones fills no memory
        _names[raw] = name
    return name


def _text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")
