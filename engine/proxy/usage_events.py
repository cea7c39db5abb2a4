"""Events of streams as far as they tell something beside their text. Must not know streams."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

Usage = dict[str, Any] | None | UnsetType


class Told(Struct):
    """Who answered, and what it took."""

    usage: Any = None
    model: Any = None
    service_tier: Any = None


class TellingEvent(Struct):
    """What an event says beside its text; in `message` and `response` two dialects say it."""

    type: Any = None
    usage: Usage = UNSET
    model: Any = None
    service_tier: Any = None
    choices: tuple[Raw, ...] | UnsetType | None = UNSET
    prompt_filter_results: Raw | UnsetType = UNSET
    message: Raw | UnsetType = UNSET
    response: Raw | UnsetType = UNSET


decode_event = msgspec.json.Decoder(TellingEvent).decode
decode_told = msgspec.json.Decoder(Told).decode
