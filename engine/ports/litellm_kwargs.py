"""What LiteLLM's logging callbacks are told of an exchange: `kwargs`, with `standard_logging_object` in it.

What the gateway does not know is None. Credentials are never told. Must not know callbacks.
"""

from __future__ import annotations

import datetime
import traceback
from typing import Any, NamedTuple

import msgspec

from engine.document.exchange import Exchange
from engine.ports.context import copied
from engine.ports.litellm_errors import GatewayError, error_of
from engine.ports.litellm_view import answer_of, call_type, hashed_key, proxy_server_request

MASKED = "********"
NOT_PARAMETERS = frozenset(
    {
        "model",
        "messages",
        "input",
        "prompt",
        "metadata",
        "prompt_id",
        "prompt_variables",
        "prompt_label",
        "prompt_version",
    }
)


class Times(NamedTuple):
    """Naive local times, as files written for LiteLLM compare them with `datetime.now()`."""

    start: datetime.datetime
    end: datetime.datetime
    first: datetime.datetime | None  # of the first byte of an answer


def times_of(x: Exchange) -> Times:
    """When the exchange began and ended, or how late it is now."""
    now, ticks = x.clock.now().astimezone().replace(tzinfo=None), x.clock.monotonic()

    def at(moment: float) -> datetime.datetime:
        return now - datetime.timedelta(seconds=ticks - moment)

    end = at(x.arrived) if x.arrived is not None else now
    return Times(at(x.began), end, at(x.first_byte) if x.first_byte is not None else None)


def messages_of(body: dict[str, Any]) -> Any:
    """What the model is asked, by whatever name the dialect has for it."""
    return next((copied(body[name], name) for name in ("messages", "input", "prompt") if name in body), None)


def kwargs_of(x: Exchange, event: str, sent: dict[str, Any] | None = None) -> dict[str, Any]:
    """`kwargs` of one event: `pre_api_call`, `post_api_call`, `successful_api_call` or `failed_api_call`.

    `sent` is the body that went upstream, where that is known.
    """
    body = sent or x.request or {}
    messages, times = messages_of(body), times_of(x)
    failed = event == "failed_api_call"
    exception = error_of(x) if failed else None
    told = {
        "model": body.get("model"),
        "messages": messages,
        "input": messages,
        "optional_params": parameters(body),
        "litellm_params": _litellm_params(x),
        "user": body.get("user"),
        "stream": x.stream,
        "call_type": call_type(x),
        "litellm_call_id": x.id,
        "litellm_trace_id": x.id,
        "custom_llm_provider": _provider(x),
        "api_key": _masked_key(x),
        "additional_args": _additional_args(x, body),
        "original_response": None if event == "pre_api_call" else original_response(x),
        "log_event_type": event,
        "start_time": times.start,
        "end_time": None if event == "pre_api_call" else times.end,
        "completion_start_time": times.first or times.end,
        "response_cost": x.cost,
        "cache_hit": x.cache_hit,
        "exception": exception,
        "traceback_exception": _traceback(exception),
    }
    if event in ("successful_api_call", "failed_api_call"):
        told["standard_logging_object"] = standard_logging_object(x, times, failed=failed, sent=body)
    if event == "successful_api_call" and x.stream:
        told["complete_streaming_response"] = answer_of(_body_of(x))
        told["async_complete_streaming_response"] = answer_of(_body_of(x))
    return told


def _additional_args(x: Exchange, body: dict[str, Any]) -> dict[str, Any]:
    return {
        "complete_input_dict": copied(body, "request"),
        "api_base": _api_base(x),
        "headers": {"authorization": MASKED} if _masked_key(x) else {},
    }


def parameters(body: dict[str, Any]) -> dict[str, Any]:
    """A body's parameters: what is neither the model nor what it is asked."""
    return {name: copied(value, name) for name, value in body.items() if name not in NOT_PARAMETERS}


def original_response(x: Exchange) -> str | None:
    """The answer of the upstream as JSON text; of a stream what it amounts to."""
    return None if x.answered is None else msgspec.json.encode(x.answered).decode()


def metadata_of(x: Exchange) -> dict[str, Any]:
    """The client's own metadata, and over it what is known of the caller's key."""
    key, given = x.key or {}, x.metadata
    hashed = hashed_key(x)
    return {
        **(copied(given, "metadata") if isinstance(given, dict) else {}),
        "user_api_key": hashed,
        "user_api_key_hash": hashed,
        "user_api_key_alias": key.get("name"),
        "user_api_key_user_id": key.get("user"),
        "user_api_key_team_id": key.get("team"),
        "user_api_key_metadata": copied(key.get("metadata") or {}, "key.metadata"),
        "requester_ip_address": x.peer,
        "headers": dict(x.headers),
        "endpoint": x.path,
        "tags": list(x.tags),
    }


def standard_logging_object(x: Exchange, times: Times, *, failed: bool, sent: dict[str, Any]) -> dict[str, Any]:
    """LiteLLM's StandardLoggingPayload, every field of it."""
    error = error_of(x) if failed else None
    status = "failure" if failed else "success"
    return {
        "id": _id_of(x),
        "trace_id": x.id,
        "session_id": None,
        "litellm_call_id": x.id,
        "call_type": call_type(x),
        "stream": x.stream,
        "response_cost": x.cost,
        "cost_breakdown": _cost_breakdown(x),
        "status": status,
        "status_fields": {"llm_api_status": status, "guardrail_status": None},
        "custom_llm_provider": _provider(x),
        **_counted(x, times),
        "model": sent.get("model"),
        "model_id": None,
        "model_group": x.model_requested,
        "api_base": _api_base(x),
        "metadata": {**metadata_of(x), **dict.fromkeys(_UNKNOWN_METADATA), "usage_object": x.usage},
        "cache_hit": x.cache_hit,
        "cache_key": None,
        "saved_cache_cost": None,
        "request_tags": list(x.tags),
        "end_user": sent.get("user"),
        "requester_ip_address": x.peer,
        "user_agent": x.client["user_agent"],
        "messages": messages_of(sent),
        "response": None if failed else copied(_body_of(x), "response"),
        "error_str": str(error) if error is not None else None,
        "error_information": _error_information(error),
        "model_parameters": parameters(sent),
        "guardrail_information": None,
        "hidden_params": _hidden_params(x),
    }


def _cost_breakdown(x: Exchange) -> dict[str, Any]:
    cost = x.priced
    if cost is None:
        return dict.fromkeys(("input_cost", "output_cost", "tool_usage_cost", "total_cost"))
    return {
        "input_cost": cost.input,
        "output_cost": cost.output,
        "tool_usage_cost": cost.tools,
        "total_cost": cost.total,
    }


_UNKNOWN_METADATA = (
    "user_api_key_org_id",
    "requester_metadata",
    "requester_custom_headers",
    "spend_logs_metadata",
    "prompt_management_metadata",
    "applied_guardrails",
)


def _counted(x: Exchange, times: Times) -> dict[str, Any]:
    """Tokens and times of the logging object."""
    usage = x.usage or {}
    return {
        "total_tokens": usage.get("total_tokens"),
        "prompt_tokens": usage.get("prompt_tokens"),
        "completion_tokens": usage.get("completion_tokens"),
        "startTime": times.start.timestamp(),
        "endTime": times.end.timestamp(),
        "completionStartTime": (times.first or times.end).timestamp(),
        "response_time": (times.end - times.start).total_seconds(),
    }


def _hidden_params(x: Exchange) -> dict[str, Any]:
    return {
        "model_id": None,
        "cache_key": None,
        "api_base": _api_base(x),
        "response_cost": x.cost,
        "additional_headers": None,
        "litellm_overhead_time_ms": (x.timing or {}).get("overhead_ms"),
    }


def _litellm_params(x: Exchange) -> dict[str, Any]:
    return {
        "metadata": metadata_of(x),
        "proxy_server_request": proxy_server_request(x),
        "model_info": {},
        "api_base": _api_base(x),
        "litellm_call_id": x.id,
        "custom_llm_provider": _provider(x),
    }


def _error_information(error: GatewayError | None) -> dict[str, Any] | None:
    if error is None:
        return None
    return {
        "error_code": str(error.status_code),
        "error_class": error.type,
        "llm_provider": error.llm_provider,
        "error_message": error.message,
        "traceback": None,
    }


def _traceback(error: Exception | None) -> str | None:
    return None if error is None else "".join(traceback.format_exception(error))


def _body_of(x: Exchange) -> Any:
    return x.response["body"] if x.response is not None else None


def _id_of(x: Exchange) -> str:
    body = _body_of(x)
    told = body.get("id") if isinstance(body, dict) else None
    return told if isinstance(told, str) else x.id


def _upstream(x: Exchange) -> Any:
    return x.program.upstreams.get(x.upstream["name"]) if x.upstream is not None else None


def _provider(x: Exchange) -> str | None:
    upstream = _upstream(x)
    return upstream.kind if upstream is not None else None


def _api_base(x: Exchange) -> str | None:
    upstream = _upstream(x)
    return upstream.base_url if upstream is not None else None


def _masked_key(x: Exchange) -> str | None:
    upstream = _upstream(x)
    return MASKED if upstream is not None and upstream.has_key else None
