"""The table of dialects: which API stands behind a path, and what knows its bodies. Must not know rules."""

from __future__ import annotations

from engine.document.dialect import Dialect
from engine.document.dialect_chat import Chat
from engine.document.dialect_embeddings import Embeddings
from engine.document.dialect_generic import Generic
from engine.document.dialect_messages import Messages
from engine.document.dialect_responses import Responses
from engine.document.dialect_text import TextCompletion
from engine.document.parts import CONTENT
from engine.document.walks import anything, fields, items, nothing, text, text_or

_CHAT, _TEXT, _EMBEDDINGS, _RESPONSES, _MESSAGES = Chat(), TextCompletion(), Embeddings(), Responses(), Messages()
_TRANSCRIPT = fields({"text": text, "segments": items(fields({"text": text})), "words": items(fields({"word": text}))})
_PICTURES = fields({"data": items(fields({"revised_prompt": text}))})
_IMAGES, _IMAGE_EDITS, _IMAGE_VARIATIONS = (
    Generic(
        "image_generation", path, reads=fields({"prompt": text, "negative_prompt": text}), says=_PICTURES, media="image"
    )
    for path in ("/images/generations", "/images/edits", "/images/variations")
)
_TRANSCRIPTIONS, _TRANSLATIONS = (
    Generic(
        "audio_transcription", path, reads=fields({"prompt": text}), says=_TRANSCRIPT, media="audio", gives_bytes=True
    )
    for path in ("/audio/transcriptions", "/audio/translations")
)
_SPEECH = Generic(
    "audio_speech", "/audio/speech", reads=fields({"input": text, "instructions": text}), gives_bytes=True
)
_MODERATIONS = Generic("moderation", "/moderations", reads=fields({"input": CONTENT}))
_RERANK = Generic(
    "rerank",
    "/rerank",
    reads=fields({"query": text_or(anything), "instruction": text, "documents": items(text_or(anything))}),
)

# The path after the optional `/v1`, and the dialect behind it. Several paths may share a call type.
_BY_PATH: dict[str, Dialect] = {
    dialect.upstream_path: dialect
    for dialect in (
        _CHAT,
        _TEXT,
        _EMBEDDINGS,
        _RESPONSES,
        _MESSAGES,
        _IMAGES,
        _IMAGE_EDITS,
        _IMAGE_VARIATIONS,
        _MODERATIONS,
        _TRANSCRIPTIONS,
        _TRANSLATIONS,
        _SPEECH,
        _RERANK,
        Messages(counts=True),
    )
}

DIALECTS: dict[str, Dialect] = {
    dialect.call_type: dialect
    for dialect in (
        _CHAT,
        _TEXT,
        _EMBEDDINGS,
        _RESPONSES,
        _MESSAGES,
        _IMAGES,
        _MODERATIONS,
        _TRANSCRIPTIONS,
        _SPEECH,
        _RERANK,
    )
}
"""The dialect of a call type; where several paths share one, that of the first."""

PASSED: dict[bool, Dialect] = {False: Generic("", "", reads=nothing), True: Messages(counts=True)}
"""For what is passed through, and whether its client is Anthropic's: only the shape of errors is known."""

ENDPOINTS: dict[str, str] = {
    prefix + path: dialect.call_type for prefix in ("/v1", "") for path, dialect in _BY_PATH.items()
}
"""The call type of every path, with `/v1` and without."""


def call_type_of(path: str) -> str | None:
    """The call type of a path; None where no API of ours stands."""
    return ENDPOINTS.get(path)


def dialect_at(path: str) -> Dialect | None:
    """The dialect of a path, with its own `upstream_path` where several share a call type; None: no API of ours."""
    return _BY_PATH.get(path.removeprefix("/v1"))
