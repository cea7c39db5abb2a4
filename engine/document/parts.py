"""The parts that messages are made of, in every dialect: what of them is text, and what no rule can read.

Must not know requests or answers as a whole.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from engine.document.walks import Walk, anything, arguments, fields, items, kinds, nothing, schema, text, text_or

OPAQUE = ("image", "audio", "file", "url", "token_ids", "reference", "encrypted")

_SPOKEN_TYPES = ("text", "input_text", "output_text")
_IMAGES = {"image", "image_url", "input_image", "computer_screenshot"}
_AUDIO = {"audio", "input_audio", "audio_url", "output_audio"}
_TEXTUAL = {
    "refusal",
    "thinking",
    "reasoning_text",
    "summary_text",
    "tool_use",
    "server_tool_use",
    "mcp_tool_use",
    "tool_result",
    "mcp_tool_result",
    "search_result",
    "web_search_result",
    "web_search_tool_result",
    "web_search_tool_result_error",
    "mid_conv_system",
    "tool_reference",
    "fallback",
}

# --- text -------------------------------------------------------------------------------------------------------------

_TEXT = fields({"text": text})
_CITED_TEXT = fields({"text": text, "annotations": items(fields({"title": text, "quote": text}))})
_CALLED = fields({"name": text, "input": arguments})


def _output_text(value: Any, change: Any) -> Any:
    """Text of a Responses answer; once changed it loses its `logprobs`, which would spell out what was taken away."""
    new = _CITED_TEXT(value, change)
    return {**new, "logprobs": []} if new is not value and value.get("logprobs") else new


def _parts(inner: Walk) -> Walk:
    """The table of parts; `inner` is for the content that a part may carry itself."""
    source = fields({"content": inner})
    typed_source = kinds({"text": fields({"data": text}), "content": source}, nothing)
    return kinds(
        {
            "text": fields({"text": text, "citations": items(fields({"cited_text": text}))}),
            "input_text": _TEXT,
            "output_text": _output_text,
            "summary_text": _TEXT,
            "reasoning_text": _TEXT,
            "refusal": fields({"refusal": text}),
            "thinking": fields({"thinking": text}),
            "redacted_thinking": nothing,
            "image_url": nothing,
            "input_image": nothing,
            "image": nothing,
            "input_audio": nothing,
            "file": fields({"file": fields({"filename": text})}),
            "input_file": fields({"filename": text}),
            "document": fields({"title": text, "context": text, "source": typed_source}),
            "search_result": fields({"title": text, "source": text, "content": inner}),
            "tool_use": _CALLED,
            "server_tool_use": _CALLED,
            "mcp_tool_use": _CALLED,
            "tool_result": fields({"content": inner}),
            "mcp_tool_result": fields({"content": inner}),
        },
        anything,
    )


# content inside a part is one level deep in every API; what a client nests deeper is read by `anything`
PART: Walk = _parts(text_or(items(_parts(anything))))
CONTENT: Walk = text_or(items(PART))

_FUNCTION = fields({"name": text, "description": text, "parameters": schema})


def _tool(inner: Walk) -> Walk:
    return fields(
        {
            "name": text,
            "description": text,
            "parameters": schema,
            "input_schema": schema,
            "input_examples": arguments,
            "function": _FUNCTION,
            "custom": fields({"name": text, "description": text, "format": anything}),
            "format": anything,
            "server_label": text,
            "server_description": text,
            "tools": inner,
        }
    )


TOOLS: Walk = items(_tool(items(_tool(anything))))
CALL: Walk = fields({"name": text, "arguments": arguments})
CALLS: Walk = items(fields({"function": CALL, "custom": fields({"name": text, "input": text})}))
JSON_SCHEMA: Walk = fields({"name": text, "description": text, "schema": schema})


def _spoken(value: Any, change: Any) -> Any:
    """The plain text of a part; a part without a `type` counts as text."""
    if isinstance(value, dict) and value.get("type", "text") in _SPOKEN_TYPES:
        return _TEXT(value, change)
    return value


SPOKEN: Walk = text_or(items(_spoken))  # what `text_of` reads, to change it
_SAID = fields({"content": SPOKEN})
_SIDES = {"user": "user", "system": "system", "developer": "system", "assistant": "", "tool": "", "function": ""}
_ESCAPE = re.compile(r"(?is)\\u(d[89ab][0-9a-f]{2})\\u(d[c-f][0-9a-f]{2})|\\u([0-9a-f]{4})|\\.")


def plain_json(spelled: str) -> str:
    r"""JSON text with only the escapes that it needs: `\u0073` is `s`, so that nothing hides behind it."""
    return _ESCAPE.sub(_plain, spelled) if "\\" in spelled else spelled


def _plain(escape: re.Match[str]) -> str:
    if escape[1] is not None:
        return bytes.fromhex(escape[1] + escape[2]).decode("utf-16-be")
    if escape[3] is None:
        return "/" if escape[0] == "\\/" else escape[0]
    code = int(escape[3], 16)
    needed = code < 0x20 or code in (0x22, 0x5C) or 0xD800 <= code < 0xE000  # control, quote, backslash, torn
    return escape[0] if needed else chr(code)


def texts_of(content: Any) -> list[str]:
    """The plain texts of a message's content, which is a string or a list of parts."""
    if isinstance(content, str):
        return [content] if content else []
    if not isinstance(content, list):
        return []
    found = []
    for part in content:
        if isinstance(part, dict) and part.get("type", "text") in _SPOKEN_TYPES:
            said = part.get("text")
            if isinstance(said, str) and said:
                found.append(said)
    return found


def changed_messages(messages: Any, change: Any, where: str) -> Any:
    """Messages whose plain text is changed where it counts as `system_text`, `user_text` or `last_user_text`."""
    if not isinstance(messages, list):
        return messages
    side = "system" if where == "system_text" else "user"
    chosen = [at for at, message in enumerate(messages) if isinstance(message, dict) and _speaks(message, side)]
    changed = list(messages)
    for at in chosen[-1:] if where == "last_user_text" else chosen:
        changed[at] = _SAID(messages[at], change)
    return changed if any(new is not old for new, old in zip(changed, messages, strict=True)) else messages


def _speaks(message: dict[str, Any], side: str) -> bool:
    typed = message.get("type", "message") == "message"  # an item of the Responses API may be no message
    return typed and side_of(message.get("role")) == side and not only_results(message.get("content"))


def side_of(role: Any) -> str:
    """`system`, `user` or, for what neither of them says, the empty text; an unknown role counts as user."""
    return _SIDES.get(role, "user") if isinstance(role, str) else "user"


def only_results(content: Any) -> bool:
    """Whether a user message of `/v1/messages` is not the user's: it holds the results of tools alone."""
    return (
        isinstance(content, list)
        and bool(content)
        and all(isinstance(part, dict) and part.get("type") in ("tool_result", "mcp_tool_result") for part in content)
    )


def text_of(content: Any) -> str:
    """A message's content as one text, its parts joined with a newline."""
    return content if isinstance(content, str) else "\n".join(texts_of(content))


# --- what no rule can read --------------------------------------------------------------------------------------------


def listed(found: Iterable[str]) -> list[str]:
    """Kinds of opaque content in the order of the table, each once."""
    kinds_found = set(found)
    return [kind for kind in OPAQUE if kind in kinds_found]


def opaque_content(content: Any) -> Iterator[str]:
    """The kinds of what no rule can read in a message's content, at any depth."""
    stack = [content]
    while stack:
        top = stack.pop()
        if isinstance(top, list):
            stack.extend(top)
        elif isinstance(top, dict):
            yield from opaque_part(top)
            stack.append(top.get("content"))
            source = top.get("source")
            if isinstance(source, dict):
                stack.append(source.get("content"))


def opaque_part(part: dict[str, Any]) -> Iterator[str]:
    """The kinds of what no rule can read in one part itself."""
    kind = part.get("type")
    source = part.get("source")
    if kind == "redacted_thinking" or part.get("encrypted_content"):
        yield "encrypted"
    if kind == "item_reference":
        yield "reference"
        return
    yield from _media(kind, part)
    for place in (part, part.get("image_url"), part.get("file"), source, part.get("video_url"), part.get("audio_url")):
        yield from _elsewhere(place)


def _media(kind: Any, part: dict[str, Any]) -> Iterator[str]:
    if not isinstance(kind, str) or kind in _SPOKEN_TYPES or kind in _TEXTUAL or kind == "redacted_thinking":
        return
    if kind in _IMAGES:
        yield "image"
    elif kind in _AUDIO:
        yield "audio"
    elif kind == "document":
        source = part.get("source")
        if not isinstance(source, dict) or source.get("type") not in ("text", "content"):
            yield "file"
    elif not isinstance(part.get("text"), str):
        yield "file"  # a file, or a kind that is not known here and therefore not read


def _elsewhere(place: Any) -> Iterator[str]:
    """Content that stands elsewhere: behind a URL or an id."""
    if isinstance(place, str) and place.startswith(("http://", "https://")):
        yield "url"
    if not isinstance(place, dict):
        return
    if place.get("file_id"):
        yield "reference"
    for name in ("url", "file_url", "image_url"):
        url = place.get(name)
        if isinstance(url, str) and url and not url.startswith("data:"):
            yield "url"


def is_token_ids(value: Any) -> bool:
    """Whether a prompt or input is given as token ids: a list of numbers, or a list holding such a list."""
    if not isinstance(value, list):
        return False
    return any(isinstance(item, list) or (isinstance(item, int) and not isinstance(item, bool)) for item in value)
