"""Body fields that the official client packages do not describe, each group with the reason why it counts as known.

A name here means that nobody is warned about it; its value is hardly ever known further. Must not know the tables'
form on disk, expressions or rules.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from engine.phases import CONVERSATIONS


def _all(names: str, words: Any = None) -> dict[str, Any]:
    """The names, in one text, as members of the same words."""
    return dict.fromkeys(names.split(), words)


OWN: dict[str, Any] = {**_all("prompt_id prompt_label", "string"), **_all("prompt_variables prompt_version")}
"""Read by this gateway and taken out of the body before it goes upstream."""

FILE: dict[str, Any] = {"filename": "string", "content_type": "string", "size": "number"}
"""What rules see of a file in a form."""

ERROR: dict[str, Any] = _all("error type request_id detail message code param object status errors success")
"""Bodies of refusals, ours and those of upstreams: a log rule sees them where an answer would be."""

RERANK: dict[str, Any] = {
    "model": "string",
    "query": None,  # a text, or an object for models that read images
    "documents": [None],
    **_all("top_n top_k max_chunks_per_doc max_tokens_per_doc overlap_tokens truncate_prompt_tokens", "number"),
    **_all("user instruct instruction", "string"),
    **_all("return_documents return_doc", "boolean"),
    "rank_fields": ["string"],
    **_all("truncate truncation priority"),
}
"""No official package has this API: Cohere's shape, with what Jina, Voyage, vLLM and Infinity add to it."""

RERANKED: dict[str, Any] = {
    "id": "string",
    "results": [{"index": "number", "relevance_score": "number", "score": "number", "document": None}],
    "data": [{"index": "number", "relevance_score": "number", "score": "number", "document": None}],
    "usage": _all("prompt_tokens total_tokens completion_tokens search_units tokens", "number"),
    **_all("object model meta created tokens"),
}

_EVERYWHERE: dict[str, str] = {
    "the clients' way to pass what they have no parameter for": "extra_body extra_headers extra_query",
    "LiteLLM, whose clients this gateway takes over": """
        allowed_openai_params api_base api_key api_version base_url cache caching context_window_fallback_dict
        custom_llm_provider drop_params additional_drop_params fallbacks guardrails headers input_cost_per_token
        litellm_call_id litellm_metadata litellm_session_id litellm_trace_id max_retries mock_response
        mock_tool_calls num_retries organization output_cost_per_token tags timeout ttl""",
    "OpenRouter's and other routers' choice of who answers": """
        models plugins preset provider providerOptions route session_id trace transforms usage zdr""",
    "Azure's and other clouds' own": "data_sources enhancements google labels nvext region",
    "vLLM's and SGLang's scheduling": "cache_salt kv_transfer_params priority request_id rid vllm_xargs",
}
_SAMPLED: dict[str, str] = {
    "Anthropic's older models, which the newest types leave out": "temperature top_k top_p",
    "vLLM": """
        add_generation_prompt add_special_tokens allowed_token_ids bad_words best_of chat_template
        chat_template_kwargs continue_final_message detokenize documents echo guided_choice
        guided_decoding_backend guided_grammar guided_json guided_regex guided_whitespace_pattern ignore_eos
        include_stop_str_in_output length_penalty logits_processors media_io_kwargs min_p min_tokens
        mm_processor_kwargs prompt_embeds prompt_logprobs repetition_detection repetition_penalty
        return_token_ids return_tokens_as_token_ids skip_special_tokens spaces_between_special_tokens
        stop_token_ids structural_tag structured_outputs thinking_token_budget top_k truncate_prompt_tokens
        use_beam_search early_stopping include_reasoning""",
    "SGLang": """
        bootstrap_host bootstrap_port bootstrap_room custom_logit_processor custom_params ebnf lora_path
        no_stop_trim regex return_hidden_states separate_reasoning session_params stop_regex stream_reasoning""",
    "llama.cpp": """
        cache_prompt dry_allowed_length dry_base dry_multiplier dry_penalty_last_n dry_sequence_breakers
        dynatemp_exponent dynatemp_range grammar grammar_lazy id_slot json_schema lora mirostat mirostat_eta
        mirostat_tau n_indent n_keep n_predict n_probs parse_tool_calls reasoning_format repeat_last_n
        repeat_penalty return_progress return_tokens samplers t_max_predict_ms timings_per_token
        top_n_sigma typical_p xtc_probability xtc_threshold""",
    "Ollama": "format keep_alive options raw template think",
    "TGI and TensorRT-LLM": """
        adapter_id bad decoder_input_details details do_sample max_new_tokens seed typical_p watermark""",
    "OpenRouter": "prediction reasoning reasoning_effort response_format structured_outputs top_a verbosity",
    "Mistral": "prompt_mode random_seed safe_prompt",
    "DeepSeek, Moonshot, Z.ai, ByteDance and Qwen": """
        caching do_sample enable_search enable_thinking incremental_output partial preserve_thinking
        result_format search_options thinking thinking_budget tool_stream translation_options
        vl_high_resolution_images""",
    "Groq, Cerebras, Together and Fireworks": """
        citation_options compound_custom context_length_exceeded_behavior disable_reasoning
        disable_tool_validation exclude_domains include_domains max_prompt_tokens min_p perf_metrics_in_response
        prompt_truncate_len raw_output reasoning_history reasoning_format safety_model search_settings speculation""",
    "xAI": "deferred search_parameters",
    "Perplexity": """
        disable_search enable_search_classifier image_domain_filter image_format_filter language_preference
        last_updated_after_filter last_updated_before_filter media_response reasoning_effort return_images
        return_related_questions search_after_date_filter search_before_date_filter search_domain_filter
        search_mode search_recency_filter stream_mode web_search_options""",
    "Gemini and Anthropic behind a chat API": """
        cached_content context_management mcp_servers safety_settings system thinking thinking_config toolConfig
        output_config stop_sequences""",
    "DeepSeek's and others' filling in the middle": "suffix",
}
_OTHERS: dict[str, dict[str, str]] = {
    "messages": {"an earlier beta, and the clouds that have Claude": "output_format anthropic_version anthropic_beta"},
    "embeddings": {
        "vLLM, Cohere, Voyage, Jina and NVIDIA": """
            add_special_tokens additional_data chat_template embed_dtype embedding_type embedding_types endianness
            images input_type inputs instruction late_chunking max_tokens messages mm_processor_kwargs modality
            normalize
            normalized output_dimension output_dtype pooling prompt_name task texts truncate truncate_dim
            truncate_prompt_tokens truncation use_activation""",
        "Ollama": "keep_alive options",
    },
    "image_generation": {
        "Together, Fireworks, xAI, diffusion servers": """
            aspect_ratio cfg_scale disable_safety_checker frames generator_device guidance guidance_scale height
            image_base64 image_loras image_prompts image_url layers negative_prompt num_inference_steps
            output_compression
            reference_images resolution response_extension seed steps strength true_cfg_scale width"""
    },
    "moderation": {"vLLM and guard models": "categories messages truncate_prompt_tokens"},
    "audio_transcription": {
        "vLLM, Groq, Mistral, faster-whisper servers": """
            context_bias diarize file_url hotwords max_completion_tokens min_p repetition_penalty seed
            stream_continuous_usage_stats
            stream_include_usage to_language top_k top_p url vad_filter vad_parameters without_timestamps
            word_timestamps
            frequency_penalty presence_penalty length_penalty timestamp_granularities"""
    },
    "audio_speech": {
        "other servers of this API": """
            lang lang_code language normalization_options ref_audio ref_text return_download_link sample_rate seed
            stream task_type temperature volume voice_id voices x_vector_only_mode pitch emotion max_new_tokens"""
    },
}


_TYPED: dict[str, Any] = {
    **_all("temperature top_p top_k min_p repetition_penalty seed best_of max_new_tokens", "number"),
    **_all("reasoning_effort verbosity suffix", "string"),
    "echo": "boolean",
    "stop_sequences": ["string"],
}
"""What has one type wherever it is known."""

LOOSE = frozenset({"thinking", "reasoning"})
"""An object in one API, true or false in another: known to be anything where an API of both kinds may be asked."""


@lru_cache(maxsize=32)
def vendors(call_type: str) -> dict[str, Any]:
    """The fields that servers and routers besides the APIs' owners take, for requests of a call type."""
    groups = [_EVERYWHERE, _OTHERS.get(call_type, {}), _SAMPLED if call_type in CONVERSATIONS else {}]
    return {name: _TYPED.get(name) for group in groups for names in group.values() for name in names.split()}


_REASONING = "reasoning reasoning_content reasoning_details thinking thinking_blocks"
_CHAT_ANSWER = """
    citations search_results images related_questions videos provider provider_specific_fields prompt_filter_results
    prompt_logprobs prompt_token_ids prompt_text kv_transfer_params sglext timings time_info x_groq
    usage_breakdown error stats nvext debug_output cost user_tier warnings"""
_CHOICE = """
    stop_reason matched_stop native_finish_reason content_filter_results content_filter_result content_filter_offsets
    token_ids prompt_token_ids prompt_logprobs prompt_filter_results error seed hidden_states routed_experts
    provider_specific_fields messages"""
_ANSWERED_MESSAGE = f"{_REASONING} images citations context provider_specific_fields executed_tools prefix"
_USAGE = """
    cost cost_details is_byok market_cost prompt_cache_hit_tokens prompt_cache_miss_tokens cache_creation_input_tokens
    cache_read_input_tokens cached_tokens reasoning_tokens num_cached_tokens num_sources_used num_search_queries
    citation_tokens
    search_context_size queue_time prompt_time completion_time total_time audio_seconds prompt_audio_seconds
    server_tool_use
    x_details plugins input_tokens output_tokens"""
_SENT_MESSAGE = f"{_REASONING} cache_control prefix partial provider_specific_fields images tool_name tools"
_PART = "cache_control uuid min_pixels max_pixels fps"

_NAMES: dict[str, str] = {
    # what is sent
    **dict.fromkeys(
        (
            "ChatCompletionDeveloperMessageParam",
            "ChatCompletionSystemMessageParam",
            "ChatCompletionUserMessageParam",
            "ChatCompletionAssistantMessageParam",
            "ChatCompletionFunctionMessageParam",
        ),
        _SENT_MESSAGE,
    ),
    "ChatCompletionToolMessageParam": f"{_SENT_MESSAGE} name",
    "ChatCompletionContentPartTextParam": f"{_PART} {_REASONING} signature summary citations",
    "ChatCompletionContentPartImageParam": f"{_PART} image image_embeds image_pil video video_url audio_url",
    "ChatCompletionContentPartInputAudioParam": f"{_PART} audio_url input_video",
    "ChatCompletionFunctionToolParam": "cache_control name description input_schema parameters",
    "ChatCompletionStreamOptionsParam": "chunk_include_usage continuous_usage_stats",
    # what comes back
    "ChatCompletion": _CHAT_ANSWER,
    "ChatCompletionChunk": _CHAT_ANSWER,
    "Completion": _CHAT_ANSWER,
    "chat_completion.Choice": _CHOICE,
    "chat_completion_chunk.Choice": _CHOICE,
    "CompletionChoice": f"{_CHOICE} {_REASONING}",
    "ChatCompletionMessage": _ANSWERED_MESSAGE,
    "ChoiceDelta": _ANSWERED_MESSAGE,
    "CompletionUsage": _USAGE,
    "PromptTokensDetails": "cache_creation_tokens cached_tokens_details video_tokens",
    "CompletionTokensDetails": "image_tokens video_tokens",
}
_WORDS: dict[str, dict[str, Any]] = {
    # Mistral's reasoning models answer with a list of parts.
    "ChatCompletionMessage": {"content": ("string", [None])},
    "ChoiceDelta": {"content": ("string", [None])},
    # The kinds of parts that only other servers read stand beside OpenAI's.
    "ChatCompletionContentPartImageParam": {
        "type": frozenset(
            _all("""
            image_url video_url audio_url image image_embeds image_pil video input_video thinking""")
        )
    },
}


def _members() -> dict[str, dict[str, Any]]:
    found = {name: _all(names) for name, names in _NAMES.items()}
    for name, words in _WORDS.items():
        found.setdefault(name, {}).update(words)
    return found


MEMBERS: dict[str, dict[str, Any]] = _members()
"""Members of the packages' objects, by the name that the tables have for the object, that other servers add.

Messages carry reasoning back and forth and cache marks; answers carry citations, filters' verdicts, timings and costs.
"""
