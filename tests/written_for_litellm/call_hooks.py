"""Every call hook at once; only the first does anything."""

from typing import Any, AsyncGenerator, Literal

from litellm.integrations.custom_logger import CustomLogger
from litellm.proxy.proxy_server import DualCache, UserAPIKeyAuth
from litellm.types.utils import ModelResponseStream


class Reroute(CustomLogger):
    async def async_pre_call_hook(
        self, user_api_key_dict: UserAPIKeyAuth, cache: DualCache, data: dict, call_type: Literal["completion"]
    ):
        data["model"] = "my-new-model"
        return data

    async def async_moderation_hook(self, data: dict, user_api_key_dict: UserAPIKeyAuth, call_type: str):
        return None

    async def async_post_call_success_hook(self, data: dict, user_api_key_dict: UserAPIKeyAuth, response):
        return None

    async def async_post_call_failure_hook(
        self, request_data: dict, original_exception: Exception, user_api_key_dict: UserAPIKeyAuth
    ):
        return None

    async def async_post_call_streaming_hook(self, user_api_key_dict: UserAPIKeyAuth, response: str):
        return None

    async def async_post_call_streaming_iterator_hook(
        self, user_api_key_dict: UserAPIKeyAuth, response: Any, request_data: dict
    ) -> AsyncGenerator[ModelResponseStream, None]:
        async for chunk in response:
            yield chunk


proxy_handler_instance = Reroute()
