"""THE table of phases. The schema, the checks, the executor, the error texts and the reference read it.

Must not know actions or rules.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Phase:
    """One moment in an exchange at which rules run.

    `order` is its place in time; a part of the document that appears at a phase is seen there and later.
    `on_error` is what a failing rule means unless it says otherwise.
    """

    name: str
    order: int
    when: str
    can: str
    on_error: str = "fail"
    hook: str = ""  # LiteLLM's name for it

    def __str__(self) -> str:
        return self.name


REQUEST = Phase(
    "request",
    0,
    "after authentication, before anything is sent",
    "change, route, answer, refuse",
    hook="async_pre_call_hook",
)
ATTEMPT = Phase(
    "attempt",
    1,
    "before each upstream call, fallbacks too; sees `upstream`",
    "redact, set, default, remove, cap, set_header on that attempt's own copy; refuse",
)
MODERATION = Phase(
    "moderation",
    2,
    "beside the first upstream call, all rules at once; also before a cache hit is served",
    "refuse: the upstream call is cancelled, and no byte reaches the client before every verdict",
    hook="async_moderation_hook",
)
RESPONSE = Phase(
    "response", 3, "once the whole answer is known", "change, replace, refuse", hook="async_post_call_success_hook"
)
STREAM = Phase(
    "stream", 4, "on the text of a stream as it comes", "redact, cut, replace", hook="async_post_call_streaming_hook"
)
FAILURE = Phase(
    "failure",
    5,
    "on any error that would reach the client",
    "rewrite, answer, retry, fall back",
    hook="async_post_call_failure_hook",
)
LOG = Phase(
    "log",
    6,
    "after the client has everything, off the request path; exactly once per exchange",
    "record",
    on_error="skip",
    hook="async_log_success_event",
)

PHASES: dict[str, Phase] = {
    phase.name: phase for phase in (REQUEST, ATTEMPT, MODERATION, RESPONSE, STREAM, FAILURE, LOG)
}
ALL = frozenset(PHASES.values())

CALL_TYPES: dict[str, str] = {
    "completion": "POST /v1/chat/completions",
    "text_completion": "POST /v1/completions",
    "embeddings": "POST /v1/embeddings",
    "responses": "POST /v1/responses",
    "messages": "POST /v1/messages (Anthropic)",
    "image_generation": "POST /v1/images/generations, /v1/images/edits, /v1/images/variations",
    "moderation": "POST /v1/moderations",
    "audio_transcription": "POST /v1/audio/transcriptions, /v1/audio/translations",
    "audio_speech": "POST /v1/audio/speech",
    "rerank": "POST /v1/rerank",
}
CONVERSATIONS = frozenset({"completion", "text_completion", "responses", "messages"})
EVERY_CALL_TYPE = frozenset(CALL_TYPES)
