"""What rules did to an exchange, as events of its span: verdict and action, told apart as the drafts for guardrails do.

Must not know how a span is written.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from engine.ports import genai_names as names


class Event(NamedTuple):
    """Something that happened within a span."""

    name: str
    at: int
    attributes: dict[str, Any]


def events_of(record: dict[str, Any], start: int, end: int) -> list[Event]:
    """What the rules did, in order; rules of the log phase only record it."""
    outcomes = [outcome for outcome in record.get("outcomes") or () if outcome["phase"] != "log"]
    decided = record.get("decided_by")
    deciding = [
        n for n, told in enumerate(outcomes) if told["rule"] == decided and told["result"] in ("acted", "error")
    ]
    changed = frozenset(record.get("changed_by") or ())
    version = record.get("rules_version")
    return [
        _event(outcome, version, start, end, *_verdict(outcome, changed, decides=[n] == deciding[-1:]))
        for n, outcome in enumerate(outcomes)
    ]


def _verdict(outcome: dict[str, Any], changed: frozenset[str], *, decides: bool) -> tuple[str | None, str]:
    """What a rule found, and what was done about it: a rule that only observes may warn, and nothing is done."""
    if outcome["result"] == "error":
        return None, "block" if decides else "allow"
    if decides and outcome["phase"] != "failure":
        return "deny", "block"
    if decides or (outcome["result"] == "acted" and outcome["rule"] in changed):
        return "modify", "modify"
    return ("warn" if outcome["result"] == "would" else "allow"), "allow"


def _event(
    outcome: dict[str, Any], version: str | None, start: int, end: int, verdict: str | None, action: str
) -> Event:
    phase = outcome["phase"]
    target = names.TARGETS.get(phase, "input")
    told = {
        names.GUARDRAIL_COMPONENT: "pointsman",
        names.GUARDRAIL_POLICY: "rules",
        names.GUARDRAIL_POLICY_VERSION: version,
        names.GUARDRAIL_RULE: outcome["rule"],
        names.GUARDRAIL_SOURCE: phase,
        names.GUARDRAIL_TARGET: target,
        names.GUARDRAIL_RESULT_TYPE: "result",
        names.GUARDRAIL_RESULT: outcome["result"],
        names.GUARDRAIL_REASON: outcome.get("why"),
        names.GUARDRAIL_VERDICT: verdict,
        names.GUARDRAIL_ACTION: action,
        names.ERROR_TYPE: "rule_error" if outcome["result"] == "error" else None,
    }
    return Event(names.GUARDRAIL_EVENT, start if target == "input" else end, told)
