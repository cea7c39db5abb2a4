"""A whole answer given as a stream loses nothing: it assembles to itself. `test_cache_clients.py` has the clients."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from engine.document.dialects import DIALECTS
from engine.document.sse import Parser

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
SAID = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=5)
USAGE = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3, "prompt_tokens_details": {"cached_tokens": 1}}


def some(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Objects with any of these fields."""
    return st.fixed_dictionaries({}, optional=fields)


def one(type: str, **fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Objects of a type with all of these fields."""
    return st.fixed_dictionaries({"type": st.just(type), **fields})


def unalike(value: Any, *, empty: bool = False) -> Any:
    """Without what no client tells apart in a stream: nothing, null and, where said so, an empty list or text."""
    if isinstance(value, dict):
        kept = {name: unalike(item, empty=empty) for name, item in value.items()}
        return {name: item for name, item in kept.items() if not (item is None or (empty and item in ("", [])))}
    return [unalike(item, empty=empty) for item in value] if isinstance(value, list) else value


def again(name: str, body: Any) -> Any:
    """What the replay of a body assembles to."""
    parser, assembler = Parser(), DIALECTS[name].assembler()
    for event in parser.feed(b"".join(DIALECTS[name].replay(body, include_usage=True))) + parser.finish():
        assembler.feed(event)
    assert assembler.complete
    assert assembler.error is None
    return assembler.body


# --- chat and text completions ----------------------------------------------------------------------------------------

TOKEN = {"token": "a", "logprob": -0.5, "bytes": [97], "top_logprobs": [{"token": "a", "logprob": -0.5, "bytes": [97]}]}
LOGPROBS = st.sampled_from([None, {"content": [TOKEN], "refusal": None}, {"content": None, "refusal": [TOKEN, TOKEN]}])
CALL = st.fixed_dictionaries({"name": SAID, "arguments": TEXTS})
CALLS = st.lists(
    one("function", id=SAID, function=CALL)
    | one("custom", id=SAID, custom=st.fixed_dictionaries({"name": SAID, "input": TEXTS})),
    min_size=1,
    max_size=3,
)
CITED = [{"type": "url_citation", "url_citation": {"url": "u", "title": "t", "start_index": 0, "end_index": 1}}]
MESSAGE = st.fixed_dictionaries(
    {"role": st.just("assistant"), "content": st.none() | TEXTS},
    optional={
        "refusal": st.none() | SAID,
        "reasoning_content": SAID,
        "reasoning": SAID,
        "tool_calls": CALLS,
        "function_call": CALL,
        "annotations": st.just(CITED),
        "audio": st.just({"id": "a", "data": "QQ==", "transcript": "t", "expires_at": 9}),
        "reasoning_details": st.just([{"type": "reasoning.text", "text": "r"}]),
    },
)
PARTS = st.just({"role": "assistant", "content": [{"type": "text", "text": "a part"}]})
FINISH = st.sampled_from(["stop", "length", "tool_calls", "content_filter", "function_call"])
BESIDE = {"content_filter_results": st.just({"hate": {"filtered": False}}), "stop_reason": st.just(5)}
HEAD = {"id": "c", "created": 1, "model": "m", "usage": USAGE, "system_fingerprint": "fp", "service_tier": "default"}
TOKENS = {"tokens": ["a"], "token_logprobs": [-1.0], "top_logprobs": [{"a": -1.0}], "text_offset": [0]}


def choices(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[list[dict[str, Any]]]:
    choice = st.fixed_dictionaries({**fields, "finish_reason": FINISH}, optional=BESIDE)
    numbered = st.lists(choice, min_size=1, max_size=3)
    return numbered.map(lambda some: [{"index": number, **each} for number, each in enumerate(some)])


CHAT = choices(message=MESSAGE | PARTS, logprobs=LOGPROBS).map(
    lambda some: {**HEAD, "object": "chat.completion", "choices": some, "citations": ["u"]}
)
TEXT = choices(text=TEXTS, logprobs=st.sampled_from([None, TOKENS])).map(
    lambda some: {**HEAD, "object": "text_completion", "choices": some}
)


@given(body=CHAT)
def test_chat_completions(body: dict[str, Any]) -> None:
    assert unalike(again("completion", body), empty=True) == unalike(body, empty=True)


@given(body=TEXT)
def test_text_completions(body: dict[str, Any]) -> None:
    assert unalike(again("text_completion", body)) == unalike(body)


# --- messages and responses -------------------------------------------------------------------------------------------

JSON = st.recursive(st.none() | st.booleans() | st.integers(-9, 9) | TEXTS, lambda inner: st.lists(inner, max_size=2))
INPUT = st.dictionaries(TEXTS, JSON, max_size=3)
BLOCK = (
    one("text", text=TEXTS)
    | one("text", text=SAID, citations=st.sampled_from([[], [{"type": "char_location", "cited_text": "q"}]]))
    | one("thinking", thinking=TEXTS, signature=TEXTS)
    | one("redacted_thinking", data=SAID)
    | one("tool_use", id=SAID, name=SAID, input=INPUT)
    | one("server_tool_use", id=SAID, name=st.just("web_search"), input=INPUT)
    | one("web_search_tool_result", tool_use_id=SAID, content=st.just([{"type": "web_search_result", "url": "u"}]))
)
MESSAGES = st.fixed_dictionaries(
    {
        "id": SAID,
        "type": st.just("message"),
        "role": st.just("assistant"),
        "model": SAID,
        "content": st.lists(BLOCK, max_size=4),
        "stop_reason": st.sampled_from(["end_turn", "max_tokens", "tool_use", "refusal"]),
        "stop_sequence": st.none() | SAID,
        "usage": st.just({"input_tokens": 1, "output_tokens": 2, "cache_read_input_tokens": 3, "service_tier": "s"}),
    },
    optional={"container": st.just({"id": "c"}), "context_management": st.just({"applied_edits": []})},
)
PART = one("output_text", text=TEXTS, annotations=st.sampled_from([[], CITED]), logprobs=st.just([TOKEN])) | one(
    "refusal", refusal=TEXTS
)
ITEM = (
    one("message", id=SAID, role=st.just("assistant"), status=st.just("completed"), content=st.lists(PART, max_size=2))
    | one("reasoning", id=SAID, summary=st.lists(one("summary_text", text=TEXTS), max_size=2), encrypted_content=SAID)
    | one("function_call", id=SAID, call_id=SAID, name=SAID, arguments=TEXTS, status=st.just("completed"))
    | one("custom_tool_call", id=SAID, call_id=SAID, name=SAID, input=TEXTS)
    | one("image_generation_call", id=SAID, status=st.just("completed"), result=SAID)
)
RESPONSES = st.fixed_dictionaries(
    {
        "id": SAID,
        "object": st.just("response"),
        "created_at": st.just(1),
        "status": st.sampled_from(["completed", "incomplete"]),
        "error": st.none(),
        "model": SAID,
        "output": st.lists(ITEM, max_size=3),
        "usage": st.just({"input_tokens": 1, "output_tokens": 2, "total_tokens": 3}),
    },
    optional={"incomplete_details": st.just({"reason": "max_output_tokens"}), "metadata": st.just({"a": "b"})},
)


@given(body=MESSAGES)
def test_messages(body: dict[str, Any]) -> None:
    assert unalike(again("messages", body)) == unalike(body)


@given(body=RESPONSES)
def test_responses(body: dict[str, Any]) -> None:
    assert again("responses", body) == body
