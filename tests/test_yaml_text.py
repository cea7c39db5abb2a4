"""From the text of a file to nodes with places, and no further than is safe."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import Problem
from engine.rules import yaml_nodes, yaml_text
from engine.rules.yaml_text import compose, read_source
from engine.source import Mapping, Node, Scalar, Sequence, Source

NUMBERS = st.one_of(st.integers(-(10**9), 10**9), st.floats(-1e9, 1e9))
SCALARS = st.one_of(st.none(), st.booleans(), NUMBERS, st.text("ab:#-'\"é\n ", max_size=12))
TREES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.text("abc -:'\"#", min_size=1, max_size=8), inner, max_size=4)
    ),
    max_leaves=20,
)


@pytest.fixture(params=["C", "Python"])
def parser(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both parsers that PyYAML may have: everything must hold on either."""
    if request.param == "Python":
        monkeypatch.setattr(yaml_nodes, "_Parser", yaml.SafeLoader)
    return str(request.param)


def read(text: str) -> Node:
    root, problems = compose(Source("file.yaml", text))
    assert problems == []
    assert root is not None
    return root


def found(text: str) -> list[tuple[str, int, int]]:
    _, problems = compose(Source("file.yaml", text))
    return [(problem.code, *problem.span.source.position(problem.span.start)) for problem in problems]


def nodes(root: Node) -> Iterator[Node]:
    yield root
    if isinstance(root, Sequence):
        for item in root:
            yield from nodes(item)
    elif isinstance(root, Mapping):
        for key, value in root:
            yield key
            yield from nodes(value)


def written(node: Node) -> str:
    return node.span.source.text[node.span.start : node.span.end]


@pytest.mark.usefixtures("parser")
@pytest.mark.parametrize("flow", [True, False, None])
def test_what_a_dumper_writes(flow: bool | None) -> None:
    @given(st.dictionaries(st.sampled_from(["a", "b b", "c:d"]), TREES, min_size=1))
    def run(tree: dict[str, Any]) -> None:
        text = yaml.dump(tree, default_flow_style=flow, allow_unicode=True, Dumper=Plain)
        assert read(text).plain() == tree

    run()


class Plain(yaml.SafeDumper):
    """Writes no aliases, which are tested by hand."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


TEXT = """\
a: x # remark
b: [1, {c: d, "e f": 'g'}]
h:
  - i: |  # remark
      text
      more

  # remark
  - j:
    k: >-
      folded
l: &m
  n: o

p: *m
"""
PLACES = [
    "x", "[1, {c: d, \"e f\": 'g'}]", "1", "{c: d, \"e f\": 'g'}", "d", "'g'",
    "- i: |  # remark\n      text\n      more\n\n  # remark\n  - j:\n    k: >-\n      folded",
    "i: |  # remark\n      text\n      more", "|  # remark\n      text\n      more", "j:\n    k: >-\n      folded", "",
    ">-\n      folded", "n: o", "o", "n: o", "o",
]  # fmt: skip


@pytest.mark.usefixtures("parser")
@pytest.mark.parametrize("change", ["", "\ufeff", "\r\n"])
def test_places(change: str) -> None:
    text = TEXT.replace("\n", "\r\n") if change == "\r\n" else change + TEXT
    root = read(text)
    places = [written(node).replace("\r", "") for node in nodes(root) if node is not root]
    keys = ["a", "b", "c", '"e f"', "h", "i", "j", "k", "l", "n", "p", "n"]
    assert sorted(places) == sorted(PLACES + keys)


@pytest.mark.usefixtures("parser")
def test_anchors_repeat_the_very_node() -> None:
    root = read("a: &x\n  - 1\nb: *x\nc: &y 2\nd: *y\n&k key: v\n")
    assert isinstance(root, Mapping)
    assert root.get("a") is root.get("b")
    assert root.plain() == {"a": [1], "b": [1], "c": 2, "d": 2, "key": "v"}
    one, key = root.get("c"), root.key("key")
    assert one is not None
    assert key is not None
    assert (written(one), written(key)) == ("2", "key")


@pytest.mark.usefixtures("parser")
def test_quotes_make_text() -> None:
    assert read("'1': \"true\"\n'<<': '~'\n").plain() == {"1": "true", "<<": "~"}


CASES: list[tuple[str, str, int, int]] = [
    ("a: 1\nb: 2\na: 3\n", "duplicate-key", 3, 1),
    ("{a: 1, 'a': 2}", "duplicate-key", 1, 8),
    ("1: x", "non-string-key", 1, 1),
    ("true: x", "non-string-key", 1, 1),
    ("~: x", "non-string-key", 1, 1),
    ("?\n: x", "non-string-key", 1, 2),
    ("? {a: b}\n: x", "non-string-key", 1, 3),
    ("a: !stream", "yaml-tag", 1, 4),
    ("a: ! b", "yaml-tag", 1, 4),
    ("a: &x !y z", "yaml-tag", 1, 7),
    ("a: !!int 3", "yaml-tag", 1, 4),
    ("a: !!python/object/apply:os.system [ls]", "yaml-tag", 1, 4),
    ("a: &x {b: c}\nd:\n  <<: *x", "merge-key", 3, 3),
    ("a: *x", "unknown-alias", 1, 4),
    ("a: &x [b, *x]", "recursive-alias", 1, 11),
    ("a: {{ b }}", "unquoted-template", 1, 4),
    ("a: .nan", "bad-number", 1, 4),
    ("", "empty-file", 1, 1),
    ("# only\n", "empty-file", 1, 1),
    ("---\n...\n", "empty-file", 1, 1),
    ("a: 1\n--- # second\nb: 2\n", "several-documents", 2, 1),
    ("a: 1\n---\n", "several-documents", 2, 1),
    ("a: \x00", "bad-character", 1, 4),
    ("a: \ud800", "bad-character", 1, 4),
    ("a: b\rc: d", "bad-character", 1, 5),
    ("[" * 5000, "too-deep", 1, 101),
    ("- " * 5000, "too-deep", 1, 201),
    ("a: [", "yaml-syntax", 1, 4),
]


@pytest.mark.usefixtures("parser")
@pytest.mark.parametrize(("text", "code", "line", "column"), CASES, ids=[repr(case[0][:30]) for case in CASES])
def test_mistakes(text: str, code: str, line: int, column: int) -> None:
    assert found(text) == [(code, line, column)]
    if not text.startswith("\ufeff"):
        assert found("\ufeff" + text) == [(code, line, column)]


def test_every_mistake_is_told() -> None:
    assert [code for code, *_ in found("a: !x y\na: 1\n2: .inf\n")] == [
        "yaml-tag", "duplicate-key", "bad-number", "non-string-key",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("a: !stream", {"a": "!stream"}),
        ("a: !x == y", {"a": "!x == y"}),
        ("a: !!str 5", {"a": 5}),
        ("a: {{ b }}", {"a": "{{ b }}"}),
        ("a: *b", {"a": "*b"}),
        ("1: x", {"1": "x"}),
        ("a: 1\na: 2", {"a": 1}),
    ],
)
def test_goes_on_with_what_was_meant(text: str, meant: Any) -> None:
    root, problems = compose(Source("file.yaml", text))
    assert len(problems) == 1
    assert root is not None
    assert root.plain() == meant


def bomb(levels: int) -> str:
    rows = [f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 9)}]" for level in range(1, levels)]
    return "\n".join(["a0: &a0 [x, x, x, x, x, x, x, x, x]", *rows])


def test_aliases_that_multiply() -> None:
    assert found(bomb(3)) == []
    assert found(bomb(30))[0][0] == "alias-bomb"


def test_aliases_that_nest() -> None:
    chain = [f"a{level}: &a{level} [*a{level - 1}]" for level in range(1, 110)]
    assert found("\n".join(["a0: &a0 x", *chain[:90]])) == []
    assert found("\n".join(["a0: &a0 x", *chain]))[0][0] == "too-deep"


def test_many_aliases_of_a_small_value_are_fine() -> None:
    rows = "".join(f"- {{team: *team, n: {number}}}\n" for number in range(20_000))
    assert found("- &team [a, b]\n" + rows) == []


@pytest.mark.parametrize("text", ["a: 1\n", "a: [\n"])
def test_the_collector_goes_on(text: str) -> None:
    compose(Source("file.yaml", text))
    assert gc.isenabled()


@given(st.text("ab:-[]{}&*!|>'\"%@`#?,. \t\n\\<0~", max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    source = Source("file.yaml", text)
    root, problems = compose(source)
    assert root is not None or problems
    for problem in problems:
        assert problem.message
        assert 0 <= problem.span.start <= problem.span.end <= len(text) + 1
        assert "Error" not in problem.message
    for node in nodes(root) if root is not None and not problems else ():
        assert 0 <= node.span.start <= node.span.end <= len(text)
        if isinstance(node, Scalar) and isinstance(node.value, str):
            for number in range(len(node.value)):
                assert node.span.start <= node.inner(number, number + 1).start <= len(text)


def test_reading_a_file(tmp_path: Path) -> None:
    path = tmp_path / "rules.yaml"
    path.write_bytes("\ufeffa: é\r\n".encode())
    source = read_source(str(path), "shown.yaml")
    assert isinstance(source, Source)
    assert (source.name, source.text) == ("shown.yaml", "\ufeffa: é\r\n")


def refusal(path: Path) -> tuple[str, str, int]:
    problem = read_source(str(path), "shown.yaml")
    assert isinstance(problem, Problem)
    assert problem.help
    return problem.code, problem.span.source.name, problem.span.start


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    assert refusal(tmp_path / "none.yaml") == ("missing-file", "shown.yaml", 0)
    assert refusal(tmp_path) == ("missing-file", "shown.yaml", 0)
    assert refusal(Path(f"{tmp_path}/a\0b")) == ("missing-file", "shown.yaml", 0)
    path = tmp_path / "latin.yaml"
    path.write_bytes(b"a: \xc3\xa9\n\xe9")
    assert refusal(path) == ("not-utf8", "shown.yaml", 5)
    path.write_bytes("a: b".encode("utf-16"))
    assert refusal(path) == ("not-utf8", "shown.yaml", 0)


def test_large_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "large.yaml"
    path.touch()
    os.truncate(path, yaml_text.MAX_BYTES + 1)
    assert refusal(path) == ("too-large", "shown.yaml", 0)
    monkeypatch.setattr(yaml_text, "MAX_BYTES", 10)
    assert found("a: 12345678") == [("too-large", 1, 1)]
    assert found("a: 1234567") == []
