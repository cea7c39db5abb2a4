"""From an answer of our own to the client, in the client's dialect, whole or streamed. Must not know upstreams."""

from __future__ import annotations

from typing import Any

from engine.document.answers import Answer, Assistant, Given, Passed, Refusal
from engine.document.exchange import Exchange
from engine.ports.wire import Client, Headers
from engine.proxy.body import encode

JSON = ("content-type", "application/json")
EVENTS = (("content-type", "text/event-stream; charset=utf-8"), ("cache-control", "no-cache"))


def in_dialect(x: Exchange, answer: Answer) -> Answer:
    """An answer that the client's API has: where no assistant speaks, its message is an error."""
    if isinstance(answer, Assistant) and not x.dialect.has_assistant:
        return Refusal(400, answer.text, code="rule_rejected", source="rule", rule=answer.rule)
    return answer


async def reply(client: Client, x: Exchange, answer: Answer) -> None:
    """Give the client an answer that no upstream gave, or an upstream's own error."""
    x.answer = answer = in_dialect(x, answer)
    if isinstance(answer, Assistant):
        await _reply_as_assistant(client, x, answer)
    elif isinstance(answer, Given):
        await _reply_whole(client, x, answer.status, answer.body)
    elif isinstance(answer, Passed):
        x.status = answer.status
        await client.reply(answer.status, with_edits([*answer.headers, *own_headers(x)], x), answer.body)
    else:
        x.refused(answer)
        await _reply_whole(client, x, answer.status, x.dialect.error(answer, x.id), refusal_headers(answer))


async def _reply_as_assistant(client: Client, x: Exchange, answer: Assistant) -> None:
    body = x.dialect.assistant(x, answer.text)
    if not x.stream:
        await _reply_whole(client, x, 200, body)
        return
    x.status = 200
    x.response = {"status": 200, "headers": {}, "body": body}
    await client.start(200, with_edits([*EVENTS, *own_headers(x)], x))
    for event in x.dialect.replay(x.restored(body), include_usage=wants_usage(x)):
        await client.write(event)
    await client.end()


async def _reply_whole(client: Client, x: Exchange, status: int, body: Any, extra: Headers = ()) -> None:
    """A JSON answer; it becomes the `response` that the log phase sees."""
    x.status = status
    x.response = {"status": status, "headers": dict(extra), "body": body}
    await client.reply(status, with_edits([JSON, *extra, *own_headers(x)], x), encode(x.restored(body)))


def wants_usage(x: Exchange) -> bool:
    """Whether the client asked for the usage chunk of a stream."""
    options = (x.original or {}).get("stream_options")
    return isinstance(options, dict) and options.get("include_usage") is True


def own_headers(x: Exchange) -> list[tuple[str, str]]:
    """What every answer carries."""
    told = (*x.limit_headers, *x.cache_headers)
    headers = [("x-request-id", x.id), ("x-pointsman-version", x.program.version), *told]
    if x.dialect.call_type == "messages":
        headers.append(("request-id", x.id))  # where Anthropic's clients look for it
    if x.program.exposes_rules:
        headers.append(("x-pointsman-rules", ", ".join(x.matched)))
    return headers


def refusal_headers(refusal: Refusal) -> tuple[tuple[str, str], ...]:
    """A refusal says which rule it was and that trying again is pointless, unless a limit says when to."""
    if refusal.rule is None:
        return refusal.headers
    told = {name.lower() for name, _ in refusal.headers}
    pointless = () if told & {"retry-after-ms", "x-should-retry"} else (("x-should-retry", "false"),)
    return (*refusal.headers, ("x-pointsman-rule", refusal.rule), *pointless)


def with_edits(headers: list[tuple[str, str]], x: Exchange) -> list[tuple[str, str]]:
    """Headers after what response rules set and removed."""
    if not x.to_client:
        return headers
    kept = [pair for pair in headers if pair[0].lower() not in x.to_client]
    return kept + [(name, value) for name, value in x.to_client.items() if value is not None]


_CODES = {"timeout": "upstream_timeout", "connection": "upstream_connection", "upstream": "upstream_answer"}


def as_refusal(x: Exchange, source: str, message: str) -> Refusal:
    """An upstream that failed, as an error for the client: 504 when it was too slow, else 502."""
    name = x.upstream["name"] if x.upstream else "upstream"
    status = 504 if source == "timeout" else 502
    return x.refused(Refusal(status, f"upstream {name}: {message}", code=_CODES[source], source=source))
