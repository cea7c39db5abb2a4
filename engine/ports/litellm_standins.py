"""The names of `litellm` and `fastapi` that LiteLLM's documented callbacks import, for where those are not installed.

A name that is not here is not lent: what cannot be done here must not look as if it were. Must not know how an
author's file gets to them.
"""

from __future__ import annotations

from typing import Any

from engine.ports.litellm_cache import DualCache
from engine.ports.litellm_open import ModelResponseStream, StandardCallbackDynamicParams, UserAPIKeyAuth


class CustomLogger:
    """The base class of LiteLLM's callbacks. Its methods do nothing and count as not defined."""

    def __init__(self, *_: Any, **__: Any) -> None: ...

    def log_pre_api_call(self, *_: Any, **__: Any) -> None: ...
    def log_post_api_call(self, *_: Any, **__: Any) -> None: ...
    def log_success_event(self, *_: Any, **__: Any) -> None: ...
    def log_failure_event(self, *_: Any, **__: Any) -> None: ...
    async def async_log_pre_api_call(self, *_: Any, **__: Any) -> None: ...
    async def async_log_success_event(self, *_: Any, **__: Any) -> None: ...
    async def async_log_failure_event(self, *_: Any, **__: Any) -> None: ...
    async def async_pre_call_hook(self, *_: Any, **__: Any) -> None: ...
    async def async_moderation_hook(self, *_: Any, **__: Any) -> None: ...
    async def async_post_call_success_hook(self, *_: Any, **__: Any) -> None: ...
    async def async_post_call_failure_hook(self, *_: Any, **__: Any) -> None: ...
    async def async_post_call_streaming_hook(self, *_: Any, **__: Any) -> None: ...

    async def async_post_call_streaming_iterator_hook(
        self, user_api_key_dict: Any, response: Any, request_data: Any
    ) -> Any:
        async for item in response:
            yield item


class CustomPromptManagement(CustomLogger):
    """The base class of LiteLLM's prompt managers."""

    def get_chat_completion_prompt(self, model: Any, messages: Any, non_default_params: Any, *_: Any, **__: Any) -> Any:
        return model, messages, non_default_params


class HTTPException(Exception):
    """An error with a status and a detail."""

    def __init__(self, status_code: int, detail: Any = None, headers: dict[str, str] | None = None) -> None:
        super().__init__(status_code, detail)
        self.status_code = status_code
        self.detail = detail
        self.headers = headers

    def __str__(self) -> str:
        return f"{self.status_code}: {self.detail}"


def get_formatted_prompt(data: dict[str, Any], call_type: str) -> str:
    """The text of a request: of its messages, its prompt or its input, one after the other."""
    for name in ("messages", "input", "prompt"):
        if data.get(name):
            return "".join(_texts(data[name]))
    return ""


def _texts(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, list):
        return [text for item in value for text in _texts(item)]
    if isinstance(value, dict):
        own = [value[name] for name in ("text", "arguments") if isinstance(value.get(name), str)]
        return own + [text for name in ("content", "tool_calls", "function") for text in _texts(value.get(name))]
    return []


_LISTS = ("callbacks", "input_callback", "success_callback", "failure_callback")

STANDINS: dict[str, dict[str, Any]] = {
    "litellm": {},
    "litellm.integrations": {},
    "litellm.integrations.custom_logger": {"CustomLogger": CustomLogger},
    "litellm.integrations.custom_prompt_management": {"CustomPromptManagement": CustomPromptManagement},
    "litellm.proxy": {},
    "litellm.proxy.proxy_server": {"UserAPIKeyAuth": UserAPIKeyAuth, "DualCache": DualCache},
    "litellm.types": {},
    "litellm.types.utils": {
        "ModelResponseStream": ModelResponseStream,
        "StandardCallbackDynamicParams": StandardCallbackDynamicParams,
    },
    "litellm.types.llms": {},
    "litellm.types.llms.openai": {"AllMessageValues": dict},
    "litellm.utils": {"get_formatted_prompt": get_formatted_prompt},
    "fastapi": {"HTTPException": HTTPException},
}
"""By module: the names that can be imported from it."""

ASSIGNABLE = _LISTS
"""The lists of `litellm` by which a file registers callbacks itself."""

BASES = frozenset({CustomLogger, CustomPromptManagement})
