"""The common chunk of a chat or text completion: one choice, one piece of one text, nothing else that is text.

Anything else is left to the thorough way (`stream_slots`). Must not know rules.
"""

from __future__ import annotations

import msgspec
from msgspec import UNSET, UnsetType


class _Delta(msgspec.Struct, forbid_unknown_fields=True):
    content: str | None = None
    reasoning_content: str | None = None
    role: str | None = None
    refusal: None = None
    tool_calls: None = None
    function_call: None = None


class _Choice(msgspec.Struct):
    index: int = 0
    delta: _Delta | UnsetType = UNSET
    text: str | UnsetType = UNSET
    finish_reason: None = None
    logprobs: None = None
    message: None = None


class _Chunk(msgspec.Struct):
    choices: tuple[_Choice]
    error: None = None


_decode = msgspec.json.Decoder(_Chunk).decode


def quick_chunk(data: str) -> tuple[int, str, str] | None:
    """The choice, the name and the text of the only piece in a chunk; None when it has to be looked at thoroughly."""
    try:
        choice = _decode(data).choices[0]
    except (ValueError, RecursionError):
        return None
    delta = choice.delta
    if isinstance(delta, UnsetType):
        return None if isinstance(choice.text, UnsetType) else (choice.index, "text", choice.text)
    if not isinstance(choice.text, UnsetType):
        return None
    if not delta.reasoning_content:
        return choice.index, "content", delta.content or ""
    return None if delta.content else (choice.index, "reasoning_content", delta.reasoning_content)
