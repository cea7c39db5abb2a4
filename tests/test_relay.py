"""Answers on their way back: rules on whole and held ones, streams as they come, upstreams that fail midway."""

from __future__ import annotations

import asyncio
import gzip
import json
from pathlib import Path
from typing import Any

import openai
import pytest
import yaml
from running import AUDIT, CHAT, LOG, Running, completion, delta, eventually, running, upstream
from scripted import Script, Talk, chunk, raw, scripted, stream, whole

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
EVENTS = [delta("hel"), delta("lo"), delta(finish="stop")]
RULES = yaml.safe_load((Path(__file__).parent / "relay.yaml").read_text())
ASKED = {**CHAT, "stream": True}


def answer_of(text: str = "hello") -> Script:
    return whole(json.dumps(completion(text)).encode())


def rules(up: Any, *written: str, more: str = "", **options: Any) -> str:
    lines = "".join(f"\n  - {rule}" for rule in written)
    return upstream(up.url, **options) + AUDIT + more + "rules:" + lines + LOG


async def heard(run: Running, **options: Any) -> str:
    """What the official client makes of a stream."""
    async with openai.AsyncOpenAI(base_url=f"{run.url}/v1", api_key="any", max_retries=0) as sdk:
        events = await sdk.chat.completions.create(**ASKED, **options)  # type: ignore[call-overload]
        return "".join([event.choices[0].delta.content or "" async for event in events])


def said(body: bytes) -> str:
    """The text of a streamed chat answer."""
    events = [json.loads(line[6:]) for line in body.decode().splitlines() if line.startswith("data: {")]
    return "".join(choice["delta"].get("content") or "" for event in events for choice in event.get("choices", ()))


# --- response rules ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("case", RULES, ids=lambda case: str(case["name"]))
async def test_response_rules(case: dict[str, Any], streamed: bool, tmp_path: Path) -> None:
    expected = {**case["then"], **case.get("streamed" if streamed else "whole", {})}
    script = stream(EVENTS) if streamed else answer_of()
    async with scripted(script) as up, running(rules(up, *case["rules"], more=case.get("more", "")), tmp_path) as run:
        answer = await run.post(body=ASKED if streamed else CHAT)
        assert answer.status_code == expected.get("status", 200), answer.text
        is_stream = answer.headers["content-type"].startswith("text/event-stream")
        assert is_stream is (streamed and expected.get("stream", True))
        if "text" in expected:
            text = said(answer.content) if is_stream else answer.json()["choices"][0]["message"]["content"]
            assert text == expected["text"]
        if expected.get("as_it_came"):
            sent = "".join(f"data: {event}\n\n" for event in [*EVENTS, "[DONE]"]).encode()
            assert answer.content == (sent if streamed else json.dumps(completion("hello")).encode())
        if is_stream:
            assert answer.content.endswith(b"data: [DONE]\n\n")
        for name, value in expected.get("headers", {}).items():
            assert answer.headers.get(name) == value
        if "error" in expected:
            assert answer.json()["error"].items() >= expected["error"].items()
        record = await run.record()
        assert record["matched"] == [*expected["matched"], "audit"]
        for name in ("tags", "vars"):
            assert record[name] == expected.get(name, [] if name == "tags" else {})


async def test_what_was_redacted_is_put_back_whole_and_streamed(tmp_path: Path) -> None:
    rule = "{name: hide, actions: [{redact: {patterns: [pii.email], with: '[MAIL]', restore: true}}]}"
    tag = "{name: seen, phase: response, match: {completion_text: {contains: '[MAIL]'}}, actions: [{tag: marked}]}"
    body = {**CHAT, "messages": [{"role": "user", "content": "ask ada@example.com"}]}
    pieces = stream([delta("to [MA"), delta("IL]!"), delta(finish="stop")])
    async with scripted(answer_of("to [MAIL]!"), pieces) as up, running(rules(up, rule, tag), tmp_path) as run:
        answer = await run.post(body=body)
        assert answer.json()["choices"][0]["message"]["content"] == "to ada@example.com!"
        assert answer.headers["content-length"] == str(len(answer.content))
        streamed = await run.post(body={**body, "stream": True})
        assert said(streamed.content) == "to ada@example.com!"
        assert b"ada@" not in up.requests[0].body + up.requests[1].body
        for record in await run.records(2):
            assert record["tags"] == ["marked"]
            assert "[MAIL]" in json.dumps(record["response"])
            assert "ada@" not in json.dumps(record["response"])


async def test_a_stream_without_marks_is_not_held_for_them(tmp_path: Path) -> None:
    rule = "{name: hide, actions: [{redact: {patterns: [pii.email], restore: true}}]}"
    gate = asyncio.Event()
    async with scripted(gated(gate)) as up, running(rules(up, rule), tmp_path) as run:
        await first_event_then_rest(run, gate)


async def test_a_held_stream_that_is_too_large(tmp_path: Path) -> None:
    rule = "{name: hold, phase: response, actions: [{set: {model: x}}]}"
    events = [delta("x" * 500) for _ in range(10)]
    async with (
        scripted(stream(events)) as up,
        running(rules(up, rule, more="server: {max_held: 2000}\n"), tmp_path) as run,
    ):
        answer = await run.post(body=ASKED)
        assert (answer.status_code, "max_held" in answer.json()["error"]["message"]) == (502, True)
        assert (await run.record())["error"]["source"] == "upstream"


async def test_a_rule_that_only_notes_says_when_the_stream_was_too_large_for_it(tmp_path: Path) -> None:
    rule = "{name: note, phase: response, match: {completion_text: {contains: x}}, actions: [{tag: x}]}"
    events = [delta("x" * 500) for _ in range(10)]
    async with (
        scripted(stream(events)) as up,
        running(rules(up, rule, more="server: {max_held: 2000}\n"), tmp_path) as run,
    ):
        assert said((await run.post(body=ASKED)).content) == "x" * 5000
        (told,) = [entry for entry in (await run.record())["outcomes"] if entry["rule"] == "note"]
        assert (told["result"], told["why"]) == ("skipped", "the stream was larger than server.max_held")


async def test_response_rules_run_below_400_only(tmp_path: Path) -> None:
    body = b'{"error": {"message": "slow down", "type": "rate_limit_error", "code": "rl"}, "more": [1,  2]}'
    rule = "{name: never, phase: response, actions: [{set: {x: 1}}, {tag: never}]}"
    script = whole(body, "429 Too Many", "content-type: application/json\r\nretry-after: 7\r\nx-should-retry: true\r\n")
    async with scripted(script) as up, running(rules(up, rule), tmp_path) as run:
        answer = await run.post()
        assert (answer.status_code, answer.content, answer.headers["retry-after"]) == (429, body, "7")
        assert answer.headers["x-should-retry"] == "true"
        record = await run.record()
        assert (record["matched"], record["status"], record["error"]["message"], record["error"]["source"]) == (
            ["audit"],
            429,
            "slow down",
            "upstream",
        )


@pytest.mark.parametrize(
    ("status", "body"),
    [
        ("500 Oops", b"<html>oops</html>"),
        ("404 Not Found", b""),
        ("400 Bad", b'{"detail": "x"}'),
        ("401 No", b'{"error": "text"}'),
        ("503 No", b"[1]"),
        ("400 Bad", b"[" * 5000),
    ],
)
async def test_an_upstreams_error_keeps_status_and_body(status: str, body: bytes, tmp_path: Path) -> None:
    async with scripted(whole(body, status)) as up, running(rules(up), tmp_path) as run:
        answer = await run.post()
        assert (answer.status_code, answer.content) == (int(status[:3]), body)
        assert (await run.record())["error"]["source"] == "upstream"


# --- streams ----------------------------------------------------------------------------------------------------------


def gated(gate: asyncio.Event) -> Script:
    """A stream whose second event is sent only when the gate opens."""

    async def script(talk: Talk) -> None:
        await talk.send(HEAD + chunk(f"data: {delta('first')}\n\n".encode()))
        await asyncio.wait_for(gate.wait(), 10)
        await talk.send(chunk(f"data: {delta('second')}\n\n".encode()) + chunk(b"data: [DONE]\n\n") + b"0\r\n\r\n")

    return script


async def first_event_then_rest(run: Running, gate: asyncio.Event) -> None:
    """The first event is with the client before the second was sent, else this waits for ever."""
    async with run.http.stream("POST", "/v1/chat/completions", json=ASKED) as answer:
        lines = answer.aiter_lines()
        assert "first" in await anext(lines)
        gate.set()
        assert "second" in "".join([line async for line in lines])


async def test_the_first_event_arrives_before_the_second_is_sent(tmp_path: Path) -> None:
    notes = "{name: note, phase: response, match: {completion_text: {contains: second}}, actions: [{tag: seen}]}"
    gate = asyncio.Event()
    async with scripted(gated(gate)) as up, running(rules(up, notes), tmp_path) as run:
        await first_event_then_rest(run, gate)
        record = await run.record()
        assert (record["tags"], record["response"]["body"]["choices"][0]["message"]["content"]) == (
            ["seen"],
            "firstsecond",
        )
        assert 0 <= record["timing"]["ttft_ms"] <= record["timing"]["total_ms"]


async def test_bytes_of_a_stream_pass_as_they_are(tmp_path: Path) -> None:
    odd = b': ping\r\n\r\nevent: x\nid: 7\ndata: {"choices":  []}\n\ndata: not json\n\n\ndata: [DONE]\n\n'
    pieces = [chunk(odd[at : at + 7]) for at in range(0, len(odd), 7)]
    async with scripted(raw(HEAD, *pieces, b"0\r\n\r\n")) as up, running(rules(up), tmp_path) as run:
        assert (await run.post(body=ASKED)).content == odd
        await run.record()


@pytest.mark.parametrize(
    ("tail", "event"),
    [
        (b"", True),
        (b"data: {", False),
        (b"data: %b\n" % delta("!").encode(), False),
        (b"data: %b\r\n\r\n" % delta("!").encode(), True),
    ],
    ids=["between", "within a line", "within an event", "between, of other lines"],
)
@pytest.mark.parametrize("then", ["close", "reset"])
@pytest.mark.parametrize("usage", [True, False])
async def test_a_stream_that_breaks_off_is_never_whole(
    tail: bytes, event: bool, then: str, usage: bool, tmp_path: Path
) -> None:
    """Where its usage is taken out whole events leave, and an error event can follow."""
    script = raw(HEAD, chunk(f"data: {delta('hel')}\n\n".encode() + tail), pause=0.02, then=then)
    event = event or not usage
    async with scripted(script) as up, running(rules(up), tmp_path) as run:
        got = b""
        broken = False
        asked = {**ASKED, "stream_options": {"include_usage": usage}}
        try:
            async with run.http.stream("POST", "/v1/chat/completions", json=asked) as answer:
                async for piece in answer.aiter_raw():
                    got += piece
        except Exception:  # noqa: BLE001  whichever way the client notices
            broken = True
        assert broken is not event
        assert (b'"error"' in got) is event
        assert b"[DONE]" not in got
        record = await run.record()
        assert (record["status"], record["error"]["source"]) == (200, "connection")
        with pytest.raises(openai.APIError if event else openai.APIConnectionError):
            await heard(run, stream_options={"include_usage": usage})


@pytest.mark.parametrize("events", [[delta("hel")], []], ids=["within the text", "empty"])
async def test_a_stream_that_just_ends(events: list[str], tmp_path: Path) -> None:
    """HTTP says that all is well, but the answer never said that it was over: nobody may take it for whole."""
    script = raw(HEAD, *[chunk(f"data: {event}\n\n".encode()) for event in events], b"0\r\n\r\n")
    async with scripted(script) as up, running(rules(up), tmp_path) as run:
        answer = await run.post(body=ASKED)
        assert b'"error"' in answer.content
        assert b"[DONE]" not in answer.content
        assert (await run.record())["error"]["source"] == "connection"
        with pytest.raises(openai.APIError):
            await heard(run)


async def test_a_stream_without_done_is_whole_once_it_said_why_it_ended(tmp_path: Path) -> None:
    script = raw(HEAD, *[chunk(f"data: {event}\n\n".encode()) for event in EVENTS], b"0\r\n\r\n")
    async with scripted(script) as up, running(rules(up), tmp_path) as run:
        assert await heard(run) == "hello"
        assert (await run.record())["error"] is None


async def test_a_stream_that_stalls(tmp_path: Path) -> None:
    script = raw(HEAD + chunk(f"data: {delta('hel')}\n\n".encode()), then="hang")
    async with scripted(script) as up, running(rules(up, between_bytes="100ms"), tmp_path) as run:
        with pytest.raises(openai.APIError) as raised:
            await heard(run)
        assert "stalled" in str(raised.value)
        assert (await run.record())["error"]["source"] == "timeout"


async def test_an_error_within_a_stream_is_the_records_error(tmp_path: Path) -> None:
    events = [delta("hel"), json.dumps({"error": {"message": "overloaded", "type": "server_error", "code": "o"}})]
    async with scripted(stream(events)) as up, running(rules(up), tmp_path) as run:
        assert b"overloaded" in (await run.post(body=ASKED)).content
        record = await run.record()
        assert (record["error"]["message"], record["error"]["source"]) == ("overloaded", "upstream")


async def test_a_held_stream_with_an_error_within_is_no_answer(tmp_path: Path) -> None:
    rule = "{name: hold, phase: response, actions: [{set: {model: x}}]}"
    events = [delta("hel"), json.dumps({"error": {"message": "overloaded", "type": "server_error", "code": "o"}})]
    async with scripted(stream(events)) as up, running(rules(up, rule), tmp_path) as run:
        answer = await run.post(body=ASKED)
        assert (answer.status_code, answer.json()["error"]["message"]) == (502, "overloaded")
        assert (await run.record())["matched"] == ["audit"]


async def test_a_coding_that_was_not_asked_for_is_undone(tmp_path: Path) -> None:
    packed = gzip.compress(json.dumps(completion("hello")).encode())
    events = gzip.compress("".join(f"data: {event}\n\n" for event in [*EVENTS, "[DONE]"]).encode())
    head = "content-type: {}\r\ncontent-encoding: gzip\r\n"
    scripts = [
        whole(packed, headers=head.format("application/json")),
        whole(events, headers=head.format("text/event-stream")),
        whole(packed[:-9], headers=head.format("application/json")),
        whole(packed, headers="content-type: application/json\r\ncontent-encoding: br\r\n"),
    ]
    async with scripted(*scripts) as up, running(rules(up), tmp_path) as run:
        answer = await run.post()
        assert (answer.json(), "content-encoding" in answer.headers) == (completion("hello"), False)
        assert said((await run.post(body=ASKED)).content) == "hello"
        for _ in range(2):
            broken = await run.post()
            assert (broken.status_code, "coding" in broken.json()["error"]["message"]) == (502, True)
        assert len(await run.records(4)) == 4


# --- what no client could read ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("body", [b"<html>", b"", b'{"choices": [', b"null x", b'{"a": NaN}', b"[" * 3000])
async def test_garbage_with_200(body: bytes, tmp_path: Path) -> None:
    async with scripted(whole(body)) as up, running(rules(up), tmp_path) as run:
        answer = await run.post()
        error = answer.json()["error"]
        assert (answer.status_code, error["type"], error["code"]) == (502, "api_error", "upstream_answer")
        assert "main" in error["message"]
        record = await run.record()
        assert (record["status"], record["error"]["source"]) == (502, "upstream")


async def test_half_a_surrogate_in_an_answer_becomes_a_replacement(tmp_path: Path) -> None:
    body = json.dumps(completion("x")).replace('"x"', '"a\\ud800b"').encode()
    async with scripted(whole(body)) as up, running(rules(up), tmp_path) as run:
        answer = await run.post()
        assert answer.json()["choices"][0]["message"]["content"] == "a\ufffdb"


# --- headers ----------------------------------------------------------------------------------------------------------


async def test_headers_of_an_answer(tmp_path: Path) -> None:
    own = (
        "connection: x-hop\r\nx-hop: 1\r\nkeep-alive: timeout=5\r\nserver: other\r\nx-request-id: theirs\r\n"
        "x-pointsman-rule: faked\r\nopenai-organization: org\r\nset-cookie: a=1\r\nset-cookie: b=2\r\n"
        "x-ratelimit-remaining-requests: 7\r\ncontent-type: application/json\r\n"
    )
    async with (
        scripted(whole(json.dumps(completion("x")).encode(), headers=own)) as up,
        running(rules(up), tmp_path) as run,
    ):
        headers = (await run.post(headers={"x-request-id": "mine"})).headers
        assert (headers["openai-organization"], headers["x-ratelimit-remaining-requests"]) == ("org", "7")
        assert headers.get_list("set-cookie") == ["a=1", "b=2"]
        assert (headers["x-request-id"], headers["x-pointsman-rules"]) == ("mine", "")
        assert headers["x-pointsman-version"] == run.gateway.program.version
        for name in ("x-hop", "x-pointsman-rule"):
            assert name not in headers


# --- clients that leave -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
async def test_a_client_that_leaves_cancels_the_call(streamed: bool, tmp_path: Path) -> None:
    first = HEAD + chunk(f"data: {delta('hel')}\n\n".encode()) if streamed else b""
    notes = "{name: note, phase: response, match: {completion_text: {contains: hel}}, actions: [{tag: seen}]}"
    async with scripted(raw(first, then="hang")) as up, running(rules(up, notes), tmp_path) as run:
        body = json.dumps(ASKED if streamed else CHAT).encode()
        reader, writer = await asyncio.open_connection("127.0.0.1", run.port)
        writer.write(
            b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-length: %d\r\n\r\n" % len(body) + body
        )
        await eventually(lambda: bool(up.sent if streamed else up.requests))
        if streamed:
            await asyncio.wait_for(reader.readuntil(b"hel"), 10)
        writer.close()
        await asyncio.wait_for(up.left.wait(), 10)
        record = await run.record()
        assert record["matched"] == (["note", "audit"] if streamed else ["audit"])
        assert (record["error"]["source"], record["error"]["status"]) == ("client", 499)
        assert record["status"] == (200 if streamed else 499)
        await asyncio.sleep(0.05)
        assert len(await run.records()) == 1
