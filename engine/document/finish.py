"""What an answer's body says of itself, whatever API it came from: its id, its model, why it ended.

Must not know what was said.
"""

from __future__ import annotations

from typing import Any


def finish_of(body: Any) -> dict[str, Any] | None:
    """`id`, `model` and `finish_reasons`, one for each choice, in the API's own words; None where it is no answer."""
    if not isinstance(body, dict):
        return None
    reasons = _reasons(body)
    if reasons is None and "model" not in body:
        return None
    return {"id": body.get("id"), "model": body.get("model"), "finish_reasons": reasons}


def _reasons(body: dict[str, Any]) -> list[Any] | None:
    choices = body.get("choices")
    if isinstance(choices, list):
        return [choice.get("finish_reason") for choice in choices if isinstance(choice, dict)]
    if "stop_reason" in body:
        return [body["stop_reason"]]
    if isinstance(body.get("output"), list):  # of the Responses API, which says why only where something was left out
        details = body.get("incomplete_details")
        return [details.get("reason") if isinstance(details, dict) else body.get("status")]
    return None
