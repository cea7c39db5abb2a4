"""What an exchange notes of the cache: a hit, a miss and why, a rule that failed. Must not know keys or stores."""

from __future__ import annotations

from engine.document.answers import Refusal, Refused
from engine.document.exchange import Exchange
from engine.ports.caching import Caching
from engine.proxy.cache_entry import Entry
from engine.runtime.seldom import rule_failed

MISS = (("x-pointsman-cache", "miss"),)


def came_to(x: Exchange, result: str, why: str) -> None:
    """What came of the rule, in place of what was noted when it declared the cache."""
    caching: Caching = x.caching
    for at, (rule, phase, _, _, took) in enumerate(x.outcomes):
        if rule == caching.rule and phase == "request":
            x.outcomes[at] = (rule, phase, result, why, took)


def not_kept(x: Exchange, why: str) -> None:
    """An answer that came fresh and stays so."""
    came_to(x, "acted", f"miss, not kept: {why}")


def hit(x: Exchange, entry: Entry, *, waited: bool) -> None:
    """No upstream answers: none was asked, none was waited for unless by another, and none is owed anything."""
    age = int(age_of(x, entry))
    x.cache_hit = True
    x.attempts -= 1
    x.when_called = None
    if not waited:
        x.called = None
    x.cache_headers = (("x-pointsman-cache", "hit"), ("age", str(age)))
    came_to(x, "acted", f"hit, {age} s old")


def age_of(x: Exchange, entry: Entry) -> float:
    """Seconds since an answer came; a clock that was put back makes none younger than now."""
    return max(0.0, x.clock.now().timestamp() - entry.at)


def calling(x: Exchange) -> None:
    """An upstream is asked indeed: what waited for that begins."""
    waiting, x.when_called = x.when_called or (), None
    for begin in waiting:
        begin()


def failed(x: Exchange, why: str) -> None:
    """An error of the rule: Refused, unless it says `on_error: skip`."""
    rule = x.caching.rule
    rule_failed(rule, "request", why)
    came_to(x, "error", why)
    plan = x.program.plans.get(("request", x.call_type or ""))
    if any(step.rule == rule and step.skip_errors for step in (plan.steps if plan is not None else ())):
        return
    refusal = Refusal(500, f"rule {rule} failed", type="rule_error", code="rule_failed", source="rule_error", rule=rule)
    raise Refused(refusal)
