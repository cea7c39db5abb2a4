"""The compiled build: what it is made of and says. `make test-native` runs everything else on it."""

from __future__ import annotations

import ast
import importlib.util
import shutil
import subprocess
import sys
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


# What suspends a coroutine or generator; `asyncio.timeout` and what is made of it do not.
WAITS = (ast.Await, ast.Yield, ast.YieldFrom, ast.AsyncFor, ast.AsyncWith)


def waits_in_handlers(source: Path) -> list[int]:
    """The lines in which one waits while an exception is handled."""
    found = []
    for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
        handled: list[ast.stmt] = []
        if isinstance(node, ast.Try):
            handled = [*node.finalbody, *(statement for handler in node.handlers for statement in handler.body)]
        elif isinstance(node, ast.AsyncWith):
            found += [node.lineno for item in node.items if not is_limit(item)]
        found += [each.lineno for statement in handled for each in ast.walk(statement) if isinstance(each, WAITS)]
    return found


def is_limit(item: ast.withitem) -> bool:
    """Whether it is an `asyncio.timeout`, which by our custom is a `limit` where it has a name."""
    text = ast.unparse(item.context_expr)
    return text == "limit" or text.startswith("asyncio.timeout")


def test_nothing_compiled_waits_in_a_handler(native: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native, "BUILD", ROOT)
    waiting = {source.relative_to(ROOT).as_posix(): waits_in_handlers(source) for source in native.sources()}
    assert {name: lines for name, lines in waiting.items() if lines} == {}


def test_what_a_build_is_made_of(native: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native, "compiler", lambda: "cc 1")
    monkeypatch.setattr(native, "COMPILED", {"engine": "hot"})
    (tmp_path / "engine").mkdir()
    for name in ("hot", "cold"):
        (tmp_path / f"engine/{name}.py").write_text("x = 1\n", encoding="utf-8")
    native.copy(["engine"])
    first = native.made_with(sys.executable)
    (tmp_path / "engine/cold.py").write_text("x = 2\n", encoding="utf-8")
    native.copy(["engine"])
    assert (tmp_path / "build/native/engine/cold.py").read_text(encoding="utf-8") == "x = 2\n"
    assert native.made_with(sys.executable) == first
    (tmp_path / "engine/hot.py").write_text("x = 2\n", encoding="utf-8")
    native.copy(["engine"])
    second = native.made_with(sys.executable)
    assert second != first
    monkeypatch.setattr(native, "compiler", lambda: "cc 2")
    assert native.made_with(sys.executable) != second


def test_copies_go_with_their_sources(native: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "engine").mkdir()
    for name in ("kept", "gone"):
        (tmp_path / f"engine/{name}.py").touch()
    native.copy(["engine"])
    (tmp_path / "engine/gone.py").unlink()
    native.copy(["engine"])
    assert [file.name for file in (tmp_path / "build/native/engine").iterdir()] == ["kept.py"]


SOURCES = {
    "engine/__init__.py": "",
    "engine/hot.py": "class Hot:\n    def __init__(self, x: int) -> None:\n        self.x = x\n",
    "server.py": "from engine.hot import Hot\n\ndef main() -> int:\n    return Hot(3).x\n",
}
ASKED = "import server, engine.hot as hot; print(server.main(), hot.__file__.rsplit('.', 1)[1], server.__file__[-3:])"


@pytest.mark.skipif(shutil.which("cc") is None, reason="there is no C compiler")
def test_a_small_program(native: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native, "COMPILED", {"engine": "hot"})
    monkeypatch.setattr(native, "PLAIN", set())
    monkeypatch.setattr(sys, "argv", ["native.py", "--python", sys.executable])
    (tmp_path / "schema").mkdir()
    (tmp_path / "engine").mkdir()
    for name, text in SOURCES.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    assert native.main() == 0
    run = [sys.executable, "-c", ASKED]
    told = subprocess.run(run, cwd=tmp_path / "build/native", capture_output=True, text=True, check=True).stdout
    assert told == "3 so .py\n"
    (tmp_path / "engine/hot.py").write_text("class Hot(str):\n    pass\n", encoding="utf-8")
    assert native.main() == 1
    assert list((tmp_path / "build/native").rglob("*.so")) == []


def test_without_a_compiler_it_says_what_to_install(native: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", "a-compiler-that-is-not-there")
    with pytest.raises(native.Unable) as told:
        native.compiler()
    assert "a-compiler-that-is-not-there: No such file" in str(told.value)
    assert "apt install gcc python3-dev" in str(told.value)


@pytest.mark.skipif((ROOT / ".made-with").exists(), reason="this is a build")
def test_nothing_compiled_stands_beside_the_sources() -> None:
    assert list((ROOT / "engine").rglob("*.so")) == []


def test_no_plain_class_derives_from_a_compiled_one(native: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native, "BUILD", ROOT)
    compiled = {source.relative_to(ROOT).as_posix() for source in native.sources()}
    modules = {name.removesuffix(".py").replace("/", ".") for name in compiled}
    found = []
    for source in (ROOT / "engine").rglob("*.py"):
        nodes = list(ast.walk(ast.parse(source.read_text(encoding="utf-8"))))
        imports = [node for node in nodes if isinstance(node, ast.ImportFrom) and node.module in modules]
        theirs = {name.asname or name.name for node in imports for name in node.names}
        classes = [node for node in nodes if isinstance(node, ast.ClassDef)]
        bases = {base.id for node in classes for base in node.bases if isinstance(base, ast.Name)}
        if source.relative_to(ROOT).as_posix() not in compiled and bases & theirs:
            found.append((source.name, bases & theirs))
    assert found == []
