"""Tokens in the words of an API, from those of the other. Anthropic counts the cache beside the input, OpenAI within.

The translator mixes the two up, and an exchange would be charged wrongly. Must not know streams.
"""

from __future__ import annotations

from typing import Any

from engine.document.usage import usage_of


def chat_usage(told: Any) -> dict[str, Any]:
    """As chat completions tell it."""
    counts = usage_of(told) or dict.fromkeys(("prompt_tokens", "completion_tokens", "total_tokens"), 0)
    usage = {name: counts[name] for name in ("prompt_tokens", "completion_tokens", "total_tokens")}
    asked = {name: counts[name] for name in ("cached_tokens", "cache_write_tokens") if name in counts}
    if asked:
        usage["prompt_tokens_details"] = asked
    if "reasoning_tokens" in counts:
        usage["completion_tokens_details"] = {"reasoning_tokens": counts["reasoning_tokens"]}
    return usage


def messages_usage(told: Any) -> dict[str, Any]:
    """As the messages API tells it."""
    counts = usage_of(told) or {}
    read, made = counts.get("cached_tokens", 0), counts.get("cache_write_tokens", 0)
    return {
        "input_tokens": max(0, counts.get("prompt_tokens", 0) - read - made),
        "cache_creation_input_tokens": made,
        "cache_read_input_tokens": read,
        "output_tokens": counts.get("completion_tokens", 0),
    }
