"""The sink `postgres` against a real server: rows, each once, whatever ends in between."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from collector import until
from postgres_server import Postgres
from running import CHAT, completion, running, upstream
from scripted import scripted, whole
from sink_problems import problem_of
from test_sinks import sink
from test_spans import record

from engine.catalogue import BAD, Scope
from engine.ports.postgres_form import COLUMNS, row_of
from engine.ports.record_key import key_of
from engine.ports.sinks import SinkSection
from engine.rules.yaml_text import compose
from engine.source import Source

SECRET = "a-secret-password"


def sink_to(server: Postgres, table: str = "records") -> Any:
    made = sink(f"{{postgres: {{url: '{server.url}', table: {table}}}}}")
    made.backoff, made.longest_pause, made.gather = 0.02, 0.05, 0.01
    return made


def numbered(number: int, **more: Any) -> dict[str, Any]:
    trace = {
        "trace_id": f"{number + 1:032x}",
        "span_id": f"{number + 1:016x}",
        "parent_id": None,
        "began": 1795262400.5,
    }
    return record(id=f"req-{number}", trace=trace, **more)


def lines(*records: dict[str, Any]) -> list[bytes]:
    return [json.dumps(told).encode() for told in records]


def row(told: dict[str, Any]) -> dict[str, Any]:
    return dict(zip(COLUMNS, row_of(json.dumps(told).encode()), strict=True))


def test_a_row_has_what_is_asked_most_and_the_whole(postgres: Postgres) -> None:
    made = sink_to(postgres)
    made.put(numbered(0, tags=["a", "b"], cost=0.0021, metadata={"deal": {"n": [1, "ä\U0001f600"]}}))
    made.close()
    found = postgres.rows(
        "SELECT time AT TIME ZONE 'UTC', id, trace_id, key, user_name, model, status, matched, tags, prompt_tokens, "
        "cost, total_ms, record->'metadata'->'deal'->'n'->>1, record->>'team' FROM records"
    )
    trace = f"{1:032x}"
    expected = ["2026-11-21 12:00:00.5", "req-0", trace, "ci", "ada", "gpt-4o", "200", "{log}", "{a,b}", "10", "0.0021"]
    assert found == [(*expected, "1500.25", "ä\U0001f600", "core")]
    assert (made.written, made.failed, made.lost) == (1, 0, 0)


def test_a_server_that_ends_and_comes_back_has_every_record_once(
    postgres: Postgres, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    made = sink_to(postgres)
    made.start(tmp_path / "spool")
    made.put(numbered(0))
    until(lambda: made.written == 1)
    postgres.kill()
    made.put(numbered(1))
    until(lambda: "is down" in caplog.text)
    postgres.start()
    made.put(numbered(2))
    until(lambda: made.written == 3)
    made.close()
    assert postgres.rows("SELECT id FROM records ORDER BY id") == [("req-0",), ("req-1",), ("req-2",)]
    assert (made.written, made.failed, made.lost, made.spooled) == (3, 0, 0, 0)
    assert SECRET not in caplog.text


def test_a_connection_that_was_closed_meanwhile_costs_nothing(
    postgres: Postgres, caplog: pytest.LogCaptureFixture
) -> None:
    made = sink_to(postgres)
    made.start()
    made.put(numbered(0))
    until(lambda: made.written == 1)
    postgres.rows("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()")
    made.put(numbered(1))
    until(lambda: made.written == 2)
    made.close()
    assert (made.written, caplog.text) == (2, "")


def test_a_batch_that_comes_again_is_there_once(postgres: Postgres) -> None:
    """As after an acknowledgement that was lost, in this process or in the next one."""
    batch = lines(*(numbered(number) for number in range(20)))
    for _ in range(2):
        made = sink_to(postgres)
        assert made.write(batch) == made.write(batch) == 20
        made.disconnect()
    assert postgres.rows("SELECT count(*) FROM records") == [("20",)]


def test_exchanges_that_clients_called_the_same_are_all_there(postgres: Postgres) -> None:
    made = sink_to(postgres)
    made.write(lines(*(numbered(number) | {"id": "same"} for number in range(5))))
    made.disconnect()
    assert postgres.rows("SELECT id, count(*) FROM records GROUP BY id") == [("same", "5")]


def test_what_postgres_keeps_in_no_text_is_replaced(postgres: Postgres) -> None:
    made = sink_to(postgres)
    odd = numbered(0, model="a\0b", metadata={"\0": ["x\0", "\\u0000"]}, user={"any": "thing"}, tags=["\0"])
    made.write(lines(odd))
    made.disconnect()
    found = postgres.rows("SELECT model, user_name, tags, record->'metadata' FROM records")
    assert found == [("a\ufffdb", '{"any":"thing"}', "{\ufffd}", '{"\ufffd": ["x\ufffd", "\\\\u0000"]}')]


def test_numbers_that_have_no_room_in_a_column_stay_in_the_record(postgres: Postgres) -> None:
    usage = {"prompt_tokens": 2**70, "completion_tokens": 1, "total_tokens": 2**63}
    made = sink_to(postgres)
    made.write(lines(numbered(0, usage=usage, status=2**40)))
    made.disconnect()
    found = postgres.rows("SELECT prompt_tokens, total_tokens, status, record->'usage'->>'prompt_tokens' FROM records")
    assert found == [("", "", "", str(2**70))]


def test_one_record_that_is_refused_costs_no_other(postgres: Postgres, caplog: pytest.LogCaptureFixture) -> None:
    made = sink_to(postgres)
    made.write(lines(numbered(0)))
    made.disconnect()
    postgres.rows("ALTER TABLE records ADD CONSTRAINT few CHECK (prompt_tokens < 100)")
    made = sink_to(postgres)
    for number in range(1, 5):
        tokens = 500 if number == 2 else 10
        made.put(numbered(number, usage={"prompt_tokens": tokens, "completion_tokens": 1, "total_tokens": 1}))
    made.start()
    until(lambda: made.written == 3)
    made.close()
    assert (made.written, made.failed, made.lost) == (3, 1, 0)
    assert postgres.rows("SELECT count(*) FROM records") == [("4",)]
    assert "CheckViolationError (SQLSTATE 23514)" in caplog.text
    assert "req-2" not in caplog.text  # the server's own words show the whole row


def test_a_table_that_lacks_a_column_is_said_and_waited_for(
    postgres: Postgres, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    postgres.rows("CREATE TABLE records (uid uuid PRIMARY KEY)")
    made = sink_to(postgres)
    made.start(tmp_path / "spool")
    made.put(numbered(0))
    until(lambda: "is down" in caplog.text)
    assert 'column "time" of relation "records" does not exist' in caplog.text
    postgres.rows("DROP TABLE records")
    until(lambda: made.written == 1)
    made.close()
    assert postgres.rows("SELECT id FROM records") == [("req-0",)]


def test_a_table_in_a_schema_and_a_role_that_may_only_insert(postgres: Postgres) -> None:
    postgres.rows('CREATE SCHEMA "select"')
    made = sink_to(postgres, "select.order")
    made.write(lines(numbered(0)))
    made.disconnect()
    postgres.rows("DROP ROLE IF EXISTS writer")
    postgres.rows('CREATE ROLE writer LOGIN; GRANT USAGE ON SCHEMA "select" TO writer')
    postgres.rows('GRANT INSERT, SELECT ON "select"."order" TO writer')
    made = sink(f"{{postgres: {{url: '{postgres.url.replace('tester', 'writer')}', table: select.order}}}}")
    made.write(lines(numbered(1)))
    made.disconnect()
    assert postgres.rows('SELECT id FROM "select"."order" ORDER BY id') == [("req-0",), ("req-1",)]
    postgres.rows("DROP OWNED BY writer")


def test_many_begin_at_once(postgres: Postgres) -> None:
    """Workers that start together all find no table."""
    sinks = [sink_to(postgres) for _ in range(6)]
    for number, made in enumerate(sinks):
        made.put(numbered(number))
        made.start()
    until(lambda: sum(made.written for made in sinks) == 6)
    for made in sinks:
        made.close()
    assert postgres.rows("SELECT count(*) FROM records") == [("6",)]


@pytest.mark.parametrize(
    ("more", "column", "value"),
    [
        ({"user": ["a"]}, "user_name", '["a"]'),
        ({"model": 7}, "model", "7"),
        ({"usage": None}, "total_tokens", None),
        ({"timing": None}, "total_ms", None),
        ({"error": {"type": "t", "code": 5}}, "error_code", "5"),
        ({"trace": None}, "trace_id", None),
        ({"cost": 0}, "cost", 0.0),
        ({"decided_by": "r"}, "decided_by", "r"),
    ],
)
def test_rows(more: dict[str, Any], column: str, value: Any) -> None:
    assert row(record(**more))[column] == value


def test_the_key_is_of_the_bytes() -> None:
    assert key_of(b"a") == key_of(b"a") != key_of(b"b")
    assert row(record(id="x"))["uid"] != row(record(id="y"))["uid"]


@pytest.mark.parametrize(
    ("text", "code", "at", "help"),
    [
        ("{postgres: {table: a}}", "missing-key", "{", "os.environ/NAME"),
        ("{postgres: 'http://a-secret-password@h/d'}", "bad-url", "'http", "postgresql://"),
        ("{postgres: 'postgresql://u:a-secret-password@h:port/d'}", "bad-url", "'postgresql", "postgresql://"),
        ("{postgres: 'postgresql://[a-secret-password/d'}", "bad-url", "'postgresql", "postgresql://"),
        ("{postgres: {url: 'postgresql://h/d', table: 'a b'}}", "wrong-type", "'a b'", "lower case"),
        ("{postgres: {url: 'postgresql://h/d', table: a.b.c}}", "wrong-type", "a.b.c", "lower case"),
        ("{postgres: {url: 'postgresql://h/d', table: 'a\"; DROP TABLE b; --'}}", "wrong-type", "'a\"", "lower case"),
    ],
)
def test_problems(text: str, code: str, at: str, help: str) -> None:
    problem, place = problem_of(text)
    assert problem.code == code
    assert place.startswith(at)
    assert help in problem.help
    assert SECRET not in problem.message + problem.help


def test_without_the_package_the_problem_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.ports.extras.find_spec", lambda name: None)
    text = "{postgres: 'postgresql://h/d'}"
    node, _ = compose(Source("rules.yaml", text))
    scope = Scope()
    assert node is not None
    assert SinkSection.read(node, scope) is not BAD  # rules are checked and tested without it
    (problem,) = scope.problems
    assert (problem.code, problem.severity) == ("missing-package", "warning")
    assert text[problem.span.start : problem.span.end] == "'postgresql://h/d'"
    assert "pip install 'pointsman[postgres]'" in problem.help


def test_messages_show_the_address_without_its_password() -> None:
    assert (
        sink("{postgres: 'postgresql://u:a-secret-password@h:1/d?password=x'}").label == "postgres postgresql://h:1/d"
    )


async def test_through_the_gateway(postgres: Postgres, tmp_path: Path) -> None:
    rules = f"""
sinks: {{audit: {{postgres: '{postgres.url}'}}}}
rules:
  - {{name: no, match: {{request.user: bad}}, actions: [{{reject: 'No.'}}]}}
  - {{name: log, phase: log, actions: [{{log_to: {{sink: audit, content: full}}}}]}}
"""
    async with (
        scripted(whole(json.dumps(completion("hello")).encode())) as up,
        running(upstream(up.url) + rules, tmp_path) as run,
    ):
        for user in ("ada", "bad"):
            await run.post(body={**CHAT, "user": user}, headers={"x-request-id": "same"})
        await run.gateway.settled()
        await run.gateway.close()
    found = postgres.rows(
        "SELECT user_name, status, decided_by, error_code, record#>>'{response,body,choices,0,message,content}'"
        " FROM records ORDER BY user_name"
    )
    assert found == [("ada", "200", "", "", "hello"), ("bad", "400", "no", "rule_rejected", "")]
