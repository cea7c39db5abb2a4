"""From the bytes of a request to a body whose known fields have the types that rules rely on.

Every failure is a `Refused`. Must not know paths, keys or upstreams.
"""

from __future__ import annotations

import re
from typing import Any

from engine.document.answers import Refusal, Refused
from engine.document.dialect_responses import is_item_reference
from engine.document.exchange import Exchange
from engine.document.uploads import Upload, is_upload
from engine.proxy.body import BadJson, parse, sort_of
from engine.proxy.form import BadForm, parse_form

_KNOWN_TYPES: dict[str, tuple[type, ...]] = {
    "model": (str,),
    "stream": (bool,),
    "n": (int,),
    "messages": (list,),
    "tools": (list,),
    "max_tokens": (int,),
    "max_completion_tokens": (int,),
    "max_output_tokens": (int,),
    "input": (str, list),
}
_NAMES = {str: "a text", bool: "true or false", int: "a whole number", list: "a list"}
_NO_FILES = ("prompt", "negative_prompt", "instructions", "input", "user", "response_format", "language")
_WHOLE_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]{0,17})")
_TRUTH = {"true": True, "false": False}
FORMS = frozenset({"audio_transcription", "image_generation"})  # call types whose requests may be forms


def body_from(raw: bytes, x: Exchange) -> dict[str, Any]:
    """The request as rules see it: a JSON object, or the fields of a form, whose files go to `x.uploads`."""
    content_type = x.headers.get("content-type", "").strip()
    kind = content_type.partition(";")[0].rstrip().lower()
    if kind.startswith("multipart/") and not raw.lstrip().startswith(b"{"):
        body, x.uploads = _form(raw, content_type, x)
    else:
        body = _object(raw, kind)
    check_known_fields(body)
    if x.call_type == "responses" and x.program.server.responses_state == "refuse":
        _check_state(body)
    return body


def _object(raw: bytes, kind: str) -> dict[str, Any]:
    """A JSON object, or a Refused that says what stands where."""
    try:
        body = parse(raw)
    except BadJson as wrong:
        hint = _FORM if raw[:2] == b"--" else _HINTS.get(kind, "") if raw[:1] != b"{" else ""
        raise Refused(Refusal(400, f"the request body is not valid JSON: {wrong}{hint}", code=wrong.code)) from None
    if not isinstance(body, dict):
        raise Refused(
            Refusal(400, f"the request body must be a JSON object, found {sort_of(body)}", code="invalid_json")
        )
    return body


_FORM = "; it looks like a multipart form, whose content type is `multipart/form-data` with a `boundary`"
_HINTS = {"application/x-www-form-urlencoded": "; forms in this encoding are not read, send a JSON object"}


def check_known_fields(body: dict[str, Any]) -> None:
    """What is lax upstream must not slip past rules here: known fields have their JSON type."""
    for name, value in body.items():
        allowed = _KNOWN_TYPES.get(name)
        if (
            allowed is None
            or value is None
            or (isinstance(value, allowed) and (bool in allowed or not isinstance(value, bool)))
        ):
            continue
        raise _wrong_type(name, " or ".join(_NAMES[kind] for kind in allowed), sort_of(value))


def _wrong_type(name: str, wanted: str, found: str) -> Refused:
    return Refused(Refusal(400, f"`{name}` must be {wanted}, found {found}", param=name, code="invalid_type"))


# --- forms ------------------------------------------------------------------------------------------------------------


def _form(raw: bytes, content_type: str, x: Exchange) -> tuple[dict[str, Any], tuple[Upload, ...]]:
    if x.call_type not in FORMS:
        raise Refused(
            Refusal(
                415, f"multipart bodies are not read on {x.path}; send a JSON object", code="unsupported_media_type"
            )
        )
    try:
        body, uploads = parse_form(raw, content_type)
    except BadForm as wrong:
        raise Refused(Refusal(400, f"the multipart body cannot be read: {wrong}", code="invalid_multipart")) from None
    for name in _NO_FILES:
        if is_upload(body.get(name)):
            raise _wrong_type(name, "a text", "a file")
    return {name: _typed(name, value) for name, value in body.items()}, uploads


def _typed(name: str, value: Any) -> Any:
    """A form has only texts: known numbers and truth values get their own type, as in JSON."""
    kinds = _KNOWN_TYPES.get(name, ())
    if not isinstance(value, str):
        return value
    if bool in kinds:
        return _TRUTH.get(value, value)
    return int(value) if int in kinds and _WHOLE_NUMBER.fullmatch(value) else value


# --- state kept upstream ----------------------------------------------------------------------------------------------


def _check_state(body: dict[str, Any]) -> None:
    """Refuse what brings text into the conversation that is not in the request."""
    for name in ("previous_response_id", "conversation"):
        if body.get(name) is not None:
            raise _stateful(name)
    given = body.get("input")
    for at, item in enumerate(given if isinstance(given, list) else ()):
        if is_item_reference(item):
            raise _stateful(f"input[{at}]")


def _stateful(name: str) -> Refused:
    message = (
        f"`{name}` is refused: what it refers to is kept upstream, where no rule of this gateway can read it; "
        "send the whole conversation, or set `server.responses_state: allow`"
    )
    return Refused(Refusal(400, message, param=name, code="responses_state"))
