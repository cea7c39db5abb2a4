"""The main job, with the clients that people use: the documented examples, upstreams that fail, clients that leave."""

from __future__ import annotations

import asyncio
import json
import socket
from pathlib import Path
from typing import Any

import openai
import pytest
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from running import AUDIT, CHAT, LOG, Running, completion, delta, running, upstream
from scripted import Script, raw, scripted, stream, whole

EXAMPLES = Path(__file__).parent.parent / "rules.example.yaml"
BOT = """rules:
  - name: good-bot
    match: request.prompt_id == '1234'
    actions:
      - prepend_system: Be a good Bot!
"""
SYSTEM = {"role": "system", "content": "Be a good Bot!"}
HI = {"role": "user", "content": "hi"}
ANSWER = whole(json.dumps(completion("hello")).encode())


def sdk(run: Running, **options: Any) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(base_url=f"{run.url}/v1", api_key="any", max_retries=0, **options)


# --- the prompt id of LiteLLM's documentation ------------------------------------------------------------------------


@pytest.mark.parametrize("messages", [[HI], []], ids=["with messages", "without"])
async def test_a_prompt_id_by_the_openai_client(messages: list[Any], tmp_path: Path) -> None:
    async with (
        scripted(ANSWER) as up,
        running(upstream(up.url) + AUDIT + BOT + LOG, tmp_path) as run,
        sdk(run) as client,
    ):
        answer = await client.chat.completions.create(
            model="gpt-4o", messages=messages, extra_body={"prompt_id": "1234"}
        )
        assert answer.choices[0].message.content == "hello"
        assert json.loads(up.requests[0].body) == {"model": "gpt-4o", "messages": [SYSTEM, *messages]}
        assert (await run.record())["matched"] == ["good-bot", "audit"]


async def test_a_prompt_id_by_the_synchronous_client(tmp_path: Path) -> None:
    async with scripted(ANSWER) as up, running(upstream(up.url) + BOT, tmp_path) as run:

        def ask() -> str | None:
            with openai.OpenAI(base_url=f"{run.url}/v1", api_key="any") as client:
                return (
                    client.chat.completions.create(model="gpt-4o", messages=[HI], extra_body={"prompt_id": "1234"})
                    .choices[0]
                    .message.content
                )  # type: ignore[list-item]

        assert await asyncio.to_thread(ask) == "hello"
        assert json.loads(up.requests[0].body)["messages"] == [SYSTEM, HI]


async def test_a_prompt_id_by_langchain(tmp_path: Path) -> None:
    async with (
        scripted(ANSWER, stream([delta("hel"), delta("lo"), delta(finish="stop")])) as up,
        running(upstream(up.url) + BOT, tmp_path) as run,
    ):
        model = ChatOpenAI(base_url=f"{run.url}/v1", api_key="any", model="gpt-4o", extra_body={"prompt_id": "1234"})
        assert (await asyncio.to_thread(model.invoke, "hi")).content == "hello"
        pieces = await asyncio.to_thread(lambda: [str(piece.content) for piece in model.stream("hi")])
        assert "".join(pieces) == "hello"
        for request in up.requests:
            body = json.loads(request.body)
            assert (body["messages"], "prompt_id" in body) == ([SYSTEM, HI], False)


async def test_a_prompt_id_as_curl_sends_it(tmp_path: Path) -> None:
    async with scripted(ANSWER) as up, running(upstream(up.url) + BOT, tmp_path) as run:
        body = b'{"model": "gpt-4o", "prompt_id": "1234", "messages": [{"role": "user", "content": "hi"}]}'
        head = [
            "POST /v1/chat/completions HTTP/1.1",
            "Host: 127.0.0.1",
            "Connection: close",
            "Content-Type: application/x-www-form-urlencoded",
            f"Content-Length: {len(body)}",
        ]
        told = await run.wire("\r\n".join(head).encode() + b"\r\n\r\n" + body)
        assert told.startswith(b"HTTP/1.1 200 ")
        messages = b'[{"role":"system","content":"Be a good Bot!"},{"role":"user","content":"hi"}]'
        assert up.requests[0].body == b'{"model":"gpt-4o","messages":' + messages + b"}"


# --- the example file, all rules together ----------------------------------------------------------------------------


async def test_the_examples_hold_together_in_one_file(tmp_path: Path) -> None:
    (tmp_path / "examples").mkdir()
    (tmp_path / "examples" / "hooks.py").write_text((EXAMPLES.parent / "examples" / "hooks.py").read_text())
    async with running(EXAMPLES.read_text(), tmp_path) as run, sdk(run) as client:
        bot = await client.chat.completions.create(model="gpt-4o", messages=[], extra_body={"prompt_id": "1234"})
        assert "Be a good Bot!" in str(bot.choices[0].message.content)
        hello: dict[str, Any] = {"extra_headers": {"x-example": "hello"}}
        whole_one = await client.chat.completions.create(
            model="gpt-4o", messages=[{"role": "user", "content": "Hello world"}], **hello
        )
        assert whole_one.choices[0].message.content == "This is an invalid response"
        pieces = await client.completions.create(model="m", prompt="Hello world", stream=True, **hello)
        said = "".join([piece.choices[0].text async for piece in pieces if piece.choices])
        assert said == "This is an invalid response"
        with pytest.raises(openai.BadRequestError):
            await client.embeddings.create(model="m", input="Hello world", **hello)
        with pytest.raises(openai.BadRequestError) as refused:
            await client.chat.completions.create(model="m", messages=[], extra_headers={"x-example": "user"})
        assert refused.value.param == "user"
        draft = await client.chat.completions.create(
            model="gpt-4o", messages=[{"role": "user", "content": "short"}], extra_headers={"x-example": "draft"}
        )
        assert draft.model == "gpt-4o-mini"
        await run.gateway.settled()
        await run.gateway.close()
    records = [json.loads(line) for line in (tmp_path / ".pointsman" / "audit.jsonl").read_text().splitlines()]
    assert [record["matched"][0] for record in records] == [
        "good-bot",
        "invalid-hello",
        "invalid-hello",
        "invalid-hello",
        "user-required",
        "cheaper-drafts",
    ]


async def test_embeddings_and_text(tmp_path: Path) -> None:
    rule = "rules: [{name: m, actions: [{set_model: rewritten}]}]\n"
    async with running(rule, tmp_path) as run, sdk(run) as client:
        embedded = await client.embeddings.create(model="m", input=["a", "b"])
        assert (len(embedded.data), embedded.model) == (2, "rewritten")
        model = OpenAIEmbeddings(base_url=f"{run.url}/v1", api_key="any", model="m", check_embedding_ctx_length=False)
        assert len(await asyncio.to_thread(model.embed_documents, ["a", "b"])) == 2
        text = await client.completions.create(model="m", prompt="hi")
        assert (text.model, bool(text.choices[0].text)) == ("rewritten", True)


# --- upstreams that fail ----------------------------------------------------------------------------------------------

HANG = raw(then="hang")
FAULTS: dict[str, tuple[Script, dict[str, Any], int, str, str]] = {
    "no first byte": (HANG, {"first_byte": "100ms"}, 504, "upstream_timeout", "within 0.1 s"),
    "a pause within": (
        raw(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{", then="hang"),
        {"between_bytes": "100ms"},
        504,
        "upstream_timeout",
        "stalled",
    ),
    "too long in all": (HANG, {"total": "100ms"}, 504, "upstream_timeout", "0.1 s"),
    "reset at once": (raw(then="reset"), {}, 502, "upstream_connection", "closed the connection"),
    "reset within": (
        raw(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{", pause=0.02, then="reset"),
        {},
        502,
        "upstream_connection",
        "broke off",
    ),
    "closed within": (
        raw(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{", then="close"),
        {},
        502,
        "upstream_connection",
        "broke off",
    ),
    "no HTTP": (raw(b"SSH-2.0-OpenSSH\r\n\r\n", then="close"), {}, 502, "upstream_connection", "not HTTP"),
    "a broken chunk": (
        raw(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n{}\r\n", then="close"),
        {},
        502,
        "upstream_connection",
        "not HTTP",
    ),
}


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("fault", FAULTS)
async def test_an_upstream_that_fails(fault: str, streamed: bool, tmp_path: Path) -> None:
    script, options, status, code, says = FAULTS[fault]
    async with (
        scripted(script) as up,
        running(upstream(up.url, **options) + AUDIT + "rules:" + LOG, tmp_path) as run,
        sdk(run) as client,
    ):
        with pytest.raises(openai.APIStatusError) as raised:
            await client.chat.completions.create(**{**CHAT, "stream": streamed})  # type: ignore[call-overload]
        assert (raised.value.status_code, raised.value.code) == (status, code)
        assert says in str(raised.value.message)
        record = await run.record()
        assert (record["status"], record["attempts"], record["upstream"]) == (status, 1, "main")
        assert record["error"]["source"] == ("timeout" if status == 504 else "connection")


async def test_nobody_listens(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        async with running(upstream(url, api_key="sk-ours") + AUDIT + "rules:" + LOG, tmp_path) as run:
            answer = await run.post()
            error = answer.json()["error"]
            assert (answer.status_code, error["type"], error["code"]) == (502, "api_error", "upstream_connection")
            assert "could not connect" in error["message"]
            assert "sk-ours" not in answer.text + json.dumps(await run.record())


async def test_an_error_of_ours_is_told_and_recorded(tmp_path: Path) -> None:
    """Even a fault of the gateway's own is an answer and a record."""
    async with running(AUDIT + "rules:" + LOG, tmp_path) as run:

        def broken(_: Any) -> Any:
            raise ZeroDivisionError

        run.gateway.transports = broken
        answer = await run.post()
        assert (answer.status_code, answer.json()["error"]["code"]) == (500, "internal_error")
        record = await run.record()
        assert (record["status"], record["error"]["message"]) == (500, "internal error")


# --- connections ------------------------------------------------------------------------------------------------------


async def test_connections_are_kept_both_ways(tmp_path: Path) -> None:
    async with scripted(ANSWER) as up, running(upstream(up.url) + "rules: []\n", tmp_path) as run:
        for _ in range(5):
            assert (await run.post()).status_code == 200
        await run.post(content=b"{,}")
        assert (await run.post()).status_code == 200
        assert up.connections == 1
        pool = run.http._transport._pool  # type: ignore[attr-defined]
        assert len(pool.connections) == 1


async def test_many_at_once(tmp_path: Path) -> None:
    rule = "rules: [{name: a, actions: [{set_var: {u: '{{ request.user }}'}}, {set: {metadata.u: '{{ vars.u }}'}}]}]\n"
    async with scripted(ANSWER) as up, running(upstream(up.url) + rule, tmp_path) as run:
        users = [str(number) for number in range(50)]
        answers = await asyncio.gather(*(run.post(body={**CHAT, "user": user}) for user in users))
        assert {answer.status_code for answer in answers} == {200}
        assert len({answer.headers["x-request-id"] for answer in answers}) == 50
        seen = [json.loads(request.body) for request in up.requests]
        assert sorted(body["user"] for body in seen) == sorted(users)
        assert all(body["user"] == body["metadata"]["u"] for body in seen)
