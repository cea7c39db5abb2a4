"""Streams on their way to the client: as they come, by way of stream rules, or held until they are whole.

Must not know how upstreams are reached or chosen.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing

from engine.document.answers import Answer, Refusal, Refused
from engine.document.exchange import Exchange
from engine.errors import UpstreamError
from engine.phases import RESPONSE
from engine.ports.wire import Arrival, Client
from engine.proxy.arrival_chunks import chunks_of
from engine.proxy.arrivals import headers_for_client
from engine.proxy.kept import Ending, Kept, assemble
from engine.proxy.reply import EVENTS, as_refusal, own_headers, wants_usage, with_edits
from engine.proxy.ruled import Ruled, ruled
from engine.proxy.ruling import rule_on
from engine.proxy.stream_usage import note_told, watch
from engine.runtime.executor import run

_BLANK_LINES = (b"\n\n", b"\n\r\n", b"\r\r")


async def relay_stream(arrival: Arrival, client: Client, x: Exchange) -> Answer | None:
    """A stream as it comes, through the stream rules where there are any; the answer given instead."""
    answer = await run(x.program.plans.get(("response:head", x.call_type or "")), x)
    if answer is not None:
        return answer
    rules = await ruled(x)
    if rules is not None and rules.answer is not None:
        return rules.answer
    wanted = x.program.needs[x.call_type or ""].assembled or x.counts_usage
    kept = Kept(x.program.server.max_held if wanted else 0)
    x.status = arrival.status
    if not x.program.rewrites:
        await client.start(arrival.status, headers_for_client(arrival, x))
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
    ending, usage = Ending(x.call_type), watch(x)
    try:
        async with aclosing(chunks_of(arrival, x)) as chunks:
            async for chunk in chunks:
                ending.add(chunk)
                passed = chunk if usage is None else usage.take(chunk)
                if passed:
                    yield passed
        if usage is not None and (rest := usage.finish()):
            yield rest
    finally:
        if usage is not None:
            note_told(usage, x)
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
        await client.start(arrival.status, headers_for_client(arrival, x))


async def _break_off(client: Client, x: Exchange, refusal: Refusal) -> None:
    """A stream that breaks: an error event between events, a broken body within one; never a clean end."""
    if not x.mid_event:
        await client.write(x.dialect.error_event(refusal, x.id))
    await client.end(clean=not x.mid_event)


def _note_passed(x: Exchange, kept: Kept) -> None:
    """What passed is there for rules that only note, and for the log phase; too much of it is said, not forgotten."""
    x.pending_stream, x.unkept = kept.chunks if kept.size else None, kept.times_sample
    x.outcomes += [
        (name, "response", "skipped", "a stream, which no entry of `callbacks` holds", 0) for name in x.program.unheld
    ]
    after = x.program.plans.get(("response:after", x.call_type or ""))
    if x.unkept is not None and after is not None:
        x.outcomes += [
            (step.rule, "response", "skipped", "the stream was larger than server.max_held", 0) for step in after.steps
        ]


async def relay_held(arrival: Arrival, client: Client, x: Exchange) -> Answer | None:
    """Collect the stream, rule on it as on a whole answer, then send it on as a stream."""
    assert x.response is not None
    kept = Kept(x.program.server.max_held)
    rules = await ruled(x, restoring=False)
    if rules is not None and rules.answer is not None:
        return rules.answer
    async with aclosing(_collected(rules, arrival, x)) as chunks:
        async for chunk in chunks:
            kept.add(chunk)
            if kept.over:
                return as_refusal(x, "upstream", "the stream is larger than `server.max_held`, and a rule holds it")
    if rules is not None and isinstance(rules.cut, Refusal):
        return rules.cut
    body = assemble(kept.chunks, x)
    if x.error is not None:
        return x.refused(
            Refusal(502, f"{x.error['message']}", type=x.error["type"], code=x.error["code"], source="upstream")
        )
    if body is None:
        return as_refusal(x, "upstream", "the stream held no answer")
    x.response["body"] = x.answered = body
    answer = await rule_on(x.program.plan(RESPONSE, x.call_type), x)
    if answer is not None:
        return answer
    said = x.restored(x.response["body"])
    events: Iterable[bytes] = kept.chunks
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
