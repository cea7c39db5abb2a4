"""Callbacks in LiteLLM's form: how they are recognised and called, and what their return values mean."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from test_actions import exchange, told

from engine.catalogue import BAD, Scope
from engine.document.exchange import Exchange
from engine.phases import FAILURE, LOG, MODERATION, PHASES, REQUEST, RESPONSE, STREAM
from engine.ports.callbacks import CallbackEntry, FailureFunction, FunctionEntry, InputFunction, registered
from engine.ports.litellm_cache import DualCache
from engine.ports.litellm_open import Open
from engine.rules.yaml_text import compose
from engine.source import Source

REAL = find_spec("litellm") is not None
HEAD = """
import litellm
from fastapi import HTTPException
from litellm.integrations.custom_logger import CustomLogger
"""
CLASS = "class It(CustomLogger):\n"
ANSWER = {"choices": [{"index": 0, "message": {"role": "assistant", "content": "a"}, "finish_reason": "stop"}]}


def read(folder: Path, source: str, path: str = "hooks.It", entry: Any = CallbackEntry) -> tuple[Any, Scope]:
    (folder / "hooks.py").write_text(source)
    node, problems = compose(Source("rules.yaml", path))
    assert node is not None
    assert not problems
    scope = Scope(folder=str(folder))
    return entry.read(node, scope), scope


def loaded(folder: Path, methods: str, head: str = HEAD + CLASS) -> Any:
    """A callback of a class that has these methods."""
    found, scope = read(folder, head + methods)
    assert found is not BAD, scope.problems
    return found


async def ran(
    folder: Path, phase: Any, method: str, given: dict[str, Any] | None = None, **more: Any
) -> tuple[Any, Exchange]:
    x = exchange(given or {})
    for name, value in more.items():
        setattr(x, name, value)
    return await loaded(folder, method).hooks[phase](x), x


PRE = "    async def async_pre_call_hook(self, user_api_key_dict, cache, data, call_type):\n        {body}\n"


# --- recognising ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "path", "phases"),
    [
        (HEAD + CLASS + PRE.format(body="pass"), "hooks.It", ["request"]),
        (HEAD + CLASS + PRE.format(body="pass") + "it = It()\n", "hooks.it", ["request"]),
        ("class It:\n" + PRE.format(body="pass"), "hooks.It", ["request"]),
        (
            HEAD + "class Base(CustomLogger):\n" + PRE.format(body="pass") + "class It(Base):\n    pass\n",
            "hooks.It",
            ["request"],
        ),
        (
            HEAD + CLASS + "    def log_success_event(self, kwargs, response_obj, start_time, end_time): ...\n",
            "hooks.It",
            ["attempt", "log"],
        ),
        (
            HEAD + CLASS + "    def __init__(self):\n        self.async_moderation_hook = self.check\n"
            "    async def check(self, data): ...\nit = It()\n",
            "hooks.it",
            ["moderation"],
        ),
    ],
)
def test_a_class_or_an_instance_with_its_methods(source: str, path: str, phases: list[str], tmp_path: Path) -> None:
    found, scope = read(tmp_path, source, path)
    assert found is not BAD, scope.problems
    assert [phase.name for phase in PHASES.values() if phase in found.hooks] == phases


@pytest.mark.parametrize(
    ("source", "says", "help"),
    [
        (
            HEAD + CLASS + "    pass\n",
            "defines no method that is called",
            "it may define: async_get_chat_completion_prompt",
        ),
        (
            HEAD + CLASS + "    def async_pre_call_hok(self, data): ...\n",
            "no method",
            "did you mean `async_pre_call_hook`?",
        ),
        (
            HEAD + CLASS + "    async def async_pre_call_hook(self): ...\n",
            "takes no argument",
            "user_api_key_dict, cache",
        ),
        (
            HEAD + CLASS + "    async def async_pre_call_hook(self, data, colour): ...\n",
            "takes `colour`, which nobody gives",
            "async_pre_call_hook(self, user_api_key_dict, cache, data, call_type)",
        ),
        (HEAD + CLASS + "    async def async_pre_call_hook(self, a, b, c, d, e): ...\n", "takes `e`", "cache, data"),
        (
            HEAD + CLASS + "    def log_success_event(self, kwargs): ...\n",
            "is called with 4 arguments",
            "log_success_event(self, kwargs, response_obj, start_time, end_time)",
        ),
        (
            HEAD + CLASS + "    def log_pre_api_call(self, model, messages): ...\n",
            "3 arguments",
            "model, messages, kwargs",
        ),
        (HEAD + CLASS + "    def get_chat_completion_prompt(self, a, b, c): ...\n", "takes `a`", "non_default_params"),
        (HEAD + CLASS + "    async_pre_call_hook = 5\n", "is an int, not a method", ""),
        (
            HEAD + CLASS + "    def __init__(self, level): ...\n" + PRE.format(body="pass"),
            "missing a required argument",
            "`with`",
        ),
    ],
)
def test_what_is_none_is_a_problem(source: str, says: str, help: str, tmp_path: Path) -> None:
    found, scope = read(tmp_path, source)
    assert found is BAD
    (problem,) = scope.problems
    assert problem.code == "bad-callback"
    assert says in problem.message
    assert help in problem.help


@pytest.mark.skipif(REAL, reason="the real package is installed")
@pytest.mark.parametrize(
    ("source", "says", "help"),
    [
        ("from litellm import acompletion\n", "needs `litellm.acompletion`", "pip install 'litellm'"),
        ("import litellm.caching\n", "needs `litellm.caching`", "pip install 'litellm'"),
        ("from litellm.proxy._types import ProxyException\n", "needs `litellm.proxy._types`", "litellm[proxy]"),
        ("from fastapi import Request\n", "needs `fastapi.Request`", "pip install 'fastapi'"),
        (
            "import litellm\nlitellm.completion_cost\n",
            "`litellm.completion_cost` needs the package litellm",
            "hooks.py, line 2",
        ),
    ],
)
def test_what_is_not_lent_is_a_problem_naming_the_package(source: str, says: str, help: str, tmp_path: Path) -> None:
    test_what_is_none_is_a_problem(source, says, help, tmp_path)


@pytest.mark.parametrize(
    "signature",
    [
        "self, user_api_key_dict, cache, data, call_type",
        "self, data, call_type, cache, user_api_key_dict",
        "self, data",
        "self, *, data",
        "self, data, /",
        "self, a, b, data, d",
        "self, data, more=1",
        "self, data, **rest",
        "self, user_api_key_dict: 'U', cache: 'C', data: dict, call_type: Nothing[at, all]",
    ],
)
async def test_a_method_gets_what_it_takes(signature: str, tmp_path: Path) -> None:
    method = f"    async def async_pre_call_hook({signature}):\n        data['model'] = 'n'\n"
    outcome, x = await ran(tmp_path, REQUEST, method)
    assert (outcome.changed, x.request["model"]) == (True, "n")


@pytest.mark.parametrize("signature", ["self, a, b, c, d", "self, *args", "self, **kwargs"])
async def test_by_place_and_by_whatever_name(signature: str, tmp_path: Path) -> None:
    data = {"self, a, b, c, d": "c", "self, *args": "args[2]", "self, **kwargs": "kwargs['data']"}[signature]
    outcome, x = await ran(
        tmp_path, REQUEST, f"    def async_pre_call_hook({signature}):\n        {data}['model'] = 'n'\n"
    )
    assert (outcome.changed, x.request["model"]) == (True, "n")


# --- functions and what files register --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("entry", "source", "fine"),
    [
        (FunctionEntry, "def it(kwargs, completion_response, start_time, end_time): ...", True),
        (FunctionEntry, "def it(a, b, c, d=1, *more): ...", True),
        (FunctionEntry, "async def it(kwargs, obj, start, end): ...", True),
        (FailureFunction, "import functools\nit = functools.partial(print, 1)", True),
        (InputFunction, "def it(kwargs): ...", True),
        (FunctionEntry, "def it(kwargs): ...", False),
        (InputFunction, "def it(kwargs, response): ...", False),
        (FunctionEntry, "class it: ...", False),
        (FunctionEntry, "it = 5", False),
    ],
)
def test_functions(entry: Any, source: str, fine: bool, tmp_path: Path) -> None:
    found, scope = read(tmp_path, source, "hooks.it", entry)
    assert (found is not BAD) is fine
    assert [problem.code for problem in scope.problems] == ([] if fine else ["bad-callback"])


REGISTERS = HEAD + CLASS + PRE.format(body="pass") + "it = It()\nother = It()\ndef f(a, b, c, d): ...\n"


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("litellm.callbacks = [it]", []),
        ("litellm.success_callback = [f]\nlitellm.failure_callback = [f]", ["hooks.f", "hooks.f"]),
        ("litellm.success_callback.append(f)", ["hooks.f"]),
        ("litellm.input_callback = f2 = lambda kwargs: None", ["hooks.<lambda>"]),
    ],
)
def test_what_a_file_registers_is_loaded_unless_it_is_named(source: str, names: list[str], tmp_path: Path) -> None:
    found, scope = read(tmp_path, REGISTERS + source, "hooks.it")
    assert found is not BAD
    assert [one.name for one in registered(scope)] == names
    assert not scope.problems


def test_a_registered_instance_of_another_class_is_loaded(tmp_path: Path) -> None:
    source = REGISTERS + "class Other(It): ...\nlitellm.callbacks = [it, Other()]\n"
    _, scope = read(tmp_path, source, "hooks.it")
    assert [one.name for one in registered(scope)] == ["hooks.Other"]


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("litellm.success_callback = ['langfuse']", "names 'langfuse', an integration of LiteLLM's own"),
        ("litellm.success_callback = [print_it]", "called with 4 arguments"),
    ],
)
def test_what_a_file_registers_must_be_good(source: str, says: str, tmp_path: Path) -> None:
    _, scope = read(tmp_path, REGISTERS + "def print_it(x): ...\n" + source, "hooks.it")
    registered(scope)
    (problem,) = scope.problems
    assert says in problem.message


# --- imports ----------------------------------------------------------------------------------------------------------


async def test_imports_within_functions_and_of_neighbours_find_the_stand_ins(tmp_path: Path) -> None:
    (tmp_path / "beside.py").write_text("from litellm.integrations.custom_logger import CustomLogger\nimport litellm\n")
    source = (
        "from beside import CustomLogger\n"
        + CLASS
        + PRE.format(
            body="""from fastapi import HTTPException
        import litellm.proxy.proxy_server as s, litellm
        raise HTTPException(418, f"{s.DualCache.__name__} {litellm.utils.get_formatted_prompt(data, call_type)}")"""
        )
    )
    found, scope = read(tmp_path, source)
    assert found is not BAD, scope.problems
    outcome = await found.hooks[REQUEST](exchange({}))
    assert (outcome.answer.status, outcome.answer.message) == (418, "DualCache hi")


@pytest.mark.skipif(REAL, reason="the real package is installed")
def test_nobody_else_sees_the_stand_ins(tmp_path: Path) -> None:
    before = set(sys.modules)
    loaded(tmp_path, PRE.format(body="pass"))
    assert {name for name in set(sys.modules) - before if not name.startswith("pointsman_authored")} == set()
    with pytest.raises(ModuleNotFoundError):
        __import__("litellm")


# --- before the call --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "effect", "changed"),
    [
        ("return {'model': 'n', 'messages': []}", "acted", {"model": "n", "messages": []}),
        ("data['user'] = 'u'", "acted", {"model": "m", "messages": [{"role": "user", "content": "hi"}], "user": "u"}),
        (
            "data['messages'][0]['content'] = 'ho'; return data",
            "acted",
            {"model": "m", "messages": [{"role": "user", "content": "ho"}]},
        ),
        ("return data", "noop", None),
        ("return None", "noop", None),
        (
            "data['metadata'], data.get('metadata'), data['proxy_server_request']['headers'], data['litellm_call_id']",
            "noop",
            None,
        ),
        (
            "data['metadata']['a'] = 1",
            "acted",
            {"model": "m", "messages": [{"role": "user", "content": "hi"}], "metadata": {"a": 1}},
        ),
        ("return 'sorry'", {"says": "sorry"}, None),
        (
            "raise HTTPException(status_code=403, detail='no')",
            {"status": 403, "type": "permission_error", "message": "no"},
            None,
        ),
        (
            "raise HTTPException(status_code=429, detail={'error': 'slow'})",
            {"status": 429, "type": "rate_limit_error", "message": "slow"},
            None,
        ),
        ("return HTTPException(422, {'error': {'message': 'odd', 'x': 1}})", {"status": 422, "message": "odd"}, None),
        ("return HTTPException(422, {'message': 'odd'})", {"status": 422, "message": "odd"}, None),
        (
            "error = ValueError('busy'); error.status_code = '503'; raise error",
            {"status": 503, "message": "busy"},
            None,
        ),
    ],
)
async def test_what_a_pre_call_hook_means(body: str, effect: Any, changed: Any, tmp_path: Path) -> None:
    given = {"request": {"model": "m", "messages": [{"role": "user", "content": "hi"}]}}
    outcome, x = await ran(tmp_path, REQUEST, PRE.format(body=body), given)
    found = told(outcome.answer if outcome.answer is not None else None) if outcome.changed else "noop"
    if isinstance(effect, dict):
        assert {name: found.get(name) for name in effect} == effect
    else:
        assert found == effect
    assert x.request == (changed or given["request"])
    if changed is None:
        assert x.request is given["request"]


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ("raise ValueError('mine')", "mine"),
        ("return 5", "returned an int"),
        ("raise HTTPException(200, 'fine')", "fine"),
        ("data['x'] = object()", "`data.x` is an object"),
        ("return {1: 2}", "a key that is no text"),
    ],
)
async def test_anything_else_is_an_error_of_the_rule(body: str, error: str, tmp_path: Path) -> None:
    with pytest.raises(Exception, match=error):
        await ran(tmp_path, REQUEST, PRE.format(body=body))


async def test_a_text_where_there_is_no_assistant_is_refused(tmp_path: Path) -> None:
    outcome, _ = await ran(
        tmp_path,
        REQUEST,
        PRE.format(body="return 'sorry'"),
        {"path": "/v1/embeddings", "request": {"model": "m", "input": "x"}},
    )
    assert (outcome.answer.status, outcome.answer.message) == (400, "sorry")


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/v1/chat/completions", "completion"),
        ("/v1/completions", "text_completion"),
        ("/v1/embeddings", "embeddings"),
        ("/v1/images/generations", "image_generation"),
        ("/v1/moderations", "moderation"),
        ("/v1/audio/transcriptions", "audio_transcription"),
        ("/v1/audio/speech", "aspeech"),
        ("/v1/rerank", "rerank"),
        ("/v1/responses", "responses"),
        ("/v1/messages", "anthropic_messages"),
    ],
)
async def test_call_types_go_by_documented_names(path: str, name: str, tmp_path: Path) -> None:
    _, x = await ran(
        tmp_path, REQUEST, PRE.format(body="data['seen'] = call_type"), {"path": path, "request": {"model": "m"}}
    )
    assert x.request["seen"] == name


async def test_the_caller_is_known_by_attribute_and_by_key(tmp_path: Path) -> None:
    body = """data['seen'] = [user_api_key_dict.user_id, user_api_key_dict["team_id"], user_api_key_dict.key_alias,
                        user_api_key_dict.metadata["tier"], user_api_key_dict.api_key, user_api_key_dict.max_budget]"""
    key = {"name": "ci", "team": "core", "user": "u", "models": None, "metadata": {"tier": "gold"}}
    _, x = await ran(tmp_path, REQUEST, PRE.format(body=body), {"headers": {"authorization": "Bearer sk-1"}}, key=key)
    *known, hashed, budget = x.request["seen"]
    assert (known, budget) == (["u", "core", "ci", "gold"], None)
    assert "sk-1" not in hashed
    assert len(hashed) == 64


async def test_the_cache_lasts_from_hook_to_hook(tmp_path: Path) -> None:
    body = "data['seen'] = await cache.async_increment_cache('test of hooks', 2)"
    found = loaded(tmp_path, PRE.format(body=body))
    seen = []
    for _ in range(2):
        x = exchange({})
        await found.hooks[REQUEST](x)
        seen.append(x.request["seen"])
    assert seen[1] - seen[0] == 2


# --- beside and after the call ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("signature", ["self, data", "self, data, user_api_key_dict, call_type"])
async def test_a_moderation_hook_refuses_and_changes_nothing(signature: str, tmp_path: Path) -> None:
    method = f"""
    async def async_moderation_hook({signature}):
        data['model'] = 'n'
        raise HTTPException(400, 'no')
"""
    outcome, x = await ran(tmp_path, MODERATION, method)
    assert (outcome.answer.status, outcome.answer.message, x.request["model"]) == (400, "no", "m")


SUCCESS = "    async def async_post_call_success_hook(self, data, user_api_key_dict, response):\n        {body}\n"


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ("response.choices[0].message.content = 'b'", "b"),
        ("response['choices'][0]['message']['content'] += '!'", "a!"),
        ("setattr(response.choices[0].message, 'content', response.choices[0].message.tool_calls or 'none')", "none"),
        ("return {'choices': [{'index': 0, 'message': {'role': 'assistant', 'content': 'c'}}]}", "c"),
        ("response.choices.append({'index': 1, 'message': {}}); response.choices[1].message.content = 'd'", "a\nd"),
        ("pass", "a"),
    ],
)
async def test_the_answer_is_written_by_attribute_and_by_key(body: str, text: str, tmp_path: Path) -> None:
    outcome, x = await ran(tmp_path, RESPONSE, SUCCESS.format(body=body), {"response": ANSWER})
    assert x.completion_text == text
    assert outcome.changed is (body != "pass")
    assert ANSWER["choices"][0]["message"]["content"] == "a"


async def test_a_success_hook_refuses_or_adds_headers(tmp_path: Path) -> None:
    outcome, _ = await ran(
        tmp_path, RESPONSE, SUCCESS.format(body="raise HTTPException(451, 'no')"), {"response": ANSWER}
    )
    assert outcome.answer.status == 451
    body = "response._hidden_params['additional_headers']['X-Mine'] = 1"
    outcome, x = await ran(tmp_path, RESPONSE, SUCCESS.format(body=body), {"response": ANSWER})
    assert (outcome, x.to_client) == ((True, None), {"x-mine": "1"})


@pytest.mark.parametrize("body", ["return 5", "response.choices = object()"])
async def test_nonsense_from_a_success_hook_is_an_error(body: str, tmp_path: Path) -> None:
    with pytest.raises(TypeError):
        await ran(tmp_path, RESPONSE, SUCCESS.format(body=body), {"response": ANSWER})


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ("return HTTPException(418, str(original_exception.status_code))", 418),
        ("raise HTTPException(418, '502')", 418),
        ("pass", None),
    ],
)
async def test_a_failure_hook_replaces_the_error(body: str, status: int | None, tmp_path: Path) -> None:
    method = (
        "    async def async_post_call_failure_hook(self, request_data, original_exception, user_api_key_dict):\n"
        f"        {body}\n"
    )
    error = {"status": 502, "type": "api_error", "code": None, "message": "gone", "source": "connection", "param": None}
    outcome, _ = await ran(tmp_path, FAILURE, method, error=error)
    assert (outcome.answer.status if outcome.answer else None) == status
    if outcome.answer:
        assert outcome.answer.message == "502"


async def test_as_an_action_a_streaming_hook_can_refuse(tmp_path: Path) -> None:
    method = """
    async def async_post_call_streaming_hook(self, user_api_key_dict, response):
        if "a" in response:
            raise HTTPException(400, "no")
"""
    outcome, _ = await ran(tmp_path, STREAM, method, {"response": ANSWER})
    assert outcome.answer.message == "no"


# --- the cache and the objects ----------------------------------------------------------------------------------------


async def test_the_cache_forgets_in_time_and_is_bounded() -> None:
    now = [0.0]
    cache = DualCache(most=2, clock=lambda: now[0])
    await cache.async_set_cache("a", 1, ttl=10)
    assert (cache.get_cache("a"), await cache.async_get_cache(key="none")) == (1, None)
    cache.increment_cache("n", 2, ttl=5)
    assert await cache.async_increment_cache(key="n", value=3) == 5
    assert await cache.async_batch_get_cache(["a", "n", "none"]) == [1, 5, None]
    now[0] = 6.0
    assert cache.batch_get_cache(keys=["a", "n"]) == [1, None]
    cache.set_cache(key="b", value=2)
    cache.set_cache(key="c", value=3)
    assert cache.batch_get_cache(["a", "b", "c"]) == [None, 2, 3]
    cache.delete_cache("b")
    assert cache.get_cache("b") is None


def test_objects_read_and_write_both_ways() -> None:
    it = Open({"a": {"b": [{"c": 1}]}})
    it.a.b[0].c += 1
    it["a"]["b"].append({"c": 5})
    it.a.b[1].d = {"e": 1}
    it.a.b[1].d.e = 2
    assert it == {"a": {"b": [{"c": 2}, {"c": 5, "d": {"e": 2}}]}}
    assert (it.get("x"), it.tool_calls, hasattr(it, "nothing"), it.model_dump()) == (None, None, False, dict(it))
    del it.a
    assert it == {}


def test_the_phases_of_a_logger(tmp_path: Path) -> None:
    assert (
        LOG
        in loaded(tmp_path, "    def log_failure_event(self, kwargs, response_obj, start_time, end_time): ...\n").hooks
    )
