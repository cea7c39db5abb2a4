"""A moderation hook that takes nothing but the body."""

import litellm  # noqa: F401  such files import it whether they use it or not
from fastapi import HTTPException
from litellm.integrations.custom_logger import CustomLogger


class Refuse(CustomLogger):
    async def async_log_pre_api_call(self, model, messages, kwargs):
        return None

    async def async_pre_call_hook(self, user_api_key_dict, cache, data, call_type):
        data["model"] = "my-new-model"
        return data

    async def async_moderation_hook(self, data: dict):
        if data["messages"][0]["content"] == "hello world":
            raise HTTPException(status_code=400, detail={"error": "Violated content safety policy"})


proxy_handler_instance = Refuse()
