"""An explanation as JSON: what `explain --json` prints, and what its text is made from.

The shape, stable from version to version (members may be added):

    {"file", "rules_version",
     "request":  {"method", "path", "call_type", "model", "key"},
     "client":   {"status", "rule", "error", "text", "streamed"}, or null: it depends on the upstream's answer
     "upstream": [{"upstream", "model", "path", "body"}], the calls in their order
     "matched":  [rule], "disagreements": [text],
     "rules":    [{"rule", "file", "line", "phase", "mode", "result", "why", "us", "undone", "unfound",
                   "match", "unless": predicate or null, "enabled": {…} or null,
                   "actions": [{"action", "line", "if": predicate or null, "result", "why", "us", "answer",
                                "changes": [{"path", "before", "after", "was": bool, "is": bool}]}]}]}

A rule stands there once for each of its phases. Its `result` is acted, noop, would, excepted, skipped, error, `did not
match` or `not asked`; an action's is acted, noop, answered, would, error, `not run` or `not asked`. A predicate is
{"text", "holds": true, false or null for not asked, "found" where it tests a value, "error", "parts": [predicate]}.
`was`, `is`: whether there was, or is, anything at the path. Long values are cut and are then text that ends in `…`.
Must not know terminals.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable
from datetime import date
from typing import Any

from engine.actions.base import NOOP
from engine.document.answers import Again, Answer, Assistant, Passed, Refusal
from engine.document.headers import CREDENTIALS
from engine.language.condition import Condition, Finding
from engine.language.functions import percent_of
from engine.options import MISSING
from engine.rules.rule import Rule
from engine.runtime.explain import Asked, Ran, StepTrace
from engine.runtime.explain_changes import Change
from engine.runtime.explain_verdicts import NOT_ASKED, Verdict
from engine.tools.explain_run import Explanation

LONGEST = 2000  # characters of a value as JSON
HIDDEN = "(secret)"
_FROM_ENVIRONMENT = re.compile(r"os\.environ/([A-Za-z_][A-Za-z0-9_]*)")
_SHORTEST_SECRET = 6  # a shorter value is a number or a word, and would be masked all over


def as_json(told: Explanation, rule: str = "") -> dict[str, Any]:
    """The document of this module; with `rule` the verdicts on that one alone."""
    verdicts = [verdict for verdict in told.verdicts if rule in ("", verdict.rule.name_)]
    x = told.exchange
    document = {
        "file": told.loaded.written.sources[0].name,
        "rules_version": told.program.version,
        "request": {
            "method": told.request.method,
            "path": told.request.path,
            "call_type": x.call_type if x else None,
            "model": x.model_requested if x else None,
            "key": x.key["name"] if x and x.key else None,
        },
        "client": None if told.open_end else _client(told),
        "upstream": [
            {"upstream": sent.upstream, "model": sent.model, "path": sent.path, "body": _value(sent.body)}
            for sent in told.seen.sent
        ],
        "matched": _matched(told),
        "disagreements": told.disagreements,
        "rules": [_rule(verdict, told) for verdict in verdicts],
    }
    masked: dict[str, Any] = _masked(document, _secrets(told))
    return masked


def _matched(told: Explanation) -> list[str]:
    """In their order; of an exchange with an open end those of the phases that are told."""
    names = {verdict.rule.name_ for verdict in told.verdicts if verdict.result in ("acted", "noop", "error")}
    return [name for name in (told.exchange.matched if told.exchange else ()) if name in names]


def _client(told: Explanation) -> dict[str, Any]:
    got, x = told.seen.response, told.exchange
    answer = x.answer if x else None
    return {
        "status": got.status,
        "rule": answer.rule if answer else None,
        "error": _value(got.error),
        "text": _value(got.text),
        "streamed": got.headers.get("content-type", "").startswith("text/event-stream"),
    }


# --- a rule -----------------------------------------------------------------------------------------------------------


def _rule(verdict: Verdict, told: Explanation) -> dict[str, Any]:
    rule, trace = verdict.rule, verdict.trace or StepTrace()
    line, _ = rule.span.source.position(rule.span.start)
    return {
        "rule": rule.name_,
        "file": rule.file,
        "line": line,
        "phase": verdict.phase,
        "mode": rule.mode,
        "result": verdict.result,
        "why": verdict.why or None,
        "us": round(trace.seconds * 1e6, 1),
        "undone": verdict.undone and any(ran.changes for ran in trace.acts.values()),
        "unfound": verdict.unfound or None,
        "match": _predicate(rule.match, trace.tests.get("match")),
        "unless": _predicate(rule.unless, trace.tests.get("unless")),
        "enabled": _enabled(rule, trace, told.today),
        "actions": [_action(number, verdict, trace, rule.name_ in told.silent) for number in range(len(rule.actions))],
    }


def _predicate(condition: Condition | None, asked: Asked | None) -> dict[str, Any] | None:
    if condition is None:
        return None
    finding = asked.finding if asked and asked.finding else Finding(condition.tree.text(), None)
    return _finding(finding)


def _finding(finding: Finding) -> dict[str, Any]:
    told: dict[str, Any] = {"text": finding.text, "holds": finding.holds}
    if finding.found is not MISSING:
        told["found"] = _value(finding.found)
    if finding.error is not None:
        told["error"] = finding.error
    if finding.parts:
        told["parts"] = [_finding(part) for part in finding.parts]
    return told


def _enabled(rule: Rule, trace: StepTrace, today: date) -> dict[str, Any] | None:
    if rule.enabled is None and rule.expires is None:
        return None
    asked = trace.tests.get("enabled")
    told: dict[str, Any] = {"holds": asked.holds if asked else None}
    if rule.expires is not None:
        told["expires"], told["expired"] = str(rule.expires), today > rule.expires
    if rule.enabled is not None:
        told["percent"] = rule.enabled.percent
        told["by"] = rule.enabled.by.text if rule.enabled.by else "key.name, else client.ip"
    if rule.enabled is not None and trace.value is not MISSING and asked and not asked.error:
        told["value"], told["hash"] = _value(trace.value), round(percent_of(trace.value, rule.name_), 2)
    if asked and asked.error:
        told["error"] = asked.error
    return told


# --- an action --------------------------------------------------------------------------------------------------------


def _action(number: int, verdict: Verdict, trace: StepTrace, silent: bool) -> dict[str, Any]:
    use: Any = verdict.rule.actions[number]
    line, _ = use.span.source.position(use.span.start)
    ran, asked = trace.acts.get(number), trace.ifs.get(number)
    result, why = _came_to(number, verdict, ran, asked)
    if silent and ran and use.action.name == "callback":
        result, why = "not run", "callbacks run only with --callbacks"
    return {
        "action": use.action.name,
        "line": line,
        "if": _predicate(use.condition, asked),
        "result": result,
        "why": why,
        "us": round(((ran.seconds if ran else 0.0) + (asked.seconds if asked else 0.0)) * 1e6, 1),
        "answer": _answer(ran.effect) if ran and isinstance(ran.effect, Answer) else None,
        "changes": [_change(change) for change in (ran.changes if ran else ())],
    }


def _came_to(number: int, verdict: Verdict, ran: Ran | None, asked: Asked | None) -> tuple[str, str | None]:
    """The result of an action, and why."""
    if ran is not None:
        if ran.error:
            return "error", ran.error
        return ("answered" if isinstance(ran.effect, Answer) else "noop" if ran.effect is NOOP else "acted"), None
    if asked is not None and asked.error:
        return "error", asked.error
    if asked is not None and not asked.holds:
        return "not run", "its `if` does not hold"
    use: Any = verdict.rule.actions[number]
    if verdict.result == "would" and (asked is not None or use.condition is None):
        return "would", None
    return NOT_ASKED, None


def _answer(answer: Answer | Again) -> dict[str, Any]:
    if isinstance(answer, Refusal):
        return {
            "status": answer.status,
            "message": answer.message,
            "type": answer.as_error()["type"],
            "code": answer.code,
        }
    if isinstance(answer, Assistant):
        return {"status": 200, "text": _value(answer.text)}
    if isinstance(answer, Again):
        to = f" from {answer.model or answer.upstream}" if answer.model or answer.upstream else ""
        return {"status": None, "message": f"asks again{to}, at most {answer.times} times"}
    body = answer.body.decode("utf-8", "replace") if isinstance(answer, Passed) else answer.body
    return {"status": answer.status, "body": _value(body)}


def _change(change: Change) -> dict[str, Any]:
    secret = change.path.startswith("header") and change.path.rpartition(" ")[2].lower() in CREDENTIALS
    before, after = (HIDDEN if secret and isinstance(value, str) else value for value in (change.before, change.after))
    return {
        "path": change.path,
        "before": _value(before),
        "after": _value(after),
        "was": before is not MISSING,
        "is": after is not MISSING,
    }


# --- values -----------------------------------------------------------------------------------------------------------


def _value(value: Any) -> Any:
    """A value as JSON has it; a long one as the beginning of its text."""
    if value is MISSING:
        return None
    if isinstance(value, str):
        return value if len(value) <= LONGEST else f"{value[:LONGEST]}…"
    text = json.dumps(value, ensure_ascii=False, default=str)
    return json.loads(text) if len(text) <= LONGEST else f"{text[:LONGEST]}…"


def _secrets(told: Explanation) -> dict[str, str]:
    """Values of the environment that the rules files name, with what to say instead of them."""
    names: Iterable[str] = {
        name for source in told.loaded.written.sources for name in _FROM_ENVIRONMENT.findall(source.text)
    }
    values = {os.environ.get(name, ""): f"os.environ/{name}" for name in names}
    return {value: name for value, name in values.items() if len(value) >= _SHORTEST_SECRET}


def _masked(value: Any, secrets: dict[str, str]) -> Any:
    if not secrets:
        return value
    if isinstance(value, str):
        for secret, name in secrets.items():
            value = value.replace(secret, name)
        return value
    if isinstance(value, dict):
        return {name: _masked(member, secrets) for name, member in value.items()}
    return [_masked(item, secrets) for item in value] if isinstance(value, list) else value
