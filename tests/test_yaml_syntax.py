"""Where a parser gives up, the author is told what to write, whichever parser it was."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from engine.rules import yaml_nodes
from engine.rules.yaml_text import compose
from engine.source import Source

CASES = sorted((Path(__file__).parent / "problems").glob("yaml-syntax-*.yaml"))
OTHERWISE = {"yaml-syntax-directive"}  # which the parser in Python reads over


@pytest.mark.parametrize("case", CASES, ids=[case.stem for case in CASES])
def test_both_parsers(case: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    for parser in (yaml.CSafeLoader, yaml.SafeLoader):
        monkeypatch.setattr(yaml_nodes, "_Parser", parser)
        _, problems = compose(Source(case.name, case.read_text(encoding="utf-8")))
        found.append([(problem.message, problem.help, problem.span.start, problem.span.end) for problem in problems])
    assert len(found[0]) == 1
    assert found[0][0][1], "every mistake has a cure"
    assert found[0] == found[1] or case.stem in OTHERWISE
