"""What other gateways call the things of a rule, and what to write here. Must not know how rules are read."""

from __future__ import annotations

from engine.cures import Advice


def _meant(*groups: tuple[str, str]) -> dict[str, str]:
    """Groups of words (one text, parted by spaces) with one cure each, by word."""
    return {word: cure for words, cure in groups for word in words.split()}


OF_ACTIONS = _meant(
    ("block deny refuse raise", "it is called `reject`"),
    ("answer reply message", "write `reject_with_message` for an assistant's answer"),
    ("mask replace anonymize", "it is called `redact`"),
    ("log audit record", "it is called `log_to`"),
    ("allow pass continue", "what no rule refuses passes; write exceptions under `unless`"),
    ("model use_model override_model", "it is called `set_model`"),
    ("system system_prompt add_system", "it is called `prepend_system` or `append_system`"),
    ("header add_header headers", "it is called `set_header`"),
    ("delete unset drop", "it is called `remove`"),
    ("require required enforce_user_param", "it is called `require_field`"),
    ("max_tokens limit_tokens", "it is called `limit_output`"),
    ("python hook script", "it is called `callback`"),
)
OF_RULES = _meant(
    ("when if condition conditions where", "it is called `match`"),
    ("action then do", "it is called `actions`, a list"),
    ("except exclude unless_match", "it is called `unless`"),
    ("id title rule", "it is called `name`"),
    ("disabled active enable", "write `mode: off`, or leave it away"),
    ("priority order", "rules run in the order in which they stand"),
)
OF_SECTIONS = _meant(
    ("model_list model_group_alias", "name models under `models`, and who answers under `upstreams`"),
    ("general_settings settings gateway", "what concerns listening is under `server`"),
    ("litellm_settings", "hooks are named under `callbacks`; everything else is a rule"),
    ("guardrails policies policy guards post_call_rules", "write them as `rules`"),
    ("router_settings routes", "write them as `rules`; who answers is under `upstreams`"),
    ("providers backends targets", "it is called `upstreams`"),
    ("variables vars constants", "values are named under `lists`, texts under `prompts`"),
    ("regex regexes", "it is called `patterns`"),
    ("logging loggers logs", "it is called `sinks`, and rules of the phase `log` write to them"),
    ("rule", "it is called `rules`, a list"),
)
OF_PHASES = Advice(
    meant=_meant(
        ("pre_call before input async_pre_call_hook", "it is called `request`"),
        ("during_call async_moderation_hook", "it is called `moderation`"),
        ("post_call after output async_post_call_success_hook", "it is called `response`"),
        ("streaming chunk async_post_call_streaming_hook", "it is called `stream`"),
        ("error on_error async_post_call_failure_hook", "it is called `failure`"),
        ("logging logging_only audit", "it is called `log`"),
    )
)
OF_CALL_TYPES = Advice(
    meant=_meant(
        ("chat chat_completion chat_completions acompletion", "it is called `completion`"),
        ("embed aembedding", "it is called `embeddings`"),
        ("image images", "it is called `image_generation`"),
        ("anthropic anthropic_messages", "it is called `messages`"),
        ("speech tts", "it is called `audio_speech`"),
        ("audio transcription whisper", "it is called `audio_transcription`"),
    )
)
OF_MODES = Advice(
    meant=_meant(
        ("disabled disable false none inactive", "write `off`"),
        ("enabled active true block", "write `enforce`, or leave `mode` away"),
        ("audit shadow monitor dry_run dry-run log test warn", "write `observe`"),
    )
)
OF_ON_ERROR = Advice(
    meant=_meant(
        ("allow open ignore continue pass", "write `skip`: the exchange goes on without the rule"),
        ("block closed reject deny", "write `fail`: the exchange ends with an error"),
    )
)
