"""What a client is told of limits: headers on every answer, and the refusals. Must not know stores."""

from __future__ import annotations

from collections.abc import Iterable
from math import ceil

from engine.document.answers import Refusal
from engine.document.exchange import Exchange
from engine.ports.limits import Limit, Taken
from engine.ports.stores import Standing

_ROUNDING = 1e-6  # of sums of floats that should be whole
_REQUESTS, _TOKENS = (
    (f"x-ratelimit-limit-{unit}", f"x-ratelimit-remaining-{unit}", f"x-ratelimit-reset-{unit}")
    for unit in ("requests", "tokens")
)


def limit_headers(told: Iterable[Taken]) -> tuple[tuple[str, str], ...]:
    """`x-ratelimit-{limit,remaining,reset}-{requests,tokens}` of the limit of each unit that has least left."""
    requests: Taken | None = None
    tokens: Taken | None = None
    for one in told:
        limit = one.limit
        if limit.shadow:
            continue
        if limit.unit == "requests":
            requests = one if requests is None else _tighter(one, requests)
        elif limit.unit == "tokens":
            tokens = one if tokens is None else _tighter(one, tokens)
    pairs = () if requests is None else _pairs(_REQUESTS, requests)
    return pairs if tokens is None else (*pairs, *_pairs(_TOKENS, tokens))


def _tighter(one: Taken, other: Taken) -> Taken:
    return one if one.standing.remaining < other.standing.remaining else other


def _pairs(names: tuple[str, str, str], one: Taken) -> tuple[tuple[str, str], ...]:
    most, left, reset = names
    standing = one.standing
    remaining = str(int(standing.remaining + _ROUNDING))
    return (most, str(int(one.limit.most))), (left, remaining), (reset, duration(standing.reset))


def duration(seconds: float) -> str:
    """A time, rounded up, as OpenAI's headers have it: `0s`, `120ms`, `1s`, `6m0s`, `2h0m0s`."""
    if seconds < 1:
        return f"{ceil(seconds * 1000 - _ROUNDING)}ms" if seconds > 0 else "0s"
    whole = ceil(seconds - _ROUNDING)
    if whole < 60:
        return f"{whole}s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes}m{rest}s"
    return f"{minutes // 60}h{minutes % 60}m{rest}s"


def over_limit(limit: Limit, standing: Standing) -> Refusal:
    """429 with the time until it would fit."""
    milliseconds = max(1, ceil(standing.retry_after * 1000 - _ROUNDING))
    headers = (("retry-after", str(ceil(milliseconds / 1000))), ("retry-after-ms", str(milliseconds)))
    when = duration(milliseconds / 1000)
    if limit.unit == "usd":
        message = f"The budget of {limit.most:g} US dollars for this {limit.period} is spent. It begins anew in {when}."
        return _refusal(limit, message, "budget_exceeded", (*headers, ("x-should-retry", "false")))
    if limit.unit == "concurrent":
        message = f"Rate limit reached: {limit.most:g} requests at once. Try again when one of them is answered."
    else:
        message = f"Rate limit reached: {limit.most:g} {limit.unit} {_per(limit.period)}. Try again in {when}."
    return _refusal(limit, message, "rate_limit_exceeded", headers)


def unpriced(limit: Limit, x: Exchange) -> Refusal:
    """400: what has no price cannot be held to a budget."""
    model = (x.request or {}).get("model")
    message = f"The model {model!r} has no price, and a budget bounds what is spent."
    return Refusal(400, message, code="unpriced_model", param="model", source="rule", rule=limit.rule)


def store_down(limit: Limit) -> Refusal:
    """500: the rule could not be asked for its verdict."""
    message = f"rule {limit.rule} failed"
    return Refusal(500, message, type="rule_error", code="rule_failed", source="rule_error", rule=limit.rule)


def _refusal(limit: Limit, message: str, code: str, headers: tuple[tuple[str, str], ...]) -> Refusal:
    return Refusal(429, message, code=code, headers=headers, source="rule", rule=limit.rule)


_NAMES = {1.0: "per second", 60.0: "per minute", 3600.0: "per hour", 86400.0: "per day"}


def _per(period: float | str) -> str:
    return _NAMES.get(float(period), f"per {float(period):g} seconds")
