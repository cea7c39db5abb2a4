"""One record per exchange: what is in it, for whom, and when."""

from __future__ import annotations

import json
from pathlib import Path

from running import CHAT, completion, delta, running, upstream
from scripted import scripted, stream, whole

FIELDS = [
    "id",
    "time",
    "rules_version",
    "call_type",
    "stream",
    "key",
    "team",
    "user",
    "model_requested",
    "model",
    "upstream",
    "attempts",
    "status",
    "matched",
    "outcomes",
    "usage",
    "cost",
    "cache_hit",
    "timing",
    "metadata",
    "error",
]
MAIL = {
    **CHAT,
    "messages": [{"role": "user", "content": "ask ada@example.com"}],
    "metadata": {"to": "bob@example.com", "n": 1},
}


def lines(file: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in file.read_text().splitlines()]


async def test_the_fields_of_a_record(tmp_path: Path) -> None:
    rules = """
sinks: {audit: {file: audit.jsonl}}
rules:
  - {name: small, match: {request.model: gpt-4o}, actions: [{set_model: small}, {tag: cheap}]}
  - {name: log, phase: log, actions: [{log_to: audit}]}
"""
    async with (
        scripted(whole(json.dumps(completion("hi")).encode())) as up,
        running(upstream(up.url) + rules, tmp_path) as run,
    ):
        answer = await run.post(body={**MAIL, "user": "u1"}, headers={"x-request-id": "id-7"})
        record = await run.record()
    assert [name for name in FIELDS if name not in record] == []
    expected = {
        "id": "id-7",
        "rules_version": answer.headers["x-pointsman-version"],
        "call_type": "completion",
        "stream": False,
        "key": None,
        "team": None,
        "user": "u1",
        "model_requested": "gpt-4o",
        "model": "small",
        "upstream": "main",
        "attempts": 1,
        "status": 200,
        "matched": ["small", "log"],
        "cache_hit": False,
        "metadata": MAIL["metadata"],
        "error": None,
        "tags": ["cheap"],
    }
    assert {name: record[name] for name in expected} == expected
    assert record["usage"].items() >= {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}.items()
    assert [(entry["rule"], entry["phase"], entry["result"]) for entry in record["outcomes"]] == [
        ("small", "request", "acted"),
        ("log", "log", "acted"),
    ]
    assert all(entry["us"] >= 0 for entry in record["outcomes"])
    timing = record["timing"]
    assert timing["total_ms"] >= timing["upstream_ms"] >= 0
    assert timing["ttft_ms"] is None
    assert record["time"].endswith("Z")
    assert not {"request", "response", "input", "vars"} & set(record)


async def test_content(tmp_path: Path) -> None:
    rules = """
sinks: {none: {file: none}, full: {file: full}, redacted: {file: redacted}, both: {file: both}}
rules:
  - {name: var, actions: [{set_var: {who: '{{ last_user_text }}'}}]}
  - {name: no, match: {request.user: no}, actions: [{reject: 'No, {{ last_user_text }}.'}]}
  - name: log
    phase: log
    actions:
      - log_to: none
      - log_to: {sink: [full, both], content: full}
      - log_to: {sink: [redacted, both], content: redacted}
"""
    async with (
        scripted(whole(json.dumps(completion("call +49 30 123456")).encode())) as up,
        running(upstream(up.url) + rules, tmp_path) as run,
    ):
        await run.post(body=MAIL, headers={"authorization": "Bearer sk-secret", "x-team": "core"})
        await run.gateway.settled()
        await run.post(body={**MAIL, "user": "no"})
        await run.gateway.close()
    whole_ones, redacted = lines(tmp_path / "full"), lines(tmp_path / "redacted")
    assert lines(tmp_path / "both") == whole_ones
    assert [len(lines(tmp_path / name)) for name in ("none", "full", "redacted")] == [2, 2, 2]
    assert whole_ones[0]["request"] == MAIL
    assert whole_ones[0]["response"]["body"] == completion("call +49 30 123456")  # type: ignore[index]
    assert whole_ones[0]["vars"] == {"who": "ask ada@example.com"}
    kept = whole_ones[0]["input"]
    assert isinstance(kept, dict)
    assert (kept["path"], kept["method"], kept["body"], kept["headers"]["x-team"]) == (
        "/v1/chat/completions",
        "POST",
        MAIL,
        "core",
    )
    assert "sk-secret" not in json.dumps(whole_ones)
    assert redacted[0]["request"]["messages"][0]["content"] == "ask [pii.email]"  # type: ignore[index]
    assert redacted[0]["metadata"] == {"to": "[pii.email]", "n": 1}
    assert redacted[1]["error"]["message"] == "No, ask [pii.email]."  # type: ignore[index]
    assert "ada@" not in json.dumps(redacted)
    assert "123456" not in json.dumps(redacted)
    assert "input" not in redacted[0]


async def test_a_checkpoint_is_written_at_once_and_beside_the_complete_record(tmp_path: Path) -> None:
    rules = """
sinks: {steps: {file: steps}}
rules:
  - {name: before, actions: [{set: {user: early}}, {log_to: {sink: steps, content: full}}]}
  - {name: after, actions: [{set: {user: late}}]}
"""
    async with (
        scripted(whole(json.dumps(completion("hi")).encode())) as up,
        running(upstream(up.url) + rules, tmp_path) as run,
    ):
        await run.post()
        await run.gateway.close()
    early, complete = lines(tmp_path / "steps")
    assert (early["user"], early["status"], early["matched"]) == ("early", None, ["before"])
    assert (complete["user"], complete["status"], complete["matched"]) == ("late", 200, ["before", "after"])
    assert early["id"] == complete["id"]


async def test_a_checkpoint_before_a_refusal(tmp_path: Path) -> None:
    rules = """
sinks: {steps: {file: steps}}
rules:
  - {name: both, actions: [{log_to: steps}, {reject: No}]}
"""
    async with running(rules, tmp_path) as run:
        assert (await run.post()).status_code == 400
        await run.gateway.close()
    assert [record["status"] for record in lines(tmp_path / "steps")] == [None, 400]


async def test_usage_and_text_of_a_stream(tmp_path: Path) -> None:
    usage = json.dumps(
        {
            "id": "c",
            "object": "chat.completion.chunk",
            "created": 1,
            "model": "m",
            "choices": [],
            "usage": {"prompt_tokens": 5, "completion_tokens": 6, "total_tokens": 11},
        }
    )
    rules = """
sinks: {audit: {file: audit.jsonl}}
rules:
  - {name: log, phase: log, match: {completion_text: hello}, actions: [{log_to: {sink: audit, content: full}}]}
"""
    async with (
        scripted(stream([delta("hel"), delta("lo", "stop"), usage])) as up,
        running(upstream(up.url) + rules, tmp_path) as run,
    ):
        await run.post(body={**CHAT, "stream": True})
        record = await run.record()
    assert (record["stream"], record["usage"]["total_tokens"]) == (True, 11)
    assert record["response"]["body"]["choices"][0]["message"]["content"] == "hello"
    assert record["timing"]["ttft_ms"] is not None


async def test_an_exchange_that_never_became_one_is_recorded(tmp_path: Path) -> None:
    rules = "sinks: {audit: {file: audit.jsonl}}\nrules: [{name: log, phase: log, actions: [{log_to: audit}]}]\n"
    async with running(rules, tmp_path) as run:
        await run.post("/v1/chat/completion")
        await run.post(content=b"{,}")
        await run.http.get("/health/ready")
        missing, broken = await run.records(2)
    assert (missing["status"], missing["call_type"], missing["error"]["code"]) == (404, None, "unknown_endpoint")
    assert (broken["status"], broken["call_type"], broken["error"]["code"]) == (400, "completion", "invalid_json")
