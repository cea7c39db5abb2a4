"""`pointsman test`: the tests beside the rules, run by the server's own code."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from engine.tools.cases import run_files
from engine.tools.cli import main
from engine.tools.editor_schema import parsed

CASES = parsed((Path(__file__).parent / "cases" / "test_command.yaml").read_text(encoding="utf-8"))
RULES = """
rules:
  - name: good-bot
    match: request.prompt_id == '1234'
    actions:
      - prepend_system: Be a good Bot!
"""
COUNTING = """
from engine import Callback

class Count(Callback):
    seen = 0

    def request(self, context):
        self.seen += 1
        context.request["user"] = str(self.seen)
"""
PASSING = (
    RULES
    + """
tests:
  - name: a good bot
    request:
      body: {model: gpt-4o, prompt_id: "1234", messages: [{role: user, content: hi}]}
    expect:
      matched: [good-bot]
"""
)
FAILING = (
    PASSING
    + """
  - name: wrong about the bot
    request:
      body: {model: gpt-4o, messages: [{role: user, content: hi}]}
    expect:
      matched: [good-bot]
      response:
        status: 201
"""
)


@pytest.fixture
def write(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def written(text, name="rules.yaml"):
        (tmp_path / name).write_text(text, encoding="utf-8")
        return name

    return written


@pytest.mark.parametrize("case", CASES, ids=[case["title"] for case in CASES])
def test_case(case, write):
    """Each test of a case passes, or fails with exactly the lines under `fails`."""
    name = write(json.dumps({"rules": [], **case["file"], "tests": [{"name": "t", **case["test"]}]}))
    report = run_files([name])
    told = [problem.message for problem in report.problems]
    for verdict in report.verdicts:
        told += [problem.message for problem in verdict.problems] + [str(failure) for failure in verdict.failures]
    assert told == case.get("fails", [])
    assert report.fine is not bool(case.get("fails"))


def test_what_passes_is_0(write, capsys):
    assert main(["test", write(PASSING)]) == 0
    assert capsys.readouterr() == ("ok    a good bot\n\n1 passed, 0 failed\n", "")


def test_what_fails_is_1_with_places(write, capsys):
    assert main(["test", write(FAILING)]) == 1
    assert capsys.readouterr().out == (
        "ok    a good bot\n"
        "FAIL  wrong about the bot  (rules.yaml:15)\n"
        '      rules.yaml:19: matched: expected ["good-bot"], found [] (0 elements, expected 1)\n'
        "      rules.yaml:21: response.status: expected 201, found 200\n"
        "\n1 passed, 1 failed\n"
    )


def test_json(write, capsys):
    assert main(["test", write(FAILING), "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert (told["passed"], told["failed"], told["problems"]) == (1, 1, [])
    assert [test["passed"] for test in told["tests"]] == [True, False]
    assert told["tests"][1]["failures"][1] == {
        "line": 21,
        "column": 17,
        "path": "response.status",
        "expected": 201,
        "found": 200,
        "absent": False,
        "why": "",
    }


def test_one_of_several_by_name(write, capsys):
    assert main(["test", write(FAILING), "--name", "good bot"]) == 0
    assert "1 passed, 0 failed" in capsys.readouterr().out


@pytest.mark.parametrize(("words", "said"), [([], "no tests"), (["--name", "zebra"], "no test has 'zebra' in")])
def test_no_tests_at_all_is_a_failure(words, said, write, capsys):
    assert main(["test", write(PASSING if words else RULES), *words]) == 1
    assert said in capsys.readouterr().err


def test_a_broken_file_runs_nothing(write, capsys):
    assert main(["test", write(PASSING.replace("prepend_system", "prepnd_system"))]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert "did you mean `prepend_system`?" in err


def test_tests_of_included_files_run_too(write, tmp_path):
    write(PASSING, "team.yaml")
    report = run_files([write("include: team.yaml\nrules: []\n")])
    assert [verdict.name for verdict in report.verdicts] == ["a good bot"]


def test_callbacks_begin_anew_with_every_test(write, tmp_path):
    (tmp_path / "counting.py").write_text(COUNTING, encoding="utf-8")
    body = {"model": "m", "messages": []}
    test = {"request": {"body": body}, "expect": {"sent": {"user": "1"}}}
    rules = [{"name": "r", "actions": [{"callback": "counting.Count"}]}]
    report = run_files([write(json.dumps({"rules": rules, "tests": [{"name": "a", **test}, {"name": "b", **test}]}))])
    assert [(verdict.name, list(map(str, verdict.failures))) for verdict in report.verdicts] == [("a", []), ("b", [])]


def test_environment_holds_in_tests(write, monkeypatch):
    monkeypatch.setenv("ASKED_MODEL", "from-outside")
    assert run_files(
        [
            write(
                PASSING.replace("model: gpt-4o", "model: os.environ/ASKED_MODEL")
                + "      sent: {model: from-outside}\n"
            )
        ]
    ).fine


def test_author_s_sinks_are_not_written(write, tmp_path):
    audit = "  - {name: audit, phase: log, actions: [{log_to: audit}]}\nsinks: {audit: {file: audit.jsonl}}\ntests:"
    expected = "[good-bot, audit]\n      records: [{matched: [good-bot, audit]}]\n"
    report = run_files([write(PASSING.replace("tests:", audit).replace("[good-bot]\n", expected))])
    assert [str(failure) for verdict in report.verdicts for failure in verdict.failures] == []
    assert report.fine
    assert not (tmp_path / "audit.jsonl").exists()
