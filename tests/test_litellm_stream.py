"""Streaming hooks of LiteLLM's form, over the bytes of streams in every dialect."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_actions import exchange
from test_litellm_hooks import loaded

from engine.document.answers import Refused
from engine.document.dialect import Piece
from engine.document.exchange import Exchange
from engine.ports import litellm_stream

PATHS = {
    "completion": "/v1/chat/completions",
    "text_completion": "/v1/completions",
    "responses": "/v1/responses",
    "messages": "/v1/messages",
}
PIECES = [Piece(text="hel"), Piece(text="lo "), Piece(text="world")]


def asked(path: str) -> Exchange:
    return exchange(
        {"path": path, "request": {"model": "m", "stream": True, "messages": [], "input": "x", "prompt": "x"}}
    )


def sent_by(x: Exchange, pieces: list[Piece]) -> bytes:
    return b"".join(x.dialect.compose(pieces, model="m", id="id", created=1))


async def chunks(raw: bytes, size: int = 0, end: Exception | None = None) -> AsyncIterator[bytes]:
    for at in range(0, len(raw), size or len(raw) or 1):
        yield raw[at : at + (size or len(raw))]
    if end is not None:
        raise end


async def passed(
    folder: Path, source: str, x: Exchange, raw: bytes, size: int = 0, end: Exception | None = None
) -> bytes:
    rewrite = loaded(folder, source).rewrite
    return b"".join([piece async for piece in rewrite(x, chunks(raw, size, end))])


def body_of(x: Exchange, raw: bytes) -> Any:
    from engine.document.sse import Parser

    parser, assembler = Parser(), x.dialect.assembler()
    for event in [*parser.feed(raw), *parser.finish()]:
        assembler.feed(event)
    assert assembler.complete
    return assembler.body


def said(x: Exchange, raw: bytes) -> str:
    return x.dialect.said(body_of(x, raw)).completion


ITERATOR = """
    async def async_post_call_streaming_iterator_hook(self, user_api_key_dict, response, request_data):
        {body}
"""
TEXT = """
    async def async_post_call_streaming_hook(self, user_api_key_dict, response):
        {body}
"""
SAME = ITERATOR.format(body="async for item in response:\n            yield item")
UPPER = ITERATOR.format(
    body="""async for item in response:
            for choice in item.choices:
                if choice.text:
                    choice.text = choice.text.upper()
                if choice.delta and choice["delta"].content:
                    choice.delta["content"] = choice.delta.content.upper()
            yield item"""
)
ALL_AT_ONCE = ITERATOR.format(
    body="""import copy
        kept, last = [], None
        async for item in response:
            if item.choices and (item.choices[0].text or (item.choices[0].delta and item.choices[0].delta.content)):
                kept.append(item)
            else:
                last = item
        text = "".join(item.choices[0].text or item.choices[0].delta.content for item in kept)
        item = type(kept[0])(kept[0])
        if item.choices[0].text:
            item.choices[0].text = text.title()
        else:
            item.choices[0].delta.content = text.title()
        yield item
        if last is not None:
            yield last"""
)
NONE_SAID = TEXT.format(body="return None")
DOTS = TEXT.format(body="return '.' * len(response)")


@pytest.mark.parametrize("size", [0, 1, 7])
@pytest.mark.parametrize("hook", [SAME, NONE_SAID, SAME + NONE_SAID], ids=["iterator", "text", "both"])
@pytest.mark.parametrize("call_type", PATHS)
async def test_what_a_hook_leaves_alone_leaves_as_it_came(call_type: str, hook: str, size: int, tmp_path: Path) -> None:
    x = asked(PATHS[call_type])
    raw = sent_by(x, PIECES)
    assert await passed(tmp_path, hook, x, raw, size) == raw


@pytest.mark.parametrize(
    ("hook", "text"),
    [(UPPER, "HELLO WORLD"), (ALL_AT_ONCE, "Hello World"), (DOTS, "." * (3 + 6 + 11))],
    ids=["upper", "all at once", "by text"],
)
@pytest.mark.parametrize("call_type", PATHS)
async def test_a_changed_text_is_changed_wherever_it_stands(
    call_type: str, hook: str, text: str, tmp_path: Path
) -> None:
    x = asked(PATHS[call_type])
    changed = await passed(tmp_path, hook, x, sent_by(x, PIECES))
    assert said(x, changed) == text
    assert b"hello world" not in changed


async def test_the_text_so_far_is_told_with_each_piece(tmp_path: Path) -> None:
    x = asked("/v1/messages")
    found = loaded(tmp_path, TEXT.format(body="self.told = [*getattr(self, 'told', []), response]"))
    raw = sent_by(x, PIECES)
    assert b"".join([piece async for piece in found.rewrite(x, chunks(raw))]) == raw
    assert found.instance.told == ["hel", "hello ", "hello world"]


async def test_choices_are_told_apart(tmp_path: Path) -> None:
    x = asked("/v1/chat/completions")
    found = loaded(tmp_path, TEXT.format(body="self.told = [*getattr(self, 'told', []), response]"))
    raw = sent_by(x, [Piece(text="a"), Piece(text="b", choice=1), Piece(text="c"), Piece(text="d", choice=1)])
    assert b"".join([piece async for piece in found.rewrite(x, chunks(raw))]) == raw
    assert found.instance.told == ["a", "b", "ac", "bd"]


@pytest.mark.parametrize("call_type", ["messages", "responses", "completion"])
async def test_tool_calls_and_reasoning_are_chunks_as_well(call_type: str, tmp_path: Path) -> None:
    x = asked(PATHS[call_type])
    raw = sent_by(x, [Piece(reasoning="why"), Piece(text="so"), Piece(tool=0, name="f", arguments='{"a":"b"}')])
    hook = ITERATOR.format(
        body="""async for item in response:
            delta = item.choices[0].delta if item.choices else None
            if delta and delta.reasoning_content:
                delta.reasoning_content = "because"
            if delta and delta.tool_calls and delta.tool_calls[0].function.arguments:
                delta.tool_calls[0].function["arguments"] = '{"a":"c"}'
            yield item"""
    )
    told = x.dialect.said(body_of(x, await passed(tmp_path, hook, x, raw)))
    assert (told.reasoning, told.completion, told.tool) == ("because", "so", '{"a":"c"}')


@pytest.mark.parametrize("call_type", PATHS)
async def test_a_hook_that_drops_everything_leaves_a_proper_end(call_type: str, tmp_path: Path) -> None:
    x = asked(PATHS[call_type])
    hook = ITERATOR.format(
        body="""async for item in response:
            if item.choices and item.choices[0].finish_reason:
                yield item"""
    )
    assert said(x, await passed(tmp_path, hook, x, sent_by(x, PIECES))) == ""


RAISES = ITERATOR.format(
    body="""async for item in response:
            if {when}:
                raise {what}
            yield item"""
)


@pytest.mark.parametrize(
    ("what", "status", "message", "result"),
    [
        ("HTTPException(403, 'no')", 403, "no", "acted"),
        ("HTTPException(403, {'error': 'no'})", 403, "no", "acted"),
        ("ValueError('inner')", 500, "rule hooks.It failed", "error"),
    ],
)
async def test_an_exception_ends_the_stream(what: str, status: int, message: str, result: str, tmp_path: Path) -> None:
    x = asked("/v1/chat/completions")
    with pytest.raises(Refused) as raised:
        await passed(tmp_path, RAISES.format(when="True", what=what), x, sent_by(x, PIECES))
    assert (raised.value.refusal.status, raised.value.refusal.message) == (status, message)
    assert [one[:3] for one in x.outcomes] == [("hooks.It", "stream", result)]


@pytest.mark.parametrize(
    ("hook", "error"),
    [
        (ITERATOR.format(body="return 5"), "returned a coroutine"),
        (ITERATOR.format(body="yield 'data: x'"), "yielded a str"),
        (ITERATOR.format(body="async for item in response:\n            yield {'a': object()}"), "no JSON value"),
        (TEXT.format(body="return 5"), "yielded an int"),
        (TEXT.format(body='return \'data: {"error": "no"}\''), None),
    ],
)
async def test_nonsense_is_an_error_of_the_callback(hook: str, error: str | None, tmp_path: Path) -> None:
    x = asked("/v1/chat/completions")
    with pytest.raises(Refused) as raised:
        await passed(tmp_path, hook, x, sent_by(x, PIECES))
    assert raised.value.refusal.status == 500
    if error is not None:
        assert error in x.outcomes[0][3]


async def test_a_hook_that_hangs_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(litellm_stream, "PATIENCE", 0.05)
    hook = ITERATOR.format(
        body="""import asyncio
        async for item in response:
            await asyncio.sleep(60)
            yield item"""
    )
    x = asked("/v1/chat/completions")
    with pytest.raises(Refused) as raised:
        await passed(tmp_path, hook, x, sent_by(x, PIECES))
    assert raised.value.refusal.status == 500
    assert "timed out" in x.outcomes[0][3]


async def test_a_slow_upstream_is_not_the_hooks_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import asyncio

    monkeypatch.setattr(litellm_stream, "PATIENCE", 0.05)
    x = asked("/v1/chat/completions")
    raw = sent_by(x, PIECES)

    async def slow() -> AsyncIterator[bytes]:
        yield raw[:100]
        await asyncio.sleep(0.2)
        yield raw[100:]

    rewrite = loaded(tmp_path, SAME).rewrite
    assert b"".join([piece async for piece in rewrite(x, slow())]) == raw


async def test_a_broken_upstream_is_no_clean_end(tmp_path: Path) -> None:
    hook = ITERATOR.format(
        body="""try:
            async for item in response:
                yield item
        except Exception:
            pass"""
    )
    x = asked("/v1/chat/completions")
    with pytest.raises(ConnectionResetError):
        await passed(tmp_path, hook, x, sent_by(x, PIECES)[:200], end=ConnectionResetError("gone"))


WORDS = st.lists(
    st.text(st.characters(codec="utf-8", exclude_characters="\r\n"), min_size=1, max_size=8), min_size=1, max_size=6
)


@given(words=WORDS, size=st.integers(1, 40), call_type=st.sampled_from(sorted(PATHS)))
async def test_any_cut_gives_the_same_text(
    words: list[str], size: int, call_type: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    x = asked(PATHS[call_type])
    raw = sent_by(x, [Piece(text=word) for word in words])
    changed = await passed(tmp_path_factory.mktemp("hooks"), UPPER, x, raw, size)
    assert said(x, changed) == "".join(word.upper() for word in words)


@pytest.mark.parametrize(
    "raw",
    [
        b"data: nonsense\n\n",
        b": a comment\n\n",
        b"data: [1]\n\n",
        b'data: {"choices": 5}\n\n',
        b"data: {}\n\ndata: [DONE]\n\n",
        b'data: {"choices": [null]}\n\n',
    ],
)
async def test_what_is_no_chunk_passes_as_it_came(raw: bytes, tmp_path: Path) -> None:
    assert await passed(tmp_path, SAME, asked("/v1/chat/completions"), raw) == raw


async def test_malformed_chunks_are_an_error_of_a_hook_that_trusts_them(tmp_path: Path) -> None:
    x = asked("/v1/chat/completions")
    raw = b"data: " + json.dumps({"choices": [{"delta": {"content": 5}}]}).encode() + b"\n\n"
    assert await passed(tmp_path, NONE_SAID, x, raw) == raw
