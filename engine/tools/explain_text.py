"""An explanation for people: a summary, then a tree of rules, conditions and what was written.

Made from the JSON document alone, so that both say the same. Must not know exchanges.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from itertools import groupby
from typing import Any

WIDEST = 100  # characters of a value

Json = dict[str, Any]
Paint = Callable[[Any, str], str]
_COLORS: dict[str | bool | None, str] = {
    "acted": "32",
    "answered": "32",
    "would": "36",
    "excepted": "33",
    "skipped": "33",
    "error": "1;31",
    "phase": "1",
    "rule": "1",
    True: "32",
    False: "31",
}
_MARKS: dict[str | bool | None, str] = {True: "✓", False: "✗", None: "·", "error": "!"}


def as_text(told: Json, *, color: bool = False) -> str:
    """The whole explanation, without a line break at the end."""
    paint = _painted if color else _unpainted
    lines = [summary(told), f"matched: {', '.join(told['matched']) or 'none'}"]
    lines += [paint("error", f"error: the traced run disagrees: {one}") for one in told["disagreements"]]
    for phase, rules in groupby(told["rules"], lambda rule: rule["phase"]):
        lines += ["", paint("phase", str(phase))]
        for rule in rules:
            lines += _rule(rule, paint)
    return "\n".join(lines)


def summary(told: Json) -> str:
    """What the client gets and what goes upstream, on one line."""
    request = told["request"]
    return f"{request['method']} {_visible(request['path'])}: {_client(told)}; {_upstream(told['upstream'])}"


def _client(told: Json) -> str:
    client = told["client"]
    if client is None:
        return "the client gets the upstream's answer"
    by = f" from rule {client['rule']}" if client["rule"] else ""
    error = client["error"]
    message = error.get("message") if isinstance(error, dict) else error
    said = f": {_shown(message)}" if message else f": {_shown(client['text'])}" if client["text"] is not None else ""
    return f"the client gets {client['status']}{by}{' as a stream' if client['streamed'] else ''}{said}"


def _upstream(calls: list[Json]) -> str:
    if not calls:
        return "nothing goes upstream"
    asked = [f"{_visible(str(call['model'] or call['path']))} to {call['upstream']}" for call in calls]
    return f"upstream goes {', then '.join(asked)}"


def _painted(name: str | bool | None, text: str) -> str:
    color = _COLORS.get(name)
    return f"\x1b[{color}m{text}\x1b[0m" if color else text


def _unpainted(_: str | bool | None, text: str) -> str:
    return text


# --- a rule -----------------------------------------------------------------------------------------------------------


def _rule(rule: Json, paint: Paint) -> Iterator[str]:
    told_below = rule["result"] == "skipped" and rule["enabled"]
    why = f": {_visible(rule['why'])}" if rule["why"] and not told_below else ""
    observed = " (observe)" if rule["mode"] == "observe" else ""
    time = "" if rule["result"] == "not asked" else f", {rule['us']:g} µs"
    yield f"  {paint('rule', rule['rule'])}{observed}: {paint(rule['result'], rule['result'])}{why}{time}"
    if rule["result"] == "not asked":
        return
    if rule["unfound"]:
        yield f"    not asked, the index found it could not match: {_visible(rule['unfound'])}"
    for part in ("match", "unless"):
        yield from _condition(part, rule[part], "    ", paint)
    yield from _enabled(rule["enabled"])
    if rule["result"] in ("did not match", "excepted", "skipped"):
        return
    for action in rule["actions"]:
        yield from _action(action, paint)
    if rule["undone"]:
        yield "    what it wrote was taken back"


def _condition(part: str, predicate: Json | None, indent: str, paint: Paint) -> Iterator[str]:
    """A condition behind its name; its parts below, indented."""
    if predicate is None:
        return
    lines = list(_predicate(predicate, paint))
    yield f"{indent}{part} {lines[0]}"
    yield from (f"{indent}{' ' * len(part)} {line}" for line in lines[1:])


def _predicate(predicate: Json, paint: Paint) -> Iterator[str]:
    holds = "error" if _has_failed(predicate) else predicate["holds"]
    found = f": {_found(predicate['found'])}" if "found" in predicate else ""
    error = f": {_visible(predicate['error'])}" if "error" in predicate else ""
    yield f"{paint(holds, _MARKS[holds])} {_cut(predicate['text'], 2 * WIDEST)}{found}{error}"
    for part in predicate.get("parts", ()):
        for line in _predicate(part, paint):
            yield f"  {line}"


def _has_failed(predicate: Json) -> bool:
    return "error" in predicate or any(map(_has_failed, predicate.get("parts", ())))


def _enabled(enabled: Json | None) -> Iterator[str]:
    if enabled is None:
        return
    told = []
    if "expires" in enabled:
        told.append(f"{'expired after' if enabled['expired'] else 'until'} {enabled['expires']}")
    if "percent" in enabled:
        told.append(f"{enabled['percent']:g} percent by {enabled['by']}")
    if "hash" in enabled:
        told.append(f"{_found(enabled['value'])} is at {enabled['hash']:g}")
    if "error" in enabled:
        told.append(_visible(enabled["error"]))
    yield f"    enabled {_MARKS[enabled['holds']]} {', '.join(told)}"


def _action(action: Json, paint: Paint) -> Iterator[str]:
    why = f": {_visible(action['why'])}" if action["why"] else ""
    yield f"    {action['action']}: {paint(action['result'], action['result'])}{why}"
    yield from _condition("if", action["if"], "      ", paint)
    for change in action["changes"]:
        before = _shown(change["before"]) if change["was"] else "missing"
        after = _shown(change["after"]) if change["is"] else "missing"
        yield f"      {_visible(change['path'])}: {before} → {after}"
    if action["answer"] is not None:
        answer = action["answer"]
        said = next((answer[name] for name in ("message", "text", "body") if name in answer), None)
        yield f"      answers {answer['status']}: {_shown(said)}"


# --- values -----------------------------------------------------------------------------------------------------------


def _found(value: Any) -> str:
    return "missing" if value is None else _shown(value)


def _shown(value: Any) -> str:
    return _cut(json.dumps(value, ensure_ascii=False), WIDEST)


def _cut(text: str, limit: int) -> str:
    """A text that fits; what is left out is counted."""
    text = _visible(text)
    return text if len(text) <= limit else f"{text[:limit]}… ({len(text) - limit} more)"


def _visible(text: str) -> str:
    """A text that stays on its line and is harmless to a terminal."""
    return (
        text
        if text.isprintable()
        else "".join(
            char if char.isprintable() else char.encode("unicode_escape", "surrogatepass").decode() for char in text
        )
    )
