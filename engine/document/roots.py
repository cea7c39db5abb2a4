"""The roots of the document: what a condition can see, from which phase on, and of what shape.

Read by the static checks, the schema, the reference and `explain`. Must not know expressions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from engine.document.usage import COUNTED
from engine.phases import ALL, ATTEMPT, FAILURE, LOG, MODERATION, RESPONSE, STREAM, Phase


@dataclass(frozen=True, slots=True)
class Root:
    """One name of the document.

    `shape` is a JSON-Schema-like type: a type name, a list of them, or a mapping of the members of a closed object
    (`None` as a value: open). `client` is True when the client alone chooses the value.
    """

    name: str
    doc: str
    shape: Any
    phases: frozenset[Phase] = ALL
    client: bool = False


_ANSWERED = frozenset({RESPONSE, STREAM, FAILURE, LOG})
_CALLED = frozenset({ATTEMPT, MODERATION, RESPONSE, STREAM, FAILURE, LOG})
_TEXT, _FLAG, _NUMBER, _TEXTS = "string", "boolean", "number", ["string"]
_TOKENS = dict.fromkeys(COUNTED, _NUMBER)

ROOTS: dict[str, Root] = {
    root.name: root
    for root in (
        Root("request", "the parsed body, as changed so far", None, client=True),
        Root("headers", "client headers, lower case, one string each, without credentials", {"*": _TEXT}, client=True),
        Root("query", "the client's query parameters", {"*": _TEXT}, client=True),
        Root("path", "path of the client's request", _TEXT),
        Root("method", "method of the client's request", _TEXT),
        Root("call_type", "which API was called", _TEXT),
        Root(
            "key",
            "of the caller; null when open",
            {"name": _TEXT, "team": _TEXT, "user": _TEXT, "models": _TEXTS, "metadata": None},
        ),
        Root("client", "who is calling", {"ip": _TEXT, "user_agent": _TEXT}),
        Root("prompt_text", "every string the model will read, whatever the dialect", _TEXT),
        Root("system_text", "the system and developer text", _TEXT),
        Root("user_text", "the text of user messages", _TEXT),
        Root("last_user_text", "the newest user message", _TEXT),
        Root(
            "opaque",
            "what no rule can read in this request: image audio file url token_ids reference encrypted",
            _TEXTS,
        ),
        Root("original", "the client's body before any rule, read-only", None, client=True),
        Root("stream", "true when the client asked for a stream", _FLAG, client=True),
        Root("metadata", "the client's own `metadata` object", None, client=True),
        Root("tags", "written by `tag` only", _TEXTS),
        Root("vars", "values set by `set_var` earlier in this exchange", None),
        Root("time", "the time of the exchange", {"now": _TEXT, "hour": _NUMBER, "weekday": _TEXT}),
        Root("upstream", "who is called", {"name": _TEXT, "model": _TEXT, "attempt": _NUMBER}, _CALLED),
        Root("response", "the answer", {"status": _NUMBER, "headers": {"*": _TEXT}, "body": None}, _ANSWERED),
        Root("completion_text", "the assistant's text", _TEXT, _ANSWERED),
        Root("tool_text", "the arguments of the assistant's tool calls", _TEXT, _ANSWERED),
        Root("reasoning_text", "the assistant's reasoning", _TEXT, _ANSWERED),
        Root(
            "error",
            "what went wrong",
            {"status": _NUMBER, "type": _TEXT, "code": _TEXT, "message": _TEXT, "source": _TEXT, "param": _TEXT},
            frozenset({FAILURE, LOG}),
        ),
        Root("usage", "tokens; null when unknown", _TOKENS, _ANSWERED),
        Root("cost", "US dollars; null when unknown", _NUMBER, _ANSWERED),
        Root(
            "timing",
            "milliseconds",
            {"total_ms": _NUMBER, "upstream_ms": _NUMBER, "ttft_ms": _NUMBER, "overhead_ms": _NUMBER},
            frozenset({LOG}),
        ),
        Root("cache_hit", "true when a cache answered", _FLAG),
        Root("matched", "names of the rules that matched so far", _TEXTS),
        Root("sent", "what went upstream; only under `holds` of a test", None, frozenset()),
    )
}
