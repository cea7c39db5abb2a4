"""How much of a limit a request claims before it is answered, and how much it used. Must not know stores."""

from __future__ import annotations

from engine.actions.limit_output import SPELLINGS
from engine.document.exchange import Exchange
from engine.language.functions_added import ApproxTokens
from engine.ports.limits import Limit, windows
from engine.ports.stores import Claim, Rate, Slots, Spend
from engine.proxy.itinerary import first_target
from engine.proxy.kept import said_tokens
from engine.rules.models import Upstream


def claim_of(limit: Limit, key: str, x: Exchange) -> Claim | None:
    """What to ask of a store; None for dollars where the model has no price."""
    if limit.unit == "requests":
        return Rate(key, limit.most, limit.period, 1.0, limit.shadow)  # type: ignore[arg-type]
    if limit.unit == "tokens":
        expected = max(1.0, prompt_tokens(x) + longest_answer(x))
        return Rate(key, limit.most, limit.period, expected, limit.shadow)  # type: ignore[arg-type]
    if limit.unit == "concurrent":
        return Slots(key, int(limit.most), limit.shadow)
    cost = priced(x, prompt_tokens(x), longest_answer(x))
    if cost is None:
        return None
    return Spend(key, limit.most, windows(str(limit.period), x.clock.now()), cost, limit.shadow)


def used(limit: Limit, x: Exchange) -> float:
    """Tokens or dollars that an exchange which is over has used.

    What upstream told, else an estimate of what passed; nothing where upstream was not asked or answered an error.
    """
    if limit.unit == "concurrent" or x.cache_hit or x.answered is None:
        return 0.0
    if x.response is not None and x.response["status"] >= 400:
        return 0.0
    usage = x.usage
    if limit.unit == "tokens":
        return float(usage["total_tokens"]) if usage is not None else prompt_tokens(x) + said_tokens(x)
    if x.cost is not None:
        return x.cost
    return priced(x, prompt_tokens(x), said_tokens(x)) or 0.0


def prompt_tokens(x: Exchange) -> float:
    """About how many tokens the model reads."""
    return float(ApproxTokens.call(x.prompt_text))


def longest_answer(x: Exchange) -> float:
    """The most tokens that the request lets the model write; none where it does not say."""
    body = x.request or {}
    limits = [body[name] for name in SPELLINGS if type(body.get(name)) is int and body[name] > 0]
    if not limits:
        return 0.0
    choices = body.get("n")
    return float(min(limits) * (choices if type(choices) is int and choices > 0 else 1))


def priced(x: Exchange, prompt: float, completion: float) -> float | None:
    """What so many tokens of the exchange's model cost; None without a price."""
    models, upstream = asked_of(x)
    return x.program.prices.estimate(models, prompt, completion, upstream, x.clock)  # type: ignore[no-any-return]


async def fetch_prices(x: Exchange) -> None:
    """Fetch, off the event loop, what `priced` would have to fetch on it."""
    if any(limit.unit == "usd" for limit, _ in x.limits or ()):
        await x.program.prices.expect(*asked_of(x), x.clock)


def asked_of(x: Exchange) -> tuple[list[str], Upstream | None]:
    """The model asked for and the one named upstream, and that upstream: the one that was asked, or will be first."""
    asked = (x.request or {}).get("model")
    if x.upstream is not None:
        named, upstream = x.upstream["model"], x.program.upstreams.get(x.upstream["name"])
    else:
        target = first_target(x) if x.request is not None else x.program.models.first
        named, upstream = target.model or asked, target.upstream
    return [name for name in (asked, named) if isinstance(name, str)], upstream
