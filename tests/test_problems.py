"""Each mistake that an author can make, and exactly what `validate` prints for it.

`tests/problems/<code>.yaml` or `<code>-<variant>.yaml` beside its `.out`; `UPDATE=1` rewrites what is printed.
Files that a case includes stand in `tests/problems/files/`.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from engine.tools.command_validate import check

CASES = Path(__file__).parent / "problems"
NAMES = sorted(path.name for path in CASES.glob("*.yaml"))


@pytest.mark.parametrize("name", NAMES)
def test_what_is_printed(name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(CASES)
    monkeypatch.setenv("NO_COLOR", "1")
    check([name], "text")
    printed = capsys.readouterr().out
    expected = CASES / name.replace(".yaml", ".out")
    if os.environ.get("UPDATE"):
        expected.write_text(printed, encoding="utf-8")
    assert printed == expected.read_text(encoding="utf-8")
    codes = set(re.findall(r"^\S+: (?:error|warning|note)\[([a-z0-9-]+)\]: ", printed, re.MULTILINE))
    assert any(name.removesuffix(".yaml") == code or name.startswith(f"{code}-") for code in codes), codes


@pytest.mark.skipif(bool(os.environ.get("UPDATE")), reason="the outputs are being written")
def test_no_output_without_a_case() -> None:
    assert {path.stem for path in CASES.glob("*.out")} == {name.removesuffix(".yaml") for name in NAMES}
