"""The phases around the upstream call, as tests beside rules: each case of tests/phases/ is a rules file of its own.

`test` is a test as authors write it; without `request` it is a short chat. `file`: other sections. `both: true`: the
same must hold when the client asks for a stream.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from engine.report import as_text
from engine.tools.cases import run_files

FOLDER = Path(__file__).parent / "phases"
CHAT = {"path": "/v1/chat/completions", "body": {"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}]}}


def cases() -> Iterator[Any]:
    for file in sorted(FOLDER.glob("*.yaml")):
        for case in yaml.safe_load(file.read_text("utf-8")):
            for streamed in (False, True) if case.get("both") else (False,):
                name = f"{file.stem}: {case['title']}" + (", streamed" if streamed else "")
                yield pytest.param(case, streamed, id=name)


@pytest.mark.parametrize(("case", "streamed"), list(cases()))
def test_case(case: dict[str, Any], streamed: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GUARD_KEY", "guard-secret")
    for name, text in case.get("files", {}).items():
        (tmp_path / name).write_text(text)
    file = tmp_path / "rules.yaml"
    file.write_text(json.dumps(rules_file(case, streamed)), "utf-8")
    report = run_files([str(file)])
    told = [as_text(report.problems)] if not report.verdicts else []
    for verdict in report.verdicts:
        told += [str(found) for found in (*verdict.problems, *verdict.failures)]
    assert told == case.get("fails", [])


def rules_file(case: dict[str, Any], streamed: bool) -> dict[str, Any]:
    """The rules file of a case, with its one test."""
    test = {"name": case["title"], **({} if "steps" in case["test"] else {"request": CHAT}), **case["test"]}
    if streamed:
        request = test["request"]
        test["request"] = {**request, "body": {**request["body"], "stream": True}}
    return {**case.get("file", {}), "rules": case["rules"], "tests": [test]}
