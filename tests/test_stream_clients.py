"""What rules leave of a stream is read by the official clients, to its end."""

from __future__ import annotations

from typing import Any

import anthropic
import httpx
import httpx2
import openai
import pytest
from streamed import composed, exchange, program, run

from engine.document.dialect import Piece

PIECES = [
    Piece(reasoning="thinking of ada@"),
    Piece(reasoning="example.com"),
    Piece(text="Write to ada@exam"),
    Piece(text="ple.com, for"),
    Piece(text="bidden"),
    Piece(text=" things"),
    Piece(tool=0, name="send", arguments='{"to": "ada@ex'),
    Piece(tool=0, arguments='ample.com"}'),
    Piece(usage={"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}),
]
MESSAGES: Any = [{"role": "user", "content": "hi"}]
REDACT = "  - {name: r, phase: stream, actions: [{redact: {patterns: [pii.email], with: M}}]}\n"
CUT = "  - {name: c, phase: stream, match: {completion_text: {contains: forbidden}}, actions: [{%s}]}\n"


def answered(rules: str, call_type: str, pieces: list[Piece], web: Any = httpx) -> Any:
    """A client whose every request is answered by the stream that rules leave; `web`: the library that an SDK uses."""
    x = exchange(program(rules), call_type, stream_options={"include_usage": True})
    wire = composed(call_type, pieces)
    whole = run(x, [wire[at : at + 11] for at in range(0, len(wire), 11)]).whole
    headers = {"content-type": "text/event-stream"}
    return web.Client(transport=web.MockTransport(lambda _: web.Response(200, headers=headers, content=whole)))


def of_openai(http: Any) -> openai.OpenAI:
    return openai.OpenAI(api_key="k", base_url="http://t/v1", http_client=http, max_retries=0)


def of_anthropic(http: Any) -> anthropic.Anthropic:
    return anthropic.Anthropic(api_key="k", base_url="http://t", http_client=http, max_retries=0)


@pytest.mark.parametrize(
    ("rules", "said", "finish"),
    [
        (REDACT, "Write to M, forbidden things", "tool_calls"),
        (REDACT + CUT % "reject_with_message: sorry", "Write to M, sorry", "content_filter"),
    ],
)
def test_chat(rules: str, said: str, finish: str) -> None:
    with of_openai(answered(rules, "completion", PIECES)) as client:
        chunks = list(
            client.chat.completions.create(
                model="m", messages=MESSAGES, stream=True, stream_options={"include_usage": True}
            )
        )
    choices = [choice for chunk in chunks for choice in chunk.choices]
    assert "".join(choice.delta.content or "" for choice in choices) == said
    assert [choice.finish_reason for choice in choices if choice.finish_reason] == [finish]
    assert chunks[-1].usage is not None
    if finish == "tool_calls":
        calls = [call for choice in choices for call in choice.delta.tool_calls or []]
        assert "".join((call.function and call.function.arguments) or "" for call in calls) == '{"to": "M"}'


@pytest.mark.parametrize(
    ("rules", "said", "status"),
    [
        (REDACT, "Write to M, forbidden things", "completed"),
        (REDACT + CUT % "reject_with_message: sorry", "Write to M, sorry", "incomplete"),
    ],
)
def test_responses(rules: str, said: str, status: str) -> None:
    with of_openai(answered(rules, "responses", PIECES)) as client:
        events = list(client.responses.create(model="m", input="hi", stream=True))
    assert "".join(event.delta for event in events if event.type == "response.output_text.delta") == said
    assert [event.text for event in events if event.type == "response.output_text.done"] == [said]
    last = events[-1]
    assert last.type in ("response.completed", "response.incomplete")
    assert last.response.status == status
    assert last.response.output_text == said
    assert [event.sequence_number for event in events] == list(range(len(events)))


@pytest.mark.parametrize(
    ("rules", "said", "reason"),
    [
        (REDACT, "Write to M, forbidden things", "tool_use"),
        (REDACT + CUT % "reject_with_message: sorry", "Write to M, sorry", "refusal"),
    ],
)
def test_messages(rules: str, said: str, reason: str) -> None:
    client = of_anthropic(answered(rules, "messages", PIECES, httpx2))
    with client, client.messages.stream(model="m", max_tokens=9, messages=MESSAGES) as stream:
        message = stream.get_final_message()
    assert "".join(block.text for block in message.content if block.type == "text") == said
    assert "".join(block.thinking for block in message.content if block.type == "thinking") == "thinking of M"
    assert message.stop_reason == reason
    assert [block.input for block in message.content if block.type == "tool_use"] == (
        [{"to": "M"}] if reason == "tool_use" else []
    )


def test_a_cut_by_an_error_is_raised() -> None:
    rules = CUT % "reject: {message: stopped, status: 403}"
    with of_openai(answered(rules, "completion", PIECES)) as client, pytest.raises(openai.APIError, match="stopped"):
        list(client.chat.completions.create(model="m", messages=MESSAGES, stream=True))
    with of_openai(answered(rules, "responses", PIECES)) as client, pytest.raises(openai.APIError, match="stopped"):
        list(client.responses.create(model="m", input="hi", stream=True))
    client = of_anthropic(answered(rules, "messages", PIECES, httpx2))
    with (
        client,
        pytest.raises(anthropic.APIStatusError, match="stopped"),
        client.messages.stream(model="m", max_tokens=9, messages=MESSAGES) as stream,
    ):
        stream.get_final_message()


def test_a_cut_takes_no_more_of_the_upstream() -> None:
    taken = []
    wire = composed("completion", PIECES)
    chunks = [event + b"\n\n" for event in wire.split(b"\n\n")[:-1]]

    class Noting(list[bytes]):
        def __iter__(self) -> Any:
            for chunk in super().__iter__():
                taken.append(chunk)
                yield chunk

    run(exchange(program(CUT % "reject: stopped")), Noting(chunks))
    assert b"bidden" in taken[-1]
    assert len(taken) < len(chunks) - 3
