"""A new action is one file: nothing else changes but what is generated, and everything knows it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
COPIED = ["engine", "server.py", "schema", "docs", "tests", "pyproject.toml", "rules.example.yaml"]
GENERATED = {"schema/rules.schema.json", "docs/reference.md"}


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """A copy of the project in which an action was scaffolded and the generated files were written anew."""
    folder = tmp_path_factory.mktemp("copy")
    ignored = shutil.ignore_patterns("__pycache__", ".*", "*.so")
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=ignored)
        else:
            shutil.copy(source, folder / name)
    for words in (["schema", "--write"], ["reference", "--write"]):
        assert run(folder, *words).returncode == 0
    before = contents(folder)
    ran = run(folder, "scaffold", "action", "shout_out")
    assert (ran.returncode, ran.stderr) == (0, "")
    assert "engine/actions/shout_out.py" in ran.stdout
    for words in (["schema", "--write"], ["reference", "--write"]):
        assert run(folder, *words).returncode == 0
    return folder, before


def run(folder, *words):
    return subprocess.run(
        [sys.executable, "-B", "-m", "engine.tools.cli", *words],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


def contents(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts
    }


def test_only_generated_files_change_elsewhere(copy):
    folder, before = copy
    after = contents(folder)
    assert set(after) - set(before) == {"engine/actions/shout_out.py"}
    assert set(before) - set(after) == set()
    assert {name for name in before if before[name] != after[name]} == GENERATED


def test_schema_pages_and_reference_know_it(copy):
    folder, _ = copy
    assert "`shout_out`" in (folder / "docs/reference.md").read_text(encoding="utf-8")
    assert '"shout_out": {' in (folder / "schema/rules.schema.json").read_text(encoding="utf-8")
    page = run(folder, "schema", "action", "shout_out")
    assert page.returncode == 0
    assert "phases: request" in page.stdout
    assert "text: text; required" in page.stdout


def test_a_rules_file_can_use_it(copy):
    folder, _ = copy
    (folder / "shout.yaml").write_text("rules: [{name: r, actions: [{shout_out: hi}]}]", encoding="utf-8")
    assert run(folder, "validate", "shout.yaml").returncode == 0
    (folder / "shout.yaml").unlink()


def test_the_catalogue_tests_pass_with_it(copy):
    folder, _ = copy
    ran = subprocess.run(
        [
            sys.executable,
            "-B",
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            "-p",
            "no:randomly",
            "tests/test_catalogue.py",
            "tests/test_schema.py",
            "-k",
            "shout",
        ],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout
    assert "9 passed" in ran.stdout


def test_a_name_is_taken_once(copy):
    folder, _ = copy
    ran = run(folder, "scaffold", "action", "shout_out")
    assert ran.returncode == 2
    assert "there is an action `shout_out` already" in ran.stderr


@pytest.mark.parametrize("name", ["Shout", "shout-out", "1st", "a__b", "../up", "shout out"])
def test_a_bad_name_is_refused(name, copy):
    folder, _ = copy
    ran = run(folder, "scaffold", "action", name)
    assert ran.returncode == 2
    assert "is no name for an action" in ran.stderr
