"""OpenTelemetry's names for model calls (GenAI semantic conventions), and what records call the same things.

All of them are still marked as development there: what is renamed upstream is renamed here and nowhere else. Must not
know how a span is written.
"""

from __future__ import annotations

from typing import Any

OPERATION = "gen_ai.operation.name"
PROVIDER = "gen_ai.provider.name"
REQUEST_MODEL = "gen_ai.request.model"
REQUEST_STREAM = "gen_ai.request.stream"
PROMPT_NAME = "gen_ai.prompt.name"
PROMPT_VERSION = "gen_ai.prompt.version"
RESPONSE_ID = "gen_ai.response.id"
RESPONSE_MODEL = "gen_ai.response.model"
FINISH_REASONS = "gen_ai.response.finish_reasons"
FIRST_CHUNK = "gen_ai.response.time_to_first_chunk"
INPUT_MESSAGES = "gen_ai.input.messages"
OUTPUT_MESSAGES = "gen_ai.output.messages"
SYSTEM_INSTRUCTIONS = "gen_ai.system_instructions"
ERROR_TYPE = "error.type"
SERVER_ADDRESS = "server.address"
SERVER_PORT = "server.port"
HTTP_STATUS = "http.response.status_code"
USER = "user.id"
SESSION = "session.id"

USAGE = {  # what it is called in the `usage` of a record
    "prompt_tokens": "gen_ai.usage.input_tokens",
    "completion_tokens": "gen_ai.usage.output_tokens",
    "cached_tokens": "gen_ai.usage.cache_read.input_tokens",
    "cache_write_tokens": "gen_ai.usage.cache_write.input_tokens",
    "prompt_audio_tokens": "gen_ai.usage.audio.input_tokens",
    "prompt_image_tokens": "gen_ai.usage.image.input_tokens",
    "reasoning_tokens": "gen_ai.usage.reasoning.output_tokens",
    "completion_audio_tokens": "gen_ai.usage.audio.output_tokens",
    "completion_image_tokens": "gen_ai.usage.image.output_tokens",
}
PARAMETERS: dict[str, tuple[str, type]] = {  # what it is called in a request, and its type there
    "temperature": ("gen_ai.request.temperature", float),
    "top_p": ("gen_ai.request.top_p", float),
    "top_k": ("gen_ai.request.top_k", int),
    "frequency_penalty": ("gen_ai.request.frequency_penalty", float),
    "presence_penalty": ("gen_ai.request.presence_penalty", float),
    "seed": ("gen_ai.request.seed", int),
    "n": ("gen_ai.request.choice.count", int),
    "max_tokens": ("gen_ai.request.max_tokens", int),
    "max_completion_tokens": ("gen_ai.request.max_tokens", int),
    "max_output_tokens": ("gen_ai.request.max_tokens", int),
}

# What a rule did, as an event of the span. Of the two drafts there are, the one names the parts (component, policy,
# rule, result), the other tells what the rule thinks (verdict) from what was done about it (action).
GUARDRAIL_EVENT = "gen_ai.guardrail.result"
GUARDRAIL_COMPONENT = "gen_ai.guardrail.component.name"
GUARDRAIL_POLICY = "gen_ai.guardrail.policy.id"
GUARDRAIL_POLICY_VERSION = "gen_ai.guardrail.policy.version"
GUARDRAIL_RULE = "gen_ai.guardrail.policy.rule.id"
GUARDRAIL_RESULT_TYPE = "gen_ai.guardrail.result.type"
GUARDRAIL_RESULT = "gen_ai.guardrail.result.value"
GUARDRAIL_REASON = "gen_ai.guardrail.result.reason"
GUARDRAIL_SOURCE = "gen_ai.guardrail.source"
GUARDRAIL_TARGET = "gen_ai.guardrail.target.type"
GUARDRAIL_VERDICT = "gen_ai.guardrail.verdict.type"
GUARDRAIL_ACTION = "gen_ai.guardrail.action.type"
TARGETS = {"response": "output", "stream": "output", "failure": "output"}  # by phase; the others look at the input

_OPERATIONS = {"completion": "chat", "responses": "chat", "messages": "chat"}  # the others have their own names there
_BY_KIND = {"openai": "openai", "anthropic": "anthropic", "azure": "azure.ai.openai", "demo": "demo"}
_BY_HOST = {  # the end of a host's name, which has a dot put before it
    ".openai.com": "openai",
    ".anthropic.com": "anthropic",
    ".openai.azure.com": "azure.ai.openai",
    ".services.ai.azure.com": "azure.ai.inference",
    ".models.ai.azure.com": "azure.ai.inference",
    ".generativelanguage.googleapis.com": "gcp.gemini",
    ".aiplatform.googleapis.com": "gcp.vertex_ai",
    "-aiplatform.googleapis.com": "gcp.vertex_ai",
    ".amazonaws.com": "aws.bedrock",
    ".api.aws": "aws.bedrock",
    ".cohere.com": "cohere",
    ".cohere.ai": "cohere",
    ".deepseek.com": "deepseek",
    ".groq.com": "groq",
    ".ml.cloud.ibm.com": "ibm.watsonx.ai",
    ".mistral.ai": "mistral_ai",
    ".moonshot.ai": "moonshot_ai",
    ".moonshot.cn": "moonshot_ai",
    ".perplexity.ai": "perplexity",
    ".x.ai": "x_ai",
}


def operation_of(call_type: str) -> str:
    """The operation that a call type is."""
    return _OPERATIONS.get(call_type, call_type)


def provider_of(asked: dict[str, Any] | None, call_type: str) -> str:
    """Who answers, by the host that was asked, else by what it speaks; where nobody was asked, whose API it is."""
    if asked is None:
        return "anthropic" if call_type == "messages" else "openai"
    host = f".{asked.get('address') or ''}"
    known = next((name for end, name in _BY_HOST.items() if host.endswith(end)), None)
    return known or _BY_KIND.get(str(asked.get("kind")), str(asked.get("kind")))
