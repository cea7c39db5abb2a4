"""Tokens in the common words `prompt_tokens completion_tokens total_tokens`, from whatever words an API uses.

Must not know where in an answer they stand.
"""

from __future__ import annotations

from typing import Any


def usage_of(told: Any) -> dict[str, Any] | None:
    """An API's usage object in common words, `cached_tokens` and `reasoning_tokens` where told; else None.

    Anthropic counts what it wrote to and read from the prompt cache beside `input_tokens`; here the prompt is all.
    """
    if not isinstance(told, dict):
        return None
    prompt = _number(told, "prompt_tokens", "input_tokens")
    completion = _number(told, "completion_tokens", "output_tokens")
    total = _number(told, "total_tokens")
    if prompt is None and completion is None and total is None:
        return None
    cached = _detail(told, ("prompt_tokens_details", "input_tokens_details", "input_token_details"), "cached_tokens")
    read, made = _number(told, "cache_read_input_tokens"), _number(told, "cache_creation_input_tokens")
    if "prompt_tokens" not in told and (read is not None or made is not None):
        prompt = (prompt or 0) + (read or 0) + (made or 0)
        cached = read if cached is None else cached
        total = None
    reasoning = _detail(told, ("completion_tokens_details", "output_tokens_details"), "reasoning_tokens")
    prompt, completion = _completed(prompt, completion, total)
    found = {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion if total is None else total,
    }
    if cached is not None:
        found["cached_tokens"] = cached
    if reasoning is not None:
        found["reasoning_tokens"] = reasoning
    return found


def _completed(prompt: int | None, completion: int | None, total: int | None) -> tuple[int, int]:
    """What was left out: the rest of the total for the prompt, none for the completion."""
    completion_or_none = completion or 0
    if prompt is None:
        return max(0, (total or 0) - completion_or_none), completion_or_none
    return prompt, completion_or_none


def _number(told: dict[str, Any], *names: str) -> int | None:
    for name in names:
        value = told.get(name)
        if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
            return value
    return None


def _detail(told: dict[str, Any], places: tuple[str, ...], name: str) -> int | None:
    for place in places:
        inner = told.get(place)
        if isinstance(inner, dict) and (found := _number(inner, name)) is not None:
            return found
    return None
