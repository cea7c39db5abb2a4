"""Every dialect's request and answer: what is read, what writing makes of it; nothing raised, nothing mutated."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.document.dialects import DIALECTS, ENDPOINTS, call_type_of, dialect_at
from engine.document.parts import OPAQUE, plain_json
from engine.phases import CALL_TYPES, CONVERSATIONS
from engine.tools.editor_schema import parsed

CASES = Path(__file__).parent / "dialects"


def cases(name):
    return [pytest.param(case, id=case["title"]) for case in parsed((CASES / name).read_text(encoding="utf-8"))]


@pytest.mark.parametrize("case", cases("requests.yaml"))
def test_what_is_read(case):
    dialect = DIALECTS[case["dialect"]]
    texts = dialect.texts(case["body"])
    found = {"prompt": texts.prompt, "system": texts.system, "user": texts.user, "last_user": texts.last_user}
    assert found == {name: case.get(name, "") for name in found}
    assert dialect.opaque(case["body"]) == case.get("opaque", [])


@pytest.mark.parametrize("case", cases("changes.yaml"))
def test_what_writing_makes(case):
    before = copy.deepcopy(case["before"])
    method, *arguments = case["do"]
    assert getattr(DIALECTS[case["dialect"]], method)(case["before"], *arguments) == case["after"]
    assert case["before"] == before


@pytest.mark.parametrize("case", cases("answers.yaml"))
def test_what_an_answer_says(case):
    dialect = DIALECTS[case["dialect"]]
    said = dialect.said(case["body"])
    found = {"completion": said.completion, "tool": said.tool, "reasoning": said.reasoning}
    assert found == {name: case.get(name, "") for name in found}
    assert dialect.usage(case["body"]) == case.get("usage")


def test_the_table_has_every_call_type():
    assert set(DIALECTS) == set(CALL_TYPES)
    assert {name for name, dialect in DIALECTS.items() if dialect.has_assistant} == CONVERSATIONS
    assert all(dialect.call_type == name for name, dialect in DIALECTS.items())


def test_paths_with_and_without_version():
    assert call_type_of("/v1/chat/completions") == call_type_of("/chat/completions") == "completion"
    assert call_type_of("/v1/v1/chat/completions") is None
    assert call_type_of("/v2/chat/completions") is None
    assert dialect_at("/v1/images/edits").upstream_path == "/images/edits"
    assert not dialect_at("/v1/messages/count_tokens").has_assistant
    assert all(dialect_at(path).call_type == call_type for path, call_type in ENDPOINTS.items())


# --- any JSON object -------------------------------------------------------------------------------------------------

FIELDS = """
    messages role content type text tools function name arguments input parameters properties tool_calls prompt system
    instructions source data url file_id image_url documents query choices message output usage delta audio summary
    thinking citations output_index conversation container index prompt_tokens input_tokens logprobs
"""
NAMES = st.sampled_from(FIELDS.split())
WORDS = st.sampled_from(
    [
        "system",
        "user",
        "assistant",
        "text",
        "tool_use",
        "tool_result",
        "message",
        "document",
        "image_url",
        "function_call",
        "reasoning",
        "secret",
        '{"a": "\\u0073"}',
        "",
        "base64",
        "x\ny",
    ]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 10**20) | st.floats(allow_nan=False, allow_infinity=False) | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=25,
)
# the rest are made of the same class as rerank
KINDS = ["completion", "text_completion", "responses", "messages", "embeddings", "rerank"]
BODY = st.dictionaries(NAMES, JSON, max_size=5)


@pytest.mark.parametrize("name", KINDS)
@given(body=BODY)
def test_any_object_is_read(name, body):
    dialect, before = DIALECTS[name], copy.deepcopy(body)
    texts = dialect.texts(body)
    assert set(dialect.opaque(body)) <= set(OPAQUE)
    assert all(isinstance(text, str) for text in (texts.prompt, texts.system, texts.user, texts.last_user))
    dialect.said(body)
    usage = dialect.usage(body)
    assert usage is None or {"prompt_tokens", "completion_tokens", "total_tokens"} <= set(usage)
    assert body == before


@pytest.mark.parametrize("name", KINDS)
@given(body=BODY)
def test_the_prompt_is_what_can_be_changed(name, body):
    dialect = DIALECTS[name]
    found = []

    def keep(text):
        found.append(text)
        return text

    assert dialect.change_prompt(body, keep) is body
    assert "\n".join(found) == dialect.texts(body).prompt
    before = copy.deepcopy(body)
    changed = dialect.change_prompt(body, lambda text: text.replace("secret", "-"))
    assert body == before
    assert ("secret" in dialect.texts(body).prompt) == (changed is not body)
    assert "secret" not in dialect.texts(changed).prompt


@pytest.mark.parametrize("name", KINDS)
@given(body=BODY)
def test_any_object_is_written_to(name, body):
    dialect, before = DIALECTS[name], copy.deepcopy(body)
    for changed in (
        dialect.prepend_system(body, "S"),
        dialect.append_system(body, "S"),
        dialect.replace_system(body, "S"),
        dialect.add_message(body, "user", "S", None),
        dialect.add_message(body, "system", "S", 0),
        dialect.replace_messages(body, [{"role": "user", "content": "S"}, 5]),
    ):
        assert isinstance(changed, dict)
    assert body == before


@pytest.mark.parametrize("name", KINDS)
@given(body=BODY)
def test_any_answer_is_changed_and_replayed(name, body):
    dialect, before = DIALECTS[name], copy.deepcopy(body)
    changed = dialect.change_answer(body, lambda text: text.replace("secret", "-"))
    said = dialect.said(changed)
    assert "secret" not in said.completion + said.reasoning
    assert all(event.endswith(b"\n\n") for event in dialect.replay(changed, include_usage=True))
    assert body == before


ROLES = {"system_text": "system", "user_text": "user", "last_user_text": "last_user"}


@pytest.mark.parametrize("name", KINDS)
@given(body=BODY)
def test_each_text_is_what_can_be_changed(name, body):
    dialect, before = DIALECTS[name], copy.deepcopy(body)
    for where, field in ROLES.items():
        found = []
        assert dialect.change_prompt(body, lambda text: found.append(text) or text, where) is body  # noqa: B023
        assert "\n".join(found) == getattr(dialect.texts(body), field)
        changed = dialect.change_prompt(body, lambda text: text.replace("secret", "-"), where)
        assert "secret" not in getattr(dialect.texts(changed), field)
    assert body == before


@pytest.mark.parametrize("case", cases("answers.yaml"))
def test_each_part_of_an_answer_is_changed_alone(case):
    dialect = DIALECTS[case["dialect"]]
    said = dialect.said(case["body"])
    for where, field in {"completion_text": "completion", "tool_text": "tool", "reasoning_text": "reasoning"}.items():
        changed = dialect.said(dialect.change_answer(case["body"], lambda text: f"<{text}>", where))
        assert ("<" in getattr(changed, field)) == bool(getattr(said, field))
        others = {"completion", "tool", "reasoning"} - {field}
        assert all(getattr(changed, other) == getattr(said, other) for other in others)


@pytest.mark.parametrize(
    ("spelled", "plain"),
    [
        ('{"a": "\\u0073"}', '{"a": "s"}'),
        ('"\\ud83d\\ude42"', '"🙂"'),
        ('"\\ud83d"', '"\\ud83d"'),
        ('"\\/"', '"/"'),
        ('"\\u0022 \\u005c \\n \\u000a"', '"\\u0022 \\u005c \\n \\u000a"'),
        ('"\\\\u0073"', '"\\\\u0073"'),
    ],
)
def test_json_with_the_escapes_it_needs(spelled, plain):
    assert plain_json(spelled) == plain


def deep(levels):
    value = "secret"
    for _ in range(levels):
        value = {"properties": {"a": [value]}}
    return value


@pytest.mark.parametrize(
    "place",
    [
        lambda value: {"tools": [{"function": {"name": "f", "parameters": value}}]},
        lambda value: {"messages": [{"role": "user", "content": [{"type": "odd", "odd": value}]}]},
    ],
)
def test_depth_hides_nothing_and_breaks_nothing(place):
    chat = DIALECTS["completion"]
    body = place(deep(10_000))
    assert "secret" in chat.texts(body).prompt
    changed = chat.change_prompt(body, lambda text: text.replace("secret", "-"))
    assert "secret" not in chat.texts(changed).prompt


def test_what_did_not_change_is_shared():
    chat = DIALECTS["completion"]
    body = {"messages": [{"role": "user", "content": "secret"}, {"role": "user", "content": "fine"}], "tools": [{}]}
    changed = chat.change_prompt(body, lambda text: text.replace("secret", "-"))
    assert changed["messages"][0]["content"] == "-"
    assert changed["messages"][1] is body["messages"][1]
    assert changed["tools"] is body["tools"]


def test_a_changed_choice_loses_its_logprobs():
    body = {
        "choices": [
            {"message": {"content": "secret"}, "logprobs": {"content": []}},
            {"message": {"content": "fine"}, "logprobs": {"content": []}},
        ]
    }
    changed = DIALECTS["completion"].change_answer(body, lambda text: text.replace("secret", "-"))
    assert [choice["logprobs"] for choice in changed["choices"]] == [None, {"content": []}]
