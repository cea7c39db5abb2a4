"""What the language promises, sentence by sentence, seen from outside: files in, verdicts and printed text out.

`tests/spec/<section>-<topic>.yaml` are rules files with their `tests:`; `problems.yaml` holds files and where which
problem is found; `commands.yaml` holds command lines and what they print.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from engine.report import as_text
from engine.rules.load import load
from engine.tools.cases import run_files
from engine.tools.cli import main

SPEC = Path(__file__).parent / "spec"
DATA = ("problems.yaml", "commands.yaml")
FILES = [path.name for path in sorted(SPEC.glob("*.yaml")) if path.name not in DATA]
ENVIRONMENT = {
    "OPENAI_API_KEY": "sk-test",
    "REDIS_URL": "redis://127.0.0.1",
    "SPEC_EMPTY": "",
    "SPEC_MODEL": "from-outside",
    "LANGFUSE_PUBLIC_KEY": "pk",
    "LANGFUSE_SECRET_KEY": "sk",
}


def cases(name: str) -> list[Any]:
    """The cases of a data file, each under the sentence it shows."""
    return [pytest.param(case, id=case["says"]) for case in yaml.safe_load((SPEC / name).read_text(encoding="utf-8"))]


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("NO_COLOR", "1")


@pytest.mark.parametrize("name", FILES)
def test_rules(name: str) -> None:
    report = run_files([str(SPEC / name)])
    assert not as_text([problem for problem in report.problems if problem.severity == "error"])
    failed = [
        (verdict.name, [as_text([problem]) for problem in verdict.problems], list(map(str, verdict.failures)))
        for verdict in report.verdicts
        if not verdict.passed
    ]
    assert not failed
    assert report.fine


def written(case: dict[str, Any], folder: Path) -> None:
    """Write the files of a case; `rules` is the text of `rules.yaml`."""
    for name, text in {**case.get("files", {}), "rules.yaml": case.get("rules")}.items():
        if text is not None:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text, encoding="utf-8")


@pytest.mark.parametrize("case", cases("problems.yaml"))
def test_problems(case: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written(case, tmp_path)
    monkeypatch.chdir(tmp_path)
    found = load("rules.yaml").problems
    told = as_text(found)
    shown = [problem.as_json() for problem in found]
    places = [f"{problem['line']}:{problem['column']} {problem['severity']} {problem['code']}" for problem in shown]
    assert places == [wanted.split(" | ")[0] for wanted in case["problems"]], told
    for problem, wanted in zip(shown, case["problems"], strict=True):
        for words in wanted.split(" | ")[1:]:
            assert words in f"{problem['message']}\n{problem['help']}", told


@pytest.mark.parametrize("case", cases("commands.yaml"))
def test_commands(
    case: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    written(case, tmp_path)
    monkeypatch.chdir(tmp_path)
    for name, value in case.get("env", {}).items():
        monkeypatch.setenv(name, value)
    code = main(case["run"])
    printed = capsys.readouterr()
    told = f"exit {code}\n{printed.out}\n{printed.err}"
    assert code == case["exit"], told
    for wanted in case.get("stdout", []):
        assert re.search(wanted, printed.out, re.MULTILINE), told
    for wanted in case.get("stderr", []):
        assert re.search(wanted, printed.err, re.MULTILINE), told
    if "json" in case:
        assert case["json"].items() <= json.loads(printed.out).items(), told
