"""The call hooks of LiteLLM's form as hooks of phases: what each is given, and what its return value means.

Must not know how a method was found.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from engine.document.answers import Answer, Assistant, Refusal
from engine.document.exchange import Exchange
from engine.document.paths import same
from engine.ports.context import copied, kind
from engine.ports.hooks import NOTHING, Hook, Outcome
from engine.ports.litellm_cache import CACHE
from engine.ports.litellm_errors import error_of, refusal_of
from engine.ports.litellm_open import Open
from engine.ports.litellm_signature import Call
from engine.ports.litellm_view import answer_of, call_type, caller, data_of
from engine.ports.workers import in_thread

OFFERED: dict[str, tuple[tuple[str, ...], int]] = {  # what each is given; how many of them LiteLLM documents
    "async_pre_call_hook": (("user_api_key_dict", "cache", "data", "call_type"), 4),
    "async_moderation_hook": (("data", "user_api_key_dict", "call_type"), 3),
    "async_post_call_success_hook": (("data", "user_api_key_dict", "response"), 3),
    "async_post_call_failure_hook": (("request_data", "original_exception", "user_api_key_dict", "traceback_str"), 3),
}


def aside(function: Any, call: Call) -> Call:
    """A call that keeps nobody else waiting: of a plain function in a thread."""
    return call if inspect.iscoroutinefunction(function) else lambda given: in_thread(lambda: call(given))


async def resolved(result: Any) -> Any:
    """What a method gave: of an `async` one once it is done."""
    return await result if inspect.isawaitable(result) else result


def refusing(hook: Hook) -> Hook:
    """A hook whose exceptions refuse when they carry a status; others stay errors of the rule."""

    async def guarded(x: Exchange) -> Outcome:
        try:
            return await hook(x)
        except SystemExit as wrong:  # it would end the process, and with it the exchanges of others
            raise RuntimeError(f"called exit({wrong.code!r})") from wrong
        except Exception as error:
            refusal = refusal_of(error)
            if refusal is None:
                raise
            return Outcome(True, refusal)

    return guarded


def pre_call(name: str, call: Call) -> Hook:
    """A mapping is the new body, None keeps what was changed in place, a text is the answer, an exception refuses."""

    async def hook(x: Exchange) -> Outcome:
        data = data_of(x)
        given = {"user_api_key_dict": caller(x), "cache": CACHE, "data": data, "call_type": call_type(x)}
        result = await resolved(call(given))
        if isinstance(result, str):
            return Outcome(True, _said_instead(x, result))
        if isinstance(result, Exception):
            raise result
        if result is not None and not isinstance(result, dict):
            raise TypeError(f"{name} returned {kind(result)}: it may return the body, a text or nothing")
        body = copied(data.settled() if result is None or result is data else result, "data")
        if same(body, x.request):
            return NOTHING
        x.request = body
        return Outcome(True, None)

    return refusing(hook)


def _said_instead(x: Exchange, text: str) -> Answer:
    if x.dialect.has_assistant:
        return Assistant(text)
    return Refusal(400, text, code="rule_rejected", source="rule")


def moderation(name: str, call: Call) -> Hook:
    """It can only refuse: by an exception with a status."""

    async def hook(x: Exchange) -> Outcome:
        result = await resolved(call({"data": data_of(x), "user_api_key_dict": caller(x), "call_type": call_type(x)}))
        if isinstance(result, Exception):
            raise result
        return NOTHING

    return refusing(hook)


def post_call_success(name: str, call: Call) -> Hook:
    """The answer may be changed in place or returned anew; `_hidden_params["additional_headers"]` reach the client."""

    async def hook(x: Exchange) -> Outcome:
        if x.response is None:
            return NOTHING
        response = answer_of(x.response["body"])
        hidden: dict[str, Any] = {"additional_headers": {}}
        if isinstance(response, Open):
            response._hidden_params = hidden  # noqa: SLF001  where LiteLLM's code looks for it
        result = await resolved(call({"data": data_of(x), "user_api_key_dict": caller(x), "response": response}))
        if isinstance(result, Exception):
            raise result
        body = copied(_plain(name, response if result is None else result), "response")
        headers = {str(k).lower(): str(v) for k, v in (hidden.get("additional_headers") or {}).items()}
        x.to_client = {**x.to_client, **headers}
        if same(body, x.response["body"]):
            return Outcome(bool(headers), None)
        x.response = {**x.response, "body": body}
        return Outcome(True, None)

    return refusing(hook)


def _plain(name: str, result: Any) -> Any:
    if isinstance(result, (dict, list)):
        return result
    dump: Callable[[], Any] | None = getattr(result, "model_dump", None)
    if dump is None:
        raise TypeError(f"{name} returned {kind(result)}: it may return an answer or nothing")
    return dump()


def post_call_failure(name: str, call: Call) -> Hook:
    """An exception with a status, returned or raised, takes the place of the error."""

    async def hook(x: Exchange) -> Outcome:
        given = {
            "request_data": data_of(x),
            "original_exception": error_of(x),
            "user_api_key_dict": caller(x),
            "traceback_str": None,
        }
        result = await resolved(call(given))
        if isinstance(result, Exception):
            raise result
        return NOTHING

    return refusing(hook)


MAKERS: dict[str, Callable[[str, Call], Hook]] = {
    "async_pre_call_hook": pre_call,
    "async_moderation_hook": moderation,
    "async_post_call_success_hook": post_call_success,
    "async_post_call_failure_hook": post_call_failure,
}
