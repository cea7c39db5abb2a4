"""What authors typically get wrong: each mistake is one problem, at its place, with a cure at first reading.

`tests/mistakes/*.yaml` hold the file as it was written and exactly what `validate` prints for it; `UPDATE=1` rewrites
what is printed.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from textwrap import indent
from typing import Any

import pytest
import yaml

from engine.tools.command_validate import check
from engine.tools.problem_codes import CODES

FILES = sorted((Path(__file__).parent / "mistakes").glob("*.yaml"))
CASES = [
    pytest.param(file, case, id=f"{file.stem}: {case['title']}")
    for file in FILES
    for case in yaml.safe_load(file.read_text(encoding="utf-8"))
]
FIRST_LINE = re.compile(r"^rules\.yaml:\d+:\d+: (?:error|warning|note)\[[a-z0-9-]+\]: ", re.MULTILINE)


def printed(text: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """What `pointsman validate rules.yaml` prints for a text."""
    (folder / "rules.yaml").write_text(text, encoding="utf-8")
    check(["rules.yaml"], "text")
    return capsys.readouterr().out


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.delenv("POINTSMAN_UNSET", raising=False)


@pytest.mark.parametrize(("file", "case"), CASES)
def test_one_problem_with_its_cure(
    file: Path, case: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = printed(case["rules"], tmp_path, capsys)
    assert said == case["printed"]
    assert len(FIRST_LINE.findall(said)) == 1
    assert "  = help: " in said


@pytest.mark.skipif(not os.environ.get("UPDATE"), reason="only rewrites what is printed")
@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_rewrite(file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = file.read_text(encoding="utf-8")
    blocks = [text[: text.index("- title: ")]]
    for case in yaml.safe_load(text):
        said = printed(case["rules"], tmp_path, capsys)
        blocks.append(
            f"- title: {case['title']}\n  rules: |\n{indent(case['rules'], '    ')}"
            f"  printed: |\n{indent(said, '    ')}\n"
        )
    file.write_text("".join(blocks).rstrip("\n") + "\n", encoding="utf-8")


def test_fifty_and_more() -> None:
    assert len(CASES) >= 50
    assert len({case.id for case in CASES}) == len(CASES)


def test_every_code_is_shown_by_a_case() -> None:
    """Except what is no case to keep: `test_yaml_text.py` makes a file too large, tests have every package."""
    shown = [path.read_text(encoding="utf-8") for path in (*FILES, *(Path(__file__).parent / "problems").glob("*.out"))]
    codes = {code for text in shown for code in re.findall(r" (?:error|warning|note)\[([a-z0-9-]+)\]: ", text)}
    assert sorted(set(CODES) - codes) == ["missing-package", "too-large"]
