"""The tables of body fields are what the packages they name describe, and the generator reads every form of type."""

# ruff: noqa: PYI030, PYI051, UP007  the packages write their types in every way there is

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import IO, Annotated, Any, Literal, NotRequired, Required, TypedDict, Union

import pytest
from openai._models import BaseModel
from openai._utils import PropertyInfo

from engine.document import fields, fields_added
from engine.phases import EVERY_CALL_TYPE
from engine.tools import field_tables

WRITTEN = field_tables.TABLES.read_text(encoding="utf-8")
RECORDED = json.loads(WRITTEN)


def test_tables_are_current():
    if field_tables.installed() != RECORDED["made_from"]:
        pytest.skip(f"made from {RECORDED['made_from']}, installed are {field_tables.installed()}")
    assert field_tables.as_text(field_tables.tables()) == WRITTEN, "run: python -m engine.tools.field_tables"


def test_tables_say_that_they_are_made():
    assert "Do not edit" in WRITTEN[:300]


def test_every_call_type_is_described():
    assert {*RECORDED["request"], "rerank"} == EVERY_CALL_TYPE
    assert {*RECORDED["response"], "rerank", "audio_speech"} == EVERY_CALL_TYPE  # speech is sound


def named(words: Any) -> Iterable[str]:
    """The objects that words name."""
    if isinstance(words, str):
        yield from {words} - {"string", "number", "boolean", "object", "any", "file"}
    elif isinstance(words, list):
        yield from named(words[0])
    else:
        for choice in words.get("any_of", ()):
            yield from named(choice)


def test_every_name_is_defined_and_used():
    objects = RECORDED["objects"]
    roots = [words for side in ("request", "response", "chunk") for words in RECORDED[side].values()]
    reached: set[str] = set()
    left = [name for words in roots for name in named(words)]
    while left:
        name = left.pop()
        if name not in reached:
            reached.add(name)
            left += [inner for words in objects[name].values() for inner in named(words)]
    assert reached == set(objects)


def test_what_is_added_is_added_to_something():
    assert set(fields_added.MEMBERS) <= set(RECORDED["objects"])
    assert set(fields_added._OTHERS) <= EVERY_CALL_TYPE


def test_nothing_is_added_that_the_packages_know():
    twice = {
        f"{name}.{member}"
        for name, extra in fields_added.MEMBERS.items()
        for member, words in extra.items()
        if words is None and member in RECORDED["objects"][name]
    }
    assert twice == set()


class Inner(TypedDict, total=False):
    type: Required[Literal["text"]]
    effort: Literal["low", "high"]
    level: Literal[1, 2]
    again: list[Inner]


class Other(TypedDict, total=False):
    type: Literal["image"]
    header: Annotated[str, PropertyInfo(alias="x-header")]
    renamed: NotRequired[Annotated[int, PropertyInfo(alias="reNamed")]]


class Answer(BaseModel):
    part: Inner | Other | None = None
    more: dict[str, object] = {}


@pytest.mark.parametrize(
    ("hint", "words"),
    [
        (str, "string"),
        (bool, "boolean"),
        (Union[int, float, None], "number"),
        (Iterable[str], ["string"]),
        (dict[str, str], "object"),
        (object, "any"),
        (Union[str, list[Union[str, int]]], {"any_of": ["string", [{"any_of": ["string", "number"]}]]}),
        (Union[str, object], "any"),
        (Literal["a", "b"], "string"),
        (Union[Literal[True], None], "boolean"),
        (Union[IO[bytes], bytes], {"any_of": ["file", "string"]}),
        (Inner, {"class": Inner}),
    ],
)
def test_words(hint, words):
    assert field_tables.Tables().words(hint) == words


def test_objects():
    met = field_tables.Tables()
    met.words(Answer)
    assert met.objects == {
        Answer: {"part": {"any_of": [{"class": Inner}, {"class": Other}]}, "more": "object"},
        Inner: {"type": {"values": ["text"]}, "effort": "string", "level": "number", "again": [{"class": Inner}]},
        Other: {"type": {"values": ["image"]}, "reNamed": "number"},
    }


def test_values_of_a_settled_field_are_kept_together():
    assert field_tables.Tables().words(Union[Literal["a"], Literal["c", "b"]], "type") == {"values": ["a", "b", "c"]}
    assert field_tables.Tables().words(Union[Literal["a"], str], "type") == "string"


def test_a_type_without_words_is_refused():
    with pytest.raises(field_tables.UnknownType, match="complex"):
        field_tables.Tables().words(complex)


def test_names_are_as_short_as_they_can_be():
    one, two = type("A", (), {"__module__": "p.x.m"}), type("A", (), {"__module__": "p.y.m"})
    assert field_tables.names([one, two, Inner]) == {one: "x.m.A", two: "y.m.A", Inner: "Inner"}


def test_what_is_loaded_is_shared():
    everything = frozenset(EVERY_CALL_TYPE)
    assert fields.members(everything, "request") is fields.members(frozenset(sorted(everything)), "request")
