"""`webhook` against a receiver on a real socket: what it posts, and what it makes of each answer."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from running import eventually
from scripted import Received, raw, scripted, whole
from sink_problems import problem_of
from test_sinks import sink

from engine.ports.sink_http import Poster, retry_after, shown_url
from engine.ports.sinks import Sink, SinkDown


def webhook(url: str, options: str = "") -> Any:
    made = sink(f"{{webhook: {{url: '{url}'{options}}}}}")
    made.gather, made.backoff, made.longest_pause = 0.005, 0.005, 0.02
    return made


def numbers(requests: list[Received]) -> list[list[int]]:
    return [[record["n"] for record in json.loads(one.body)] for one in requests]


def kept(folder: Path) -> list[Any]:
    return [json.loads(line) for file in folder.glob("*.jsonl") for line in file.read_text().splitlines()]


async def closed(made: Sink, drain: float = 5.0) -> None:
    await asyncio.to_thread(made.close, drain)


async def test_records_are_posted_in_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOOK_TOKEN", "Bearer t0k")
    async with scripted(whole()) as up:
        made = webhook(f"{up.url}/in?a=b", ", headers: {authorization: os.environ/HOOK_TOKEN, X-Team: core}, batch: 3")
        for number in range(7):
            made.put({"n": number, "text": "ä"})
        made.start()
        await eventually(lambda: made.written == 7)
        await closed(made)
    assert numbers(up.requests) == [[0, 1, 2], [3, 4, 5], [6]]
    assert up.requests[0].line == "POST /in?a=b HTTP/1.1"
    told = {name.lower(): value for name, value in up.requests[0].headers}
    expected = {"authorization": "Bearer t0k", "x-team": "core", "content-type": "application/json"}
    assert {name: told[name] for name in expected} == expected
    assert "authorization" not in made.label
    assert "a=b" not in made.label
    assert up.connections == 1  # kept


async def test_one_record_a_request_is_an_object() -> None:
    async with scripted(whole()) as up:
        made = webhook(up.url, ", batch: 1")
        made.put({"n": 1})
        made.put({"n": 2})
        await closed(made)
    assert [json.loads(one.body) for one in up.requests] == [{"n": 1}, {"n": 2}]


@pytest.mark.parametrize(
    "answer",
    [
        whole(b"busy", "500 Internal Server Error"),
        whole(b"busy", "503 Service Unavailable", "retry-after: 0\r\n"),
        whole(b"", "429 Too Many Requests"),
        whole(b"", "401 Unauthorized"),
        whole(b"", "404 Not Found"),
        whole(b"", "307 Temporary Redirect", "location: /elsewhere\r\n"),
        raw(then="reset"),
        raw(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc", then="close"),
        raw(b"what?\r\n\r\n", then="close"),
    ],
    ids=["500", "503", "429", "401", "404", "307", "reset", "broken", "nonsense"],
)
async def test_what_is_not_taken_now_comes_again(answer: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with scripted(answer, answer, answer, whole(b"", "204 No Content", "")) as up:
        made = webhook(up.url)
        made.start(tmp_path)
        made.put({"n": 1})
        await eventually(lambda: made.spooled == 1)
        made.put({"n": 2})
        await eventually(lambda: made.written == 2)
        await closed(made)
    found = [number for batch in numbers(up.requests[3:]) for number in batch]
    assert found == [1, 2]
    keys = [dict(one.headers)["idempotency-key"] for one in up.requests if json.loads(one.body) == [{"n": 1}]]
    assert len(keys) >= 3
    assert len(set(keys)) == 1
    assert (made.failed, made.lost) == (0, 0)
    assert caplog.text.count("is down, records wait") == 1


@pytest.mark.parametrize("status", ["400 Bad Request", "413 Content Too Large", "422 Unprocessable Content"])
async def test_what_is_refused_does_not_come_again(status: str, caplog: pytest.LogCaptureFixture) -> None:
    async with scripted(whole(b'{"error":  "no such\n field"}', status), whole()) as up:
        made = webhook(up.url, ", batch: 1")
        made.put({"n": 1})
        made.put({"n": 2})
        await closed(made)
    assert [json.loads(one.body)["n"] for one in up.requests] == [1, 2]
    assert (made.written, made.failed) == (1, 1)
    assert f'answered {status[:3]}: {{"error": "no such field"}}' in caplog.text


async def test_a_receiver_that_is_gone_for_a_while(tmp_path: Path) -> None:
    async with scripted(whole()) as up:
        made = webhook(up.url)
        made.start(tmp_path)
        made.put({"n": 0})
        await eventually(lambda: made.written == 1)
        port = up.port
    for number in range(1, 50):
        made.put({"n": number})
    await eventually(lambda: made.spooled == 49)

    taken: list[int] = []

    async def receive(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n", 1)[0])
        taken.extend(record["n"] for record in json.loads(await reader.readexactly(length)))
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(receive, "127.0.0.1", port)
    await eventually(lambda: made.written == 50)
    await closed(made)
    server.close()
    await server.wait_closed()
    assert taken == list(range(1, 50))
    assert kept(tmp_path) == []


async def test_an_answer_that_never_ends_is_not_waited_for() -> None:
    drip = raw(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n", *[b"x"] * 1000, pause=0.02)
    async with scripted(drip) as up:
        poster = Poster(up.url, {}, total=0.1)
        try:
            with pytest.raises(SinkDown, match=r"more than 0\.1 s"):
                await asyncio.to_thread(poster.post, b"{}")
        finally:
            poster.close()


async def test_what_hangs_holds_up_no_close(tmp_path: Path) -> None:
    async with scripted(raw(then="hang")) as up:
        made = webhook(up.url)
        made.start(tmp_path)
        made.put({"n": 1})
        await eventually(lambda: bool(up.requests))
        await closed(made, 0.05)
        assert kept(tmp_path) == [{"n": 1}]
    for thread in made._queue._threads:  # the receiver is gone: it ends
        await asyncio.to_thread(thread.join, 10)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("3", 3.0), ("0", 0.0), ("", 0.0), ("soon", 0.0), ("-1", 0.0), ("Thu, 01 Jan 1970 00:00:00 GMT", 0.0)],
)
def test_retry_after(value: str, seconds: float) -> None:
    assert retry_after(value) == seconds
    assert retry_after("Fri, 01 Jan 2100 00:00:00 GMT") > 10**9


def test_an_address_is_shown_without_secrets() -> None:
    assert shown_url("https://me:secret@example.com:8443/in?token=t") == "https://example.com:8443/in"


@pytest.mark.parametrize(
    ("text", "code", "at", "help"),
    [
        ("{webhook: example.com/in}", "wrong-type", "example.com/in", "https://example.com/records"),
        ("{webhook: 'http://'}", "wrong-type", "http://", "https://example.com/records"),
        ("{webhook: 'http://:80/in'}", "wrong-type", "http://:80/in", "https://example.com/records"),
        ("{webhook: 'http://a:99999/in'}", "wrong-type", "http://a:99999/in", "https://example.com/records"),
        ("{webhook: {url: 'http://a', headers: {'x y': b}}}", "bad-header", "x y", "letters, digits"),
        ('{webhook: {url: "http://a", headers: {x-a: "b\\nc"}}}', "bad-header", "b\\nc", "on one line"),
        ("{webhook: {url: 'http://a', headers: {x-a: ä}}}", "bad-header", "ä", "on one line"),
        ("{webhook: {url: 'http://a', batch: 0}}", "wrong-type", "0", ""),
        ("{webhook: {url: 'http://a', retry: {times: -1}}}", "wrong-type", "-1", ""),
        ("{webhook: {url: 'http://a', retry: {tries: 1}}}", "unknown-key", "tries", "times"),
        ("{webhook: {batch: 1}}", "missing-key", "{", "Where to post"),
    ],
)
def test_problems(text: str, code: str, at: str, help: str) -> None:
    problem, place = problem_of(text)
    assert (problem.code, place.strip("'\"")) == (code, at)
    assert help.lower() in problem.help.lower()


def test_a_reload_keeps_what_did_not_change() -> None:
    text = "{webhook: {url: 'http://a', retry: {times: 3, backoff: 200ms}, headers: {a: b}}}"
    assert sink(text).same_as(sink(text))
    assert (sink(text).retries, sink(text).backoff) == (3, 0.2)
    assert not sink(text).same_as(sink(text.replace("3", "4")))
    assert sink("{webhook: 'http://a'}").retries is None
