"""The sinks `otlp`, `langfuse` and `mixpanel` against real servers: what is posted, and what comes again."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from collector import Collector, Posted, Said, collecting, until
from running import CHAT, completion, delta, eventually, running, upstream
from scripted import scripted, stream, whole
from sink_problems import problem_of
from spans import attributes, decoded, spans_of
from test_serve import ask, serving
from test_sinks import sink
from test_spans import record

from engine.catalogue import BAD, Scope
from engine.ports.sinks import SinkSection
from engine.rules.yaml_text import compose
from engine.source import Source

SECRET = "s3cr3t-value"


def numbered(number: int) -> dict[str, Any]:
    trace = {
        "trace_id": f"{number + 1:032x}",
        "span_id": f"{number + 1:016x}",
        "parent_id": None,
        "began": 1795262400.5,
    }
    return record(id=f"req-{number}", trace=trace)


def basic(credentials: str) -> str:
    return f"Basic {base64.b64encode(credentials.encode()).decode()}"


def span_ids(posts: list[Posted]) -> list[int]:
    return [int.from_bytes(span.span_id) for posted in posts for span in spans_of(posted.body)]


def insert_ids(posts: list[Posted]) -> list[str]:
    return [event["properties"]["id"] for posted in posts for event in posted.json()]


WRITTEN = {
    "otlp": ("{{otlp: {{endpoint: '{url}', headers: {{x-api-key: s3cr3t-value}}}}}}", span_ids, range(1, 7)),
    "langfuse": ("{{langfuse: {{host: '{url}', public_key: pk, secret_key: s3cr3t-value}}}}", span_ids, range(1, 7)),
    "mixpanel": (
        "{{mixpanel: {{host: '{url}', token: s3cr3t-value}}}}",
        insert_ids,
        [f"req-{number}" for number in range(6)],
    ),
}
KINDS = pytest.mark.parametrize("kind", WRITTEN)


def sink_to(collector: Collector, kind: str) -> Any:
    made = sink(WRITTEN[kind][0].format(url=collector.url))
    made.backoff, made.longest_pause, made.gather = 0.02, 0.05, 0.01
    return made


# --- servers that end, refuse and lose --------------------------------------------------------------------------------


@KINDS
def test_a_server_that_ends_and_comes_back_has_every_record_once(
    kind: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    _, ids, expected = WRITTEN[kind]
    with collecting() as collector:
        made = sink_to(collector, kind)
        made.start(tmp_path / "spool")
        for number in range(2):
            made.put(numbered(number))
        until(lambda: made.written == 2)
        collector.kill()
        for number in range(2, 4):
            made.put(numbered(number))
        until(lambda: "is down" in caplog.text)
        collector.start()
        for number in range(4, 6):
            made.put(numbered(number))
        until(lambda: made.written == 6)
        made.close()
        assert ids(collector.posts) == list(expected)
    assert (made.written, made.failed, made.lost, made.waiting, made.spooled) == (6, 0, 0, 0, 0)
    assert "is up again" in caplog.text
    assert SECRET not in caplog.text


@KINDS
def test_what_is_posted_again_is_known_by_its_id(kind: str) -> None:
    """An acknowledgement that was lost: the server has the batch, and gets the same once more."""
    with collecting() as collector:
        collector.answers.append(Said(lost=True))
        made = sink_to(collector, kind)
        made.start()
        made.put(numbered(0))
        until(lambda: made.written == 1)
        made.close()
    first, second = collector.posts
    assert first.body == second.body


@KINDS
@pytest.mark.parametrize("status", [401, 429, 500, 503])
def test_what_may_be_mended_is_tried_again(kind: str, status: int, caplog: pytest.LogCaptureFixture) -> None:
    with collecting() as collector:
        collector.answers += [Said(status)] * 2
        made = sink_to(collector, kind)
        made.start()
        made.put(numbered(0))
        until(lambda: made.written == 1)
        made.close()
    assert (made.written, made.failed, len(collector.posts)) == (1, 0, 1)
    assert f"answered {status}" in caplog.text


@KINDS
def test_one_record_that_is_refused_costs_no_other(kind: str, caplog: pytest.LogCaptureFixture) -> None:
    _, ids, expected = WRITTEN[kind]
    bad = list(expected)[2]
    with collecting() as collector:
        collector.judge = lambda posted: Said(400, b"bad event") if bad in ids([posted]) else None
        made = sink_to(collector, kind)
        for number in range(6):
            made.put(numbered(number))
        made.start()
        until(lambda: made.written == 5)
        made.close()
        assert sorted(set(ids(collector.posts))) == sorted(set(expected) - {bad})
    assert (made.written, made.failed, made.lost) == (5, 1, 0)
    assert "bad event" in caplog.text


@KINDS
def test_a_post_is_never_too_large(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    _, ids, expected = WRITTEN[kind]
    monkeypatch.setattr("engine.ports.spans._MOST_BYTES", 2000)
    monkeypatch.setattr("engine.ports.sink_mixpanel._MOST_BYTES", 2000)
    with collecting() as collector:
        made = sink_to(collector, kind)
        for number in range(6):
            made.put(numbered(number) | {"metadata": {"x": "y" * (5000 if number == 3 else 1)}})
        made.start()
        until(lambda: made.written == 6)
        made.close()
        assert ids(collector.posts) == list(expected)
    assert len(collector.posts) > 2


@pytest.mark.parametrize(
    ("answer", "failed"),
    [
        (b'{"partialSuccess": {"rejectedSpans": "2", "errorMessage": "too old"}}', 2),
        (b'{"partialSuccess": {"rejectedSpans": 1}}', 1),
        (b'{"partialSuccess": {"errorMessage": "please upgrade"}}', 0),
        (b'{"partialSuccess": {}}', 0),
        (b'{"partialSuccess": null}', 0),
        (b"{}", 0),
        (b"", 0),
        (b"OK", 0),
        (b"[1]", 0),
    ],
)
def test_spans_that_a_backend_rejects_are_counted_and_said(
    answer: bytes, failed: int, caplog: pytest.LogCaptureFixture
) -> None:
    with collecting() as collector:
        collector.answer = Said(200, answer)
        made = sink_to(collector, "otlp")
        for number in range(3):
            made.put(numbered(number))
        made.start()
        until(lambda: made.written + made.failed == 3)
        made.close()
    assert (made.written, made.failed, made.lost, len(collector.posts)) == (3 - failed, failed, 0, 1)
    told = json.loads(answer).get("partialSuccess") if answer.startswith(b"{") else None
    assert ("spans of a batch were rejected" in caplog.text) is bool(told)


# --- what is posted ---------------------------------------------------------------------------------------------------


def posted_by(text: str, *records: dict[str, Any]) -> Posted:
    with collecting() as collector:
        made = sink(text.replace("URL", collector.url))
        for one in records:
            made.put(one)
        made.start()
        until(lambda: made.written == len(records))
        made.close()
        (posted,) = collector.posts
    return posted


def test_otlp_posts_json_with_its_headers_and_who_sends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEY", SECRET)
    posted = posted_by(
        "{otlp: {endpoint: 'URL/otlp/', headers: {x-api-key: os.environ/KEY}, service_name: gate, resource: {a.b: c}}}",
        numbered(0),
    )
    assert posted.path == "/otlp/v1/traces"
    assert (posted.headers["content-type"], posted.headers["x-api-key"]) == ("application/json", SECRET)
    (resource,) = decoded(posted.body).resource_spans
    told = attributes(resource.resource.attributes)
    assert (told["service.name"], told["a.b"], told["service.version"]) == ("gate", "c", "0.1.0")


def test_otlp_takes_opentelemetrys_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    with collecting() as collector:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "X-Api-Key=a%20b, other=1")
        monkeypatch.setenv("OTEL_SERVICE_NAME", "from-env")
        made = sink("otlp")
        made.put(numbered(0))
        made.close()
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", f"{collector.url}/custom")
        made = sink("otlp")
        made.put(numbered(1))
        made.close()
        written = sink(f"{{otlp: '{collector.url}/written'}}")
        written.put(numbered(2))
        written.close()
    assert [posted.path for posted in collector.posts] == ["/v1/traces", "/custom", "/written/v1/traces"]
    first = collector.posts[0]
    assert (first.headers["x-api-key"], first.headers["other"]) == ("a b", "1")
    assert attributes(decoded(first.body).resource_spans[0].resource.attributes)["service.name"] == "from-env"


def test_langfuse_posts_to_its_own_endpoint_with_its_keys() -> None:
    posted = posted_by(
        "{langfuse: {host: 'URL/', public_key: pk-lf-1, secret_key: sk-1, environment: staging}}", numbered(0)
    )
    assert posted.path == "/api/public/otel/v1/traces"
    assert posted.headers["authorization"] == basic("pk-lf-1:sk-1")
    assert posted.headers["x-langfuse-ingestion-version"] == "4"
    told = attributes(spans_of(posted.body)[0].attributes)
    assert (told["langfuse.trace.name"], told["langfuse.environment"]) == ("chat gpt-4o", "staging")
    assert (told["gen_ai.request.model"], told["langfuse.observation.type"]) == ("gpt-4o", "generation")


def test_langfuse_takes_its_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    with collecting() as collector:
        monkeypatch.setenv("LANGFUSE_HOST", collector.url)
        monkeypatch.setenv("LANGFUSE_PUBLIC_KEY", "pk")
        monkeypatch.setenv("LANGFUSE_SECRET_KEY", "sk")
        monkeypatch.setenv("LANGFUSE_TRACING_ENVIRONMENT", "from-env")
        for base in ("", f"{collector.url}/base"):
            monkeypatch.setenv("LANGFUSE_BASE_URL", base)
            made = sink("langfuse")
            made.put(numbered(0))
            made.close()
    assert [posted.path.partition("/api")[0] for posted in collector.posts] == ["", "/base"]
    assert {posted.headers["authorization"] for posted in collector.posts} == {basic("pk:sk")}
    (span,) = spans_of(collector.posts[0].body)
    assert attributes(span.attributes)["langfuse.environment"] == "from-env"


def test_mixpanel_posts_events_with_the_projects_token() -> None:
    posted = posted_by("{mixpanel: {host: 'URL', token: tok}}", numbered(0), numbered(1))
    assert posted.path == "/import?strict=1"
    assert posted.headers["authorization"] == basic("tok:")
    first, second = posted.json()
    assert first["event"] == "LLM Response"
    properties = first["properties"]
    expected = {
        "time": 1795262400500,
        "distinct_id": "ada",
        "id": "req-0",
        "model": "gpt-4o",
        "total_tokens": 17,
        "total_ms": 1500.25,
        "llm_response": {
            "id": "chatcmpl-1",
            "model": "gpt-4o-2024-08-06",
            "finish_reasons": ["stop"],
            "usage": {"prompt_tokens": 10, "completion_tokens": 7, "total_tokens": 17},
        },
    }
    assert {name: properties[name] for name in expected} == expected
    assert "cost" not in properties
    assert len(properties["$insert_id"]) == 36
    assert properties["$insert_id"].replace("-", "").isalnum()
    assert properties["$insert_id"] != second["properties"]["$insert_id"]


def test_mixpanel_with_a_service_account(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROJECT", "12")
    for project in ("12", "os.environ/PROJECT"):
        posted = posted_by(
            f"{{mixpanel: {{host: 'URL', project_id: {project}, username: me, secret: pw}}}}", numbered(0)
        )
        assert posted.path == "/import?strict=1&project_id=12"
        assert posted.headers["authorization"] == basic("me:pw")


def test_mixpanel_gets_the_answer_where_a_record_has_it() -> None:
    body = {"id": "c", "choices": []}
    told = numbered(0) | {"request": {}, "response": {"status": 200, "headers": {}, "body": body}}
    (event,) = posted_by("{mixpanel: {host: 'URL', token: tok}}", told).json()
    assert event["properties"]["llm_response"] == body


@pytest.mark.parametrize(
    ("user", "key", "name"),
    [
        ("ada", "ci", "ada"),
        (None, "ci", "ci"),
        (None, None, ""),
        ("N/A", "ci", ""),
        ("anonymous", None, ""),
        (7, None, "7"),
    ],
)
def test_mixpanel_is_told_of_nobody_by_a_name_that_it_refuses(user: Any, key: str | None, name: str) -> None:
    (event,) = posted_by("{mixpanel: {host: 'URL', token: tok}}", numbered(0) | {"user": user, "key": key}).json()
    assert event["properties"]["distinct_id"] == name


def test_a_reload_keeps_what_did_not_change() -> None:
    for text in ("{otlp: 'http://a'}", "{langfuse: {public_key: a, secret_key: b}}", "{mixpanel: {token: a}}"):
        assert sink(text).same_as(sink(text)) is True
    assert sink("{otlp: 'http://a'}").same_as(sink("{otlp: {endpoint: 'http://a', headers: {x: y}}}")) is False


# --- problems ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "code", "at", "help"),
    [
        ("{otlp: collector:4318}", "wrong-type", "collector:4318", "https://"),
        ("{otlp: 'http://[::1'}", "wrong-type", "'http://[::1'", "https://"),
        ("{otlp: {headers: {'a b': c}}}", "bad-header", "'a b'", "hyphens"),
        ('{otlp: {headers: {a: "s3cr3t-value\\n"}}}', "bad-header", '"s3cr3t-value\\n"', "one line"),
        ("{otlp: {servicename: a}}", "unknown-key", "servicename", "service_name"),
        ("{otlp: {service_name: ''}}", "wrong-type", "''", ""),
        ("{langfuse: {host: 'ftp://a', public_key: a, secret_key: b}}", "wrong-type", "'ftp://a'", ""),
        ("{langfuse: {secret_key: s3cr3t-value}}", "missing-key", "{", "LANGFUSE_PUBLIC_KEY"),
        ("{langfuse: {public_key: a}}", "missing-key", "{", "LANGFUSE_SECRET_KEY"),
        ("{langfuse: {public_key: a, secret_key: b, environment: Prod}}", "wrong-type", "Prod", ""),
        ("{mixpanel: {}}", "missing-key", "{", "token"),
        ("mixpanel", "missing-key", "m", "token"),
        ("{mixpanel: {project_id: 1, username: a}}", "missing-key", "{", "secret"),
        ("{mixpanel: {token: a, username: b}}", "one-of", "b", "keep `token`"),
        ("{mixpanel: {project_id: abc, username: a, secret: b}}", "wrong-type", "abc", "settings"),
        ("{mixpanel: {token: a, host: 'http://:1'}}", "wrong-type", "'http://:1'", ""),
    ],
)
def test_problems(text: str, code: str, at: str, help: str) -> None:
    problem, place = problem_of(text)
    assert problem.code == code
    assert place.startswith(at)
    assert help in problem.help
    assert SECRET not in problem.message + problem.help


@pytest.mark.parametrize(
    ("kind", "variable", "value", "code"),
    [
        ("otlp", "OTEL_EXPORTER_OTLP_ENDPOINT", "localhost:4318", "wrong-type"),
        ("otlp", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://", "wrong-type"),
        ("otlp", "OTEL_EXPORTER_OTLP_HEADERS", "a=s3cr3t-value%0A", "bad-header"),
        ("{langfuse: {public_key: a, secret_key: b}}", "LANGFUSE_BASE_URL", "localhost:3000", "wrong-type"),
        ("{langfuse: {public_key: a, secret_key: b}}", "LANGFUSE_HOST", "http://[", "wrong-type"),
    ],
)
def test_problems_with_variables(
    kind: str, variable: str, value: str, code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)
    node, _ = compose(Source("rules.yaml", kind))
    scope = Scope()
    assert node is not None
    assert SinkSection.read(node, scope) is BAD
    (problem,) = scope.problems
    assert problem.code == code
    assert variable.partition("_HOST")[0].partition("_BASE")[0] in problem.message
    assert SECRET not in problem.message + problem.help


# --- through the gateway ----------------------------------------------------------------------------------------------

RULES = """
sinks: {spans: {otlp: {endpoint: URL}}}
rules:
  - {name: no, match: {request.user: bad}, actions: [{reject: 'No.'}]}
  - {name: mail, actions: [{redact: {patterns: [pii.email]}}]}
  - {name: watched, mode: observe, match: {request.user: ada}, actions: [{reject: 'No.'}]}
  - {name: log, phase: log, actions: [{log_to: {sink: spans, content: CONTENT}}]}
"""
CUT = "  - {name: cut, phase: stream, match: {completion_text: {contains: lo}}, actions: [{reject: No}]}\n"
ASKED = {**CHAT, "user": "ada", "messages": [{"role": "user", "content": "write to ada@example.com"}]}


def verdicts(span: Any) -> dict[str, tuple[str, str]]:
    found = [attributes(event.attributes) for event in span.events]
    return {
        told["gen_ai.guardrail.policy.rule.id"]: (
            told["gen_ai.guardrail.verdict.type"],
            told["gen_ai.guardrail.action.type"],
        )
        for told in found
    }


@pytest.mark.parametrize("content", ["none", "redacted", "full"])
async def test_an_exchange_becomes_a_span(content: str, tmp_path: Path) -> None:
    with collecting() as collector:
        rules = RULES.replace("URL", f"'{collector.url}'").replace("CONTENT", content)
        async with (
            scripted(whole(json.dumps(completion("hello")).encode())) as up,
            running(upstream(up.url) + rules, tmp_path) as run,
        ):
            await run.post(body=ASKED)
            await run.post(body={**ASKED, "user": "bad"})
            await run.gateway.settled()
            await run.gateway.close()
        spans = [span for posted in collector.posts for span in spans_of(posted.body)]
    answered, refused = sorted(spans, key=lambda span: span.status.code)  # they are recorded in any order
    told = attributes(answered.attributes)
    assert (answered.name, told["gen_ai.response.model"], told["gen_ai.usage.output_tokens"]) == (
        "chat gpt-4o",
        "gpt-4o",
        2,
    )
    assert (told["gen_ai.response.finish_reasons"], told["server.address"], told["server.port"]) == (
        ["stop"],
        "127.0.0.1",
        up.port,
    )
    assert verdicts(answered) == {"mail": ("modify", "modify"), "watched": ("warn", "allow")}
    assert f"-{answered.trace_id.hex()}-{answered.span_id.hex()}-" in f"-{dict(up.requests[0].headers)['traceparent']}-"
    assert (refused.status.code, attributes(refused.attributes)["error.type"]) == (2, "rule_rejected")
    assert verdicts(refused) == {"no": ("deny", "block")}
    assert ("gen_ai.input.messages" in told, "gen_ai.output.messages" in told) == (content != "none",) * 2
    posts = b"".join(posted.body for posted in collector.posts)
    assert b"hello" in posts if content != "none" else b"hello" not in posts
    assert b"ada@example.com" not in answered.SerializeToString()


async def test_a_stream_becomes_the_same_span(tmp_path: Path) -> None:
    usage = {"prompt_tokens": 5, "completion_tokens": 6, "total_tokens": 11}
    last = json.dumps(
        {"id": "chatcmpl-1", "object": "chat.completion.chunk", "model": "gpt-4o", "choices": [], "usage": usage}
    )
    with collecting() as collector:
        rules = RULES.replace("URL", f"'{collector.url}'").replace("CONTENT", "full")
        async with (
            scripted(stream([delta("hel"), delta("lo", "stop"), last])) as up,
            running(upstream(up.url) + rules, tmp_path) as run,
        ):
            await run.post(body={**CHAT, "stream": True})
            await run.gateway.settled()
            await run.gateway.close()
        (span,) = [span for posted in collector.posts for span in spans_of(posted.body)]
    told = attributes(span.attributes)
    assert (told["gen_ai.request.stream"], told["gen_ai.usage.input_tokens"]) == (True, 5)
    assert told["gen_ai.response.finish_reasons"] == ["stop"]
    assert 0 <= told["gen_ai.response.time_to_first_chunk"] < 60
    (message,) = json.loads(told["gen_ai.output.messages"])
    assert message["parts"] == [{"type": "text", "content": "hello"}]


async def test_a_stream_that_a_rule_cuts_is_denied_by_it(tmp_path: Path) -> None:
    with collecting() as collector:
        rules = (
            RULES.replace("URL", f"'{collector.url}'")
            .replace("CONTENT", "none")
            .replace("  - {name: log,", f"{CUT}  - {{name: log,")
        )
        async with (
            scripted(stream([delta("hel"), delta("lo", "stop")])) as up,
            running(upstream(up.url) + rules, tmp_path) as run,
        ):
            await run.post(body={**CHAT, "stream": True})
            await run.gateway.settled()
            await run.gateway.close()
        (span,) = [span for posted in collector.posts for span in spans_of(posted.body)]
    assert verdicts(span)["cut"] == ("deny", "block")
    assert span.status.code == 2


async def test_a_checkpoint_is_a_span_within(tmp_path: Path) -> None:
    rules = """
sinks: {spans: {otlp: {endpoint: URL}}}
rules:
  - {name: early, actions: [{log_to: spans}]}
  - {name: log, phase: log, actions: [{log_to: spans}]}
"""
    with collecting() as collector:
        async with (
            scripted(whole(json.dumps(completion("hello")).encode())) as up,
            running(upstream(up.url) + rules.replace("URL", f"'{collector.url}'"), tmp_path) as run,
        ):
            await run.post()
            await run.gateway.settled()
            await run.gateway.close()
        early, late = [span for posted in collector.posts for span in spans_of(posted.body)]
    assert (early.name, late.name) == ("checkpoint chat gpt-4o", "chat gpt-4o")
    assert (early.trace_id, early.parent_span_id) == (late.trace_id, late.span_id)
    assert late.start_time_unix_nano <= early.start_time_unix_nano <= late.end_time_unix_nano


async def test_a_process_tells_no_credential_of_its_sinks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In whatever is logged, while the server is gone and when it is back, and in what waits on disk."""
    rules = """
sinks:
  spans: {otlp: {endpoint: 'http://user:s3cr3t-value@127.0.0.1:PORT', headers: {x-api-key: os.environ/KEY}}}
  traces: {langfuse: {host: 'http://127.0.0.1:PORT', public_key: pk, secret_key: os.environ/KEY}}
  events: {mixpanel: {host: 'http://127.0.0.1:PORT', token: os.environ/KEY}}
rules:
  - {name: log, phase: log, actions: [{log_to: {sink: [spans, traces, events], content: full}}]}
"""
    monkeypatch.setenv("KEY", SECRET)
    spool = tmp_path / ".pointsman"
    with collecting() as collector:
        collector.kill()
        rules = rules.replace("PORT", str(collector.port))
        async with serving(tmp_path, rules, "--log-level", "debug") as (server, http):
            assert (await ask(http)).status_code == 200
            await eventually(lambda: len([file for file in spool.rglob("*.jsonl") if file.stat().st_size]) == 3)
            kept = "".join(file.read_text() for file in spool.rglob("*.jsonl"))
            collector.start()
            await eventually(lambda: len(collector.posts) == 3)
            server.process.terminate()
            said = await server.error()
            assert await server.ended() == 0
    assert kept.count('"chat.completion"') == 3
    assert said.count("is down, records wait") == said.count("is up again") == 3
    assert SECRET not in said + kept
