"""Truth, equality, order and types of values."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.language.values import comparable, equal, less, membership, to_text, truthy, type_name

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 2) | st.sampled_from([0.0, 1.0, 0.5, "", "a", "1"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("ab"), inner, max_size=2),
    max_leaves=6,
)


@pytest.mark.parametrize("value", [0, 0.0, 1, "0", "false", [None], {"a": None}, True, float("nan")])
def test_true(value):
    assert truthy(value) is True


@pytest.mark.parametrize("value", [None, False, "", [], {}])
def test_not_true(value):
    assert truthy(value) is False


@pytest.mark.parametrize(
    ("left", "right", "same"),
    [
        (1, 1.0, True),
        (True, 1, False),
        (False, 0, False),
        ([True], [1], False),
        ({"a": [0]}, {"a": [False]}, False),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, True),
        ({"a": None}, {}, False),
        ([], {}, False),
        ("1", 1, False),
        (None, False, False),
        (float("nan"), float("nan"), False),
    ],
)
def test_equality(left, right, same):
    assert equal(left, right) is same
    assert equal(right, left) is same


def test_a_number_that_is_none_equals_nothing_inside_lists_either():
    bad = float("nan")
    assert equal([bad], [bad]) is False


@given(VALUES, VALUES)
def test_membership_is_equality_with_one_of_them(value, other):
    assert membership([other, "a", 2])(value) is any(equal(value, listed) for listed in (other, "a", 2))
    assert equal(value, value)


def test_order_is_between_numbers_or_between_texts():
    assert less(1, 1.5) is True
    assert less("Z", "a") is True
    assert [less(*pair) for pair in ((1, "2"), (True, 2), (None, 1), ([1], [2]))] == [None] * 4
    assert not comparable(False, 0)


def test_names_of_types():
    class Text(str):
        __slots__ = ()

    values = ["a", Text("a"), 1, 1.5, True, [], {}, None, len]
    names = ["string", "string", "number", "number", "boolean", "array", "object", "null", "expref"]
    assert [type_name(value) for value in values] == names


def test_values_as_text():
    assert [to_text(value) for value in ("a", None, 1, True, [1, "a"])] == ["a", "", "1", "true", '[1,"a"]']
