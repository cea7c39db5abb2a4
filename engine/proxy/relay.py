"""From an upstream's answer to the client: response rules on whole and held answers, streams as they come.

Must not know how upstreams are reached or chosen.
"""

from __future__ import annotations

from engine.document.answers import Answer, Passed
from engine.document.exchange import Exchange
from engine.document.headers import by_name
from engine.document.stream_wires import WIRES
from engine.errors import UpstreamError
from engine.phases import RESPONSE
from engine.ports.wire import Arrival, Client
from engine.proxy.arrival_chunks import chunks_of
from engine.proxy.arrivals import headers_for_client, passed_headers, read_whole
from engine.proxy.body import BadJson, encode, parse_lenient
from engine.proxy.kept import told
from engine.proxy.relay_stream import relay_held, relay_stream
from engine.proxy.reply import as_refusal
from engine.proxy.ruling import rule_on
from engine.runtime.executor import run
from engine.runtime.stream_state import note_skipped


async def relay(arrival: Arrival, client: Client, x: Exchange) -> Answer | None:
    """Bring an upstream's answer to the client; an Answer is given back when a rule, or a fault, gives another."""
    x.response = {"status": arrival.status, "headers": by_name(arrival.headers), "body": None}
    if arrival.status >= 400:
        return await _relay_error(arrival, x)
    kind = x.response["headers"].get("content-type", "").partition(";")[0].strip().lower()
    if x.dialect.gives_bytes and not kind.endswith(("/json", "+json", "/event-stream")):
        return await relay_bytes(arrival, client, x, "the answer is not JSON")
    if kind != "text/event-stream":
        return await _relay_whole(arrival, client, x)
    if x.program.holds(x) or (x.marks is not None and x.call_type not in WIRES):
        return await relay_held(arrival, client, x)
    return await relay_stream(arrival, client, x)


async def _relay_error(arrival: Arrival, x: Exchange) -> Passed:
    """An upstream's own error keeps its status and body."""
    assert x.response is not None
    raw = await read_whole(arrival, x)
    try:
        x.response["body"], _ = parse_lenient(raw)
    except BadJson:
        x.response["body"] = None  # a page of some proxy on the way: passed on, but nothing rules could read
    x.answered = x.response["body"]
    x.error = told(x.response["body"], arrival.status)
    return Passed(arrival.status, tuple(passed_headers(arrival, x)), raw)


async def _relay_whole(arrival: Arrival, client: Client, x: Exchange) -> Answer | None:
    assert x.response is not None
    raw = await read_whole(arrival, x)
    try:
        body, mended = parse_lenient(raw)
    except BadJson as wrong:
        start = raw[:40].decode("utf-8", "replace")
        return as_refusal(x, "upstream", f"the answer is not JSON ({wrong}); it begins with {start!r}")
    x.response["body"] = x.answered = body
    if isinstance(body, dict) and isinstance(body.get("error"), dict):
        x.error = told(body, arrival.status)  # an error under a good status is one for the record
    skipped = x.program.streams.get(x.call_type or "")
    if skipped:
        note_skipped(skipped, x)
    plan = x.program.plan(RESPONSE, x.call_type)
    answer = await rule_on(plan, x) if plan is not None else None
    if answer is not None:
        return answer
    said = x.restored(x.response["body"])
    x.status = x.response["status"]
    await client.reply(x.status, headers_for_client(arrival, x), encode(said) if mended or said is not body else raw)
    return None


async def relay_bytes(arrival: Arrival, client: Client, x: Exchange, why: str) -> Answer | None:
    """An answer whose body no rule could read leaves as it comes; rules on it are skipped, and `why` recorded."""
    x.response = {"status": arrival.status, "headers": by_name(arrival.headers), "body": None}
    if arrival.status >= 400:
        return await _relay_error(arrival, x)
    answer = await run(x.program.plans.get(("response:head", x.call_type or "")), x)
    if answer is not None:
        return answer
    note_skipped(x.program.streams.get(x.call_type or "", ()), x)
    _note_skipped(x, why)
    x.status = arrival.status
    await client.start(arrival.status, headers_for_client(arrival, x))
    whole = True
    try:
        async for chunk in chunks_of(arrival, x):
            await client.write(chunk)
    except UpstreamError as broken:
        as_refusal(x, broken.source, broken.message)
        whole = False
    await client.end(clean=whole)
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
            x.outcomes.append((step.rule, step.phase, "skipped", why, 0))
