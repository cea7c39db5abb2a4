"""Forms through the server: what rules see of them and change, and the bytes of files that nobody touches."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from running import AUDIT, LOG, running, upstream
from scripted import Scripted, scripted, whole

from engine.proxy.form import parse_form

SOUND = bytes(range(256)) * 40 + b"\r\n--b\r\n--"


def served(up: Scripted, rules: str = "", server: str = "{}") -> str:
    return upstream(up.url) + AUDIT + f"server: {server}\nrules:{rules}" + LOG


def sent_form(up: Scripted) -> tuple[dict[str, Any], list[bytes]]:
    (request,) = up.requests
    kind = {name.lower(): value for name, value in request.headers}["content-type"]
    body, uploads = parse_form(request.body, kind)
    return body, [bytes(upload.content) for upload in uploads]


async def test_rules_see_and_change_a_form(tmp_path: Path) -> None:
    rules = """
  - name: write
    match:
      request.file: {equals: {filename: a.wav, content_type: audio/wav, size: 10249}}
      request.t[1]: segment
      prompt_text: {contains: AKIA}
    actions:
      - redact: {patterns: [secret.aws_key]}
      - set: {language: de, file.filename: "of {{ request.file.filename }}"}
      - default: {temperature: 0.5}
      - remove: [user]
      - set_var: {opaque: "{{ opaque }}"}
"""
    form = {"model": "m", "prompt": "key AKIAIOSFODNN7EXAMPLE", "user": "ann", "t[]": ["word", "segment"], "x[a]": "1"}
    async with scripted(whole()) as up, running(served(up, rules), tmp_path) as run:
        answer = await run.http.post("/audio/transcriptions", data=form, files={"file": ("a.wav", SOUND, "audio/wav")})
        assert answer.status_code == 200, answer.text
        assert up.requests[0].line == "POST /v1/audio/transcriptions HTTP/1.1"
        body, files = sent_form(up)
        assert body == {
            "model": "m",
            "prompt": "key [secret.aws_key]",
            "t": ["word", "segment"],
            "x": {"a": "1"},
            "language": "de",
            "temperature": "0.5",
            "file": {"filename": "of a.wav", "content_type": "audio/wav", "size": len(SOUND)},
        }
        assert files == [SOUND]
        record = await run.record()
        assert record["vars"]["opaque"] == ["audio"]
        assert record["call_type"] == "audio_transcription"
        assert record["request"]["file"]["filename"] == "of a.wav"
        assert record["input"]["body"]["file"] == {"filename": "a.wav", "content_type": "audio/wav", "size": len(SOUND)}


async def test_several_pictures_of_a_form_stay_apart(tmp_path: Path) -> None:
    rules = "\n  - {name: one-less, actions: [{remove: ['image[0]']}, {cap: {n: 2}}]}"
    pictures = [("image[]", (f"{name}.png", name.encode(), "image/png")) for name in "abc"]
    async with scripted(whole()) as up, running(served(up, rules), tmp_path) as run:
        answer = await run.http.post(
            "/v1/images/edits", data={"model": "m", "n": "7"}, files=[*pictures, ("mask", ("a.png", b"4", "image/png"))]
        )
        assert answer.status_code == 200, answer.text
        body, files = sent_form(up)
        assert (body["n"], [each["filename"] for each in body["image"]], files) == (
            "2",
            ["b.png", "c.png"],
            [b"b", b"c", b"4"],
        )
        assert up.requests[0].body.count(b'name="image[]"') == 2


async def test_a_form_without_rules_keeps_every_byte_of_its_file(tmp_path: Path) -> None:
    async with scripted(whole()) as up, running(upstream(up.url) + "rules: []", tmp_path) as run:
        await run.http.post("/v1/audio/translations", data={"model": "m"}, files={"file": ('ö "a".wav', SOUND)})
        body, files = sent_form(up)
        assert up.requests[0].line == "POST /v1/audio/translations HTTP/1.1"
        assert (body["model"], body["file"]["filename"], files) == ("m", 'ö "a".wav', [SOUND])
