"""The compiled build: what it copies, takes away and says. `make test-native` runs everything else on it."""

from __future__ import annotations

import ast
import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture
def native(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script, for a checkout and a build in the test's own folder."""
    spec = importlib.util.spec_from_file_location("native", ROOT / "scripts/native.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "ROOT", tmp_path)
    monkeypatch.setattr(module, "BUILD", tmp_path / "build/native")
    monkeypatch.setattr(module, "STAMP", tmp_path / "build/native/.made-with")
    return module


def test_each_name_of_its_list_is_that_of_a_module(native: ModuleType) -> None:
    listed = [(folder, name) for folder, names in native.COMPILED.items() for name in names.split()]
    assert [(folder, name) for folder, name in listed if not list((ROOT / folder).glob(f"{name}.py"))] == []
    assert len(listed) == len(set(listed))
    assert [name for name in native.PLAIN if not (ROOT / name).is_file()] == []


# Functions of compiled modules that call themselves, and what bounds how often.
BOUNDED = {
    "engine/document/fields.py": "our own tables of fields",
    "engine/document/paths.py": "the length of a path in a rule",
    "engine/document/stream_slots.py": "its own count of levels",
    "engine/document/walks.py": "its own count of levels",
    "engine/rules/index_text.py": "halves a list",
    "engine/runtime/stream_listening.py": "the depth of a condition, which the reader bounds",
}


def calls_itself(source: Path) -> bool:
    """Whether one of its functions does, also by way of others."""
    functions = {
        node.name: {call.func.id for call in ast.walk(node) if isinstance(call, ast.Call) and hasattr(call.func, "id")}
        for node in ast.parse(source.read_text(encoding="utf-8")).body
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
    }
    for name, called in functions.items():
        reached: set[str] = set()
        while called - reached:
            reached |= called
            called = set().union(*(functions.get(each, set()) for each in reached))
        if name in reached:
            return True
    return False


def test_compiled_functions_call_themselves_only_so_often(native: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native, "BUILD", ROOT)
    deep = {source.relative_to(ROOT).as_posix() for source in native.sources() if calls_itself(source)}
    assert deep == set(BOUNDED)


def test_what_was_compiled_from_another_source_goes(native: ModuleType, tmp_path: Path) -> None:
    package = tmp_path / "engine"
    package.mkdir()
    for name in ("same", "changed", "gone"):
        (package / f"{name}.py").write_text("x = 1\n", encoding="utf-8")
    native.copy(["engine"])
    copies = tmp_path / "build/native/engine"
    for name in ("same", "changed", "gone"):
        native.extension(copies / f"{name}.py").write_bytes(b"compiled")
    (package / "changed.py").write_text("x = 2\n", encoding="utf-8")
    (package / "gone.py").unlink()
    native.copy(["engine"])
    assert sorted(file.name for file in copies.iterdir()) == sorted(
        ["changed.py", "same.py", native.extension(Path("same.py")).name]
    )
    assert (copies / "changed.py").read_text(encoding="utf-8") == "x = 2\n"


def test_other_tools_begin_anew(native: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native, "cython", lambda: "1")
    monkeypatch.setattr(native, "compiler", lambda: "cc 1")
    native.begin()
    (tmp_path / "build/native/kept").touch()
    native.begin()
    assert (tmp_path / "build/native/kept").exists()
    monkeypatch.setattr(native, "cython", lambda: "2")
    native.begin()
    assert not (tmp_path / "build/native/kept").exists()


def test_without_a_compiler_it_says_what_to_install(native: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", "a-compiler-that-is-not-there")
    with pytest.raises(native.Unable) as told:
        native.compiler()
    assert "a-compiler-that-is-not-there: No such file" in str(told.value)
    assert "apt install gcc python3-dev" in str(told.value)


@pytest.mark.skipif((ROOT / ".made-with").exists(), reason="this is a build")
def test_nothing_compiled_stands_beside_the_sources() -> None:
    assert list((ROOT / "engine").rglob("*.so")) == []
