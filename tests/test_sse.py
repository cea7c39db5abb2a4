"""Server-sent events: the same events for every split of the bytes, and the bytes themselves kept."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.document.dialect import Event
from engine.document.sse import DONE, EventTooLarge, Parser, written

STREAMS = {
    "one event": (b"data: a\n\n", [("a", None)]),
    "no space after the colon": (b"data:a\n\n", [("a", None)]),
    "only the first space is taken": (b"data:  a\n\n", [(" a", None)]),
    "a named event": (b"event: ping\ndata: {}\n\n", [("{}", "ping")]),
    "the name may come last": (b"data: {}\nevent: ping\n\n", [("{}", "ping")]),
    "several lines of data": (b"data: a\ndata\ndata: b\n\n", [("a\n\nb", None)]),
    "CRLF": (b"data: a\r\n\r\ndata: b\r\n\r\n", [("a", None), ("b", None)]),
    "lone CR": (b"data: a\r\rdata: b\r\r", [("a", None), ("b", None)]),
    "mixed line ends": (b"data: a\n\r\ndata: b\r\n\ndata: c\r\r\n", [("a", None), ("b", None), ("c", None)]),
    "a comment between events": (b": keep alive\n\ndata: a\n\n", [("", None), ("a", None)]),
    "a comment inside an event": (b": note\ndata: a\n\n", [("a", None)]),
    "id and retry are left alone": (b"id: 7\nretry: 3\ndata: a\n\n", [("a", None)]),
    "a byte order mark": (b"\xef\xbb\xbfdata: a\n\ndata: b\n\n", [("a", None), ("b", None)]),
    "three line ends": (b"data: a\n\n\ndata: b\n\n", [("a", None), ("b", None)]),
    "no blank line at the end": (b"data: a\n\ndata: b", [("a", None), ("b", None)]),
    "text beyond ASCII": ("data: größer 🙂\n\n".encode(), [("größer 🙂", None)]),
    "bytes that are no UTF-8": (b"data: \xff!\n\n", [("\ufffd!", None)]),
}


def events_of(chunks: list[bytes], largest: int = 1000) -> list[Event]:
    parser = Parser(largest)
    found = [event for chunk in chunks for event in parser.feed(chunk)]
    return found + parser.finish()


@pytest.mark.parametrize("title", STREAMS)
def test_events_of_a_stream(title):
    stream, expected = STREAMS[title]
    events = events_of([stream])
    assert [(event.data, event.name) for event in events] == expected
    assert b"".join(event.raw for event in events) == stream


@pytest.mark.parametrize("title", STREAMS)
def test_every_split_in_two_and_byte_by_byte(title):
    stream, _ = STREAMS[title]
    whole = events_of([stream])
    for at in range(len(stream) + 1):
        assert events_of([stream[:at], stream[at:]]) == whole
    assert events_of([stream[at : at + 1] for at in range(len(stream))]) == whole


LINES = st.sampled_from(
    [b"data: a", b"data:\xc3\xa9", b"data", b"event: x", b": c", b"", b"\xef\xbb\xbf", b"id: 1", b"\xc3"]
)
ENDS = st.sampled_from([b"\n", b"\r\n", b"\r", b"\n\n", b"\r\n\r\n", b"\r\r"])
STREAM = st.lists(st.tuples(LINES, ENDS), max_size=12).map(lambda pairs: b"".join(line + end for line, end in pairs))


@given(STREAM, st.lists(st.integers(0, 120), max_size=6))
def test_any_split_gives_the_same_events(stream, cuts):
    places = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    chunks = [stream[a:b] for a, b in pairwise(places)]
    events = events_of(chunks)
    assert events == events_of([stream])
    assert b"".join(event.raw for event in events) == stream


def test_an_event_leaves_with_the_byte_that_ends_it():
    parser = Parser()
    assert parser.feed(b"data: a\n") == []
    assert [event.data for event in parser.feed(b"\ndata: b")] == ["a"]
    assert [event.data for event in parser.feed(b"\r\n\r\n")] == ["b"]


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_an_event_over_the_limit_is_an_error_after_the_good_ones(size):
    stream = b"data: a\n\n" + b"data: " + b"x" * 60 + b"\n\n"
    parser, found = Parser(largest=40), []
    with pytest.raises(EventTooLarge, match="longer than 40 bytes"):  # noqa: PT012 - feeding goes on until it raises
        for at in range(0, len(stream), size):
            found += parser.feed(stream[at : at + size])
        parser.finish()
    assert [event.data for event in found] == ["a"]


def test_a_stream_without_any_end_does_not_fill_memory():
    parser = Parser(largest=100)
    with pytest.raises(EventTooLarge):  # noqa: PT012 - feeding goes on until it raises
        for _ in range(100):
            parser.feed(b"x" * 10)


def test_writing():
    assert written({"a": "ü"}) == 'data: {"a":"ü"}\n\n'.encode()
    assert written({}, "ping") == b"event: ping\ndata: {}\n\n"
    assert events_of([written({"a": 1}), DONE])[1].data == "[DONE]"
