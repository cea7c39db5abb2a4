"""Streams of every dialect: pieces to wire form, events to a whole body, a whole body to events and back."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.document.answers import Refusal
from engine.document.dialect import Event, Piece
from engine.document.dialects import DIALECTS
from engine.document.exchange import Exchange
from engine.document.sse import Parser
from engine.document.stream_wires import chat

SPOKEN = ("completion", "text_completion", "responses", "messages")
TOLD = {"id": "x", "model": "m", "created": 7}


class Noon:
    def now(self):
        return datetime(2026, 11, 21, 12, tzinfo=UTC)

    def monotonic(self):
        return 0.0


def exchange(body):
    made = Exchange(None, Noon())
    made.id = "abc"
    made.request = body
    return made


def assembled(dialect, wire):
    parser, assembler = Parser(), dialect.assembler()
    for event in parser.feed(wire) + parser.finish():
        assembler.feed(event)
    return assembler


def composed(name, *pieces, finish="stop"):
    return b"".join(DIALECTS[name].compose(pieces, **TOLD, finish=finish))


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=6)
PIECES = st.lists(
    TEXTS.map(lambda text: Piece(text=text))
    | TEXTS.map(lambda text: Piece(reasoning=text))
    | st.tuples(st.integers(0, 2), TEXTS).map(lambda two: Piece(tool=two[0], name="f", arguments=json.dumps(two[1]))),
    max_size=8,
)


@pytest.mark.parametrize("name", SPOKEN)
@given(pieces=PIECES)
def test_pieces_assemble_and_replay(name, pieces):
    dialect = DIALECTS[name]
    whole = assembled(dialect, composed(name, *pieces, Piece(usage={"prompt_tokens": 3, "completion_tokens": 2})))
    assert whole.complete
    assert whole.error is None
    assert whole.malformed == 0
    assert whole.usage["total_tokens"] == dialect.usage(whole.body)["total_tokens"] == 5
    said = dialect.said(whole.body)
    assert said.completion.replace("\n", "") == "".join(piece.text or "" for piece in pieces).replace("\n", "")
    again = assembled(dialect, b"".join(dialect.replay(whole.body, include_usage=True)))
    assert again.body == whole.body
    assert again.complete


def test_choices_grow_apart():
    wire = composed("completion", Piece(text="a", choice=1), Piece(text="b"), Piece(text="c", choice=1))
    choices = assembled(DIALECTS["completion"], wire).body["choices"]
    assert [(choice["index"], choice["message"]["content"]) for choice in choices] == [(0, "b"), (1, "ac")]


def test_calls_of_a_chat_grow_apart():
    wire = composed(
        "completion",
        Piece(tool=0, name="f", arguments='{"a"'),
        Piece(tool=1, name="g", arguments="{}"),
        Piece(tool=0, arguments=":1}"),
    )
    choice = assembled(DIALECTS["completion"], wire).body["choices"][0]
    assert [call["function"] for call in choice["message"]["tool_calls"]] == [
        {"name": "f", "arguments": '{"a":1}'},
        {"name": "g", "arguments": "{}"},
    ]
    assert choice["finish_reason"] == "tool_calls"
    assert choice["message"]["content"] is None


def test_usage_of_a_chat_comes_after_the_finish():
    events = composed("completion", Piece(usage={"total_tokens": 1}), Piece(text="a")).split(b"\n\n")
    assert b'"finish_reason":"stop"' in events[-4]
    assert b'"choices":[],"usage"' in events[-3]
    assert events[-2] == b"data: [DONE]"


@pytest.mark.parametrize("name", SPOKEN)
def test_raw_bytes_stand_as_they_are(name):
    assert composed(name, Piece(raw="data: {oops\n\n")) == b"data: {oops\n\n"
    wire = composed(name, Piece(text="a"), Piece(raw=": here\n\n"), Piece(text="b"))
    assert b": here\n\n" in wire
    assert DIALECTS[name].said(assembled(DIALECTS[name], wire).body).completion == "ab"


@pytest.mark.parametrize("name", SPOKEN)
def test_after_raw_bytes_at_the_end_nothing_follows(name):
    wire = composed(name, Piece(text="a"), Piece(raw='data: {"cut'))
    assert wire.endswith(b'data: {"cut')
    broken = assembled(DIALECTS[name], wire)
    assert not broken.complete
    assert broken.malformed == 1
    assert DIALECTS[name].said(broken.body).completion == "a"


@pytest.mark.parametrize("name", SPOKEN)
def test_a_given_answer_replays_as_itself(name):
    dialect = DIALECTS[name]
    body = dialect.assistant(exchange({"model": "gpt-4o"}), "no")
    assert body["model"] == "gpt-4o"
    assert dialect.said(body).completion == "no"
    assert dialect.usage(body)["total_tokens"] == 0
    again = assembled(dialect, b"".join(dialect.replay(body, include_usage=True)))
    assert again.complete
    assert dialect.said(again.body).completion == "no"
    assert again.usage["total_tokens"] == 0


def test_the_given_chat_answer_to_the_letter():
    assert DIALECTS["completion"].assistant(exchange({"model": "m"}), "no") == {
        "id": "chatcmpl-abc",
        "object": "chat.completion",
        "created": 1795262400,
        "model": "m",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "no", "refusal": None},
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0},
    }


def test_the_usage_chunk_only_when_asked_for():
    chat = DIALECTS["completion"]
    body = chat.assistant(exchange({"model": "m"}), "no")
    assert b'"usage"' not in b"".join(chat.replay(body, include_usage=False))
    assert b'"usage"' in b"".join(chat.replay(body, include_usage=True))


def test_a_model_that_was_no_text_is_the_empty_text():
    assert DIALECTS["completion"].assistant(exchange({"model": 5}), "no")["model"] == ""


@pytest.mark.parametrize(
    ("finish", "message", "response"),
    [
        ("stop", "end_turn", "completed"),
        ("content_filter", "refusal", "incomplete"),
        ("length", "max_tokens", "incomplete"),
    ],
)
def test_how_an_answer_ended(finish, message, response):
    x = exchange({"model": "m"})
    assert DIALECTS["messages"].assistant(x, "no", finish)["stop_reason"] == message
    assert DIALECTS["responses"].assistant(x, "no", finish)["status"] == response
    assert b"event: response." + response.encode() in b"".join(
        DIALECTS["responses"].replay(DIALECTS["responses"].assistant(x, "no", finish), include_usage=False)
    )


@pytest.mark.parametrize("name", SPOKEN)
def test_an_error_inside_a_stream(name):
    dialect = DIALECTS[name]
    told = assembled(dialect, dialect.error_event(Refusal(403, "not here", code="rule_rejected"), "abc"))
    assert told.error["message"] == "not here"
    assert told.error["type"] == "permission_error"
    assert not told.complete
    assert told.body is None


def test_errors_of_a_whole_answer():
    refusal = Refusal(400, "no", code="rule_rejected", param="user")
    assert DIALECTS["responses"].error(refusal, "abc") == {
        "error": {"message": "no", "type": "invalid_request_error", "param": "user", "code": "rule_rejected"}
    }
    assert DIALECTS["messages"].error(refusal, "abc") == {
        "type": "error",
        "error": {"type": "invalid_request_error", "message": "no"},
        "request_id": "abc",
    }


# --- streams of others -----------------------------------------------------------------------------------------------


def fed(name, *bodies):
    assembler = DIALECTS[name].assembler()
    for body in bodies:
        assembler.feed(Event(body if isinstance(body, str) else json.dumps(body)))
    return assembler


def delta(delta, **beside):
    return {"choices": [{"index": 0, "delta": delta, **beside}]}


def test_chunks_as_others_send_them():
    whole = fed(
        "completion",
        {"id": "c1", "model": "m", "system_fingerprint": None, **delta({"role": "assistant", "content": ""})},
        {"id": "c1", "system_fingerprint": "fp", **delta({"content": "a"}, logprobs={"content": [{"token": "a"}]})},
        delta({"content": "b"}, logprobs={"content": [{"token": "b"}]}),
        delta({"audio": {"id": "au", "transcript": "x"}}),
        delta({"audio": {"transcript": "y"}}),
        delta({"refusal": "n"}),
        delta({"refusal": "o"}),
        delta({}, finish_reason="stop"),
        {"choices": [], "usage": {"total_tokens": 1}},
    )
    choice = whole.body["choices"][0]
    assert whole.body["system_fingerprint"] == "fp"
    assert choice["message"] == {
        "role": "assistant",
        "content": "ab",
        "refusal": "no",
        "audio": {"id": "au", "transcript": "xy"},
    }
    assert choice["logprobs"] == {"content": [{"token": "a"}, {"token": "b"}]}
    assert whole.complete, "a finish_reason for every choice is an end, with or without [DONE]"


def test_surrogates_torn_between_events_are_joined():
    whole = fed(
        "completion",
        '{"choices":[{"index":0,"delta":{"content":"\\ud83d"}}]}',
        '{"choices":[{"index":0,"delta":{"content":"\\ude42\\ud800!"}}]}',
    )
    assert whole.body["choices"][0]["message"]["content"] == "🙂\ufffd!"
    assert whole.malformed == 0


def test_a_response_without_snapshot_is_made_of_its_deltas():
    whole = fed(
        "responses",
        {"type": "response.created", "response": {"id": "r1", "status": "in_progress", "output": []}},
        {
            "type": "response.output_item.added",
            "output_index": 0,
            "item": {"type": "message", "id": "m1", "content": []},
        },
        {"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "delta": "a"},
        {"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "delta": "b"},
    )
    assert not whole.complete
    assert DIALECTS["responses"].said(whole.body).completion == "ab"


def test_a_snapshot_without_output_does_not_lose_it():
    whole = fed(
        "responses",
        {
            "type": "response.output_item.done",
            "output_index": 0,
            "item": {"type": "message", "content": [{"type": "output_text", "text": "ab"}]},
        },
        {"type": "response.completed", "response": {"id": "r1", "status": "completed", "output": []}},
    )
    assert whole.complete
    assert DIALECTS["responses"].said(whole.body).completion == "ab"


def test_a_failed_response_is_an_error():
    whole = fed(
        "responses",
        {
            "type": "response.failed",
            "response": {"status": "failed", "error": {"code": "server_error", "message": "boom"}},
        },
    )
    assert whole.error == {"code": "server_error", "message": "boom"}


def test_a_message_broken_off_within_a_tool_call_can_still_be_read():
    whole = fed(
        "messages",
        {"type": "message_start", "message": {"id": "m", "usage": {"input_tokens": 5}}},
        {"type": "ping"},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "tool_use", "name": "f", "input": {}}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "input_json_delta", "partial_json": '{"a": "se'}},
    )
    assert not whole.complete
    assert DIALECTS["messages"].said(whole.body).tool == '{"a": "se'
    assert whole.usage["prompt_tokens"] == 5


def test_citations_and_signatures_survive():
    body = {
        "id": "m",
        "type": "message",
        "role": "assistant",
        "model": "m",
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": 1, "output_tokens": 2},
        "content": [
            {"type": "thinking", "thinking": "hm", "signature": "sig"},
            {"type": "text", "text": "a", "citations": [{"type": "char_location", "cited_text": "q"}]},
            {"type": "redacted_thinking", "data": "zz"},
        ],
    }
    messages = DIALECTS["messages"]
    assert assembled(messages, b"".join(messages.replay(body, include_usage=False))).body == body


EVENTS = st.dictionaries(
    st.sampled_from(
        [
            "type",
            "choices",
            "delta",
            "index",
            "message",
            "content_block",
            "response",
            "item",
            "output_index",
            "usage",
            "error",
        ]
    ),
    st.recursive(
        st.none()
        | st.integers(-2, 3)
        | st.sampled_from(
            [
                "message_start",
                "content_block_start",
                "content_block_delta",
                "message_delta",
                "text_delta",
                "input_json_delta",
                "response.output_item.added",
                "response.output_text.delta",
                "response.completed",
                "x",
            ]
        ),
        lambda inner: (
            st.lists(inner, max_size=2)
            | st.dictionaries(
                st.sampled_from(
                    [
                        "type",
                        "index",
                        "delta",
                        "content",
                        "text",
                        "tool_calls",
                        "function",
                        "arguments",
                        "usage",
                        "partial_json",
                        "output",
                        "role",
                        "logprobs",
                        "audio",
                    ]
                ),
                inner,
                max_size=3,
            )
        ),
        max_leaves=8,
    ),
    max_size=4,
)


@pytest.mark.parametrize("name", DIALECTS)
@given(events=st.lists(EVENTS.map(json.dumps) | st.sampled_from(["[DONE]", "", "{", "[]", "7", "null"]), max_size=6))
def test_any_events_assemble(name, events):
    assembler = fed(name, *events)
    body = assembler.body
    if body is not None:
        DIALECTS[name].said(body)
        assert all(DIALECTS[name].replay(body, include_usage=True))
    assert assembler.usage is None or "total_tokens" in assembler.usage


@pytest.mark.parametrize("index", [False, True, None, "1", 1.0])
def test_a_call_whose_index_is_no_number_has_its_place_in_the_list(index):
    call = {"index": index, "function": {"arguments": "{"}}
    (slot,) = chat({"choices": [{"delta": {"tool_calls": [call]}}]}).slots
    assert slot.channel.owner == (0, "delta", "tool_calls", 0, "function", "arguments")
    assert type(slot.channel.owner[3]) is int
