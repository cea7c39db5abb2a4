"""What a stream tells beside its text: found wherever the network cut it, and taken out where nobody asked for it."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.document.dialects import DIALECTS
from engine.document.sse import LARGEST_EVENT
from engine.proxy.stream_usage import StreamUsage

USAGE = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
TOLD = json.dumps(USAGE).encode()
# Each as it comes, and what of it the client gets.
EVENTS = [
    (
        b'data: {"id":"c","choices":[{"delta":{"content":"hi"}}],"usage":null}\n\n',
        b'data: {"id":"c","choices":[{"delta":{"content":"hi"}}]}\n\n',
    ),
    (b'data: {"choices":[],"usage":null,"obfuscation":"Zx8"}\n\n', b'data: {"choices":[],"obfuscation":"Zx8"}\n\n'),
    (b'data: {"choices": [], "usage": null, "n": 1.5e3}\n\n', b'data: {"choices": [], "n": 1.5e3}\n\n'),
    (b'data: {"usage":null,"choices":[]}\n\n', b'data: {"choices":[]}\n\n'),
    (b'data: {"usage" : null , "choices":[{"usage":null}]}\n\n', b'data: {"choices":[{"usage":null}]}\n\n'),
    (b'data: {"choices":[{"usage":null}],"usage":null}\n\n', b'data: {"choices":[{"usage":null}]}\n\n'),
    (b'data: {"choices":[{"usage":null}]}\n\n', b'data: {"choices":[{"usage":null}]}\n\n'),
    (
        b'data: {"choices":[{"delta":{"content":",\\"usage\\":null}"}}],"usage":null}\n\n',
        b'data: {"choices":[{"delta":{"content":",\\"usage\\":null}"}}]}\n\n',
    ),
    (
        b'data: {"choices":[{"delta":{"content":"usage"}}],"usage":null}\n\n',
        b'data: {"choices":[{"delta":{"content":"usage"}}]}\n\n',
    ),
    (
        b'data: {"choices":[],"usage":null,"prompt_filter_results":[{"prompt_index":0}]}\n\n',
        b'data: {"choices":[],"prompt_filter_results":[{"prompt_index":0}]}\n\n',
    ),
    (
        b'data: {"choices":[],"prompt_filter_results":[{"prompt_index":0}]}\n\n',
        b'data: {"choices":[],"prompt_filter_results":[{"prompt_index":0}]}\n\n',
    ),
    (
        b'data: {"choices":[{"delta":{"content":"\\ud83d"}}],"usage":null}\n\n',
        b'data: {"choices":[{"delta":{"content":"\\ud83d"}}]}\n\n',
    ),
    (b'data: {"choices":[],"usage":%b}\n\n' % TOLD, b""),
    (
        b'event: x\r\nid: 7\r\ndata: {"choices":[],"usage":null}\r\n\r\n',
        b'event: x\r\nid: 7\r\ndata: {"choices":[]}\r\n\r\n',
    ),
    (b'data: {"choices":[],"usage":%b}\r\n\r\n' % TOLD, b""),
    (b'data: {"choices":[],"usage":null}\r\r', b'data: {"choices":[]}\r\r'),
    (
        b'data: {"choices":[{"delta":{}}],"usage":%b}\n\n' % TOLD,
        b'data: {"choices":[{"delta":{}}],"usage":%b}\n\n' % TOLD,
    ),
    (b'data: {"usage":null}\n\n', b'data: {"usage":null}\n\n'),
    (b'data: "usage"\n\n', b'data: "usage"\n\n'),
    (b'data: {"choices":[],"usage":null\n\n', b'data: {"choices":[],"usage":null\n\n'),
    (b": ping\n\n", b": ping\n\n"),
    (b"\n", b"\n"),
    (b"data: [DONE]\n\n", b"data: [DONE]\n\n"),
]


def through(pieces: list[bytes], call_type: str = "completion", *, takes_out: bool = True) -> tuple[bytes, StreamUsage]:
    read = StreamUsage(DIALECTS[call_type], takes_out=takes_out)
    return b"".join([read.take(piece) for piece in pieces]) + read.finish(), read


def cut(whole: bytes, places: list[int]) -> list[bytes]:
    ends = sorted({0, len(whole), *(place % (len(whole) + 1) for place in places)})
    return [whole[start:end] for start, end in pairwise(ends)]


@pytest.mark.parametrize(("came", "gets"), EVENTS)
def test_one_event(came: bytes, gets: bytes) -> None:
    assert through([came])[0] == gets


@given(st.lists(st.sampled_from(EVENTS), max_size=8), st.lists(st.integers(0, 1000), max_size=12))
def test_the_same_for_every_split(events: list[tuple[bytes, bytes]], places: list[int]) -> None:
    came = b"".join(event for event, _ in events)
    out, read = through(cut(came, places))
    assert out == b"".join(gets for _, gets in events)
    assert read.told.get("usage") == (USAGE if TOLD in came else None)
    passed, looked = through(cut(came, places), takes_out=False)
    assert (passed, looked.told) == (came, read.told)


@pytest.mark.parametrize("blank", [b"\n", b"\r\n", b"\n\n\n"])
def test_blank_lines_around_an_event_that_is_taken_out_stay(blank: bytes) -> None:
    event = b'data: {"choices":[],"usage":%b}\n\n' % TOLD
    for came, gets in ((blank + event, blank), (event + blank, blank), (blank + event + blank, 2 * blank)):
        for place in range(len(came)):
            assert through([came[:place], came[place:]])[0] == gets


def test_every_place_of_a_cut() -> None:
    came = b"".join(event for event, _ in EVENTS)
    expected = b"".join(gets for _, gets in EVENTS)
    for place in range(len(came)):
        assert through([came[:place], came[place:]])[0] == expected
    assert through([came[at : at + 1] for at in range(len(came))])[0] == expected


def test_what_leaves_with_a_chunk_is_whole_events() -> None:
    read = StreamUsage(DIALECTS["completion"], takes_out=True)
    assert read.take(b'data: {"a":1}\n\ndata: {"b"') == b'data: {"a":1}\n\n'
    assert read.take(b':2,"usage":null}\n') == b""
    assert read.take(b"\n") == b'data: {"b":2}\n\n'


def test_an_event_without_its_blank_line_at_the_end() -> None:
    assert through([b'data: {"choices":[],"usage":%b}' % TOLD])[0] == b""
    assert through([b'data: {"choices":[],"usage":null}\n'])[0] == b'data: {"choices":[]}\n'


def test_an_event_that_is_too_large_passes_and_nothing_is_looked_for_behind_it() -> None:
    large = b'data: {"choices":[{"delta":{"content":"' + b"x" * LARGEST_EVENT
    came = [large[at : at + 65536] for at in range(0, len(large), 65536)]
    came += [b'"}}],"usage":null}\n\n', b'data: {"choices":[],"usage":%b}\n\n' % TOLD]
    out, read = through(came)
    assert out == b"".join(came)
    assert read.told == {}


def typed(kind: str, **body: Any) -> bytes:
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **body}, separators=(',', ':'))}\n\n".encode()


BEGUN = {"input_tokens": 9, "cache_read_input_tokens": 4, "output_tokens": 1, "service_tier": "standard"}
MESSAGES = [
    typed("message_start", message={"model": "claude", "usage": BEGUN}),
    typed("content_block_delta", delta={"text": '"usage"'}),
    typed("message_delta", delta={}, usage={"output_tokens": 7, "input_tokens": None}),
    typed("message_stop"),
]
SAID = {"input_tokens": 1, "output_tokens": 2}
RESPONSES = [
    typed("response.created", response={"model": "g", "usage": None, "error": None}),
    typed("response.completed", response={"model": "g", "service_tier": "flex", "usage": SAID, "error": None}),
]


def test_usage_of_a_message_is_told_at_its_start_and_its_end() -> None:
    _, read = through(MESSAGES, "messages", takes_out=False)
    assert read.told == {"model": "claude", "usage": {**BEGUN, "output_tokens": 7}}


def test_usage_of_a_message_that_broke_off_is_not_known() -> None:
    assert through(MESSAGES[:2], "messages", takes_out=False)[1].told == {}


def test_usage_of_a_response_is_told_at_its_end() -> None:
    assert through(RESPONSES[:1], "responses", takes_out=False)[1].told == {}
    _, read = through(RESPONSES, "responses", takes_out=False)
    assert read.told == {"model": "g", "service_tier": "flex", "usage": SAID}
    assert read.error is None


@pytest.mark.parametrize(
    ("call_type", "event"),
    [
        ("completion", b'data: {"error":{"message":"no"}}\n\n'),
        ("completion", b'data: {"error": "no"}\r\n\r\n'),
        ("messages", typed("error", error={"type": "overloaded_error", "message": "no"})),
        ("responses", typed("response.failed", response={"error": {"message": "no"}})),
        ("responses", typed("error", message="no", code="x")),
    ],
)
@pytest.mark.parametrize("width", [1, 7, 1000])
def test_errors_are_seen(call_type: str, event: bytes, width: int) -> None:
    pieces = [event[at : at + width] for at in range(0, len(event), width)]
    _, read = through(pieces, call_type, takes_out=False)
    assert read.error is not None
    assert read.error["message"] == "no"


def test_the_word_error_alone_is_none() -> None:
    said = b'data: {"choices":[{"delta":{"content":"\\"error\\":{}"}}],"error":null}\n\n'
    assert through([said, b'data: {"choices":[{"delta":{"content":"error"}}]}\n\n'])[1].error is None
