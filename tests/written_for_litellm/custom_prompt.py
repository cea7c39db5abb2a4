"""A prompt manager that knows one prompt."""

from typing import List, Optional, Tuple

from litellm.integrations.custom_prompt_management import CustomPromptManagement
from litellm.types.llms.openai import AllMessageValues
from litellm.types.utils import StandardCallbackDynamicParams

KEPT = {"1234": [{"role": "system", "content": "Be a good Bot!"}]}


class OnePrompt(CustomPromptManagement):
    def get_chat_completion_prompt(
        self,
        model: str,
        messages: List[AllMessageValues],
        non_default_params: dict,
        prompt_id: str,
        prompt_variables: Optional[dict],
        dynamic_callback_params: StandardCallbackDynamicParams,
    ) -> Tuple[str, List[AllMessageValues], dict]:
        return model, KEPT.get(prompt_id, []) + messages, non_default_params


prompt_management = OnePrompt()
