"""Stream rules: exact for every way a stream can be torn, in every dialect, and leaving as early as can be."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from streamed import assembled, bodies, composed, exchange, program, run

from engine.document.answers import Assistant, Refusal
from engine.document.dialect import Piece
from engine.document.marks import Marks
from engine.language.findings import findings, replaced
from engine.language.patterns import Pattern, group
from engine.language.regex import regex
from engine.tools.cases import run_files
from engine.tools.editor_schema import parsed

CASES = parsed((Path(__file__).parent / "cases" / "streams.yaml").read_text(encoding="utf-8"))
CHATS = ("completion", "text_completion", "messages", "responses")
LONG = bool(os.environ.get("POINTSMAN_LONG"))
often = settings(max_examples=3000 if LONG else 60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@pytest.mark.parametrize("case", CASES, ids=[case["title"] for case in CASES])
def test_case(case: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    sections = {"sinks": {"a": {"stdout": {}}}, **case["file"]}
    Path("rules.yaml").write_text(json.dumps({**sections, "tests": [{"name": "t", **case["test"]}]}), encoding="utf-8")
    report = run_files(["rules.yaml"])
    told = [problem.message for problem in report.problems]
    for verdict in report.verdicts:
        told += [problem.message for problem in verdict.problems] + [str(failure) for failure in verdict.failures]
    assert told == []


# --- the same for all splits ------------------------------------------------------------------------------------------

REDACT = "  - {name: r, phase: stream, actions: [{redact: {patterns: ['pii.*', 'secret.*', 'fo+', '\\bbar\\b']}}]}\n"
REDACTING = program(REDACT)
INLINE = [Pattern("redacted", regex(source)) for source in ("fo+", r"\bbar\b")]
PATTERNS = [*group("pii."), *group("secret."), *INLINE]
SECRETS = [
    "ada@example.com",
    "4111 1111 1111 1111",
    "4111 1111 1111 1112",
    "DE89 3704 0044 0532 0130 00",
    "123-45-6789",
    "10.0.0.1",
    "2001:db8::1",
    "sk-proj-abcdefghijklmnop1234",
    "AKIAIOSFODNN7EXAMPLE",
    "+49 30 123456",
    "eyJ",
]
PARTS = [*SECRETS, " ", "fo", "o", "bar", "x", "é", "😀", ". ", "-", "1", "@"]
texts = st.lists(st.sampled_from(PARTS), max_size=7).map("".join)


def redacted(value: Any) -> Any:
    """A value with every string redacted as a whole text is."""
    if isinstance(value, str):
        return replaced(value, findings(PATTERNS, value), lambda name, _: f"[{name}]")
    return [redacted(item) for item in value] if isinstance(value, list) else value


def cut_up(draw: st.DrawFn, whole: Any) -> list[Any]:
    """A text or bytes in pieces."""
    cuts = sorted(draw(st.lists(st.integers(0, len(whole)), max_size=9)))
    return [whole[start:end] for start, end in zip([0, *cuts], [*cuts, len(whole)], strict=True)]


@st.composite
def streams(draw: st.DrawFn) -> tuple[str, bytes, list[bytes]]:
    """A dialect, a stream in it, and that stream in chunks: reasoning, two choices, the arguments of a tool."""
    call_type = draw(st.sampled_from(CHATS))
    pieces = [Piece(text=text) for text in cut_up(draw, draw(texts))]
    if call_type in ("completion", "text_completion"):
        for text in cut_up(draw, draw(texts)):
            pieces.insert(draw(st.integers(0, len(pieces))), Piece(text=text, choice=1))
    if call_type != "text_completion":
        pieces = [*(Piece(reasoning=text) for text in cut_up(draw, draw(texts))), *pieces]
        spelled = json.dumps({"a": draw(texts)}, ensure_ascii=False)
        pieces += [Piece(tool=0, name="f", arguments=text) for text in cut_up(draw, spelled)]
    data = composed(call_type, pieces)
    return call_type, data, cut_up(draw, data)


def told(body: Any, call_type: str) -> list[Any]:
    """Every text of an answer, in an order of its own."""
    if call_type == "messages":
        return [
            [block.get("text"), block.get("thinking"), json.dumps(block.get("input"), ensure_ascii=False)]
            for block in body["content"]
        ]
    if call_type == "responses":
        return [
            [[part["text"] for part in item.get("content", item.get("summary", []))], item.get("arguments")]
            for item in body["output"]
        ]
    return [
        [
            choice.get("text"),
            message.get("content"),
            message.get("reasoning_content"),
            [call["function"]["arguments"] for call in message.get("tool_calls", [])],
        ]
        for choice in body["choices"]
        for message in [choice.get("message", {})]
    ]


@often
@given(streams())
def test_redacted_as_the_whole_answer(stream: tuple[str, bytes, list[bytes]]) -> None:
    call_type, data, chunks = stream
    result = run(exchange(REDACTING, call_type), chunks)
    assert told(result.body, call_type) == redacted(told(assembled(data, call_type), call_type))
    if call_type == "responses":
        numbers = [body["sequence_number"] for body in bodies(result.whole)]
        assert numbers == list(range(len(numbers)))
        deltas = [body for body in bodies(result.whole) if body["type"] == "response.output_text.delta"]
        snapshots = [body for body in bodies(result.whole) if body["type"] == "response.output_text.done"]
        assert "".join(body["delta"] for body in deltas) == "".join(body["text"] for body in snapshots)


CUTS = {
    "{contains: foo}": lambda text: text.find("foo"),
    "{contains: FoO, ignore_case: true}": lambda text: text.lower().find("foo"),
    "{contains_any: [bar, fob]}": lambda text: next((s for s, _ in regex("bar|fob").spans(text)), -1),
    "{starts_with: fo}": lambda text: 0 if text.startswith("fo") else -1,
    "{matches: 'fo+b'}": lambda text: next((s for s, _ in regex("fo+b").spans(text)), -1),
    "{matches: 'fo{3}$'}": lambda text: next((s for s, _ in regex("fo{3}$").spans(text)), -1),
    "{contains: foo, fold: true}": lambda text: text.replace("\uff46", "f").replace("F", "f").find("foo"),
}
ACTS = {"reject: No": "", "reject_with_message: Sorry": "Sorry"}
CUTTING = {
    (cut, act): program(f"  - {{name: r, phase: stream, match: {{completion_text: {cut}}}, actions: [{{{act}}}]}}\n")
    for cut in CUTS
    for act in ACTS
}
LETTERS = ["f", "o", "oo", "foo", "b", "bar", " ", "F", "é", "\uff46"]


@often
@given(st.data(), st.sampled_from(sorted(CUTS)), st.sampled_from(sorted(ACTS)), st.sampled_from(CHATS))
def test_a_cut_is_where_the_text_begins_that_matched(data: st.DataObject, cut: str, act: str, call_type: str) -> None:
    text = "".join(data.draw(st.lists(st.sampled_from(LETTERS), min_size=1)))
    wire = composed(call_type, [Piece(text=piece) for piece in cut_up(data.draw, text)])
    x = exchange(CUTTING[cut, act], call_type, stream_options={"include_usage": True})
    result = run(x, cut_up(data.draw, wire))
    at = CUTS[cut](text)
    said = x.dialect.said(result.body).completion if result.body else ""
    assert said == (text if at < 0 else text[:at] + ACTS[act])
    assert x.matched == (["r"] if at >= 0 else [])
    if at >= 0 and act == "reject: No":
        assert isinstance(result.cut, Refusal)
        assert b"[DONE]" not in result.whole
        assert (bodies(result.whole)[-1].get("error") or {})["message"] == "No"
    elif at >= 0:
        assert isinstance(result.cut, Assistant)
        name, word = {"messages": ("stop_reason", "refusal"), "responses": ("status", "incomplete")}.get(
            call_type, ("finish_reason", "content_filter")
        )
        assert (result.body.get("choices") or [result.body])[0][name] == word


@pytest.mark.parametrize("act", sorted(ACTS))
@pytest.mark.parametrize("call_type", CHATS)
def test_what_only_the_end_decides_is_cut_before_it_is_said_whole(call_type: str, act: str) -> None:
    """A rule that folds waits for one more character: the text ends first, and then its snapshot is read."""
    x = exchange(CUTTING["{contains: foo, fold: true}", act], call_type, stream_options={"include_usage": True})
    result = run(x, [composed(call_type, [Piece(text="f"), Piece(text="oo")])])
    assert (x.dialect.said(result.body).completion if result.body else "") == ACTS[act]


@often
@given(st.data())
def test_marks_are_put_back_wherever_they_are_torn(data: st.DataObject) -> None:
    marks = Marks()
    for value in ("ada@example.com", 'bob"@example.com', "x"):
        marks.mark("[MAIL]", value, "")
    words = st.lists(st.sampled_from(["[MAIL]", "[MAIL_2]", "[MAIL_3]", "[MA", "IL]", "_2]", " ", "x"]), max_size=6)
    text = "".join(data.draw(words))
    call_type = data.draw(st.sampled_from(CHATS))
    x = exchange(program("  - {name: r, phase: log, actions: [{tag: x}]}\n"), call_type, marks)
    wire = composed(call_type, [Piece(text=piece) for piece in cut_up(data.draw, text)])
    result = run(x, cut_up(data.draw, wire))
    assert x.dialect.said(result.body).completion == marks.restore(text)
    assert b"".join(result.passed) == wire


# --- event by event ---------------------------------------------------------------------------------------------------


def chunked(*texts: str) -> list[bytes]:
    """Chat chunks of these texts, one event each, without start and end."""
    return [
        b'data: {"id":"1","object":"chat.completion.chunk","choices":[{"index":0,"delta":{"content":%b},'
        b'"finish_reason":null}]}\n\n' % json.dumps(text).encode()
        for text in texts
    ]


def deltas(chunks: list[bytes]) -> list[str]:
    """The text that left with each chunk."""
    return [
        "".join(choice["delta"].get("content") or "" for body in bodies(chunk) for choice in body["choices"])
        for chunk in chunks
    ]


def test_text_that_cannot_begin_a_match_leaves_with_its_event() -> None:
    x = exchange(program("  - {name: r, phase: stream, actions: [{redact: {patterns: [foo, 'secret.*'], with: X}}]}\n"))
    sent = chunked("hello ", "wor", "ld f", "un fo", "o f", "ooo", " sk", "-y", "es", " f")
    result = run(x, [*sent, b"data: [DONE]\n\n"])
    left = deltas(result.chunks)
    assert left[:6] == ["hello ", "wor", "ld ", "fun ", "X ", "Xo"]
    assert "".join(left) == "hello world fun X Xo sk-yes f"
    assert result.chunks[0] == sent[0]  # untouched: the very bytes
    assert result.chunks[1] == sent[1]


@pytest.mark.parametrize("call_type", CHATS)
def test_an_untouched_stream_is_the_bytes_that_came(call_type: str) -> None:
    wire = composed(call_type, [Piece(text="hello "), Piece(text="world, "), Piece(text="all fine. ")])
    result = run(exchange(REDACTING, call_type), [wire[at : at + 7] for at in range(0, len(wire), 7)])
    assert result.whole == wire


@often
@given(st.data(), st.integers(1, 12))
def test_what_is_held_back_never_exceeds_max_span(data: st.DataObject, span: int) -> None:
    redact = f"{{patterns: ['a[ab]*c', 'b.?a'], max_span: {span}}}"
    rules = program(f"  - {{name: r, phase: stream, on_error: skip, actions: [{{redact: {redact}}}]}}\n")
    pieces = data.draw(st.lists(st.text("abcx ", max_size=6), max_size=12))
    x = exchange(rules)
    result = run(x, chunked(*pieces))
    if any(entry[2] == "error" for entry in x.outcomes):
        return
    hidden = len("".join(pieces)) - len("".join(deltas(result.chunks)).replace("[redacted]", ""))
    came = left = 0
    for piece, passed in zip(pieces, deltas(result.chunks), strict=False):
        came += len(piece)
        left += len(passed.replace("[redacted]", ""))
        assert came - left <= span + hidden  # matches that overlap are one mark, longer than each of them


def test_logprobs_of_a_changed_choice_are_removed() -> None:
    odds = b'"logprobs":{"content":[{"token":"x","logprob":-1}]}'
    plain = chunked("so ", "foo", " on", " fo", "x")
    sent = [chunk.replace(b'"finish_reason"', odds + b',"finish_reason"') for chunk in plain]
    result = run(exchange(program("  - {name: r, phase: stream, actions: [{redact: {patterns: [foo]}}]}\n")), sent)
    assert result.chunks[0] == sent[0]
    later = [choice for body in bodies(b"".join(result.chunks[1:])) for choice in body["choices"]]
    assert all(choice["logprobs"] is None for choice in later)
    assert "".join(deltas(result.chunks)) == "so [redacted] on fox"


# --- streams as they should not be ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sent", "got"),
    [
        ([b"data: not json foo\n\n"], b"data: not json [redacted]\n\n"),
        ([b": ping\n\n", b"event: x\n\n"], b": ping\n\nevent: x\n\n"),
        ([b"data: [DONE]\n\n", b"data: [DONE]\n\n"], b"data: [DONE]\n\ndata: [DONE]\n\n"),
        (
            [b'data: {"choices":[],"usage":{"total_tokens":3}}\n\n'],
            b'data: {"choices":[],"usage":{"total_tokens":3}}\n\n',
        ),
        ([b'data: {"error":{"message":"foo"}}\n\n'], b'data: {"error":{"message":"foo"}}\n\n'),
        ([b"data: [1, 2]\n\n", b"data: null\n\n"], b"data: [1, 2]\n\ndata: null\n\n"),
        (
            [b'data: {"choices":"foo"}\n\n', b'data: {"choices":[null,{"delta":7}]}\n\n'],
            b'data: {"choices":"foo"}\n\ndata: {"choices":[null,{"delta":7}]}\n\n',
        ),
        ([b'data: {"choices":[{"delta":{"content":"a fo"}}]}'], None),
    ],
)
def test_odd_events_survive(sent: list[bytes], got: bytes | None) -> None:
    result = run(exchange(program("  - {name: r, phase: stream, actions: [{redact: {patterns: [foo]}}]}\n")), sent)
    if got is not None:
        assert result.whole == got
    else:
        assert deltas([result.whole]) == ["a fo"]


def test_pairs_torn_between_events_are_joined_and_halves_are_replaced() -> None:
    rules = program("  - {name: r, phase: stream, actions: [{redact: {patterns: ['😀!']}}]}\n")
    sent = [
        b'data: {"choices":[{"index":0,"delta":{"content":"%b"}}]}\n\n' % text
        for text in (b"a \\ud83d", b"\\ude00", b"! \\ude00 b \\ud83d")
    ]
    result = run(exchange(rules), sent)
    assert "".join(deltas(result.chunks)) == "a [redacted] \ufffd b \ufffd"


def test_a_huge_event_is_read_at_once() -> None:
    rules = program("  - {name: r, phase: stream, actions: [{redact: {patterns: [pii.email], with: M}}]}\n")
    result = run(exchange(rules), chunked("lorem ipsum " * 60_000 + "ada@example.com " * 100, "end"))
    assert "".join(deltas(result.chunks)) == "lorem ipsum " * 60_000 + "M " * 100 + "end"


def test_copies_beside_the_deltas_are_covered() -> None:
    rules = program("  - {name: r, phase: stream, actions: [{redact: {patterns: [foo], with: X}}]}\n")

    def chunk(refusal: str, transcript: str, thought: str, **more: Any) -> bytes:
        details = [{"index": 0, "type": "reasoning.text", "text": thought}]
        delta = {"refusal": refusal, "audio": {"transcript": transcript}, "reasoning_details": details}
        return b"data: %b\n\n" % json.dumps({"choices": [{"index": 0, "delta": delta, **more}]}).encode()

    sent = [chunk("no f", "a fo", "fo"), chunk("oo", "o", "o", message={"content": "foo"}, finish_reason="stop")]
    result = run(exchange(rules), sent)
    assert b"foo" not in result.whole
    found: dict[str, str] = {}
    for body in bodies(result.whole):
        for choice in body["choices"]:
            delta = choice["delta"]
            found["refusal"] = found.get("refusal", "") + delta.get("refusal", "")
            found["transcript"] = found.get("transcript", "") + delta.get("audio", {}).get("transcript", "")
            for part in delta.get("reasoning_details", []):
                found["thought"] = found.get("thought", "") + part["text"]
    assert found == {"refusal": "no X", "transcript": "a X", "thought": "X"}


def test_a_transcription_as_it_is_understood() -> None:
    rules = program("  - {name: r, phase: stream, actions: [{redact: {patterns: [foo], with: X}}]}\n")
    wire = composed("audio_transcription", [Piece(text="a fo"), Piece(text="o b f")])
    result = run(exchange(rules, "audio_transcription"), [wire])
    said = bodies(result.whole)
    assert "".join(body.get("delta", "") for body in said) == "a X b f" == said[-1]["text"]


@pytest.mark.parametrize("call_type", CHATS)
def test_a_rule_that_needs_no_text_cuts_before_any(call_type: str) -> None:
    wire = composed(call_type, [Piece(text="hello")])
    refused = run(exchange(program("  - {name: r, phase: stream, actions: [{reject: no}]}\n"), call_type), [wire])
    assert len(refused.events) == 1
    assert bodies(refused.whole)[0]["error"]["message"] == "no"
    x = exchange(program("  - {name: r, phase: stream, actions: [{reject_with_message: no}]}\n"), call_type)
    assert x.dialect.said(run(x, [wire]).body).completion == "no"


def test_an_error_before_the_stream_is_an_answer_of_its_own() -> None:
    rules = program("  - {name: r, phase: stream, match: \"upper(request.user) == 'X'\", actions: [{tag: x}]}\n")
    result = run(exchange(rules, user=5), [])
    assert isinstance(result.answer, Refusal)
    assert (result.answer.status, result.exchange.outcomes[0][:3]) == (500, ("r", "stream", "error"))


def test_an_event_keeps_its_other_lines() -> None:
    sent = b'id: 7\r\nevent: m\r\ndata: {"choices":[{"delta":{"content":"foo"}}]}\r\nretry: 3\r\n\r\n'
    rules = program("  - {name: r, phase: stream, actions: [{redact: {patterns: [foo], with: X}}]}\n")
    result = run(exchange(rules), [sent])
    assert result.whole == b'id: 7\nevent: m\ndata: {"choices":[{"delta":{"content":"X"}}]}\nretry: 3\n\n'


# --- callbacks --------------------------------------------------------------------------------------------------------

WATCH = """
from engine import Callback

class Watch(Callback):
    async def stream(self, context):
        context.tag(context.text[-3:])
        if "forbidden" in context.text:
            context.reject("no", status=403)
"""


def test_a_callback_reads_the_text_so_far_and_cuts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("watching.py").write_text(WATCH, encoding="utf-8")
    rules = [{"name": "r", "phase": "stream", "actions": [{"callback": "watching.Watch"}]}]
    body = {"model": "m", "stream": True, "messages": [{"role": "user", "content": "hi"}]}
    test = {
        "name": "t",
        "request": {"body": body},
        "upstream": {"stream": ["all good", " forbid", "den x", " never"]},
        "expect": {
            "matched": ["r"],
            "response": {"text": "all good forbid", "error": {"message": "no"}},
            "records": [{"tags": ["ood", "bid", "n x"], "outcomes": [{"rule": "r", "result": "acted"}]}],
        },
    }
    Path("rules.yaml").write_text(json.dumps({"rules": rules, "tests": [test]}), encoding="utf-8")
    report = run_files(["rules.yaml"])
    assert [str(failure) for verdict in report.verdicts for failure in verdict.failures] == []
    assert [problem.message for problem in report.problems] == []
