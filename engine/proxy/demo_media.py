"""What the demo upstream draws, says aloud, hears and sorts: the answers that are no conversation.

Must not know the wire.
"""

from __future__ import annotations

import base64
import hashlib
import struct
import zlib
from collections.abc import Callable
from typing import Any

import msgspec

from engine.document.dialect import Body
from engine.document.uploads import is_upload
from engine.document.walks import anything, strings
from engine.ports.wire import Headers

MOST_PICTURES = 10
SECONDS = 0.1  # of sound
_RATE = 8000  # samples a second
_JSON: Headers = (("content-type", "application/json"),)

Media = tuple[Headers, list[bytes]]


def pictures(body: Body, model: str, now: int) -> Media:
    """One pixel for each picture, its colour made of the prompt."""
    asked = body.get("n")
    count = asked if isinstance(asked, int) else int(asked) if isinstance(asked, str) and asked.isdecimal() else 1
    prompt = str(body.get("prompt") or "(no prompt)")
    picture = base64.b64encode(png(prompt)).decode()
    data = [{"b64_json": picture, "revised_prompt": f"{model} drew: {prompt}"}] * max(1, min(count, MOST_PICTURES))
    return _JSON, [msgspec.json.encode({"created": now, "data": data})]


def png(prompt: str) -> bytes:
    """A picture of one pixel."""
    colour = hashlib.sha256(prompt.encode("utf-8", "replace")).digest()[:3]

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0)
    pixel = zlib.compress(b"\0" + colour)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", pixel) + chunk(b"IEND", b"")


def speech(body: Body, model: str, now: int) -> Media:
    """A moment of silence, whatever was to be said, as a WAV file in pieces."""
    samples = b"\x80" * int(_RATE * SECONDS)
    head = struct.pack(
        "<4sI4s4sIHHIIHH4sI",
        b"RIFF",
        36 + len(samples),
        b"WAVE",
        b"fmt ",
        16,
        1,
        1,
        _RATE,
        _RATE,
        1,
        8,
        b"data",
        len(samples),
    )
    return (("content-type", "audio/wav"),), [head, samples[: len(samples) // 2], samples[len(samples) // 2 :]]


def transcript(body: Body, model: str, now: int) -> Media:
    """What was received, as the transcript of it; in the format that was asked for."""
    file = body["file"]
    named = f"{file['filename']} ({file['content_type']}, {file['size']} bytes)" if is_upload(file) else "no file"
    also = ", ".join(f"{name}={value}" for name, value in body.items() if name not in ("file", "model", "stream"))
    text = f"{model} heard: {named}" + (f" | also: {also}" if also else "")
    if body.get("stream") in (True, "true"):
        return (("content-type", "text/event-stream; charset=utf-8"),), _events(text)
    plain = _PLAIN.get(str(body.get("response_format")))
    if plain is None:
        return _JSON, [msgspec.json.encode({"text": text})]
    return (("content-type", "text/plain; charset=utf-8"),), [plain.format(text).encode()]


_PLAIN = {
    "text": "{}\n",
    "srt": "1\n00:00:00,000 --> 00:00:01,000\n{}\n\n",
    "vtt": "WEBVTT\n\n00:00:00.000 --> 00:00:01.000\n{}\n\n",
}


def _events(text: str) -> list[bytes]:
    pieces: list[dict[str, Any]] = [{"type": "transcript.text.delta", "delta": f"{word} "} for word in text.split()]
    pieces[-1]["delta"] = pieces[-1]["delta"].rstrip()
    return [
        b"data: " + msgspec.json.encode(piece) + b"\n\n"
        for piece in [*pieces, {"type": "transcript.text.done", "text": text}]
    ]


def ranking(body: Body, model: str, now: int) -> Media:
    """Documents sorted by how many words they share with the query."""
    asked = set(" ".join(strings(anything, body.get("query"))).lower().split())
    documents = body["documents"] if isinstance(body["documents"], list) else []
    shared = [len(asked & set(" ".join(strings(anything, each)).lower().split())) for each in documents]
    order = sorted(range(len(documents)), key=lambda at: (-shared[at], at))
    top = body.get("top_n")
    results = [{"index": at, "relevance_score": shared[at] / (len(asked) or 1)} for at in order]
    return _JSON, [
        msgspec.json.encode(
            {"id": "rerank-demo", "model": model, "results": results[:top] if isinstance(top, int) else results}
        )
    ]


MEDIA: dict[str, Callable[[Body, str, int], Media]] = {
    "image_generation": pictures,
    "audio_speech": speech,
    "audio_transcription": transcript,
    "rerank": ranking,
}
