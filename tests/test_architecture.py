"""The shape of the code, kept by tests: floors, who may import what, sizes, names. See ARCHITECTURE.md."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

# From the ground up. A module imports from its own floor and from those below it.
FLOORS = [
    [
        "engine.errors",
        "engine.report",
        "engine.source",
        "engine.phases",
        "engine.cures",
        "engine.given",
        "engine.units",
        "engine.options",
        "engine.catalogue",
    ],
    ["engine.document"],
    ["engine.language"],
    ["engine.ports", "engine.callback"],
    ["engine.actions"],
    ["engine.rules"],
    ["engine.runtime"],
    ["engine.proxy"],
    ["server"],
    ["engine.tools"],
]
# The package's own __init__ offers what embedders need: it may reach, lazily, up to here.
ENTRANCE, ENTRANCE_REACHES = "engine", "engine.runtime"

# Who may import what comes from outside. Libraries not listed are free.
RESERVED = {
    "aiohappyeyeballs": ["engine.proxy"],
    "aiohttp": ["engine.proxy", "server"],
    "httptools": ["engine.proxy"],
    "httpx": ["engine.ports", "engine.tools"],
    "uvloop": ["engine.proxy", "server"],
    "yaml": ["engine.rules"],
}
# What `import engine` alone must not load: each costs more time than all of `pointsman --version` may take.
COSTLY = ["aiohttp", "httptools", "httpx", "jmespath", "jsonschema", "msgspec", "re2", "yaml"]

MOST_LINES_OF_A_FILE = 300
MOST_LINES_OF_A_FUNCTION = 40

EMPTY_NAMES = {"manager", "handler", "helper", "helpers", "util", "utils", "common", "base", "data", "info", "misc"}
NAMED_SO_ON_PURPOSE = {"engine.actions.base"}  # the one class every action is made from


IMPORTERS = {"import_module", "__import__"}


def name_of(file: Path, root: Path = ROOT) -> str:
    parts = file.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


FILES = {
    name_of(file): file for file in [ROOT / "server.py", *sorted((ROOT / "engine").rglob("*.py"))] if file.exists()
}
TREES = {name: ast.parse(file.read_text(encoding="utf-8"), str(file)) for name, file in FILES.items()}


def within(module: str, package: str) -> bool:
    return module == package or module.startswith(package + ".")


def floor_of(module: str) -> int | None:
    return next((n for n, floor in enumerate(FLOORS) if any(within(module, package) for package in floor)), None)


def running(node: ast.AST, *, into_functions: bool = True) -> Iterator[ast.AST]:
    """All nodes below `node` but those for the type checker alone."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            for other in child.orelse:
                yield other
                yield from running(other, into_functions=into_functions)
        else:
            yield child
            if into_functions or not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
                yield from running(child, into_functions=into_functions)


def imports(tree: ast.AST, module: str, *, package: bool = False, late: bool = True) -> list[tuple[int, str]]:
    """(line, name) of everything imported; `from a import b` counts as `a.b`. `late`: also inside functions."""
    found = []
    for node in running(tree, into_functions=late):
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = module.split(".")[: len(module.split(".")) - node.level + package] if node.level else []
            start = ".".join([*above, *([node.module] if node.module else [])])
            found += [(node.lineno, f"{start}.{alias.name}") for alias in node.names]
        elif isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] in {
            "import_module",
            "__import__",
        }:
            texts = (part.value for part in ast.walk(node) if isinstance(part, ast.Constant))
            found += [(node.lineno, text.rstrip(".")) for text in texts if isinstance(text, str) and text]
    return found


def imports_of(module: str, *, late: bool = True) -> list[tuple[int, str]]:
    return imports(TREES[module], module, package=FILES[module].name == "__init__.py", late=late)


def module_named(name: str) -> str | None:
    """The module of ours that an imported name is or is in."""
    while name and name not in FILES:
        name = name.rpartition(".")[0]
    return name or None


def place(module: str, line: int) -> str:
    return f"{FILES[module].relative_to(ROOT)}:{line}"


def complain(offences: list[str]) -> None:
    assert not offences, "\n" + "\n".join(offences)


def test_every_module_stands_on_a_floor() -> None:
    assert len(FILES) > len(FLOORS)
    complain([f"{name} stands on no floor of FLOORS" for name in FILES if name != ENTRANCE and floor_of(name) is None])


def test_imports_go_down() -> None:
    offences = []
    for module in FILES:
        floor = floor_of(ENTRANCE_REACHES if module == ENTRANCE else module)
        for line, name in imports_of(module):
            target = floor_of(module_named(name) or "")
            if target is not None and floor is not None and target > floor:
                offences.append(f"{place(module, line)}: {module} imports {name}, which is above it")
    complain(offences)


def test_nothing_below_imports_the_entrance() -> None:
    complain(
        [
            f"{place(module, line)}: {module} imports {name}, which offers what is above it"
            for module in FILES
            if module != ENTRANCE and (floor_of(module) or 0) <= (floor_of(ENTRANCE_REACHES) or 0)
            for line, name in imports_of(module)
            if module_named(name) == ENTRANCE
        ]
    )


def test_modules_do_not_import_in_circles() -> None:
    """At the top level; an import inside a function is how a module says that it needs another only later."""
    below = {m: {module_named(name) for _, name in imports_of(m, late=False)} - {m, None} for m in FILES}
    done: set[str] = set()
    circles: list[str] = []

    def walk(module: str, path: list[str]) -> None:
        if module in path:
            circles.append(" > ".join([*path[path.index(module) :], module]))
        elif module not in done:
            for next_one in sorted(name for name in below[module] if name):
                walk(next_one, [*path, module])
            done.add(module)

    for module in FILES:
        walk(module, [])
    complain(circles)


@pytest.mark.parametrize("library", RESERVED)
def test_reserved_library(library: str) -> None:
    complain(
        [
            f"{place(module, line)}: {module} imports {library}; only {', '.join(RESERVED[library])} may"
            for module in FILES
            for line, name in imports_of(module)
            if within(name, library) and not any(within(module, allowed) for allowed in RESERVED[library])
        ]
    )


def test_runtime_finds_nothing_by_name() -> None:
    complain(
        [
            f"{place(module, node.lineno)}: {node.id} in the runtime; decide it when compiling"
            for module, tree in TREES.items()
            if within(module, "engine.runtime")
            for node in ast.walk(tree)
            if isinstance(node, ast.Name) and node.id in {"getattr", "setattr", "hasattr", "eval", "exec", "globals"}
        ]
    )


def test_no_code_is_made_from_text() -> None:
    """Annotations of options are the one text evaluated, and they are our own."""
    complain(
        [
            f"{place(module, node.lineno)}: {node.func.id}(…) runs a text as code"
            for module, tree in TREES.items()
            for node in ast.walk(tree)
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in {"eval", "exec"}
            if (module, node.func.id) != ("engine.catalogue", "eval")
        ]
    )


def test_files_are_short() -> None:
    lengths = {file: len(file.read_text(encoding="utf-8").splitlines()) for file in FILES.values()}
    complain(
        [
            f"{file.relative_to(ROOT)}: {lines} lines; at most {MOST_LINES_OF_A_FILE}"
            for file, lines in lengths.items()
            if lines > MOST_LINES_OF_A_FILE
        ]
    )


def test_functions_are_short() -> None:
    complain(
        [
            f"{place(module, node.lineno)}: {node.name} has {lines} lines; at most {MOST_LINES_OF_A_FUNCTION}"
            for module, tree in TREES.items()
            for node in ast.walk(tree)
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
            if (lines := (node.end_lineno or node.lineno) - node.lineno + 1) > MOST_LINES_OF_A_FUNCTION
        ]
    )


def test_every_module_says_what_it_is_for() -> None:
    complain([f"{place(module, 1)}: no docstring" for module, tree in TREES.items() if not ast.get_docstring(tree)])


def test_folders_are_two_deep() -> None:
    complain([f"{file.relative_to(ROOT)}: too deep" for module, file in FILES.items() if module.count(".") > 2])


def test_names_say_the_thing() -> None:
    offences = []
    for module in FILES.keys() - NAMED_SO_ON_PURPOSE:
        own = module.rpartition(".")[2]
        if not re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", own):
            offences.append(f"{place(module, 1)}: a module is named in lower case, words joined by `_`")
        if empty := EMPTY_NAMES.intersection(own.split("_")):
            offences.append(f"{place(module, 1)}: `{empty.pop()}` says nothing of what is in it")
    complain(offences)


def test_importing_the_package_is_cheap() -> None:
    script = f"import sys, engine; print(*sorted(sys.modules.keys() & {set(COSTLY)!r}))"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("import a.b", ["a.b"]),
        ("from a import b, c", ["a.b", "a.c"]),
        ("def f():\n    from a import b", ["a.b"]),
        ("class C:\n    async def f(self):\n        import a", ["a"]),
        (
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import a\nelse:\n    import b",
            ["typing.TYPE_CHECKING", "b"],
        ),
        ("from . import x", ["engine.rules.x"]),
        ("from ..language import x", ["engine.language.x"]),
        ("importlib.import_module('engine.proxy')", ["engine.proxy"]),
        ("importlib.import_module(f'engine.tools.{name}')", ["engine.tools"]),
    ],
)
def test_no_import_is_overlooked(source: str, names: list[str]) -> None:
    assert [name for _, name in imports(ast.parse(source), "engine.rules.load")] == names


def test_late_imports_are_told_from_early_ones() -> None:
    tree = ast.parse("import a\ndef f():\n    import b\nif a:\n    import c")
    assert [name for _, name in imports(tree, "m", late=False)] == ["a", "c"]
    assert [name for _, name in imports(ast.parse("from . import x"), "engine.rules", package=True)] == [
        "engine.rules.x"
    ]
