"""Multipart forms: read strictly, written again with every file as it was."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from engine.document.uploads import Upload
from engine.proxy.form import MOST_PARTS, BadForm, encode_form, parse_form

CASES = yaml.safe_load((Path(__file__).parent / "endpoints" / "forms.yaml").read_text())
TYPE = "multipart/form-data; boundary=b"


def raw_of(case: dict[str, Any]) -> bytes:
    text = case["raw"] if case.get("unix") else case["raw"].replace("\n", "\r\n")
    return text.encode("latin-1" if case.get("latin") else "utf-8")


def contains(whole: Any, part: Any) -> bool:
    if isinstance(part, dict):
        return isinstance(whole, dict) and all(name in whole and contains(whole[name], part[name]) for name in part)
    if isinstance(part, list):
        return len(whole) == len(part) and all(map(contains, whole, part))
    return whole == part


@pytest.mark.parametrize("case", CASES["read"], ids=lambda case: case["name"])
def test_what_is_read(case: dict[str, Any]) -> None:
    body, uploads = parse_form(raw_of(case), case.get("content_type", TYPE))
    assert contains(body, case["body"]), body
    assert body.keys() == case["body"].keys()
    assert [bytes(upload.content) for upload in uploads] == [
        text.replace("\n", "\r\n").encode() for text in case.get("files", [])
    ]


@pytest.mark.parametrize("case", CASES["refused"], ids=lambda case: case["name"])
def test_what_is_refused(case: dict[str, Any]) -> None:
    with pytest.raises(BadForm) as raised:
        parse_form(raw_of(case), case.get("content_type", TYPE))
    assert case["says"] in str(raised.value)


def test_the_number_of_parts_has_a_bound() -> None:
    part = b'--b\r\nContent-Disposition: form-data; name="a%d"\r\n\r\n1\r\n'
    many = b"".join(part % number for number in range(MOST_PARTS))
    assert len(parse_form(many + b"--b--\r\n", TYPE)[0]) == MOST_PARTS
    with pytest.raises(BadForm, match="more than 1000 parts"):
        parse_form(many + part % MOST_PARTS + b"--b--\r\n", TYPE)


NAMES = st.text(st.characters(exclude_categories=["C", "Z"], exclude_characters="[]\\%"), min_size=1, max_size=8)
FILES = st.tuples(NAMES, st.sampled_from(["image/png", "audio/wav; a=b"]), st.binary(max_size=60))
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
LEAVES = TEXTS | FILES
LISTS = st.lists(LEAVES, min_size=1, max_size=3)
FORMS = st.dictionaries(
    NAMES, LEAVES | LISTS | st.dictionaries(NAMES, LEAVES | LISTS, min_size=1, max_size=3), max_size=6
)
HEADS = [b"", b"--b\r\n", b"--b\r\nContent-Disposition: form-data; name=a\r\n\r\n"]


def described(value: Any, place: tuple[str | int, ...], uploads: list[Upload]) -> Any:
    """A drawn form as a body and its files."""
    if isinstance(value, tuple):
        told = {"filename": value[0], "content_type": value[1], "size": len(value[2])}
        uploads.append(Upload(place, told, memoryview(value[2])))
        return told
    if isinstance(value, list):
        return [described(item, (*place, index), uploads) for index, item in enumerate(value)]
    if isinstance(value, dict):
        return {name: described(item, (*place, name), uploads) for name, item in value.items()}
    return value


@given(FORMS)
@example({"image": [("a.png", "image/png", b"\r\n--b\r\n"), ("a.png", "image/png", b"\r\n--c\r\n")], 'q"': "\r\n--b--"})
def test_what_is_written_is_read_again(form: dict[str, Any]) -> None:
    uploads: list[Upload] = []
    body = described(form, (), uploads)
    content_type, raw = encode_form(body, uploads)
    again, files = parse_form(raw, content_type)
    assert again == body
    assert [(each.place, bytes(each.content)) for each in files] == [
        (each.place, bytes(each.content)) for each in uploads
    ]


@given(st.sampled_from(HEADS), st.binary(max_size=200), st.sampled_from([b"", b"\r\n--b--"]))
def test_any_bytes_are_read_or_refused(head: bytes, middle: bytes, end: bytes) -> None:
    try:
        body, uploads = parse_form(head + middle + end, TYPE)
    except BadForm:
        return
    assert parse_form(*reversed(encode_form(body, uploads)))[0] == body


def test_files_follow_their_descriptions() -> None:
    first, second = ({"filename": "a", "content_type": "t", "size": 1} for _ in range(2))
    uploads = [Upload(("image", 0), first, memoryview(b"1")), Upload(("image", 1), second, memoryview(b"2"))]

    def sent(body: dict[str, Any]) -> list[bytes]:
        return [bytes(each.content) for each in parse_form(*reversed(encode_form(body, uploads)))[1]]

    assert sent({"image": [second, first]}) == [b"2", b"1"], "moved by a rule, although both look alike"
    assert sent({"image": [second]}) == [b"2"], "one was removed"
    assert sent({"mask": first}) == [b"1"], "under another name"
    assert sent({"image": [dict(first), dict(second)]}) == [b"1", b"2"], "copied by a callback"
    assert sent({"image": [first, {**second, "filename": "b"}]}) == [b"1", b"2"], "with another filename"
    assert sent({"mask": {**second, "filename": "b"}}) == [], "there never was such a file"


def test_what_rules_write_has_the_form_of_a_form() -> None:
    body = {
        "stream": True,
        "n": 2,
        "t": 0.5,
        "none": None,
        "list": [1, {"a": 1}],
        "object": {"a": {"b": [False]}},
        "lone": "\ud800",
    }
    again, _ = parse_form(*reversed(encode_form(body, ())))
    assert again == {
        "stream": "true",
        "n": "2",
        "t": "0.5",
        "list": ["1", '{"a":1}'],
        "object": {"a": {"b": ["false"]}},
        "lone": "?",
    }
    assert b'name="a%22%0D%0AX-B: c"\r\n\r\n' in encode_form({'a"\r\nX-B: c': "d"}, ())[1]
