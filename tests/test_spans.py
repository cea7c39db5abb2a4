"""Records as spans: in the names of the GenAI conventions, in OTLP's JSON, and what Langfuse reads beside them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from spans import attributes, spans_of

from engine.ports import genai_names as names
from engine.ports.genai_messages import input_messages, output_messages, system_instructions
from engine.ports.langfuse_form import langfuse_span
from engine.ports.otlp_form import encoded, span_of

TRACE, SPAN, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7", "53995c3f42cd8ad8"


def outcome(rule: str, phase: str = "request", result: str = "acted", why: str | None = None) -> dict[str, Any]:
    return {"rule": rule, "phase": phase, "result": result, "why": why, "us": 1.5}


def record(**more: Any) -> dict[str, Any]:
    """A record without content, as `log_to` writes it by default."""
    told = {
        "id": "req-1",
        "time": "2026-11-21T12:00:02Z",
        "trace": {"trace_id": TRACE, "span_id": SPAN, "parent_id": PARENT, "began": 1795262400.123456},
        "rules_version": "c2cda37c860f",
        "call_type": "completion",
        "stream": False,
        "key": "ci",
        "team": "core",
        "user": "ada",
        "model_requested": "fast",
        "model": "gpt-4o",
        "upstream": "main",
        "provider": {"kind": "openai", "address": "api.openai.com", "port": 443},
        "attempts": 1,
        "status": 200,
        "matched": ["log"],
        "outcomes": [outcome("log", "log")],
        "decided_by": None,
        "changed_by": [],
        "answer": {"id": "chatcmpl-1", "model": "gpt-4o-2024-08-06", "finish_reasons": ["stop"]},
        "usage": {"prompt_tokens": 10, "completion_tokens": 7, "total_tokens": 17},
        "cost": None,
        "cache_hit": False,
        "timing": {"total_ms": 1500.25, "upstream_ms": 1400.0, "ttft_ms": None, "overhead_ms": 100.25},
        "metadata": None,
        "error": None,
        "tags": [],
        "prompt": None,
    }
    return {**told, **more}


def sent(told: dict[str, Any], **more: Any) -> Any:
    """The span as a backend reads it."""
    (span,) = spans_of(encoded([span_of(told)], {"service.name": "pointsman", **more}, "1.0"))
    return span


def told_of(told: dict[str, Any]) -> dict[str, Any]:
    return attributes(sent(told).attributes)


def langfuse(told: dict[str, Any], environment: str | None = None) -> dict[str, Any]:
    (span,) = spans_of(encoded([langfuse_span(told, environment)], {}, "1.0"))
    return attributes(span.attributes)


# --- the span ---------------------------------------------------------------------------------------------------------


def test_a_span_has_its_place_in_the_trace_its_times_and_its_name() -> None:
    span = sent(record())
    assert (span.trace_id.hex(), span.span_id.hex(), span.parent_span_id.hex()) == (TRACE, SPAN, PARENT)
    assert (span.name, span.kind, span.status.code) == ("chat gpt-4o", 3, 0)
    assert span.start_time_unix_nano == 1795262400123456000
    assert span.end_time_unix_nano - span.start_time_unix_nano == 1500250000


def test_what_a_model_call_tells() -> None:
    assert told_of(record()) == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4o",
        "gen_ai.response.id": "chatcmpl-1",
        "gen_ai.response.model": "gpt-4o-2024-08-06",
        "gen_ai.response.finish_reasons": ["stop"],
        "gen_ai.usage.input_tokens": 10,
        "gen_ai.usage.output_tokens": 7,
        "server.address": "api.openai.com",
        "server.port": 443,
        "http.response.status_code": 200,
        "user.id": "ada",
        "pointsman.request_id": "req-1",
        "pointsman.rules_version": "c2cda37c860f",
        "pointsman.key": "ci",
        "pointsman.team": "core",
        "pointsman.upstream": "main",
        "pointsman.attempts": 1,
        "pointsman.model_requested": "fast",
        "pointsman.matched": ["log"],
        "pointsman.cache_hit": False,
        "pointsman.overhead_ms": 100.25,
    }


def test_what_is_told_where_there_is_more_to_tell() -> None:
    usage = {"prompt_tokens": 10, "completion_tokens": 7, "total_tokens": 17, "cached_tokens": 4, "reasoning_tokens": 3}
    timing = {"total_ms": 1500.0, "upstream_ms": 1400.0, "ttft_ms": 250.0, "overhead_ms": 100.0}
    found = told_of(
        record(usage=usage, stream=True, timing=timing, cost=0.0021, tags=["a"], metadata={"session_id": "s-1", "n": 1})
    )
    more = {
        "gen_ai.usage.cache_read.input_tokens": 4,
        "gen_ai.usage.reasoning.output_tokens": 3,
        "gen_ai.request.stream": True,
        "gen_ai.response.time_to_first_chunk": 0.25,
        "pointsman.cost_usd": 0.0021,
        "pointsman.tags": ["a"],
        "session.id": "s-1",
    }
    assert {name: found.get(name) for name in more} == more


@pytest.mark.parametrize(
    ("call_type", "name", "operation"),
    [
        ("completion", "chat m", "chat"),
        ("responses", "chat m", "chat"),
        ("messages", "chat m", "chat"),
        ("text_completion", "text_completion m", "text_completion"),
        ("embeddings", "embeddings m", "embeddings"),
        ("rerank", "rerank m", "rerank"),
        (None, "request", None),
    ],
)
def test_operations(call_type: str | None, name: str, operation: str | None) -> None:
    span = sent(record(call_type=call_type, model="m"))
    assert (span.name, attributes(span.attributes).get("gen_ai.operation.name")) == (name, operation)


@pytest.mark.parametrize(
    ("asked", "name"),
    [
        (("openai", "api.openai.com"), "openai"),
        (("openai", "eu.api.openai.com"), "openai"),
        (("openai", "me.openai.azure.com"), "azure.ai.openai"),
        (("openai", "generativelanguage.googleapis.com"), "gcp.gemini"),
        (("openai", "europe-west1-aiplatform.googleapis.com"), "gcp.vertex_ai"),
        (("openai", "bedrock-runtime.eu-west-1.amazonaws.com"), "aws.bedrock"),
        (("openai", "vllm.internal"), "openai"),
        (("openai", "notopenai.com"), "openai"),
        (("openai", "linux.ai"), "openai"),
        (("azure", "gateway.internal"), "azure.ai.openai"),
        (("anthropic", "127.0.0.1"), "anthropic"),
        (("demo", "demo.invalid"), "demo"),
        (("openai", None), "openai"),
    ],
)
def test_providers(asked: tuple[str, str | None], name: str) -> None:
    assert names.provider_of({"kind": asked[0], "address": asked[1], "port": 443}, "completion") == name


def test_where_nobody_was_asked_the_provider_is_whose_api_it_is() -> None:
    assert [names.provider_of(None, call_type) for call_type in ("completion", "messages")] == ["openai", "anthropic"]


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ({"status": 400, "type": "invalid_request_error", "code": "rule_rejected", "source": "rule"}, "rule_rejected"),
        ({"status": 429, "type": "rate_limit_error", "code": None, "source": "upstream"}, "rate_limit_error"),
        ({"status": 504, "type": "timeout_error", "code": "upstream_timeout", "source": "timeout"}, "timeout"),
        ({"status": 500, "type": None, "code": None, "source": "upstream"}, "500"),
        ({"status": 400, "type": "x", "code": 7, "source": "upstream"}, "7"),
    ],
)
def test_errors(error: dict[str, Any], kind: str) -> None:
    span = sent(record(error={**error, "message": "No."}, status=error["status"]))
    assert (span.status.code, span.status.message, attributes(span.attributes)["error.type"]) == (2, "No.", kind)


def test_a_choice_that_did_not_end_is_an_error_in_its_place() -> None:
    answer = {"id": None, "model": "m", "finish_reasons": ["stop", None]}
    assert told_of(record(answer=answer))["gen_ai.response.finish_reasons"] == ["stop", "error"]


def test_a_record_on_the_way_is_an_instant_within_the_span() -> None:
    told = record(timing=None, status=None, answer=None)
    span, again, other = sent(told), sent(told), sent({**told, "matched": ["a"]})
    assert (span.trace_id.hex(), span.parent_span_id.hex(), span.name) == (TRACE, SPAN, "checkpoint chat gpt-4o")
    assert span.start_time_unix_nano == span.end_time_unix_nano
    assert span.span_id == again.span_id != other.span_id


def test_a_record_without_a_trace_has_one_that_stays_the_same() -> None:
    told = record(trace=None)
    span, again, other = sent(told), sent(told), sent(record(trace=None, id="req-2"))
    assert (span.trace_id, span.span_id) == (again.trace_id, again.span_id)
    assert (len(span.trace_id), len(span.span_id), span.parent_span_id) == (16, 8, b"")
    assert span.trace_id != other.trace_id
    assert span.start_time_unix_nano == 1795262402000000000


def test_the_request_carries_who_sends_it() -> None:
    body = json.loads(encoded([span_of(record())], {"service.name": "gate", "service.version": "1.2"}, "1.2"))
    (resource,) = body["resourceSpans"]
    told = {pair["key"]: pair["value"] for pair in resource["resource"]["attributes"]}
    assert told == {"service.name": {"stringValue": "gate"}, "service.version": {"stringValue": "1.2"}}
    assert resource["scopeSpans"][0]["scope"] == {"name": "pointsman", "version": "1.2"}


def test_times_and_whole_numbers_are_texts_on_the_wire_and_ids_hex() -> None:
    (span,) = json.loads(encoded([span_of(record())], {}, "1"))["resourceSpans"][0]["scopeSpans"][0]["spans"]
    tokens = next(pair for pair in span["attributes"] if pair["key"] == "gen_ai.usage.input_tokens")
    assert (span["startTimeUnixNano"], tokens["value"]) == ("1795262400123456000", {"intValue": "10"})
    assert (span["traceId"], span["spanId"]) == (TRACE, SPAN)


# --- rules ------------------------------------------------------------------------------------------------------------

EVENTS = [
    ("noop", outcome("r", result="noop"), {}, ("allow", "allow")),
    ("a note", outcome("r"), {}, ("allow", "allow")),
    ("a change", outcome("r"), {"changed_by": ["r"]}, ("modify", "modify")),
    ("observed", outcome("r", result="would", why="reject"), {}, ("warn", "allow")),
    ("excepted", outcome("r", result="excepted"), {"changed_by": ["r"]}, ("allow", "allow")),
    ("refused", outcome("r"), {"decided_by": "r"}, ("deny", "block")),
    ("mended", outcome("r", "failure"), {"decided_by": "r"}, ("modify", "modify")),
    ("failed", outcome("r", result="error", why="E: x"), {"decided_by": "r"}, (None, "block")),
    ("failed and skipped", outcome("r", result="error", why="E: x"), {}, (None, "allow")),
]


@pytest.mark.parametrize(("told", "more", "verdict"), [case[1:] for case in EVENTS], ids=[case[0] for case in EVENTS])
def test_what_a_rule_found_is_told_apart_from_what_was_done(
    told: dict[str, Any], more: dict[str, Any], verdict: tuple[str | None, str]
) -> None:
    (event,) = sent(record(outcomes=[told, outcome("log", "log")], **more)).events
    found = attributes(event.attributes)
    assert (found.get("gen_ai.guardrail.verdict.type"), found["gen_ai.guardrail.action.type"]) == verdict
    expected = {
        "gen_ai.guardrail.component.name": "pointsman",
        "gen_ai.guardrail.policy.id": "rules",
        "gen_ai.guardrail.policy.version": "c2cda37c860f",
        "gen_ai.guardrail.policy.rule.id": "r",
        "gen_ai.guardrail.result.value": told["result"],
        "gen_ai.guardrail.source": told["phase"],
    }
    assert (event.name, {name: found[name] for name in expected}) == ("gen_ai.guardrail.result", expected)
    assert found.get("gen_ai.guardrail.result.reason") == told["why"]
    assert found.get("error.type") == ("rule_error" if told["result"] == "error" else None)


def test_a_rule_of_two_phases_denies_in_the_one_that_ended_it() -> None:
    outcomes = [outcome("r"), outcome("s"), outcome("r", "response")]
    events = sent(record(outcomes=outcomes, decided_by="r", changed_by=["r"])).events
    found = [attributes(event.attributes) for event in events]
    assert [told["gen_ai.guardrail.verdict.type"] for told in found] == ["modify", "allow", "deny"]
    assert [told["gen_ai.guardrail.target.type"] for told in found] == ["input", "input", "output"]


# --- content ----------------------------------------------------------------------------------------------------------


def test_without_content_there_are_no_texts() -> None:
    texts = {names.INPUT_MESSAGES, names.OUTPUT_MESSAGES, names.SYSTEM_INSTRUCTIONS}
    assert not texts & told_of(record()).keys()
    assert not {name for name in langfuse(record()) if name.endswith((".input", ".output", ".parameters"))}


def test_with_content_there_are_messages_as_json_and_parameters() -> None:
    request = {
        "model": "gpt-4o",
        "temperature": 1,
        "max_completion_tokens": 5,
        "seed": True,
        "top_p": "high",
        "n": 1,
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "hi"}],
    }
    message = {"role": "assistant", "content": "hello"}
    response = {"status": 200, "headers": {}, "body": {"choices": [{"message": message, "finish_reason": "stop"}]}}
    found = told_of(record(request=request, response=response))
    assert json.loads(found["gen_ai.input.messages"]) == [
        {"role": "system", "parts": [{"type": "text", "content": "Be brief."}]},
        {"role": "user", "parts": [{"type": "text", "content": "hi"}]},
    ]
    assert json.loads(found["gen_ai.output.messages"]) == [
        {"role": "assistant", "parts": [{"type": "text", "content": "hello"}], "finish_reason": "stop"}
    ]
    asked = {name: value for name, value in found.items() if name.startswith("gen_ai.request.") and "model" not in name}
    assert asked == {"gen_ai.request.temperature": 1.0, "gen_ai.request.max_tokens": 5}
    assert "gen_ai.system_instructions" not in found


CALLED = {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": '{"place": "Paris"}'}}
CALL = {"type": "tool_call", "id": "c1", "name": "weather", "arguments": {"place": "Paris"}}
TEXT = {"type": "text", "content": "hi"}
PARTS = [
    ("hi", [TEXT]),
    ("", []),
    (None, []),
    (7, []),
    (["hi", 7], [TEXT]),
    ([{"text": "hi"}], [TEXT]),
    ([{"type": "input_text", "text": "hi"}], [TEXT]),
    ([{"type": "text", "text": 7}], [{"type": "text", "content": ""}]),
    (
        [{"type": "image_url", "image_url": {"url": "https://a/b.png"}}],
        [{"type": "uri", "modality": "image", "uri": "https://a/b.png"}],
    ),
    (
        [{"type": "input_image", "image_url": "data:image/png;base64,AAA="}],
        [{"type": "blob", "mime_type": "image/png", "modality": "image", "content": "AAA="}],
    ),
    ([{"type": "input_image", "file_id": "f"}], [{"type": "file", "modality": "image", "file_id": "f"}]),
    (
        [{"type": "input_audio", "input_audio": {"data": "AAA=", "format": "mp3"}}],
        [{"type": "blob", "mime_type": "audio/mp3", "modality": "audio", "content": "AAA="}],
    ),
    ([{"type": "file", "file": {"file_id": "f"}}], [{"type": "file", "modality": "document", "file_id": "f"}]),
    (
        [{"type": "image", "source": {"type": "base64", "media_type": "image/gif", "data": "AAA="}}],
        [{"type": "blob", "mime_type": "image/gif", "modality": "image", "content": "AAA="}],
    ),
    (
        [{"type": "document", "source": {"type": "url", "url": "https://a/b.pdf"}}],
        [{"type": "uri", "modality": "document", "uri": "https://a/b.pdf"}],
    ),
    ([{"type": "thinking", "thinking": "hm"}], [{"type": "reasoning", "content": "hm"}]),
    ([{"type": "tool_use", "id": "c1", "name": "weather", "input": {"place": "Paris"}}], [CALL]),
    (
        [{"type": "tool_result", "tool_use_id": "c1", "content": "rain"}],
        [{"type": "tool_call_response", "id": "c1", "response": "rain"}],
    ),
    ([{"type": "brand_new", "x": 1}], [{"type": "brand_new", "x": 1}]),
    ([{"type": "image", "source": 7}], [{"type": "image", "source": 7}]),
    ([{"type": ["odd"]}], [{"type": "['odd']"}]),
]


@pytest.mark.parametrize(("content", "parts"), PARTS)
def test_parts(content: Any, parts: list[Any]) -> None:
    assert input_messages("completion", {"messages": [{"role": "user", "content": content}]}) == [
        {"role": "user", "parts": parts}
    ]


@pytest.mark.parametrize(
    ("call_type", "body", "messages"),
    [
        (
            "completion",
            {"messages": [{"role": "assistant", "content": None, "tool_calls": [CALLED], "name": "bot"}]},
            [{"role": "assistant", "parts": [CALL], "name": "bot"}],
        ),
        (
            "completion",
            {"messages": [{"role": "tool", "tool_call_id": "c1", "content": "rain"}]},
            [{"role": "tool", "parts": [{"type": "tool_call_response", "id": "c1", "response": "rain"}]}],
        ),
        (
            "completion",
            {"messages": [{"role": "assistant", "content": "", "function_call": {"name": "f", "arguments": "{"}}]},
            [{"role": "assistant", "parts": [{"type": "tool_call", "id": None, "name": "f", "arguments": "{"}]}],
        ),
        ("responses", {"input": "hi"}, [{"role": "user", "parts": [TEXT]}]),
        (
            "responses",
            {
                "input": [
                    {"role": "user", "content": [{"type": "input_text", "text": "hi"}]},
                    {"type": "reasoning", "summary": [{"type": "summary_text", "text": "hm"}]},
                    {"type": "function_call", "call_id": "c1", "name": "weather", "arguments": '{"place": "Paris"}'},
                    {"type": "function_call_output", "call_id": "c1", "output": "rain"},
                    {"type": "item_reference", "id": "i"},
                ]
            },
            [
                {"role": "user", "parts": [TEXT]},
                {"role": "assistant", "parts": [{"type": "reasoning", "content": "hm"}]},
                {"role": "assistant", "parts": [CALL]},
                {"role": "tool", "parts": [{"type": "tool_call_response", "id": "c1", "response": "rain"}]},
                {"role": "assistant", "parts": [{"type": "item_reference", "id": "i"}]},
            ],
        ),
        ("messages", {"messages": [{"role": "user", "content": "hi"}]}, [{"role": "user", "parts": [TEXT]}]),
        ("text_completion", {"prompt": ["hi", "hi"]}, [{"role": "user", "parts": [TEXT, TEXT]}]),
        ("text_completion", {"prompt": [[1, 2]]}, []),
        ("image_generation", {"prompt": "hi"}, [{"role": "user", "parts": [TEXT]}]),
        ("embeddings", {"input": "hi"}, []),
    ],
)
def test_input_messages(call_type: str, body: Any, messages: list[Any]) -> None:
    assert input_messages(call_type, body) == messages


def said(*parts: Any, reason: str = "stop") -> dict[str, Any]:
    return {"role": "assistant", "parts": list(parts), "finish_reason": reason}


@pytest.mark.parametrize(
    ("call_type", "body", "messages"),
    [
        (
            "completion",
            {
                "choices": [
                    {"message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"},
                    {"message": {"tool_calls": [CALLED]}, "finish_reason": "tool_calls"},
                    {"message": {"reasoning_content": "hm", "content": "hi"}, "finish_reason": "length"},
                    {"message": {"refusal": "no"}, "finish_reason": None},
                ]
            },
            [
                said(TEXT),
                said(CALL, reason="tool_call"),
                said({"type": "reasoning", "content": "hm"}, TEXT, reason="length"),
                said({"type": "text", "content": "no"}, reason="error"),
            ],
        ),
        ("text_completion", {"choices": [{"text": "hi", "finish_reason": "length"}]}, [said(TEXT, reason="length")]),
        ("messages", {"content": [{"type": "text", "text": "hi"}], "stop_reason": "end_turn"}, [said(TEXT)]),
        (
            "responses",
            {
                "status": "completed",
                "output": [
                    {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "hi"}]},
                    {"type": "function_call", "call_id": "c1", "name": "weather", "arguments": '{"place": "Paris"}'},
                ],
            },
            [said(TEXT, CALL, reason="tool_call")],
        ),
        (
            "responses",
            {
                "status": "incomplete",
                "incomplete_details": {"reason": "max_output_tokens"},
                "output": [{"type": "message", "content": [{"type": "output_text", "text": "hi"}]}],
            },
            [said(TEXT, reason="length")],
        ),
        ("completion", {"error": {"message": "No."}}, []),
        ("messages", {"type": "error"}, []),
        ("embeddings", {"data": [{"embedding": [0.1]}]}, []),
    ],
)
def test_output_messages(call_type: str, body: Any, messages: list[Any]) -> None:
    assert output_messages(call_type, body) == messages


def test_instructions_that_stand_beside_the_messages() -> None:
    assert system_instructions("responses", {"instructions": "hi"}) == [TEXT]
    assert system_instructions("messages", {"system": [{"type": "text", "text": "hi"}]}) == [TEXT]
    assert system_instructions("completion", {"messages": [{"role": "system", "content": "hi"}]}) == []


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["role", "type", "content", "text", "tool_calls", "function", "input", "output", "source", "name"]
            ),
            inner
            | st.sampled_from(["message", "image", "file", "tool_use", "function_call", "reasoning", "input_audio"]),
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(
    st.sampled_from(["completion", "responses", "messages", "text_completion", "embeddings"]),
    st.dictionaries(st.sampled_from(["messages", "input", "system", "prompt", "choices", "output", "content"]), JSON),
)
def test_whatever_a_body_is_a_span_is_made_of_it(call_type: str, body: dict[str, Any]) -> None:
    told = record(call_type=call_type, request=body, response={"status": 200, "headers": {}, "body": body})
    assert told_of(told)["gen_ai.request.model"] == "gpt-4o"
    assert langfuse(told)["langfuse.observation.type"]


# --- Langfuse ---------------------------------------------------------------------------------------------------------


PROMPTS: dict[str, tuple[Any, dict[str, Any], dict[str, Any]]] = {
    "none": (None, {}, {}),
    "Langfuse's own": (
        {"source": "langfuse", "id": "greet", "version": "2"},
        {"name": "greet", "version": "2"},
        {"name": "greet", "version": 2},
    ),
    "of another source": ({"source": "local", "id": "greet", "version": None}, {"name": "greet"}, {}),
    "of no version": ({"source": "langfuse", "id": "greet", "version": None}, {"name": "greet"}, {}),
}


@pytest.mark.parametrize(("prompt", "told", "linked"), PROMPTS.values(), ids=PROMPTS)
def test_the_prompt_that_was_used(prompt: Any, told: dict[str, Any], linked: dict[str, Any]) -> None:
    """By its name everywhere; Langfuse counts a generation with the version of its own prompt, which is a number."""
    found = langfuse(record(prompt=prompt))
    for prefix, wanted in ("gen_ai.prompt.", told), ("langfuse.observation.prompt.", linked):
        assert {name.removeprefix(prefix): value for name, value in found.items() if name.startswith(prefix)} == wanted


def test_what_langfuse_reads() -> None:
    usage = {"prompt_tokens": 10, "completion_tokens": 7, "total_tokens": 17, "cached_tokens": 4, "reasoning_tokens": 3}
    timing = {"total_ms": 1500.0, "upstream_ms": 1400.0, "ttft_ms": 250.0, "overhead_ms": 100.0}
    trace = {"trace_id": TRACE, "span_id": SPAN, "parent_id": None, "began": 1795262400.125}
    request = {"model": "gpt-4o", "temperature": 0.5, "messages": [{"role": "user", "content": "hi"}]}
    body = {"choices": [{"message": {"role": "assistant", "content": "hello"}, "finish_reason": "stop"}]}
    found = langfuse(
        record(
            trace=trace,
            usage=usage,
            timing=timing,
            cost=0.0021,
            tags=["a", "b"],
            metadata={"session_id": "s-1", "deal": {"n": 1}, "key": "forged"},
            request=request,
            response={"status": 200, "headers": {}, "body": body},
        ),
        "staging",
    )
    expected = {
        "langfuse.trace.name": "chat gpt-4o",
        "langfuse.user.id": "ada",
        "langfuse.session.id": "s-1",
        "langfuse.trace.tags": ["a", "b"],
        "langfuse.version": "c2cda37c860f",
        "langfuse.environment": "staging",
        "langfuse.observation.type": "generation",
        "langfuse.observation.model.name": "gpt-4o-2024-08-06",
        "langfuse.observation.completion_start_time": "2026-11-21T12:00:00.375Z",
        "langfuse.observation.metadata.key": "ci",
        "langfuse.observation.metadata.request_id": "req-1",
        "langfuse.observation.metadata.deal": '{"n":1}',
    }
    assert {name: found.get(name) for name in expected} == expected
    read = {
        "input": [{"role": "user", "content": "hi"}],
        "output": {"role": "assistant", "content": "hello"},
        "model.parameters": {"temperature": 0.5},
        "usage_details": {"input": 6, "output": 4, "total": 17, "input_cached_tokens": 4, "output_reasoning_tokens": 3},
        "cost_details": {"total": 0.0021},
    }
    assert {name: json.loads(found[f"langfuse.observation.{name}"]) for name in read} == read
    assert "langfuse.observation.level" not in found
    assert not {names.INPUT_MESSAGES, names.OUTPUT_MESSAGES} & found.keys()
    assert found["gen_ai.usage.input_tokens"] == 10


def test_a_trace_of_the_client_keeps_its_name() -> None:
    assert "langfuse.trace.name" not in langfuse(record())


@pytest.mark.parametrize(
    ("more", "found"),
    [
        ({"call_type": "embeddings"}, {"type": "embedding"}),
        ({"call_type": None}, {"type": "span"}),
        ({"timing": None}, {"type": "event"}),
        ({"error": {"status": 400, "message": "No."}}, {"level": "ERROR", "status_message": "No."}),
        ({"outcomes": [outcome("r", result="would")]}, {"level": "WARNING"}),
        ({"request": {"instructions": "be", "input": "hi"}}, {"input": '{"instructions":"be","input":"hi"}'}),
        ({"request": {"input": "hi"}}, {"input": "hi"}),
        ({"response": {"body": {"choices": [{"text": "a"}, {"text": "b"}]}}}, {"output": '["a","b"]'}),
        ({"response": {"body": {"output": [1]}}}, {"output": "[1]"}),
        ({"response": {"body": {"data": [{"embedding": [0.1]}]}}}, {"output": None}),
        ({"usage": None, "cost": None}, {"usage_details": None, "cost_details": None}),
        ({"cost": 0}, {"cost_details": '{"total":0}'}),
    ],
)
def test_what_langfuse_reads_of_others(more: dict[str, Any], found: dict[str, Any]) -> None:
    told = langfuse(record(**more))
    assert {name: told.get(f"langfuse.observation.{name}") for name in found} == found
