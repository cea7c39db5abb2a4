"""What makes requests equal for the cache, and the form in which an answer is kept."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.document.dialects import DIALECTS
from engine.document.exchange import Exchange
from engine.ports.caching import Caching
from engine.ports.store_memory import Memory
from engine.ports.wire import Call
from engine.proxy.cache_entry import Entry, Unfit, lasting, unpacked, whole
from engine.proxy.cache_key import key_of
from engine.proxy.gateway import SystemClock

CALL = Call("POST", "http://main/v1/chat/completions", [("authorization", "Bearer ours"), ("user-agent", "a")], b"")
CACHING = Caching("kept", 60.0, Memory.defaults(), (), 1024, allows=True)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)
BODY = st.dictionaries(st.text(max_size=5), JSON, max_size=4)


def key(
    body: dict[str, Any], call: Call = CALL, model: str = "m", caller: Any = None, caching: Caching = CACHING
) -> Any:
    x = Exchange(None, SystemClock())
    x.dialect, x.call_type = DIALECTS["completion"], "completion"
    x.sent, x.key = body, caller
    x.request = body
    x.upstream = {"name": "main", "model": model, "attempt": 1}
    return key_of(x, call, caching)


def turned(value: Any) -> Any:
    """The same with the members of every object in the other order."""
    if isinstance(value, dict):
        return {name: turned(value[name]) for name in reversed(value)}
    return [turned(item) for item in value] if isinstance(value, list) else value


@given(body=BODY)
def test_the_order_of_members_and_how_it_is_to_come_are_no_difference(body: dict[str, Any]) -> None:
    streamed = {**body, "stream": True, "stream_options": {"include_usage": True}}
    plain = {name: value for name, value in body.items() if name not in ("stream", "stream_options")}
    assert key(turned(streamed)) == key(plain)


@given(one=BODY, other=BODY)
def test_any_other_difference_is_one(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert (key(one) == key(other)) == (spelled(one) == spelled(other))


def spelled(value: Any) -> Any:
    """A value in which `1` and `1.0`, `true` and `1` differ, and the order of members does not matter."""
    if isinstance(value, dict):
        return {name: spelled(item) for name, item in value.items() if name not in ("stream", "stream_options")}
    return [spelled(item) for item in value] if isinstance(value, list) else (type(value), repr(value))


def test_half_a_surrogate_pair_has_a_key_too() -> None:
    assert key({"a": "\ud800"}) == key({"a": "\ud800"}) != key({"a": "\ud801"})


CALLERS = [
    None,
    {"name": "a", "team": None},
    {"name": "b", "team": None},
    {"name": "x", "team": "a"},
    {"name": "x", "team": "b"},
    {"name": "a", "team": "c"},
]


def test_callers_are_kept_apart() -> None:
    assert len({key({}, caller=caller) for caller in CALLERS}) == len(CALLERS)
    assert key({}, caller={"name": "x", "team": "a"}) == key({}, caller={"name": "y", "team": "a"})


@pytest.mark.parametrize("parts", [(), (lambda _: "the same",)], ids=["by body", "by expressions"])
def test_the_way_upstream_is_always_in_it(parts: Any) -> None:
    caching = CACHING._replace(parts=parts)
    ways = [
        key({}, caching=caching),
        key({}, model="other", caching=caching),
        key({}, replace(CALL, url="http://main/v1/chat/completions?v=2"), caching=caching),
        key({}, replace(CALL, url="http://next/v1/chat/completions"), caching=caching),
        key({}, replace(CALL, headers=[("authorization", "Bearer theirs")]), caching=caching),
        key({}, replace(CALL, headers=[("x-api-key", "Bearer ours")]), caching=caching),
        key({}, replace(CALL, headers=[("anthropic-beta", "new")]), caching=caching),
    ]
    assert len(set(ways)) == len(ways)
    again = replace(CALL, headers=[*CALL.headers, ("x-request-id", "1"), ("user-agent", "b")])
    assert key({}, again, caching=caching) == ways[0]


def test_nothing_to_go_by_is_no_key() -> None:
    assert key({"a": 1}, caching=CACHING._replace(parts=(lambda _: None, lambda _: None))) is None
    assert key({"a": 1}, caching=CACHING._replace(parts=(lambda _: None, lambda _: False))) is not None


# --- the form in which an answer is kept ------------------------------------------------------------------------------


@given(
    at=st.floats(0, 4e9),
    headers=st.lists(st.tuples(st.text(max_size=5), st.text(max_size=5)), max_size=3),
    body=st.binary(max_size=50),
)
def test_what_is_kept_comes_back(at: float, headers: list[tuple[str, str]], body: bytes) -> None:
    assert unpacked(Entry(at, headers, body).packed()) == Entry(at, headers, body)


@given(raw=st.binary(max_size=60))
def test_anything_else_is_no_answer_or_has_the_form_of_one(raw: bytes) -> None:
    found = unpacked(raw)
    assert found is None or isinstance(found.at, float)


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"null", "neither an object nor a list"),
        (b'{"error": {"message": "no"}}', "an error"),
        (b'{"error": "no"}', "an error"),
        (b'{"type": "error", "error": {"type": "overloaded_error"}}', "an error"),
        (b'{"object": "response", "status": "failed"}', "'failed'"),
        (b'{"object": "response", "status": "queued"}', "'queued'"),
    ],
)
def test_what_is_no_good_answer_is_not_kept(body: bytes, why: str) -> None:
    with pytest.raises(Unfit, match=why):
        whole([body], None, 1024)


def test_torn_text_is_kept_mended() -> None:
    assert whole([b'{"a": "\\ud800"}'], None, 1024) == '{"a":"\ufffd"}'.encode()
    assert whole([b'{"error": null, ', b'"a": 1}'], None, 1024) == b'{"error": null, "a": 1}'


def test_only_headers_of_the_answer_are_kept() -> None:
    told = [
        ("X-Model", "m"),
        ("Set-Cookie", "a=b"),
        ("anthropic-ratelimit-tokens-remaining", "3"),
        ("openai-processing-ms", "3"),
        ("cf-ray", "x"),
        ("apim-request-id", "x"),
    ]
    assert lasting(told) == [("x-model", "m")]
