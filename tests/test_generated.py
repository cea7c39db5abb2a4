"""Generated files are current, and say that they are generated; every problem code is told once."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from fnmatch import fnmatchcase as fnmatch
from pathlib import Path

from engine.tools.editor_schema import as_text, whole
from engine.tools.problem_codes import CODES
from engine.tools.reference import reference

ROOT = Path(__file__).parent.parent
TREES = {path: ast.parse(path.read_text(encoding="utf-8")) for path in sorted((ROOT / "engine").rglob("*.py"))}
SORT = re.compile("[a-z_]+")
SLUG = re.compile("[a-z]+(-[a-z]+)+")
NOT_PROBLEMS = {"Refusal"}  # its `code` is the one on the wire; those are written with `_`, ours with `-`


def test_the_schema_is_current():
    written = (ROOT / "schema" / "rules.schema.json").read_text(encoding="utf-8")
    assert written == as_text(whole()), "run: pointsman schema --write"
    assert "Do not edit" in written[:300]


def test_the_reference_is_current():
    written = (ROOT / "docs" / "reference.md").read_text(encoding="utf-8")
    assert written == reference(), "run: pointsman reference --write"
    assert "Do not edit" in written[:300]


def takers_of_codes() -> dict[str, set[int]]:
    """Functions and classes with an argument `code`, and its positions in calls: several may have one name."""
    found = {"Problem": {0}}
    for tree in TREES.values():
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef):
                names = [argument.arg for argument in node.args.args if argument.arg not in ("self", "cls")]
            elif isinstance(node, ast.ClassDef) and node.name not in NOT_PROBLEMS:
                names = [
                    line.target.id
                    for line in node.body
                    if isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name)
                ]
            else:
                continue
            owner = enclosing(tree, node) if getattr(node, "name", "") == "__init__" else getattr(node, "name", "")
            if "code" in names and owner not in NOT_PROBLEMS:
                found.setdefault(owner, set()).add(names.index("code"))
    return found


def enclosing(tree: ast.AST, function: ast.AST) -> str:
    return next(node.name for node in ast.walk(tree) if isinstance(node, ast.ClassDef) and function in node.body)


def codes() -> Iterator[tuple[str, str]]:
    """(code, place) of every problem code in the source; `unknown-*` where a part is filled in."""
    takers = takers_of_codes()
    for path, tree in TREES.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Tuple) and is_problem(node):
                yield node.elts[0].value, f"{path.relative_to(ROOT)}:{node.lineno}"
            if not isinstance(node, ast.Call):
                continue
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if name not in takers:
                continue
            given = [keyword.value for keyword in node.keywords if keyword.arg == "code"]
            given += [node.args[place] for place in takers[name] if len(node.args) > place]
            for code in given:
                for text in filter(lambda text: not {"_", " "} & set(text), texts(code)):
                    yield text, f"{path.relative_to(ROOT)}:{node.lineno}"


def is_problem(node: ast.Tuple) -> bool:
    """A code, a message and more, on its way to a problem."""
    code, message = [*node.elts, None, None][:2]
    return (
        len(node.elts) >= 3
        and isinstance(code, ast.Constant)
        and isinstance(code.value, str)
        and SLUG.fullmatch(code.value) is not None
        and (isinstance(message, ast.JoinedStr) or " " in str(getattr(message, "value", "")))
    )


def texts(code: ast.expr) -> Iterator[str]:
    if isinstance(code, ast.Constant) and isinstance(code.value, str):
        yield code.value
    elif isinstance(code, ast.IfExp):
        yield from texts(code.body)
        yield from texts(code.orelse)
    elif isinstance(code, ast.JoinedStr):
        yield "".join(str(part.value) if isinstance(part, ast.Constant) else "*" for part in code.values)


def test_every_code_is_told():
    unknown = sorted({f"{place}: {code}" for code, place in codes() if "*" not in code and code not in CODES})
    assert unknown == []


def test_every_told_code_is_used():
    used = {code for code, _ in codes()}
    patterns = [code for code in used if "*" in code]
    constants = {
        node.value
        for path, tree in TREES.items()
        if path.name != "problem_codes.py"
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    unused = [code for code in CODES if code not in used | constants and not any(fnmatch(code, p) for p in patterns)]
    assert unused == []


def test_every_sort_of_name_has_its_code():
    """`scope.find("sink", …)` makes `unknown-sink`."""
    sorts = {
        node.args[0].value
        for tree in TREES.values()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "find"
        and len(node.args) == 3
        and isinstance(node.args[0], ast.Constant)
        and isinstance(node.args[0].value, str)
        and SORT.fullmatch(node.args[0].value)  # `text.find("{%", …)` is another one
    }
    assert sorts
    assert [sort for sort in sorts if f"unknown-{sort.replace('_', '-')}" not in CODES] == []


def test_codes_are_slugs_with_meaning_and_cure():
    for code, (meaning, cure) in CODES.items():
        assert code == code.lower()
        assert all(part.isalnum() for part in code.split("-"))
        assert meaning
        assert cure
