"""Every phase on every call type, whole and streamed: one cell of docs/conformance.md is one test here.

`UPDATE=1 pytest tests/test_conformance.py` writes the page again.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import httpx
import pytest
import yaml
from running import AUDIT, LOG, Running, running

from engine.phases import CALL_TYPES, PHASES

CASES = yaml.safe_load((Path(__file__).parent / "endpoints" / "conformance.yaml").read_text())
PAGE = Path(__file__).parent.parent / "docs" / "conformance.md"
MODES = ("whole", "stream")


def cell(phase: str, call_type: str, mode: str) -> str | None:
    """The name of a cell's test; None: there is nothing to test."""
    streams = CASES["call_types"][call_type].get("streams", False)
    if "stream" in (phase, mode) and not streams:
        return None
    return f"{phase}-{call_type}-{mode}"


CELLS = [
    (phase, call_type, mode)
    for mode in MODES
    for call_type in CASES["call_types"]
    for phase in CASES["phases"]
    if cell(phase, call_type, mode)
]


async def ask(run: Running, call_type: str, mode: str, *, broken: bool) -> httpx.Response:
    """The request of a call type; a broken one lacks what the demo upstream needs."""
    case = CASES["call_types"][call_type]
    if "form" in case:
        form = {**case["form"], **({"stream": "true"} if mode == "stream" else {})}
        files = {"other" if broken else "file": ("a.wav", b"RIFF", "audio/wav")}
        return await run.http.post(case["path"], data=form, files=files)
    body = {**case["body"], **({"stream": True} if mode == "stream" else {})}
    if broken:
        del body[case["needed"]]
    return await run.post(case["path"], body)


@pytest.mark.parametrize(("phase", "call_type", "mode"), CELLS, ids=lambda part: part)
async def test_cell(phase: str, call_type: str, mode: str, tmp_path: Path) -> None:
    case, asked = CASES["phases"][phase], CASES["call_types"][call_type]
    rule = case["rule"] if asked.get("says") else case.get("silent", case["rule"])
    expected = case.get(mode, case["then"])
    written = json.dumps({"name": "cell", "phase": phase, **rule}).replace("$needed", asked["needed"])
    async with running(f"{AUDIT}\nrules:\n  - {written}{LOG}", tmp_path) as run:
        answer = await ask(run, call_type, mode, broken=phase == "failure")
        record = await run.record()
    assert answer.status_code == expected["status"] == record["status"], answer.text
    assert expected.get("says", "") in answer.text
    if "never" in expected:
        assert expected["never"] not in answer.text
    assert record["attempts"] == expected["attempts"]
    assert (record["error"] or {}).get("source") == expected.get("source")
    assert record["tags"] == expected.get("tags", [])
    results = {each["rule"]: (each["result"], each["why"]) for each in record["outcomes"]}
    assert results["cell"] == (("skipped", expected["skipped"]) if "skipped" in expected else ("acted", None))
    assert (asked["needed"] in record["request"]) is not expected.get("without", phase == "failure")
    assert (record["call_type"], record["stream"]) == (call_type, mode == "stream")


HEAD = """# Conformance

<!-- Written by tests/test_conformance.py. Do not edit: UPDATE=1 pytest tests/test_conformance.py -->

Every phase acts on every call type, `stream` on those that stream text. A cell names the test that shows it:
`pytest 'tests/test_conformance.py::test_cell[NAME]'`. What each rule does, and what the client and the record must show
for it, stands in `tests/endpoints/conformance.yaml`.
"""
FOOT = """
An embedding, a picture, a verdict, a ranking and speech are never streams of text: they have no row in the second
table. Answers that are no JSON (speech, subtitles) leave as they come; a response rule that needs their body is
recorded as skipped.
"""


def page() -> str:
    """The table of all cells."""
    lines = [HEAD]
    for mode, title in (("whole", "Whole answers"), ("stream", "Streamed answers")):
        lines += [f"## {title}", "", "| call type | " + " | ".join(PHASES) + " |", "|" + "---|" * (len(PHASES) + 1)]
        for call_type in CASES["call_types"]:
            names = [cell(phase, call_type, mode) for phase in PHASES]
            if any(names):
                lines.append(f"| `{call_type}` | " + " | ".join(f"`{name}`" if name else "-" for name in names) + " |")
        lines.append("")
    return "\n".join(lines) + FOOT


def test_the_page_is_current() -> None:
    if os.environ.get("UPDATE"):
        PAGE.write_text(page(), encoding="utf-8")
    assert PAGE.read_text(encoding="utf-8") == page(), "run: UPDATE=1 pytest tests/test_conformance.py"


def test_no_phase_and_no_call_type_is_left_out() -> None:
    assert list(CASES["phases"]) == list(PHASES)
    assert set(CASES["call_types"]) == set(CALL_TYPES)
