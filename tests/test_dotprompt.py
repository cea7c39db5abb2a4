"""Folders of prompt files: what a file means, what is refused in one, which file an id names, what a change does.

`tests/dotprompt/renders.yaml` holds files with what becomes of them, `problems.yaml` files with what is wrong in them.
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import pytest
import yaml
from running import CHAT, eventually, running, upstream
from scripted import scripted, whole
from test_reload import Reloading

from engine.catalogue import Scope
from engine.ports.dotprompt_file import read_prompt
from engine.ports.prompt_text import PromptTemplate, WrongVariable
from engine.rules import yaml_text
from engine.rules.load import load
from engine.runtime.reload import Watched, watch
from engine.source import Source

DATA = Path(__file__).parent / "dotprompt"


def cases(name: str) -> list[Any]:
    found = yaml.safe_load((DATA / name).read_text(encoding="utf-8"))
    return [pytest.param(case, id=case.get("says", str(case["text"]))) for case in found]


def read(text: str) -> tuple[PromptTemplate | None, Scope]:
    scope = Scope(reader=yaml_text)
    return read_prompt(Source("a.prompt", text), scope), scope


@pytest.mark.parametrize("case", cases("renders.yaml"))
def test_what_a_file_becomes(case: dict[str, Any]) -> None:
    template, scope = read(case["text"])
    if case.get("problem"):
        assert template is None
        return
    assert [problem.message for problem in scope.problems] == []
    assert template is not None
    if "wrong" in case:
        with pytest.raises(WrongVariable) as raised:
            template.render(case.get("variables", {}))
        assert [raised.value.name, str(raised.value)] == case["wrong"]
        return
    messages, config = template.render(case.get("variables", {}))
    assert messages == case["messages"]
    assert config == case.get("config", config)


@pytest.mark.parametrize("case", cases("problems.yaml"))
def test_what_is_wrong_in_a_file(case: dict[str, Any]) -> None:
    template, scope = read(case["text"])
    assert template is None
    (problem,) = scope.problems
    shown = case["text"][problem.span.start : problem.span.end]
    assert (problem.code, shown) == (case["code"], case["at"])
    assert case["help"] in problem.help
    assert problem.span.source.name == "a.prompt"
    assert problem.span.source.line(problem.as_json()["line"]) in case["text"].split("\n")  # type: ignore[arg-type]


# --- folders ----------------------------------------------------------------------------------------------------------

RULES = "prompt_sources: {house: {dotprompt: prompts}}\n"


def folder(at: Path, files: dict[str, str]) -> Any:
    """The source of a folder with these files."""
    for name, text in files.items():
        (at / "prompts" / name).parent.mkdir(parents=True, exist_ok=True)
        (at / "prompts" / name).write_text(text)
    (at / "rules.yaml").write_text(RULES + "rules: []\n")
    loaded = load(str(at / "rules.yaml"))
    assert loaded.fine, loaded.problems
    return loaded.tables["prompt_source"]["house"]


def text_of(found: PromptTemplate | None) -> str | None:
    return None if found is None else found.render({})[0][0]["content"]


def test_ids_labels_and_versions(tmp_path: Path) -> None:
    names = "greet.prompt greet.formal.prompt greet.v2.prompt team/a/b.prompt only.v2.prompt only.v10.prompt"
    names += " only.vx.prompt lab.production.prompt .hidden.prompt .git/x.prompt notes.txt a/b/c/d/e/f.prompt"
    names += " a/b/c/d/e/f/g.prompt"
    house = folder(tmp_path, {name: name for name in names.split()})
    for asked, wanted in {
        ("greet", None, None): "greet.prompt",
        ("greet", "production", None): "greet.prompt",
        ("greet", "latest", None): "greet.prompt",
        ("greet", "formal", None): "greet.formal.prompt",
        ("greet.formal", None, None): "greet.formal.prompt",
        ("greet", "formal", "2"): "greet.v2.prompt",
        ("greet", None, "v2"): "greet.v2.prompt",
        ("greet", None, "3"): None,
        ("greet", "casual", None): None,
        ("team/a/b", None, None): "team/a/b.prompt",
        ("team/../greet", None, None): None,
        ("../rules", None, None): None,
        ("only", None, None): "only.v10.prompt",
        ("lab", None, None): None,
        ("lab", "production", None): "lab.production.prompt",
        (".hidden", None, None): None,
        ("notes", None, None): None,
        ("a/b/c/d/e/f", None, None): "a/b/c/d/e/f.prompt",
        ("a/b/c/d/e/f/g", None, None): None,
    }.items():
        assert text_of(house.find(*asked)) == wanted, asked


def test_links_that_lead_back_are_not_followed(tmp_path: Path) -> None:
    folder(tmp_path, {"a.prompt": "a", "sub/b.prompt": "b"})
    os.symlink(tmp_path / "prompts", tmp_path / "prompts" / "sub" / "loop")
    os.symlink(tmp_path / "prompts" / "sub", tmp_path / "prompts" / "also")
    os.symlink(tmp_path / "nowhere", tmp_path / "prompts" / "gone.prompt")
    assert folder(tmp_path, {}).ids() == ["a", "also/b", "sub/b"]


@pytest.mark.parametrize(
    ("files", "code", "message"),
    [
        ({"rules.yaml": ""}, "missing-file", "there is no folder `prompts`"),
        ({"prompts": "x"}, "missing-file", "`prompts` is a file, not a folder"),
        ({"prompts/a.prompt": b"\xff"}, "not-utf8", "the byte 0xFF is not UTF-8"),
        ({"prompts/a.prompt": "a" * 1_048_577}, "too-large", "a prompt of more than 1,048,576 characters"),
    ],
)
def test_a_folder_that_cannot_be_read(files: dict[str, Any], code: str, message: str, tmp_path: Path) -> None:
    for name, text in {**files, "rules.yaml": RULES + "rules: []\n"}.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    before = os.getcwd()
    os.chdir(tmp_path)
    try:
        problems = load("rules.yaml").problems
    finally:
        os.chdir(before)
    errors = [problem for problem in problems if problem.severity == "error"]
    assert [(problem.code, problem.message) for problem in errors] == [(code, message)]


# --- changes ----------------------------------------------------------------------------------------------------------


def test_what_changes_a_folder(tmp_path: Path) -> None:
    (tmp_path / "prompts" / "sub").mkdir(parents=True)
    rules = RULES + "rules: [{name: r, actions: [{use_prompt: {source: house, id: '{{ request.prompt_id }}'}}]}]\n"
    one = Reloading(tmp_path, rules, **{"prompts/greet_prompt": "one"})
    (tmp_path / "prompts" / "notes.txt").write_text("not one of them")
    assert not one.watched.changed()
    versions = {one.program.version}
    for name, text in (
        ("prompts/greet.prompt", "two"),
        ("prompts/sub/new.prompt", "new"),
        ("prompts/deep/er/new.prompt", "new"),
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        one.write(name, text)
        assert one.watched.changed(), name
        versions.add(one.look().version)
        assert not one.watched.changed()
    assert len(versions) == 4
    one.write("prompts/greet.prompt", "{{#if")
    assert one.watched.changed()
    assert one.look() is None
    assert [(problem.code, problem.span.source.name) for problem in one.problems] == [
        ("bad-prompt", str(tmp_path / "prompts" / "greet.prompt"))
    ]
    (tmp_path / "prompts" / "greet.prompt").unlink()
    assert one.watched.changed()
    assert one.look() is not None


async def test_a_change_is_served_and_a_broken_file_leaves_the_last_good_one(tmp_path: Path) -> None:
    (tmp_path / "prompts").mkdir()
    prompt = tmp_path / "prompts" / "greet.prompt"
    prompt.write_text("one")
    rules = RULES + "rules: [{name: r, actions: [{use_prompt: {source: house, id: greet}}]}]\n"
    async with scripted(whole(b"{}")) as up, running(upstream(up.url) + rules, tmp_path) as run:
        heard: list[Any] = []
        file = str(tmp_path / "rules.yaml")
        watching = asyncio.create_task(
            watch(Watched(file, load(file)), run.gateway, heard.append, asyncio.Event(), pause=0.02)
        )

        async def said() -> bytes:
            await run.post(body=CHAT)
            return up.requests[-1].body

        async def becomes(text: str) -> None:
            prompt.write_text(text)
            before = len(heard)
            await eventually(lambda: len(heard) > before)

        try:
            assert b'"one"' in await said()
            await becomes("the second")
            assert b'"the second"' in await said()
            await becomes("{{#each")
            assert [problem.code for problem in heard[-1]] == ["bad-prompt"]
            assert b'"the second"' in await said()
            await becomes("the third one")
            assert b'"the third one"' in await said()
        finally:
            watching.cancel()
