"""What a fresh clone promises: locks, licence, commands, and a wheel that holds what it should."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

import engine

ROOT = Path(__file__).parent.parent
LOCKS = [f"requirements{part}.lock" for part in ("", "-full", "-build", "-dev", "-litellm", "-native")]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
TARGETS = set(re.findall(r"^([a-z][a-z-]*):.* ## ", MAKEFILE, re.MULTILINE))
DECISIONS = sorted((ROOT / "docs/decisions").glob("*.md"))
PAGES = [page for page in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")] if page.name != "CHANGELOG.md"]


def entries(lock: str) -> dict[str, str]:
    """Requirement line to its hashes; every line of a lock belongs to one or is a comment."""
    text = (ROOT / lock).read_text(encoding="utf-8").replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return {line.partition(" --hash")[0].strip(): "--hash" + line.partition(" --hash")[2] for line in lines}


def pins(lock: str) -> dict[str, str]:
    return dict(re.match(r"([a-z0-9._-]+)==([^ ;]+)", entry).groups() for entry in entries(lock))


def required(requirements: list[str]) -> set[str]:
    return {re.match(r"[A-Za-z0-9._-]+", text).group().lower() for text in requirements}


@pytest.mark.parametrize("lock", LOCKS)
def test_each_lock_entry_is_one_version_with_hashes(lock: str) -> None:
    assert entries(lock)
    for requirement, hashes in entries(lock).items():
        assert re.fullmatch(r"[a-z0-9._-]+==[^ ;]+( ; .+)?", requirement)
        assert re.fullmatch(r"(--hash=sha256:[0-9a-f]{64}\s*)+", hashes), requirement


@pytest.mark.parametrize("lock", LOCKS)
def test_locks_leave_the_index_to_the_user(lock: str) -> None:
    text = (ROOT / lock).read_text(encoding="utf-8")
    assert not re.findall(r"://|file:|--index|--extra-index|--find-links|--trusted-host| @ ", text)


def test_locks_agree() -> None:
    dev = pins("requirements-dev.lock")
    for lock in ("requirements.lock", "requirements-full.lock", "requirements-build.lock"):
        pinned = pins(lock)
        assert {name: dev[name] for name in pinned if name in dev} == {n: v for n, v in pinned.items() if n in dev}
    assert pins("requirements.lock").keys() <= dev.keys()


def test_locks_hold_what_the_project_asks_for() -> None:
    extras = [text for extra in PROJECT["project"]["optional-dependencies"].values() for text in extra]
    groups = PROJECT["dependency-groups"]
    assert required(PROJECT["project"]["dependencies"]) <= pins("requirements.lock").keys()
    assert required(PROJECT["project"]["dependencies"] + extras) <= pins("requirements-full.lock").keys()
    assert required(groups["build"]) <= pins("requirements-build.lock").keys()
    assert required(groups["native"]) <= pins("requirements-native.lock").keys()
    assert required(groups["dev"]) <= pins("requirements-dev.lock").keys()
    assert required(groups["litellm"]) <= pins("requirements-litellm.lock").keys()


def test_each_dependency_has_its_reason() -> None:
    told = "\n".join(page.read_text(encoding="utf-8") for page in DECISIONS).lower()
    groups = PROJECT["dependency-groups"]
    extras = [text for extra in PROJECT["project"]["optional-dependencies"].values() for text in extra]
    grouped = [*groups["build"], *groups["native"], *groups["dev"]]
    names = required([*PROJECT["project"]["dependencies"], *extras, *grouped])
    assert sorted(name for name in names if f"`{name}`" not in told) == []


def test_decisions_are_short_and_numbered() -> None:
    assert DECISIONS
    for page in DECISIONS:
        text = page.read_text(encoding="utf-8")
        assert re.fullmatch(r"\d{3}-[a-z0-9-]+\.md", page.name)
        assert text.startswith("# "), page.name
        assert len(text.splitlines()) <= 40, page.name
    numbers = [page.name[:3] for page in DECISIONS]
    assert len(numbers) == len(set(numbers))


def test_licence_is_whole() -> None:
    text = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert "Version 2.0, January 2004" in text
    assert "9. Accepting Warranty or Additional Liability." in text
    assert PROJECT["project"]["license"] == "Apache-2.0"


def test_changes_name_the_version() -> None:
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert changes.index("## Unreleased") < changes.index(f"## {engine.__version__}")


def test_make_lists_its_targets() -> None:
    done = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert {line.split()[1] for line in done.stdout.splitlines() if line.startswith("  make ")} == TARGETS
    assert {"serve", "test", "test-long", "check", "fix", "docs", "bench", "help"} <= TARGETS


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_pages_name_only_targets_that_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    blocks = "\n".join(re.findall(r"^```.*?^```", text, re.MULTILINE | re.DOTALL))
    named = re.findall(r"`make ([a-z][a-z-]*)", text) + re.findall(
        r"^(?:\$ )?make ([a-z][a-z-]*)", blocks, re.MULTILINE
    )
    assert set(named) <= TARGETS


def test_pages_name_the_commands_of_daily_work() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    pages = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
    assert [target for target in ("serve", "test") if f"make {target}" not in readme] == []
    assert [target for target in ("check", "fix", "docs", "bench", "lock") if f"make {target}" not in pages] == []


@pytest.mark.parametrize("script", [".ci/run", "scripts/setup.sh"])
def test_scripts_can_be_run(script: str) -> None:
    assert os.access(ROOT / script, os.X_OK)
    shell = (ROOT / script).read_text(encoding="utf-8").splitlines()[0].rpartition("/")[2].split()[-1]
    subprocess.run([shell, "-n", str(ROOT / script)], check=True)


def test_setup_without_a_suitable_python_says_what_to_install(tmp_path: Path) -> None:
    (tmp_path / "scripts").mkdir()
    script = shutil.copy(ROOT / "scripts/setup.sh", tmp_path / "scripts")
    old = tmp_path / "python-of-old"
    old.write_text("#!/bin/sh\necho is Python 3.9\n", encoding="utf-8")
    old.chmod(0o755)
    environment = {**os.environ, "PYTHON": str(old)}
    done = subprocess.run(["sh", script, "runtime"], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert f"{old} is Python 3.9" in done.stderr
    assert "apt install python3" in done.stderr
    assert not (tmp_path / ".venv").exists()


@pytest.mark.skipif(not importlib.util.find_spec("hatchling"), reason="the build backend is not installed")
def test_wheel_holds_the_program_and_nothing_else(tmp_path: Path) -> None:
    quiet = ["--quiet", "--no-index", "--no-deps", "--no-build-isolation"]
    subprocess.run([sys.executable, "-m", "pip", "wheel", *quiet, "--wheel-dir", tmp_path, ROOT], check=True)
    (wheel,) = tmp_path.glob(f"pointsman-{engine.__version__}-py3-none-any.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        (points,) = [archive.read(name).decode() for name in names if name.endswith("entry_points.txt")]
    assert {"server.py", "engine/py.typed", "engine/__init__.py", "engine/tools/cli.py"} <= names
    assert {name.split("/")[0] for name in names if ".dist-info" not in name} == {"server.py", "engine"}
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)
    assert "pointsman = engine.tools.cli:main" in points
