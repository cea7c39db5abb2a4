"""What a test expects against what was seen: every difference with its place in the file. Must not run anything."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from engine.document.exchange import Exchange
from engine.document.headers import joined
from engine.language.values import EvaluationError
from engine.source import Span
from engine.tools.cases_form import ExpectForm, ResponseForm
from engine.tools.cases_types import PlacedCondition
from engine.tools.cases_wire import CannedClient, Sent, assembled, parsed_json
from engine.tools.compare import ABSENT, Difference, differences


@dataclass(frozen=True, slots=True)
class Response:
    """What the client got. `body` of a stream is the whole body that its events amount to."""

    status: int | None
    headers: dict[str, str]
    body: Any
    text: str | None
    error: Any


@dataclass(slots=True)
class Seen:
    """Everything that one exchange showed. `sent` are its upstream calls, `records` what it recorded."""

    response: Response
    exchange: Exchange | None  # None: answered beside the rules, as `/health/live` is
    sent: list[Sent] = field(default_factory=list)
    records: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Failure:
    """A difference, and the place in the file of the expectation that does not hold."""

    place: Span
    difference: Difference

    def __str__(self) -> str:
        return str(self.difference)


def judge(expect: ExpectForm, seen: Seen) -> list[Failure]:
    """Every expectation that does not hold."""
    failures = []
    for name in expect.written:
        failures += JUDGES[name](expect, seen)
    return failures


def answer_of(client: CannedClient, exchange: Exchange | None) -> Response:
    """The client's side of an exchange, read as its dialect reads it."""
    headers = joined(client.answer_headers, leave_out=frozenset())
    dialect = exchange.dialect if exchange is not None else None
    if headers.get("content-type", "").startswith("text/event-stream") and dialect is not None:
        assembler = assembled(client.answer, dialect)
        body: Any = assembler.body
        error: Any = assembler.error
    else:
        body = parsed_json(client.answer)
        error = body.get("error") if isinstance(body, dict) else None
    text = None
    if dialect is not None and dialect.has_assistant and isinstance(body, dict) and (client.status or 0) < 400:
        text = dialect.said(body).completion
    return Response(client.status, headers, body, text, error)


def _compared(name: str, found: Callable[[Seen], Any]) -> Callable[[ExpectForm, Seen], list[Failure]]:
    """A judge that compares one part."""

    def judged(expect: ExpectForm, seen: Seen) -> list[Failure]:
        place = expect.places[name].span
        return [Failure(place, each) for each in differences(expect.written[name], found(seen), name)]

    return judged


def _last(seen: Seen, part: Callable[[Sent], Any]) -> Any:
    return part(seen.sent[-1]) if seen.sent else ABSENT


def _response(expect: ExpectForm, seen: Seen) -> list[Failure]:
    form: ResponseForm = expect.written["response"]
    return [
        Failure(form.places[name].span, difference)
        for name, value in form.written.items()
        for difference in differences(
            _lowered(value) if name == "headers" else value, getattr(seen.response, name), f"response.{name}"
        )
    ]


def _sent_headers(expect: ExpectForm, seen: Seen) -> list[Failure]:
    wanted = _lowered(expect.written["sent_headers"])
    found = _last(seen, lambda sent: sent.headers)
    return [Failure(expect.places["sent_headers"].span, each) for each in differences(wanted, found, "sent_headers")]


def _lowered(headers: Any) -> Any:
    """Header names compare in lower case, values as text."""
    if not isinstance(headers, dict):
        return headers
    return {
        name.lower(): str(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else value
        for name, value in headers.items()
    }


def _calls(expect: ExpectForm, seen: Seen) -> list[Failure]:
    wanted = [call.written for call in expect.written["calls"]]
    found = [
        {name: getattr(sent, name) for name in ("upstream", "model", "path", "body", "headers")} for sent in seen.sent
    ]
    if len(wanted) != len(found):  # bodies would drown the names
        found = [{"upstream": sent["upstream"], "model": sent["model"]} for sent in found]
    return [Failure(expect.places["calls"].span, each) for each in differences(wanted, found, "calls")]


def _holds(expect: ExpectForm, seen: Seen) -> list[Failure]:
    failures = []
    for number, condition in enumerate(expect.written["holds"]):
        why = _why_not(condition, seen)
        if why:
            failures.append(Failure(condition.span, Difference(f"holds[{number}]", True, False, why)))
    return failures


def _why_not(condition: PlacedCondition, seen: Seen) -> str:
    """Why a condition does not hold; empty when it does."""
    if seen.exchange is None:
        return "no exchange took place, the request was answered beside the rules"
    seen.exchange.sent = seen.sent[-1].body if seen.sent else None
    try:
        return "" if condition.test(seen.exchange) else "the condition does not hold"
    except EvaluationError as error:
        return f"the condition broke: {error}"


JUDGES: dict[str, Callable[[ExpectForm, Seen], list[Failure]]] = {
    "matched": _compared("matched", lambda seen: list(seen.exchange.matched) if seen.exchange else []),
    "sent": _compared("sent", lambda seen: _last(seen, lambda sent: sent.body)),
    "sent_headers": _sent_headers,
    "upstream": _compared("upstream", lambda seen: _last(seen, lambda sent: sent.upstream)),
    "calls": _calls,
    "response": _response,
    "records": _compared("records", lambda seen: seen.records),
    "holds": _holds,
}
"""How each part of `expect` is judged."""
