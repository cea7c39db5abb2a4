"""Files that nobody should be able to hurt the gateway with: a problem or a right answer, never a traceback.

Each runs through the real command in a process of its own, with bounds of time and memory generous enough for a slow
machine: what breaks them is not slow but unbounded.
"""

from __future__ import annotations

import json
import os
import re
import resource
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SECONDS = 60
MEMORY = 2 * 1024**3  # of addresses; a plain run takes a quarter of it
LONGEST_LINE = 3_000  # characters of a report
ACTIONS = "    actions: [{tag: a}]\n"
RULE = f"rules:\n  - name: r\n{ACTIONS}"


@dataclass(frozen=True)
class Said:
    """What a run of `pointsman validate` came to."""

    code: int
    output: str
    codes: frozenset[str]


def validate(folder: Path, *arguments: str) -> Said:
    """Run the command; whatever it says, it ends in time, without a traceback, and shows no more than people read."""

    def bounded() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))

    run = subprocess.run(
        [sys.executable, "-m", "engine.tools.cli", "validate", *arguments],
        cwd=folder,
        preexec_fn=bounded,
        env={**os.environ, "PYTHONPATH": str(ROOT), "NO_COLOR": "1"},
        capture_output=True,
        timeout=3 * SECONDS,
        check=False,
    )
    output, noise = run.stdout.decode(), run.stderr.decode()
    assert run.returncode in (0, 1), (run.returncode, noise[-2000:])
    assert "Traceback" not in output + noise, noise[-2000:]
    assert noise == ""
    assert max(map(len, output.splitlines()), default=0) < LONGEST_LINE
    codes = re.findall(r"^\S+: (?:error|warning|note)\[(.+?)\]: ", output, re.MULTILINE)
    return Said(run.returncode, output, frozenset(codes))


def nested(depth: int, opening: str, closing: str, inner: str) -> str:
    return opening * depth + inner + closing * depth


def match(condition: str) -> str:
    return f"rules:\n  - name: r\n    match: {condition}\n{ACTIONS}"


BOMB = "".join(f"  l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 10)}]\n" for n in range(1, 10))
DIGITS = "9" * 4000

REFUSED: dict[str, tuple[Callable[[], str | bytes], set[str]]] = {
    "an empty file": (lambda: b"", {"empty-file"}),
    "only comments": (lambda: "# nothing\n# at all\n", {"empty-file"}),
    "only spaces": (lambda: " \n \n", {"empty-file"}),
    "only a mark of the byte order": (lambda: b"\xef\xbb\xbf", {"empty-file"}),
    "null": (lambda: "null\n", {"wrong-type"}),
    "a number": (lambda: "7\n", {"wrong-type"}),
    "zeros": (lambda: b"\0" * 100_000, {"bad-character"}),
    "an image": (lambda: b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 100, {"not-utf8"}),
    "half a character": (lambda: b"rules: []\n# \xc3", {"not-utf8"}),
    "UTF-16": (lambda: "rules: []\n".encode("utf-16"), {"not-utf8"}),
    "control characters": (lambda: "rules: [\x07]\n", {"bad-character"}),
    "an alias bomb": (lambda: f"lists:\n  l0: &l0 [a, b, c, d]\n{BOMB}rules: []\n", {"alias-bomb"}),
    "an alias of itself": (lambda: "lists: &a\n  b: *a\n", {"recursive-alias"}),
    "a thousand lists in each other": (lambda: f"lists: {{a: {nested(1000, '[', ']', 'x')}}}\n", {"too-deep"}),
    "a thousand mappings in each other": (lambda: f"lists: {nested(1000, '{a: ', '}', 'x')}\n", {"too-deep"}),
    "a hundred thousand brackets": (lambda: "[" * 100_000, {"too-deep"}),
    "a thousand steps to the right": (lambda: "".join(f"{' ' * n}a:\n" for n in range(1000)), {"too-deep"}),
    "conditions in each other": (lambda: match(nested(60, "{not: ", "}", "stream")), {"too-deep"}),
    "parentheses in each other": (lambda: match(f"'{nested(5000, '(', ')', 'stream')}'"), {"too-deep"}),
    "exclamation marks": (lambda: match(f"'{'!' * 5000}stream'"), {"too-deep"}),
    "filters in each other": (lambda: match(f"'request.{nested(3000, 'a[?', ']', 'b')}'"), {"too-deep"}),
    "literals in each other": (lambda: match(f"'request.a == `{nested(3000, '[', ']', '1')}`'"), {"too-deep"}),
    "a template in a thousand braces": (
        lambda: RULE.replace("tag: a", f"tag: '{nested(1000, '{{ ', ' }}', 'stream')}'"),
        {"bad-expression"},
    ),
    "4,000 digits": (lambda: f"version: {DIGITS}\nrules: []\n", {"bad-number"}),
    "4,000 digits in a condition": (lambda: match(f"{{request.max_tokens: {{gt: {DIGITS}}}}}"), {"bad-number"}),
    "4,000 digits of a size": (lambda: f"server: {{body_limit: {DIGITS}MiB}}\nrules: []\n", {"wrong-type"}),
    "4,000 digits of a duration": (lambda: f"server: {{drain: {DIGITS}s}}\nrules: []\n", {"wrong-type"}),
    "not a number": (lambda: "server: {drain: .nan}\nrules: []\n", {"bad-number"}),
    "infinity": (lambda: "server: {port: .inf}\nrules: []\n", {"bad-number"}),
    "a number too large for its type": (lambda: "server: {drain: 1e999}\nrules: []\n", {"bad-number"}),
    "repetitions of repetitions": (
        lambda: match("{prompt_text: {matches: '((a{1,100}){1,100}){1,100}'}}"),
        {"bad-pattern"},
    ),
    "a repetition too large": (lambda: match("{prompt_text: {matches: 'a{100000}'}}"), {"bad-pattern"}),
    "a huge key": (lambda: f"{'k' * 1_000_000}: 1\nrules: []\n", {"yaml-syntax"}),
    "a huge unknown section": (lambda: f"? {'k' * 1_000_000}\n: 1\nrules: []\n", {"unknown-key"}),
    "a huge unknown action": (lambda: RULE.replace("tag: a", f"? {'t' * 100_000}\n        : a"), {"unknown-action"}),
    "a huge name": (lambda: RULE.replace("name: r", f"name: {'R' * 1_000_000}"), {"bad-name"}),
    "a huge wrong value": (lambda: f"server: {{port: {'p' * 1_000_000}}}\nrules: []\n", {"wrong-type"}),
    "a huge expression": (lambda: match(" && ".join(["stream"] * 100_000)), {"condition-too-large"}),
    "a huge quote that is not closed": (lambda: f"rules: '{'a ' * 500_000}\n", {"yaml-syntax"}),
    "a huge bracket that is not closed": (lambda: f"rules: [{'a, ' * 300_000}\n", {"yaml-syntax"}),
    "many documents": (lambda: "---\nrules: []\n" * 10_000, {"several-documents"}),
    "the same key ten thousand times": (lambda: "rules: []\n" * 10_000, {"duplicate-key"}),
    "ten thousand unknown sections": (lambda: "".join(f"s{n}: 1\n" for n in range(10_000)), {"unknown-key"}),
}

FINE: dict[str, Callable[[], str | bytes]] = {
    "10,000 rules": lambda: (
        "rules:\n" + "".join(f"  - name: r{n}\n    match: {{request.model: m{n}}}\n{ACTIONS}" for n in range(10_000))
    ),
    "a megabyte in one string": lambda: RULE.replace("tag: a", f"prepend_system: {'word ' * 200_000}"),
    "a megabyte in one comment": lambda: f"# {'c' * 1_000_000}\n{RULE}",
    "a megabyte in one list": lambda: (
        f"lists: {{l: [{', '.join(f'v{n}' for n in range(100_000))}]}}\n" + match("{request.user: {in: {list: l}}}")
    ),
    "a pattern of 100 kB": lambda: match(f"{{prompt_text: {{matches: '{'|'.join(f'w{n}' for n in range(15_000))}'}}}}"),
    "a pattern that costs others their life": lambda: match("{prompt_text: {matches: '(a+)+$'}}"),
    "groups in each other": lambda: match(f"{{prompt_text: {{matches: '{nested(5000, '(', ')', 'a')}'}}}}"),
    "Windows line ends": lambda: RULE.replace("\n", "\r\n"),
    "a mark of the byte order": lambda: "\ufeff" + RULE,
    "every plane of Unicode": lambda: RULE.replace("tag: a", "tag: '\u0416\u6f22\U0001f600\U0010fffd'"),
    "a hundred thousand empty lines": lambda: "\n" * 100_000 + RULE,
}


def written(folder: Path, contents: list[str | bytes]) -> list[str]:
    """The names of files with these contents."""
    for number, content in enumerate(contents):
        (folder / f"{number}.yaml").write_bytes(content if isinstance(content, bytes) else content.encode())
    return [f"{number}.yaml" for number in range(len(contents))]


@pytest.fixture(scope="module")
def refused(tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    """What is said of each file that is refused: they share one process, which none of them may bring down."""
    folder = tmp_path_factory.mktemp("refused")
    said = validate(folder, *written(folder, [content() for content, _ in REFUSED.values()]))
    assert said.code == 1
    told = re.findall(r"^(\d+)\.yaml:\S+: error\[(.+?)\]: ", said.output, re.MULTILINE)
    return {title: {code for place, code in told if int(place) == number} for number, title in enumerate(REFUSED)}


@pytest.mark.parametrize("title", REFUSED)
def test_refused(title: str, refused: dict[str, set[str]]) -> None:
    assert refused[title] & REFUSED[title][1], refused[title]


def test_fine(tmp_path: Path) -> None:
    said = validate(tmp_path, *written(tmp_path, [content() for content in FINE.values()]))
    assert said.code == 0, said.output[:2000]


def test_every_report_is_whole_in_json(tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text(match("{prompt_text: {matches: 'a(?=b)'}}"), encoding="utf-8")
    said = validate(tmp_path, "--json", "rules.yaml")
    assert [problem["code"] for problem in json.loads(said.output)["problems"]] == ["bad-pattern"]


# --- files among themselves -------------------------------------------------------------------------------------------


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    assert "missing-file" in validate(tmp_path, "rules.yaml").codes


def test_a_folder_given_as_a_file(tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").mkdir()
    assert "missing-file" in validate(tmp_path, "rules.yaml").codes


def test_a_device_given_as_a_file(tmp_path: Path) -> None:
    assert validate(tmp_path, "/dev/null").codes == {"empty-file"}


def test_a_device_without_an_end(tmp_path: Path) -> None:
    assert validate(tmp_path, "/dev/zero").code == 1


def test_a_pipe_that_nobody_writes_to(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.yaml")
    (tmp_path / "rules.yaml").write_text("include: [pipe.yaml]\nrules: []\n", encoding="utf-8")
    assert "missing-file" in validate(tmp_path, "rules.yaml").codes


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is unreadable to root")
def test_a_file_that_may_not_be_read(tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text(RULE, encoding="utf-8")
    (tmp_path / "rules.yaml").chmod(0)
    assert "missing-file" in validate(tmp_path, "rules.yaml").codes


def test_links_in_a_circle(tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").symlink_to(tmp_path / "other.yaml")
    (tmp_path / "other.yaml").symlink_to(tmp_path / "rules.yaml")
    assert "missing-file" in validate(tmp_path, "rules.yaml").codes


def test_a_folder_that_contains_itself(tmp_path: Path) -> None:
    (tmp_path / "teams").mkdir()
    (tmp_path / "teams" / "again").symlink_to(tmp_path / "teams")
    (tmp_path / "teams" / "core.yaml").write_text(RULE, encoding="utf-8")
    (tmp_path / "rules.yaml").write_text("include: [teams/**/*.yaml]\nrules: []\n", encoding="utf-8")
    assert validate(tmp_path, "rules.yaml").code == 0


@pytest.mark.parametrize("included", ["rules.yaml", "./rules.yaml", "other.yaml", "*.yaml"])
def test_includes_in_a_circle(included: str, tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text(f"include: ['{included}']\nrules: []\n", encoding="utf-8")
    (tmp_path / "other.yaml").write_text("include: [rules.yaml]\nrules: []\n", encoding="utf-8")
    assert "include-cycle" in validate(tmp_path, "rules.yaml").codes


def test_a_thousand_includes(tmp_path: Path) -> None:
    (tmp_path / "teams").mkdir()
    for n in range(1000):
        text = f"rules:\n  - name: r{n}\n    match: {{request.model: m{n}}}\n{ACTIONS}"
        (tmp_path / "teams" / f"{n}.yaml").write_text(text, encoding="utf-8")
    (tmp_path / "rules.yaml").write_text("include: [teams/*.yaml]\nrules: []\n", encoding="utf-8")
    said = validate(tmp_path, "rules.yaml")
    assert (said.code, said.output) == (0, "rules.yaml: 1000 rules, no problems\n")


def test_a_chain_of_a_thousand_includes(tmp_path: Path) -> None:
    for n in range(1000):
        text = f"include: [f{n + 1}.yaml]\nrules: []\n" if n < 999 else RULE
        (tmp_path / f"f{n}.yaml").write_text(text, encoding="utf-8")
    assert validate(tmp_path, "f0.yaml").codes == {"too-deep"}


@pytest.mark.parametrize("path", ["/etc/hostname\\0", "a" * 5000, "..", "/", "~/rules.yaml", "**/" * 50 + "*.yaml", ""])
def test_an_include_that_is_no_file(path: str, tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text(f'include: ["{path}"]\nrules: []\n', encoding="utf-8")
    validate(tmp_path, "rules.yaml")


@pytest.mark.parametrize("kind", ["folder", "binary", "link to itself", "missing"])
def test_a_list_file_that_is_none(kind: str, tmp_path: Path) -> None:
    file = tmp_path / "blocked.txt"
    if kind == "folder":
        file.mkdir()
    elif kind == "binary":
        file.write_bytes(bytes(range(256)))
    elif kind == "link to itself":
        file.symlink_to(file)
    text = "lists: {blocked: {file: blocked.txt}}\n" + match("{request.user: {in: {list: blocked}}}")
    (tmp_path / "rules.yaml").write_text(text, encoding="utf-8")
    assert validate(tmp_path, "rules.yaml").codes == {"missing-file"}
