"""A pre-call hook that answers in the model's place, annotated with what Python cannot evaluate."""

from typing import Optional

from litellm.integrations.custom_logger import CustomLogger
from litellm.utils import get_formatted_prompt


class MyCustomHandler(CustomLogger):
    async def async_pre_call_hook(self, user_api_key_dict, cache, data, call_type) -> Optional[dict, str, Exception]:
        if "Hello world" in get_formatted_prompt(data=data, call_type=call_type):
            return "This is an invalid response"
        return data
