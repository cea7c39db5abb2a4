"""What the documents show works, and the reference mentions everything there is.

A block fenced as `yaml` is a whole rules file: it is checked and its tests are run. A block fenced as `yaml fragment`
is a part of one: it must be readable YAML.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from engine.catalogue import CATALOGUE
from engine.rules.yaml_text import compose
from engine.source import Source
from engine.tools.cases import run_files
from engine.tools.cli import commands
from engine.tools.command_validate import check
from engine.tools.problem_codes import CODES
from engine.tools.vocabulary import KINDS, things

ROOT = Path(__file__).parent.parent
REFERENCE = ROOT / "docs" / "reference.md"
PAGES = sorted({ROOT / "README.md", *(ROOT / "docs").rglob("*.md")} - {REFERENCE})
FENCE = re.compile(r"^```([^\n`]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LEAST_TESTS_OF_A_RECIPE = 2


def blocks(page: Path, language: str) -> list[tuple[int, str]]:
    """The blocks of a page that are marked so, each with its line."""
    text = page.read_text(encoding="utf-8")
    return [
        (text.count("\n", 0, found.start()) + 1, found[2])
        for found in FENCE.finditer(text)
        if found[1].strip() == language
    ]


def cases(language: str, pages: list[Path]) -> list[object]:
    return [
        pytest.param(page, text, id=f"{page.relative_to(ROOT)}:{line}")
        for page in pages
        for line, text in blocks(page, language)
    ]


FILES = cases("yaml", PAGES)
FRAGMENTS = [*cases("yaml fragment", PAGES), *cases("yaml", [REFERENCE])]
RECIPES = blocks(ROOT / "docs" / "guide.md", "yaml")


@pytest.mark.parametrize(("page", "text"), FILES)
def test_a_block_is_a_rules_file_whose_tests_pass(
    page: Path, text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rules.yaml").write_text(text, encoding="utf-8")
    code, printed = check(["rules.yaml"], "text"), capsys.readouterr().out
    assert code == 0, printed
    assert not re.search(r": warning\[", printed), printed
    if "\ntests:" in text:
        report = run_files(["rules.yaml"])
        told = [
            f"{verdict.name}: {each}" for verdict in report.verdicts for each in (*verdict.problems, *verdict.failures)
        ]
        assert told == []
        assert report.fine


@pytest.mark.parametrize(("page", "text"), FRAGMENTS)
def test_a_fragment_is_readable(page: Path, text: str) -> None:
    """The blocks of the reference are the examples that `test_catalogue.py` runs."""
    _, problems = compose(Source(page.name, text))
    assert problems == []


def test_ten_recipes_each_with_tests() -> None:
    assert len(RECIPES) == 10
    titles = re.findall(r"^## (\d+)\. ", (ROOT / "docs" / "guide.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert titles == [str(number) for number in range(1, 11)]
    for _, text in RECIPES:
        assert text.count("\n  - name: ", text.index("\ntests:")) >= LEAST_TESTS_OF_A_RECIPE


def mentioned() -> list[str]:
    """Everything that an author can write or be told."""
    words = [f"pointsman {name}" for name, command in commands().items() if not getattr(command, "HIDDEN", False)]
    for kind in KINDS:
        for thing in things(kind).values():
            words += [thing.name, *(option.yaml_name for option in thing.options)]
    return [*words, *CATALOGUE["action"], *CODES]


def test_the_reference_mentions_everything() -> None:
    written = set(re.findall(r"`([^`\n]+)`", REFERENCE.read_text(encoding="utf-8")))
    assert sorted(set(mentioned()) - written) == []


def test_links_within_the_documents_lead_somewhere() -> None:
    for page in [*PAGES, ROOT / "ARCHITECTURE.md"]:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"
