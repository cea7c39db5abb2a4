"""Tokens in common words, `prompt_tokens completion_tokens total_tokens`, from whatever words an API uses.

What they are billed as is told beside them: cached, reasoning, audio. Must not know where in an answer they stand, nor
what they cost.
"""

from __future__ import annotations

from typing import Any, NamedTuple

PARTS: dict[str, str] = {  # what is billed apart, and the tokens that it is part of
    "cached_tokens": "prompt_tokens",
    "cache_write_tokens": "prompt_tokens",
    "cache_write_1h_tokens": "cache_write_tokens",
    "prompt_audio_tokens": "prompt_tokens",
    "prompt_image_tokens": "prompt_tokens",
    "reasoning_tokens": "completion_tokens",
    "completion_audio_tokens": "completion_tokens",
    "completion_image_tokens": "completion_tokens",
}
COUNTED = ("prompt_tokens", "completion_tokens", "total_tokens", *PARTS, "web_searches")
"""Every word of a usage; the first three are always there, the others where they were told."""

_ASKED = ("prompt_tokens_details", "input_tokens_details", "input_token_details")
_SAID = ("completion_tokens_details", "output_tokens_details", "output_token_details")


class Cost(NamedTuple):
    """US dollars: all of it, and its parts: what was asked, what was said, and what is not counted in tokens."""

    total: float
    input: float
    output: float
    tools: float = 0.0


def usage_of(told: Any) -> dict[str, Any] | None:
    """An API's usage object in common words; None when it tells no tokens.

    The prompt is all that was asked, cached or not, and the completion all that was said, thoughts included, although
    Anthropic counts the cache beside `input_tokens`, and Gemini and xAI tell thoughts in the total alone.
    """
    if not isinstance(told, dict):
        return None
    prompt = _number(told, "prompt_tokens", "input_tokens")
    completion = _number(told, "completion_tokens", "output_tokens")
    total = _number(told, "total_tokens")
    if prompt is None and completion is None and total is None:
        return None
    asked, said = _details(told, _ASKED), _details(told, _SAID)
    read, written = _number(told, "cache_read_input_tokens"), _number(told, "cache_creation_input_tokens")
    if "prompt_tokens" not in told and (read is not None or written is not None):
        prompt, total = (prompt or 0) + (read or 0) + (written or 0), None
    prompt, completion, surplus = _completed(prompt, completion, total)
    found = {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion if total is None else total,
    }
    cached = _first(_number(asked, "cached_tokens", "cache_read_input_tokens"), read, _cached_beside(told))
    if cached is not None:
        found["cached_tokens"] = min(cached, prompt)
    thought = _first(_number(said, "reasoning_tokens", "thinking_tokens"), _number(told, "reasoning_tokens"))
    if thought is not None or surplus:
        found["reasoning_tokens"] = min(thought or surplus, completion)
    _add_rare(found, told, asked, said, written)
    return found


def _add_rare(
    found: dict[str, Any], told: dict[str, Any], asked: dict[str, Any], said: dict[str, Any], written: int | None
) -> None:
    """What most answers have none of is there only where it is more than none."""
    kept_long = _number(_inner(told, "cache_creation"), "ephemeral_1h_input_tokens")
    for name, number in (
        ("cache_write_tokens", _first(_number(asked, "cache_write_tokens", "cache_creation_tokens"), written)),
        ("cache_write_1h_tokens", kept_long),
        ("prompt_audio_tokens", _number(asked, "audio_tokens")),
        ("prompt_image_tokens", _number(asked, "image_tokens")),
        ("completion_audio_tokens", _number(said, "audio_tokens")),
        ("completion_image_tokens", _number(said, "image_tokens")),
    ):
        if number:
            found[name] = min(number, found.get(PARTS[name], found["prompt_tokens"]))
    searches = _number(_inner(told, "server_tool_use"), "web_search_requests")
    if searches:
        found["web_searches"] = searches


def _completed(prompt: int | None, completion: int | None, total: int | None) -> tuple[int, int, int]:
    """What was left out: the rest of the total for the prompt, none for the completion.

    A total beyond both holds thoughts that were not counted as said; they are given as well.
    """
    said = completion or 0
    if prompt is None:
        return max(0, (total or 0) - said), said, 0
    surplus = 0 if total is None or completion is None else max(0, total - prompt - said)
    return prompt, said + surplus, surplus


def _cached_beside(told: dict[str, Any]) -> int | None:
    """As Moonshot and DeepSeek tell it."""
    return _number(told, "cached_tokens", "prompt_cache_hit_tokens")


def _first(*numbers: int | None) -> int | None:
    return next((number for number in numbers if number is not None), None)


def _number(told: dict[str, Any], *names: str) -> int | None:
    for name in names:
        value = told.get(name)
        if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
            return value
    return None


def _details(told: dict[str, Any], places: tuple[str, ...]) -> dict[str, Any]:
    return next((inner for place in places if (inner := _inner(told, place))), {})


def _inner(told: dict[str, Any], place: str) -> dict[str, Any]:
    inner = told.get(place)
    return inner if isinstance(inner, dict) else {}
