"""Authors' Python: how it is found, what is wrong with it, and what it may do to an exchange."""

from __future__ import annotations

import gc
import sys
from pathlib import Path
from typing import Any

import pytest
from test_actions import applied, exchange, told

from engine.actions.callback import CallbackAction
from engine.catalogue import BAD, Scope
from engine.phases import PHASES
from engine.ports.callbacks import CallbackEntry
from engine.rules.yaml_text import compose
from engine.source import Source

HEAD = "from engine import Callback\n"
PLAIN = HEAD + "class Tag(Callback):\n    def request(self, context):\n        context.tag({})\n"


def cases(name: str) -> list[Any]:
    file = Path(__file__).with_suffix("").with_name("callbacks.yaml")
    root, problems = compose(Source(file.name, file.read_text("utf-8")))
    assert root is not None
    assert not problems
    return [pytest.param(case, id=case["title"]) for case in root.plain()[name]]


def compiled_files(folder: Path) -> list[Path]:
    return list(folder.rglob("*.pyc"))


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        place = folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)


def read(folder: Path, value: str, phase: str = "request", scope: Scope | None = None) -> tuple[Any, Scope]:
    node, problems = compose(Source("rules.yaml", value))
    assert node is not None
    assert not problems
    scope = scope or Scope(folder=str(folder))
    scope.phases = frozenset({PHASES[phase]})
    return CallbackAction.read(node, scope), scope


async def run(folder: Path, body: str, phase: str = "request", given: dict[str, Any] | None = None) -> tuple[Any, Any]:
    write(folder, {"hooks.py": HEAD + "class It(Callback):\n" + body})
    action, scope = read(folder, "hooks.It", phase)
    assert action is not BAD, scope.problems
    x = exchange(given or {})
    return await applied(action, phase, x), x


# --- finding ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", cases("found"))
async def test_found_beside_the_rules(tmp_path: Path, case: dict[str, Any]) -> None:
    write(tmp_path, case["files"])
    before = list(sys.path)
    action, scope = read(tmp_path, case["use"])
    assert action is not BAD, scope.problems
    x = exchange({})
    assert told(await applied(action, "request", x)) == "acted"
    assert x.tags == ["found"]
    assert sys.path == before
    assert compiled_files(tmp_path) == []


def test_ours_is_never_shadowed(tmp_path: Path) -> None:
    write(tmp_path, {"engine.py": PLAIN.format("1"), "hooks.py": PLAIN.format("1")})
    for path in ("engine.Tag", "hooks.Tag"):
        assert read(tmp_path, path)[0] is not BAD
    import engine

    assert Path(engine.__file__).parent.name == "engine"


async def test_found_on_the_import_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, {"elsewhere/installed_hooks.py": PLAIN.format('"found"')})
    monkeypatch.syspath_prepend(tmp_path / "elsewhere")
    action, scope = read(tmp_path, "installed_hooks.Tag")
    assert action is not BAD, scope.problems


async def test_a_changed_file_and_its_neighbours_are_read_anew(tmp_path: Path) -> None:
    found = []
    for word in ("one", "two"):
        write(
            tmp_path,
            {
                "hooks.py": "import near_by\n" + PLAIN.format(f"near_by.NAME, '{word}'"),
                "near_by.py": f"NAME = 'near {word}'",
            },
        )
        action, scope = read(tmp_path, "hooks.Tag")
        assert action is not BAD, scope.problems
        x = exchange({})
        await applied(action, "request", x)
        found.append(x.tags)
    assert found == [["near one", "one"], ["near two", "two"]]


def test_one_load_imports_a_file_once(tmp_path: Path) -> None:
    write(tmp_path, {"hooks.py": HEAD + "class It(Callback):\n    def request(self, context): ...\none = two = It()\n"})
    first, scope = read(tmp_path, "hooks.one")
    second, _ = read(tmp_path, "hooks.two", scope=scope)
    assert first.use.target is second.use.target


def test_neighbours_exist_for_authors_only(tmp_path: Path) -> None:
    write(tmp_path, {"hooks.py": "import only_here\n" + PLAIN.format("1"), "only_here.py": "", "not_asked_for.py": ""})
    assert read(tmp_path, "hooks.Tag")[0] is not BAD
    with pytest.raises(ModuleNotFoundError):
        __import__("not_asked_for")


def test_modules_go_with_the_rules_that_loaded_them(tmp_path: Path) -> None:
    write(tmp_path, {"hooks.py": PLAIN.format("1")})
    gc.collect()
    before = {name for name in sys.modules if name.startswith("pointsman_authored_")}
    loaded = read(tmp_path, "hooks.Tag")
    assert {name for name in sys.modules if name.startswith("pointsman_authored_")} > before
    del loaded
    gc.collect()
    assert {name for name in sys.modules if name.startswith("pointsman_authored_")} <= before


# --- problems --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", cases("problems"))
def test_problems(tmp_path: Path, case: dict[str, Any]) -> None:
    write(tmp_path, {"hooks.py": HEAD + case.get("source", "")})
    action, scope = read(tmp_path, str(case["value"]))
    assert action is BAD
    (problem,) = scope.problems
    place = problem.span.source.text[problem.span.start : problem.span.end]
    assert (problem.code, place) == (case["code"], case["at"])
    assert case["says"] in problem.message
    assert case["help"] in problem.help


# --- running ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["def", "async def"])
async def test_the_body_is_changed_in_place(tmp_path: Path, kind: str) -> None:
    original = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
    effect, x = await run(
        tmp_path,
        f"""
    {kind} request(self, context):
        context.request["messages"][0]["content"] += " there"
        assert context.prompt_text == "hi there"
        context.request["model"] = "n"
""",
        given={"request": original},
    )
    assert told(effect) == "acted"
    assert x.request == {"model": "n", "messages": [{"role": "user", "content": "hi there"}]}
    assert original == {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
    assert x.prompt_text == "hi there"


async def test_the_body_may_be_assigned(tmp_path: Path) -> None:
    body = "    def request(self, context):\n        context.request = {**context.request, 'n': (1, 2)}\n"
    effect, x = await run(tmp_path, body)
    assert (told(effect), x.request["n"]) == ("acted", [1, 2])


async def test_reading_alone_changes_nothing(tmp_path: Path) -> None:
    given = {"request": {"model": "m", "messages": []}, "headers": {"x-a": "b", "authorization": "Bearer s"}}
    effect, x = await run(
        tmp_path,
        """
    def request(self, context):
        context.request["messages"]
        assert context.headers == {"x-a": "b"}
        context.headers["x-a"] = "c"
        assert (context.call_type, context.stream, context.key, context.response) == ("completion", False, None, None)
        assert context.time["now"] == "2026-01-02T03:04:05Z"
""",
        given=given,
    )
    assert told(effect) == "noop"
    assert x.request is given["request"]
    assert x.headers == {"x-a": "b"}


async def test_the_answer_is_changed_in_place(tmp_path: Path) -> None:
    given = {"response": {"choices": [{"index": 0, "message": {"role": "assistant", "content": "a"}}]}}
    effect, x = await run(
        tmp_path,
        """
    def response(self, context):
        assert context.completion_text == "a"
        context.response["body"]["choices"][0]["message"]["content"] = "b"
""",
        phase="response",
        given=given,
    )
    assert told(effect) == "acted"
    assert x.completion_text == "b"
    assert given["response"]["choices"][0]["message"]["content"] == "a"


async def test_what_a_callback_keeps_cannot_change_the_exchange_later(tmp_path: Path) -> None:
    _, x = await run(
        tmp_path,
        """
    def request(self, context):
        context.request["n"] = [1]
        context.set_var("kept", context.request["n"])
        context.tag("a", "b", "a")
        self.kept = context.request
""",
    )
    assert (x.request["n"], x.vars, x.tags) == ([1], {"kept": [1]}, ["a", "b"])
    assert x.vars["kept"] is not x.request["n"]


@pytest.mark.parametrize(
    ("call", "effect"),
    [
        ("reject('no')", {"status": 400, "type": "invalid_request_error", "code": "rule_rejected", "message": "no"}),
        ("reject('no', 403, 'policy', 'c')", {"status": 403, "type": "policy", "code": "c", "message": "no"}),
        (
            "reject('one'); context.reject('two')",
            {"status": 400, "type": "invalid_request_error", "code": "rule_rejected", "message": "one"},
        ),
        ("reject_with_message('sorry')", {"says": "sorry"}),
    ],
)
async def test_refusing(tmp_path: Path, call: str, effect: dict[str, Any]) -> None:
    found, _ = await run(tmp_path, f"    def request(self, context):\n        context.{call}\n")
    assert told(found) == effect


async def test_an_endpoint_without_assistant_gets_an_error(tmp_path: Path) -> None:
    found, _ = await run(
        tmp_path,
        "    def request(self, context):\n        context.reject_with_message('sorry')\n",
        given={"path": "/v1/embeddings", "request": {"model": "m", "input": "x"}},
    )
    assert told(found)["status"] == 400


@pytest.mark.parametrize(
    ("phase", "call", "error"),
    [
        ("request", "reject('no', status=200)", "between 400 and 599"),
        ("log", "reject('no')", "nothing can be refused in phase log"),
        ("request", "request['x'] = object()", "`request.x` is an object"),
        ("request", "request[1] = 1", "a key that is no text"),
        ("request", "set_var('x', {1, 2})", "`vars.x` is a set"),
        ("request", "request.clear(); context.request = None", "must stay an object"),
        ("request", "request['x'] = 1; return 5", "returned an int"),
        ("request", "headers = {}", "`context.headers` is for reading"),
        ("request", "nosuch", "nosuch"),
        ("request", "tag('x'); raise KeyError('mine')", "mine"),
    ],
)
async def test_errors_are_errors_of_the_rule(tmp_path: Path, phase: str, call: str, error: str) -> None:
    with pytest.raises(Exception, match=error):
        await run(tmp_path, f"    def {phase}(self, context):\n        context.{call}\n", phase=phase)


async def test_an_entry_of_callbacks_has_a_hook_for_each_of_its_phases(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "hooks.py": HEAD + "class It(Callback):\n    def request(self, c): c.tag('in')\n"
            "    async def log(self, c): c.tag('out')\n"
        },
    )
    node, _ = compose(Source("rules.yaml", "hooks.It"))
    assert node is not None
    loaded = CallbackEntry.read(node, Scope(folder=str(tmp_path)))
    assert {phase.name for phase in loaded.hooks} == {"request", "log"}
    x = exchange({})
    for phase in ("request", "log"):
        outcome = await loaded.hooks[PHASES[phase]](x)
        assert outcome == (True, None)
    assert x.tags == ["in", "out"]
