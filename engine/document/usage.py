"""Tokens in common words, `prompt_tokens completion_tokens total_tokens`, from whatever words an API uses.

What they are billed as is told beside them: cached, reasoning, audio. Must not know where in an answer they stand, nor
what they cost.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    from engine.document.exchange import Exchange

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
_RARE = (  # in the usage (0), of the prompt (1), of what was said (2): a name, and what it is
    (1, "cache_write_tokens", "cache_write_tokens"),
    (1, "cache_creation_tokens", "cache_write_tokens"),
    (0, "cache_creation_input_tokens", "cache_write_tokens"),
    (1, "audio_tokens", "prompt_audio_tokens"),
    (1, "image_tokens", "prompt_image_tokens"),
    (2, "audio_tokens", "completion_audio_tokens"),
    (2, "image_tokens", "completion_image_tokens"),
)
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
    counts, usual = _usual_counts(told), True
    if counts is None:
        counts, usual = _counts(told), False
    if counts is None:
        return None
    found = {"prompt_tokens": counts[0], "completion_tokens": counts[1], "total_tokens": counts[2]}
    if len(told) > 3 or not usual:
        _add_parts(found, told, counts[3])
    return found


def _usual_counts(told: dict[str, Any]) -> tuple[int, int, int, int] | None:
    """The three counts of most answers, which need no second look; None for all others."""
    prompt, completion, total = told.get("prompt_tokens"), told.get("completion_tokens"), told.get("total_tokens")
    if type(prompt) is int and type(completion) is int and prompt >= 0 <= completion and total == prompt + completion:
        return prompt, completion, prompt + completion, 0
    return None


def _counts(told: dict[str, Any]) -> tuple[int, int, int, int] | None:
    """Prompt, completion and total as far as they are told, and thoughts that the total alone has.

    What is left out is the rest of the total for the prompt, none for the completion.
    """
    prompt = _number(told, "prompt_tokens", "input_tokens")
    completion = _number(told, "completion_tokens", "output_tokens")
    total = _number(told, "total_tokens")
    if prompt is None and completion is None and total is None:
        return None
    beside = _number(told, "cache_read_input_tokens"), _number(told, "cache_creation_input_tokens")
    if "prompt_tokens" not in told and beside != (None, None):
        prompt, total = (prompt or 0) + (beside[0] or 0) + (beside[1] or 0), None
    said = completion or 0
    if prompt is None:
        prompt = max(0, (total or 0) - said)
    surplus = 0 if total is None or completion is None else max(0, total - prompt - said)
    said += surplus
    return prompt, said, prompt + said if total is None else total, surplus


def _add_parts(found: dict[str, int], told: dict[str, Any], surplus: int) -> None:
    asked, said = _details(told, _ASKED), _details(told, _SAID)
    cached = _number(asked, "cached_tokens", "cache_read_input_tokens")
    if cached is None:
        cached = _number(told, "cache_read_input_tokens", "cached_tokens", "prompt_cache_hit_tokens")
    if cached is not None:
        found["cached_tokens"] = min(cached, found["prompt_tokens"])
    thought = _number(said, "reasoning_tokens", "thinking_tokens")
    if thought is None:
        thought = _number(told, "reasoning_tokens")
    if thought is not None or surplus:
        found["reasoning_tokens"] = min(thought or surplus, found["completion_tokens"])
    _add_rare(found, (told, asked, said))


def _add_rare(found: dict[str, int], places: tuple[dict[str, Any], dict[str, Any], dict[str, Any]]) -> None:
    """What most answers have none of is there only where it is more than none."""
    for place, name, part in _RARE:
        if places[place].get(name) and part not in found:
            number = _number(places[place], name)
            if number:
                found[part] = min(number, found.get(PARTS[part], found["prompt_tokens"]))
    told = places[0]
    if "cache_creation" in told and (number := _number(_inner(told, "cache_creation"), "ephemeral_1h_input_tokens")):
        found["cache_write_1h_tokens"] = min(number, found.get("cache_write_tokens", found["prompt_tokens"]))
    if "server_tool_use" in told and (number := _number(_inner(told, "server_tool_use"), "web_search_requests")):
        found["web_searches"] = number


def _number(told: dict[str, Any], *names: str) -> int | None:
    for name in names:
        value = told.get(name)
        if type(value) is int and value >= 0:
            return value
    return None


def _details(told: dict[str, Any], places: tuple[str, ...]) -> dict[str, Any]:
    for place in places:
        inner = told.get(place)
        if inner and isinstance(inner, dict):
            return inner
    return {}


def _inner(told: dict[str, Any], place: str) -> dict[str, Any]:
    inner = told.get(place)
    return inner if isinstance(inner, dict) else {}


class Pricing(Protocol):
    """Who knows what an exchange cost: `program.prices`."""

    def total(self, exchange: Exchange, usage: dict[str, Any], /) -> float | None:
        """US dollars; None when a price is not known."""

    def cost(self, exchange: Exchange, usage: dict[str, Any], /) -> Cost | None:
        """The same, and its parts."""
