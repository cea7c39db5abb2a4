"""Multipart forms as they come over the wire and go out again. Must not know what the fields say.

It reads less than mail programs do: what two readers could understand in two ways is refused, since rules and the
upstream must see the same fields. Files are neither read nor changed.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import unquote_to_bytes

import msgspec

from engine.document.uploads import Upload, is_upload, upload_of

MOST_PARTS = 1000
MOST_HEAD = 8 * 1024  # bytes before the content of a part
MOST_PARAMETERS = 8  # of one header
MOST_KEYS = 8  # of a name such as `metadata[a][b]`

_PARAMETER = re.compile(r';[ \t]*([\w!#$%&\'*+.^`|~-]+)[ \t]*=[ \t]*(?:"((?:[^"\\]|\\.)*)"|([^\s;"]+))[ \t]*')
_BOUNDARY = re.compile(r"[0-9A-Za-z'()+_,./:=? -]{0,69}[0-9A-Za-z'()+_,./:=?-]")
_NAME = re.compile(r"([^\[\]]+)((?:\[[^\[\]]+\])*)(\[\])?")
_ESCAPED = {"%22": '"', "%0d": "\r", "%0a": "\n"}
_PLAIN_CODINGS = frozenset({"7bit", "8bit", "binary"})
_PLAIN_CHARSETS = frozenset({"utf-8", "us-ascii"})


class BadForm(Exception):
    """Bytes that are no form; the text says what is wrong and in which part."""


def parse_form(raw: bytes, content_type: str) -> tuple[dict[str, Any], tuple[Upload, ...]]:
    """The fields of a form as a body, and its files.

    `name[]` makes a list, `name[key]` an object; every value is a text, or the description of a file. BadForm.
    """
    body: dict[str, Any] = {}
    uploads: list[Upload] = []
    for number, head, content in _parts(raw, _boundary(content_type)):
        name, filename, kind = _described(number, head)
        where = f"part {number} (`{name}`)"
        place = _place(name)
        if filename is None:
            _put(body, place, _text(where, kind, content), where)
            continue
        described = {"filename": filename, "content_type": kind or "application/octet-stream", "size": len(content)}
        uploads.append(Upload(_put(body, place, described, where), described, content))
    return body, tuple(uploads)


def encode_form(body: dict[str, Any], uploads: Sequence[Upload]) -> tuple[str, bytes]:
    """The content type and the bytes of a form; null has no form and is left out."""
    boundary = f"pointsman-{os.urandom(15).hex()}"
    pieces: list[bytes | memoryview] = []
    for name, value in body.items():
        for head, content in _written(name, value, (name,), uploads):
            pieces += (
                f"--{boundary}\r\nContent-Disposition: form-data; {head}\r\n\r\n".encode("utf-8", "replace"),
                content,
                b"\r\n",
            )
    pieces.append(f"--{boundary}--\r\n".encode())
    return f"multipart/form-data; boundary={boundary}", b"".join(pieces)


# --- parts ------------------------------------------------------------------------------------------------------------


def _boundary(content_type: str) -> bytes:
    kind, parameters = _parameters(content_type, "the content type")
    if kind != "multipart/form-data":
        raise BadForm(f"its content type is {kind}; the only multipart read here is multipart/form-data")
    boundary = parameters.get("boundary")
    if boundary is None:
        raise BadForm("its content type names no boundary; let your HTTP library write the header")
    if not _BOUNDARY.fullmatch(boundary):
        raise BadForm(f"{boundary!r} cannot be a boundary")
    return boundary.encode()


def _parts(raw: bytes, boundary: bytes) -> Iterator[tuple[int, str, memoryview]]:
    """Number, head and content of each part."""
    opening = b"--" + boundary
    if not raw.startswith(opening):
        raise BadForm(f"it does not begin with its boundary `{opening.decode()}`")
    view, at = memoryview(raw), len(opening)
    for number in range(1, MOST_PARTS + 2):
        if raw.startswith(b"--", at):
            if raw[at + 2 :].strip():
                raise BadForm(f"something follows the closing boundary, from byte {at + 3}")
            return
        begin = _line_end(raw, at, number)
        if number > MOST_PARTS:
            raise BadForm(f"it has more than {MOST_PARTS} parts")
        blank = raw.find(b"\r\n\r\n", begin, begin + MOST_HEAD)
        if blank < 0:
            raise BadForm(f"part {number} (from byte {begin + 1}) has no blank line (CRLF CRLF) after its headers")
        end = raw.find(b"\r\n" + opening, blank + 4)
        if end < 0:
            raise BadForm(f"part {number} (from byte {begin + 1}) has no end: no boundary follows")
        yield number, _decoded(raw[begin:blank], number), view[blank + 4 : end]
        at = end + 2 + len(opening)


def _line_end(raw: bytes, at: int, number: int) -> int:
    """Where the line of a boundary ends; only blanks may stand behind it."""
    while raw[at : at + 1] in (b" ", b"\t"):
        at += 1
    if not raw.startswith(b"\r\n", at):
        raise BadForm(f"the boundary before part {number} does not end its line (byte {at + 1}); lines end in CRLF")
    return at + 2


def _decoded(head: bytes, number: int) -> str:
    try:
        return head.decode()
    except UnicodeDecodeError:
        raise BadForm(f"the headers of part {number} are not UTF-8") from None


def _described(number: int, head: str) -> tuple[str, str | None, str | None]:
    """Name, filename (None: no file) and content type of a part."""
    fields = _fields(number, head)
    disposition, parameters = _parameters(fields.get("content-disposition", ""), f"the disposition of part {number}")
    name = parameters.get("name")
    if disposition != "form-data" or not name:
        raise BadForm(f'part {number} has no `Content-Disposition: form-data; name="…"`')
    coding = fields.get("content-transfer-encoding", "binary").lower()
    if coding not in _PLAIN_CODINGS:
        raise BadForm(f"part {number} (`{name}`) is encoded as {coding}; send its bytes as they are")
    filename = parameters.get("filename")
    if "filename*" in parameters:
        filename = _extended(parameters["filename*"], number)
    for value in (name, filename or ""):
        if not value.isprintable() or value.endswith("\\"):
            raise BadForm(f"part {number} has a name with control characters or a backslash at its end: {value!r}")
    return name, filename, fields.get("content-type")


def _fields(number: int, head: str) -> dict[str, str]:
    fields: dict[str, str] = {}
    for line in head.split("\r\n"):
        name, colon, value = line.partition(":")
        name = name.lower()
        if not colon or not name or name != name.strip() or "\r" in line or "\n" in line:
            raise BadForm(f"part {number} has a header line that is none: {line[:60]!r}")
        if name in fields:
            raise BadForm(f"part {number} has its `{name}` header twice")
        fields[name] = value.strip()
    return fields


def _parameters(value: str, where: str) -> tuple[str, dict[str, str]]:
    """The value of a header and the parameters behind it."""
    first, semicolon, rest = value.partition(";")
    rest, at = (semicolon + rest).rstrip("; \t"), 0
    found: dict[str, str] = {}
    while at < len(rest):
        match = _PARAMETER.match(rest, at)
        if match is None:
            raise BadForm(f"{where} cannot be read from {rest[at : at + 40]!r}")
        name = match[1].lower()
        if name in found:
            raise BadForm(f"{where} has `{name}` twice")
        if len(found) == MOST_PARAMETERS:
            raise BadForm(f"{where} has more than {MOST_PARAMETERS} parameters")
        found[name] = match[3] if match[2] is None else _unescaped(match[2])
        at = match.end()
    return first.strip().lower(), found


def _unescaped(quoted: str) -> str:
    plain = re.sub(r'\\(["\\])', r"\1", quoted)
    return re.sub("(?i)%22|%0d|%0a", lambda escape: _ESCAPED[escape[0].lower()], plain)


def _extended(value: str, number: int) -> str:
    """A name in the form `UTF-8''na%C3%AFve.wav`."""
    charset, _, rest = value.partition("'")
    try:
        name = unquote_to_bytes(rest.partition("'")[2]).decode()
    except UnicodeDecodeError:
        name = ""
    if charset.lower() != "utf-8" or not name:
        raise BadForm(f"the `filename*` of part {number} is not in the form `UTF-8''name`")
    return name


# --- fields -----------------------------------------------------------------------------------------------------------


def _place(name: str) -> tuple[str | None, ...]:
    """`a` is a field, `a[b]` a member of an object, `a[]` (None at the end) one of a list."""
    match = _NAME.fullmatch(name)
    if match is None:
        return (name,)
    keys = match[2][1:-1].split("][") if match[2] else []
    if len(keys) > MOST_KEYS:
        raise BadForm(f"the name {name[:60]!r} goes deeper than {MOST_KEYS} levels")
    return (match[1], *keys, *([None] if match[3] else []))


def _put(body: dict[str, Any], place: tuple[str | None, ...], value: Any, where: str) -> tuple[str | int, ...]:
    """Write a value into a body that is still being built; the place where it stands then."""
    *way, last = [key for key in place if key is not None]
    inner: Any = body
    for key in way:
        inner = inner.setdefault(key, {})
        if not isinstance(inner, dict) or is_upload(inner):
            raise BadForm(f"{where} stands beside another field of the same name; send one of them")
    if place[-1] is not None:
        if last in inner:
            raise BadForm(f"{where} stands twice; a list is written `{last}[]`")
        inner[last] = value
        return (*way, last)
    values = inner.setdefault(last, [])
    if not isinstance(values, list):
        raise BadForm(f"{where} stands beside another field of the same name; send one of them")
    values.append(value)
    return (*way, last, len(values) - 1)


def _text(where: str, kind: str | None, content: memoryview) -> str:
    charset = _parameters(kind, f"the content type of {where}")[1].get("charset", "utf-8") if kind else "utf-8"
    if charset.lower() not in _PLAIN_CHARSETS:
        raise BadForm(f"{where} is in {charset}; send UTF-8")
    try:
        return str(content, "utf-8")
    except UnicodeDecodeError as wrong:
        raise BadForm(f"{where} is not UTF-8 at its byte {wrong.start + 1}; a file needs a `filename`") from None


# --- out again --------------------------------------------------------------------------------------------------------


def _written(
    name: str, value: Any, place: tuple[str | int, ...], uploads: Sequence[Upload]
) -> Iterator[tuple[str, bytes | memoryview]]:
    """Head and content of every part that a field makes."""
    if isinstance(value, list):
        for index, item in enumerate(value):
            if isinstance(item, list) or (isinstance(item, dict) and not is_upload(item)):
                yield f'name="{_escaped(name)}[]"', msgspec.json.encode(item)
            else:
                yield from _written(f"{name}[]", item, (*place, index), uploads)
    elif isinstance(value, dict):
        upload = upload_of(value, place, uploads) if is_upload(value) else None
        if upload is not None:
            kind = _escaped(str(value["content_type"]))
            yield (
                f'name="{_escaped(name)}"; filename="{_escaped(str(value["filename"]))}"\r\nContent-Type: {kind}',
                upload.content,
            )
            return
        for key, item in value.items():
            yield from _written(f"{name}[{key}]", item, (*place, key), uploads)
    elif isinstance(value, str):
        yield f'name="{_escaped(name)}"', value.encode("utf-8", "replace")
    elif value is not None:
        yield f'name="{_escaped(name)}"', msgspec.json.encode(value)


def _escaped(text: str) -> str:
    """As browsers write it: quotes and line breaks cannot end a name."""
    for escape, character in _ESCAPED.items():
        text = text.replace(character, escape.upper())
    return text
