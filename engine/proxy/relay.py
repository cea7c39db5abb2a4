"""From an upstream's answer to the client: response rules on whole and held answers, streams as they come.

Must not know how upstreams are reached or chosen.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing

from engine.document.answers import Answer, Passed, Refusal, Refused
from engine.document.exchange import Exchange, joined
from engine.document.stream_slots import WIRES
from engine.errors import UpstreamError
from engine.phases import RESPONSE
from engine.ports.wire import Arrival, BrokenBody, Client, UnknownCoding
from engine.proxy.body import BadJson, encode, parse_lenient
from engine.proxy.coding import decoder
from engine.proxy.kept import Ending, Kept, assemble, told
from engine.proxy.reply import EVENTS, as_refusal, own_headers, wants_usage, with_edits
from engine.proxy.ruled import Ruled, ruled
from engine.proxy.send import HOP_BY_HOP
from engine.runtime.executor import run
from engine.runtime.stream_state import note_skipped

_NOT_RELAYED = HOP_BY_HOP | {
    "content-length",
    "content-encoding",
    "date",
    "server",
    "x-request-id",
    "request-id",
    "x-pointsman-rules",
    "x-pointsman-version",
    "x-pointsman-rule",
}
_BLANK_LINES = (b"\n\n", b"\n\r\n", b"\r\r")


async def relay(arrival: Arrival, client: Client, x: Exchange) -> Answer | None:
    """Bring an upstream's answer to the client; an Answer is given back when a rule, or a fault, gives another."""
    x.response = {"status": arrival.status, "headers": joined(arrival.headers, leave_out=frozenset()), "body": None}
    if arrival.status >= 400:
        return await _relay_error(arrival, x)
    kind = x.response["headers"].get("content-type", "").partition(";")[0].strip().lower()
    if x.dialect.gives_bytes and not kind.endswith(("/json", "+json", "/event-stream")):
        return await relay_bytes(arrival, client, x, "the answer is not JSON")
    if kind != "text/event-stream":
        return await _relay_whole(arrival, client, x)
    if x.program.holds(x) or (x.marks is not None and x.call_type not in WIRES):
        return await _relay_held(arrival, client, x)
    return await _relay_stream(arrival, client, x)


async def _relay_error(arrival: Arrival, x: Exchange) -> Passed:
    """An upstream's own error keeps its status and body."""
    assert x.response is not None
    raw = await _read(arrival, x)
    try:
        x.response["body"], _ = parse_lenient(raw)
    except BadJson:
        x.response["body"] = None  # a page of some proxy on the way: passed on, but nothing rules could read
    x.answered = x.response["body"]
    x.error = told(x.response["body"], arrival.status)
    return Passed(arrival.status, tuple(passed_headers(arrival)), raw)


async def _relay_whole(arrival: Arrival, client: Client, x: Exchange) -> Answer | None:
    assert x.response is not None
    raw = await _read(arrival, x)
    try:
        body, mended = parse_lenient(raw)
    except BadJson as wrong:
        start = raw[:40].decode("utf-8", "replace")
        return as_refusal(x, "upstream", f"the answer is not JSON ({wrong}); it begins with {start!r}")
    x.response["body"] = x.answered = body
    if isinstance(body, dict) and isinstance(body.get("error"), dict):
        x.error = told(body, arrival.status)  # an error under a good status is one for the record
    note_skipped(x.program.streams.get(x.call_type or "", ()), x)
    answer = await _rule(arrival, x)
    if answer is not None:
        return answer
    said = x.restored(x.response["body"])
    x.status = x.response["status"]
    await client.reply(x.status, _headers(arrival, x), encode(said) if mended or said is not body else raw)
    return None


async def relay_bytes(arrival: Arrival, client: Client, x: Exchange, why: str) -> Answer | None:
    """An answer whose body no rule could read leaves as it comes; rules on it are skipped, and `why` recorded."""
    x.response = {"status": arrival.status, "headers": joined(arrival.headers, leave_out=frozenset()), "body": None}
    if arrival.status >= 400:
        return await _relay_error(arrival, x)
    answer = await run(x.program.plans.get(("response:head", x.call_type or "")), x)
    if answer is not None:
        return answer
    note_skipped(x.program.streams.get(x.call_type or "", ()), x)
    _note_skipped(x, why)
    x.status = arrival.status
    await client.start(arrival.status, _headers(arrival, x))
    try:
        async for chunk in _chunks(arrival, x):
            await client.write(chunk)
    except UpstreamError as broken:
        as_refusal(x, broken.source, broken.message)
        await client.end(clean=False)
        return None
    await client.end()
    return None


def _note_skipped(x: Exchange, why: str) -> None:
    """No rule is passed by in silence: not one whose match holds, as far as it can be told without a body."""
    plan = x.program.plans.get(("response:body", x.call_type or ""))
    for step in plan.steps if plan is not None else ():
        try:
            held = step.matches is None or step.matches(x)
        except Exception:  # noqa: BLE001  a match that cannot be told without a body
            held = True
        if held:
            x.outcomes.append((step.rule, step.phase, "skipped", why, 0.0))


async def _rule(arrival: Arrival, x: Exchange) -> Answer | None:
    """The response phase over a whole answer; status and headers that a callback changed are the client's too."""
    assert x.response is not None
    told = x.response["headers"]
    answer = await run(x.program.plan(RESPONSE, x.call_type), x)
    status, headers = x.response["status"], x.response["headers"]
    if answer is None and not (type(status) is int and 200 <= status <= 599):
        return x.refused(
            Refusal(
                500, "a rule made a status that is none", type="rule_error", code="rule_failed", source="rule_error"
            )
        )
    if headers is not told:
        changed = {name: headers.get(name) for name in {*headers, *told} if headers.get(name) != told.get(name)}
        x.to_client = {**changed, **x.to_client}
    return answer


async def _read(arrival: Arrival, x: Exchange) -> bytes:
    """The whole body, without a content coding that the upstream used although identity was asked for."""
    if _coding(x) is None:
        return await arrival.read()
    return b"".join([chunk async for chunk in _chunks(arrival, x)])


async def _chunks(arrival: Arrival, x: Exchange) -> AsyncGenerator[bytes, None]:
    """The body as it comes, decoded; UpstreamError when it cannot be."""
    try:
        undo = decoder(_coding(x))
        async for chunk in arrival.chunks():
            if x.first_byte is None:
                x.first_byte = x.clock.monotonic()
            for piece in undo.pieces(chunk) if undo else (chunk,):
                yield piece
        if undo:
            undo.finish()
    except (UnknownCoding, BrokenBody):
        raise UpstreamError("connection", f"the answer's content coding {_coding(x)!r} cannot be undone") from None


def _coding(x: Exchange) -> str | None:
    coding: str | None = x.response["headers"].get("content-encoding")  # type: ignore[index]
    return coding


def _headers(arrival: Arrival, x: Exchange) -> list[tuple[str, str]]:
    return with_edits([*passed_headers(arrival), *own_headers(x)], x)


def passed_headers(arrival: Arrival) -> list[tuple[str, str]]:
    """The upstream's headers that are for the client."""
    own = joined([pair for pair in arrival.headers if pair[0].lower() == "connection"]).get("connection", "")
    left_out = _NOT_RELAYED | {name.strip().lower() for name in own.split(",")}
    return [(name, value) for name, value in arrival.headers if name.lower() not in left_out]


# --- streams ----------------------------------------------------------------------------------------------------------


async def _relay_stream(arrival: Arrival, client: Client, x: Exchange) -> Answer | None:
    answer = await run(x.program.plans.get(("response:head", x.call_type or "")), x)
    if answer is not None:
        return answer
    rules = await ruled(x)
    if rules is not None and rules.answer is not None:
        return rules.answer
    kept = Kept(x.program.server.max_held if x.program.needs[x.call_type or ""].assembled else 0)
    x.status = arrival.status
    if not x.program.rewrites:
        await client.start(arrival.status, _headers(arrival, x))
    try:
        if rules is None:
            await _pass_on(arrival, client, x, kept)
        else:
            await _pass_through(rules, arrival, client, x, kept)
    except UpstreamError as broken:
        if not client.started:
            raise
        await _break_off(client, x, as_refusal(x, broken.source, broken.message))
    except Refused as refused:
        if not client.started:
            raise
        await _break_off(client, x, x.refused(refused.refusal))
    finally:
        _note_passed(x, kept)
    return None


async def _streamed(arrival: Arrival, x: Exchange) -> AsyncGenerator[bytes, None]:
    """A stream as it comes; UpstreamError also where it just stops, without having said that it ended."""
    ending = Ending(x.call_type)
    async with aclosing(_chunks(arrival, x)) as chunks:
        async for chunk in chunks:
            ending.add(chunk)
            yield chunk
    if not ending.seen:
        raise UpstreamError("connection", "it ended its stream before the answer was complete")


async def _pass_on(arrival: Arrival, client: Client, x: Exchange, kept: Kept) -> None:
    """Every chunk leaves as it came."""
    end = b""
    async for chunk in _streamed(arrival, x):
        end = (end + chunk)[-4:]
        x.mid_event = not end.endswith(_BLANK_LINES)
        await client.write(chunk)
        kept.add(chunk)
    await client.end()


async def _pass_through(rules: Ruled, arrival: Arrival, client: Client, x: Exchange, kept: Kept) -> None:
    """Whole events leave, as stream rules let them pass; a callback may refuse until the first one does."""
    async with aclosing(_streamed(arrival, x)) as chunks, aclosing(rules.through(chunks)) as events:
        async for passed, restored in events:
            if restored:
                await _started(client, arrival, x)
                await client.write(restored)
            kept.add(passed)
    await _started(client, arrival, x)
    await client.end()


async def _started(client: Client, arrival: Arrival, x: Exchange) -> None:
    if not client.started:
        await client.start(arrival.status, _headers(arrival, x))


async def _break_off(client: Client, x: Exchange, refusal: Refusal) -> None:
    """A stream that breaks: an error event between events, a broken body within one; never a clean end."""
    if not x.mid_event:
        await client.write(x.dialect.error_event(refusal, x.id))
    await client.end(clean=not x.mid_event)


def _note_passed(x: Exchange, kept: Kept) -> None:
    """What passed is there for rules that only note, and for the log phase; too much of it is said, not forgotten."""
    x.pending_stream = kept.chunks
    x.outcomes += [
        (name, "response", "skipped", "a stream, which no entry of `callbacks` holds", 0.0) for name in x.program.unheld
    ]
    after = x.program.plans.get(("response:after", x.call_type or ""))
    if kept.chunks is None and after is not None:
        x.outcomes += [
            (step.rule, "response", "skipped", "the stream was larger than server.max_held", 0.0)
            for step in after.steps
        ]


async def _relay_held(arrival: Arrival, client: Client, x: Exchange) -> Answer | None:
    """Collect the stream, rule on it as on a whole answer, then send it on as a stream."""
    assert x.response is not None
    kept = Kept(x.program.server.max_held)
    rules = await ruled(x, restoring=False)
    if rules is not None and rules.answer is not None:
        return rules.answer
    async with aclosing(_collected(rules, arrival, x)) as chunks:
        async for chunk in chunks:
            kept.add(chunk)
            if kept.chunks is None:
                return as_refusal(x, "upstream", "the stream is larger than `server.max_held`, and a rule holds it")
    if rules is not None and isinstance(rules.cut, Refusal):
        return rules.cut
    body = assemble(kept.chunks or (), x)
    if x.error is not None:
        return x.refused(
            Refusal(502, f"{x.error['message']}", type=x.error["type"], code=x.error["code"], source="upstream")
        )
    if body is None:
        return as_refusal(x, "upstream", "the stream held no answer")
    x.response["body"] = x.answered = body
    answer = await _rule(arrival, x)
    if answer is not None:
        return answer
    said = x.restored(x.response["body"])
    events: Iterable[bytes] = kept.chunks or ()
    if said is not body:
        events = x.dialect.replay(said, include_usage=wants_usage(x))
    x.status = x.response["status"]
    await client.start(x.status, with_edits([*EVENTS, *own_headers(x)], x))
    for event in events:
        await client.write(event)
    await client.end()
    return None


async def _collected(rules: Ruled | None, arrival: Arrival, x: Exchange) -> AsyncGenerator[bytes, None]:
    """The chunks of a held stream, after the stream rules."""
    async with aclosing(_streamed(arrival, x)) as chunks:
        if rules is None:
            async for chunk in chunks:
                yield chunk
            return
        async with aclosing(rules.through(chunks)) as events:
            async for passed, _ in events:
                yield passed
